"""VGG's own classifier: 7x7 cells and two wide layers (arXiv:1409.1556)."""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import layers, ops

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"width": 32}  # at the smoke size


class VGGClassifier(nn.Module):
    """Features, the last one before its pooling -> logits [B, K] in float32."""

    num_outputs: int
    width: int = 4096
    cells: int = 7
    dropout: float = 0.5
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b k"]:
        x = ops.adaptive_avg_pool(ops.max_pool(features[-1]), self.cells)
        x = x.reshape(x.shape[0], -1)  # rows, columns, channels; torch: channels first
        for i in (1, 2):
            x = nn.relu(layers.Dense(self.width, True, self.dtype, name=f"fc{i}")(x))
            x = layers.Dropout(self.dropout)(x, train=train)
        dense = nn.Dense(
            self.num_outputs, kernel_init=layers.small_normal, name="classifier"
        )
        return dense(x.astype("float32"))


def build(num_outputs: int, **fields) -> VGGClassifier:
    """A head with `num_outputs` classes."""
    return VGGClassifier(num_outputs, **fields)
