"""ConRec's reconstructions: one U-Net decoder, its last block once per target.

Decoder paper (decoder_transfer), section 2.1: the first three blocks are shared.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import layers, ops
from jaxseg.models.heads import unet

VERSION = 1  # goes up when the same weights would give other outputs
BLOCKS_OF = "unet"  # the head whose blocks these are: weights go from one to the other


class Reconstruction(nn.Module):
    """Features -> float32 [B, *size, targets * num_outputs], target by target."""

    num_outputs: int = 3  # channels of an image
    targets: int = 4
    up: str = "nearest"
    project_skip: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"]:
        shared = unet.Decoder(
            None, self.up, self.project_skip, self.dtype, until=1, name="decoder"
        )(features, train=train)
        images = []
        for i in range(self.targets):
            last = unet.Up(
                features[0].shape[-1],
                self.up,
                self.project_skip,
                self.dtype,
                name=f"target{i}",
            )
            x = last(shared, features[0], train=train)
            x = layers.output_conv(self.num_outputs, name=f"output{i}")(x)
            images.append(ops.resize_bilinear(x, size))
        return jnp.concatenate(images, axis=-1)


def build(num_outputs: int = 3, **fields) -> Reconstruction:
    """A head for images with `num_outputs` channels."""
    return Reconstruction(num_outputs, **fields)
