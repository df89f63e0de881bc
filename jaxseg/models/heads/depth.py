"""Depth: one linear map, softplus, then bilinear upsampling (factors paper, A.5).

721 parameters on HRNetV2-W48, as in its Table 2.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import ops
from jaxseg.models.heads import linear

VERSION = 1  # goes up when the same weights would give other outputs


class Depth(linear.Projection):
    """Features -> positive depth [B, *size, num_outputs] in float32."""

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"]:
        depth = nn.softplus(super().__call__(features))
        return ops.resize_bilinear(depth, size)


def build(num_outputs: int = 1, **fields) -> Depth:
    """A head with one channel."""
    return Depth(num_outputs, **fields)
