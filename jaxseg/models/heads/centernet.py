"""CenterNet detection (Zhou et al. 2019, arXiv:1904.07850; factors paper, A.3).

A neck of 1x1 and 3x3 convolutions, then for each map a 3x3 convolution, ReLU and a
second 3x3 convolution: 2.4 M parameters on HRNetV2-W48 with 20 classes (Table 2).
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import layers, ops

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"neck": 16, "width": 16}  # at the smoke size
# sigmoid(-2.19) = 0.1: a heat map starts near "nothing here" (arXiv:1904.07850).
RARE = nn.initializers.constant(-2.19)


class Map(nn.Module):
    """Two 3x3 convolutions -> one map in float32."""

    num_outputs: int
    width: int
    heat: bool  # logits of something rare
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w k"]:
        conv = layers.Conv(self.width, bias=True, dtype=self.dtype, name="conv")
        start = RARE if self.heat else nn.initializers.zeros
        output = layers.output_conv(self.num_outputs, 3, bias_init=start, name="output")
        return output(nn.relu(conv(x)))


class CenterNet(nn.Module):
    """Features -> heat [B, h, w, K] (logits), offset and size [B, h, w, 2].

    At the finest map; offset and size are row, column, in cells of that map.
    """

    num_outputs: int
    neck: int = 240
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
        x = ops.concat_at_finest(features)
        x = layers.Conv(self.neck, 1, bias=True, dtype=self.dtype, name="neck1")(x)
        x = layers.ConvNorm(self.neck, dtype=self.dtype, name="neck2")(x, train=train)
        maps = {"heat": self.num_outputs, "offset": 2, "size": 2}
        return {
            name: Map(outputs, self.width, name == "heat", self.dtype, name=name)(x)
            for name, outputs in maps.items()
        }


def build(num_outputs: int, **fields) -> CenterNet:
    """A head with `num_outputs` classes."""
    return CenterNet(num_outputs, **fields)
