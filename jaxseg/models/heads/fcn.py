"""FCN head (Long et al. 2015, arXiv:1411.4038) in torchvision's form."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import enlarged, layers

VERSION = 1  # goes up when the same weights would give other outputs


class FCN(nn.Module):
    """The deepest map through a 3x3 convolution -> logits [B, *size, K] in float32."""

    num_outputs: int
    width: int | None = None  # None: a quarter of the map's channels
    dropout: float = 0.1
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"] | enlarged.Enlarged:
        x = features[-1]
        width = self.width or max(x.shape[-1] // 4, 1)
        conv = layers.ConvNorm(width, dtype=self.dtype, name="conv")
        x = layers.Dropout(self.dropout)(conv(x, train=train), train=train)
        logits = layers.output_conv(self.num_outputs, name="output")(x)
        return enlarged.to_size(logits, size, train)


def build(num_outputs: int, **fields) -> FCN:
    """A head with `num_outputs` channels."""
    return FCN(num_outputs, **fields)
