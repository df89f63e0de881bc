"""HRNetV2's classification head (Wang et al. 2020, arXiv:1908.07919, appendix).

Each map is widened by a bottleneck, strided convolutions carry the sum from the finest
resolution to the coarsest, and the widened result is averaged and classified.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import layers, ops

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"width": 4}  # at the smoke size


class Classifier(nn.Module):
    """Features, each at half the resolution of the one before -> logits [B, K]."""

    num_outputs: int
    width: int = 32  # bottleneck i has width * 2**i, the last layer 64 * width channels
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b k"]:
        total = None
        for i, x in enumerate(features):
            width = self.width * 2**i
            widen = layers.Bottleneck(width, self.dtype, name=f"widen{i}")
            wide = widen(x, train=train)
            if i:
                down = self._conv(4 * width, 3, 2, name=f"down{i - 1}")
                wide = wide + down(total, train=train)
            total = wide
        last = self._conv(64 * self.width, 1, 1, name="last")(total, train=train)
        return nn.Dense(
            self.num_outputs, kernel_init=layers.small_normal, name="classifier"
        )(ops.global_mean(last))

    def _conv(self, width: int, size: int, stride: int, *, name: str):
        """With a bias although BatchNorm follows: the published weights have one."""
        return layers.ConvNorm(
            width, size, stride, bias=True, dtype=self.dtype, name=name
        )


def build(num_outputs: int, **fields) -> Classifier:
    """A head with `num_outputs` classes."""
    return Classifier(num_outputs, **fields)
