"""Plain classifier: the deepest map averaged, one linear layer.

That of ResNet and ResNeSt; on a ViT with `class_map` it reads the class token.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.models import layers, ops

VERSION = 1  # goes up when the same weights would give other outputs


class Pooled(nn.Module):
    """Features -> logits [B, K] in float32."""

    num_outputs: int
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b k"]:
        dense = nn.Dense(
            self.num_outputs, kernel_init=layers.small_normal, name="classifier"
        )
        return dense(ops.global_mean(features[-1]))


def build(num_outputs: int, **fields) -> Pooled:
    """A head with `num_outputs` classes."""
    return Pooled(num_outputs, **fields)
