"""DeepLabV3: atrous spatial pyramid pooling (Chen et al. 2017, arXiv:1706.05587).

Equal to torchvision's `DeepLabHead` given its weights.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import enlarged, layers, ops

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"width": 16}  # at the smoke size


class ASPP(nn.Module):
    """One map at five scales -> [B, h, w, width]."""

    width: int
    rates: tuple[int, ...]
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        def conv(size: int, dilation: int, name: str) -> layers.ConvNorm:
            return layers.ConvNorm(
                self.width, size, 1, dilation, dtype=self.dtype, name=name
            )

        branches = [conv(1, 1, "branch0")(x, train=train)]
        for i, rate in enumerate(self.rates, start=1):
            branches.append(conv(3, rate, f"branch{i}")(x, train=train))
        mean = ops.global_mean(x)[:, None, None].astype(x.dtype)
        pooled = conv(1, 1, "pooled")(mean, train=train)
        branches.append(jnp.broadcast_to(pooled, branches[0].shape))
        x = conv(1, 1, "project")(jnp.concatenate(branches, axis=-1), train=train)
        return layers.Dropout(self.dropout)(x, train=train)


class DeepLabV3(nn.Module):
    """The deepest map -> logits [B, *size, K] in float32."""

    num_outputs: int
    width: int = 256
    rates: tuple[int, ...] = (12, 24, 36)  # at output stride 8
    dropout: float = 0.5
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"] | enlarged.Enlarged:
        aspp = ASPP(self.width, self.rates, self.dropout, self.dtype, name="aspp")
        x = aspp(features[-1], train=train)
        conv = layers.ConvNorm(self.width, dtype=self.dtype, name="conv")
        logits = layers.output_conv(self.num_outputs, name="output")(
            conv(x, train=train)
        )
        return enlarged.to_size(logits, size, train)


def build(num_outputs: int, **fields) -> DeepLabV3:
    """A head with `num_outputs` channels."""
    return DeepLabV3(num_outputs, **fields)
