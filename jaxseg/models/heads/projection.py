"""Projection of the pooled deepest map for contrastive losses (arXiv:2002.05709).

(512, 512) and 128 outputs on the U-Net are the decoder paper's three dense layers.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import layers, ops

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"hidden": [16, 16]}  # at the smoke size


class ProjectionHead(nn.Module):
    """Features -> embedding [B, num_outputs] in float32, not normalised."""

    num_outputs: int = 128
    hidden: tuple[int, ...] = (512, 512)
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b d"]:
        x = ops.global_mean(features[-1])
        for i, width in enumerate(self.hidden):
            x = nn.relu(layers.Dense(width, True, self.dtype, name=f"dense{i}")(x))
        output = nn.Dense(
            self.num_outputs, kernel_init=layers.small_normal, name="output"
        )
        return output(x.astype("float32"))


def build(num_outputs: int = 128, **fields) -> ProjectionHead:
    """A head with `num_outputs` dimensions; hidden: a list from a config as well."""
    fields |= {"hidden": tuple(fields.get("hidden", ProjectionHead.hidden))}
    return ProjectionHead(num_outputs, **fields)
