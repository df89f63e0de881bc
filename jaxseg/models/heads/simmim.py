"""Pixels from tokens: one linear layer to patch x patch x K values per token.

The decoder of SimMIM (arXiv:2111.09886) with K = 3 colours and, with K classes, the
segmentation head of the SimMIM study: no upsampling.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import layers

VERSION = 1  # goes up when the same weights would give other outputs


class Pixels(nn.Module):
    """The deepest map -> [B, *size, K] in float32."""

    num_outputs: int = 3
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"]:
        x = features[-1]
        p, q = (n // m for n, m in zip(size, x.shape[1:3]))
        dense = layers.Dense(p * q * self.num_outputs, True, self.dtype, name="output")
        x = dense(x).astype("float32")
        x = x.reshape(*x.shape[:3], p, q, -1).swapaxes(2, 3)
        return x.reshape(len(x), *size, -1)


def build(num_outputs: int = 3, **fields) -> Pixels:
    """A head with `num_outputs` values per pixel."""
    return Pixels(num_outputs, **fields)
