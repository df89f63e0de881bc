"""Keypoints as CenterNet regresses them (arXiv:1904.07850; factors paper, A.4).

Six maps without a neck: centre, its offset and the size of one class of objects, a heat
map and an offset for keypoints, and where each keypoint lies from the centre. 10.09 M
parameters on HRNetV2-W48 with 17 keypoints (Table 2 says 10M).
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import ops
from jaxseg.models.heads import centernet

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"width": 16}  # at the smoke size


class Keypoints(nn.Module):
    """Features -> six maps [B, h, w, .] at the finest map; see `__call__`."""

    num_outputs: int
    width: int = 256
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> dict[str, Float[Array, "b h w k"]]:
        """M1 to M6 of A.4, in this order.

        Pairs are row, column, in cells of the map; heat and points are logits.
        """
        x = ops.concat_at_finest(features)
        maps = {
            "heat": 1,
            "offset": 2,
            "size": 2,
            "points": self.num_outputs,
            "point_offset": 2,
            "allocation": 2 * self.num_outputs,
        }
        return {
            name: centernet.Map(
                outputs, self.width, name in ("heat", "points"), self.dtype, name=name
            )(x)
            for name, outputs in maps.items()
        }


def build(num_outputs: int, **fields) -> Keypoints:
    """A head with `num_outputs` keypoints."""
    return Keypoints(num_outputs, **fields)
