"""PSPNet: pyramid pooling (Zhao et al. 2017, arXiv:1612.01105)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import enlarged, layers, ops

VERSION = 1  # goes up when the same weights would give other outputs


class PSPNet(nn.Module):
    """The deepest map with its means over ever finer grids -> logits [B, *size, K].

    Resizing has half-pixel centres; the authors' align the corners.
    """

    num_outputs: int
    bins: tuple[int, ...] = (1, 2, 3, 6)
    width: int | None = None  # of the convolution; None: a quarter of the channels
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
        narrow, parts = max(x.shape[-1] // len(self.bins), 1), [x]
        for bins in self.bins:
            conv = layers.ConvNorm(narrow, 1, dtype=self.dtype, name=f"pool{bins}")
            y = conv(ops.adaptive_avg_pool(x, bins), train=train)
            parts.append(ops.resize_bilinear(y, x.shape[1:3]))
        width = self.width or max(x.shape[-1] // 4, 1)
        conv = layers.ConvNorm(width, dtype=self.dtype, name="conv")
        y = conv(jnp.concatenate(parts, axis=-1), train=train)
        y = layers.Dropout(self.dropout)(y, train=train)
        logits = layers.output_conv(self.num_outputs, name="output")(y)
        return enlarged.to_size(logits, size, train)


def build(num_outputs: int, **fields) -> PSPNet:
    """A head with `num_outputs` channels."""
    return PSPNet(num_outputs, **fields)
