"""Linear head: all maps upsampled to the finest, concatenated, one 1x1 convolution.

The head of HRNetV2 as the factors paper uses it (arXiv:2103.13318): (15 C + 1) * K
parameters, 14,420 for HRNetV2-W48 and 20 classes. On a ViT it is a 1x1 convolution.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import enlarged, layers, ops

VERSION = 1  # goes up when the same weights would give other outputs


class Projection(nn.Module):
    """Features -> [B, h, w, K] in float32 at the resolution of the finest map."""

    num_outputs: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, features: tuple[Float[Array, "..."], ...]):
        widths = [x.shape[-1] for x in features]
        shape = (sum(widths), self.num_outputs)
        kernel = self.param("kernel", layers.small_normal, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape[1:], jnp.float32)
        # A 1x1 convolution commutes with bilinear upsampling, whose weights sum to one:
        # projecting each map at its own resolution and adding the upsampled K channels
        # is the same function, without ever building 15 C channels at stride 4.
        total = bias.reshape(1, 1, 1, -1)
        for x, part in zip(features, ops.split_kernel(kernel, widths)):
            y = ops.conv1x1(x.astype(self.dtype), part.astype(self.dtype))
            y = y.astype(jnp.float32)
            total = total + ops.resize_bilinear(y, features[0].shape[1:3])
        return total


class Linear(Projection):
    """Features -> logits [B, *size, K] in float32."""

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"] | enlarged.Enlarged:
        return enlarged.to_size(super().__call__(features), size, train)


def build(num_outputs: int, **fields) -> Linear:
    """A head with `num_outputs` channels."""
    return Linear(num_outputs, **fields)
