"""OCRNet: object-contextual representations (Yuan et al. 2020, arXiv:1909.11065).

Coarse logits say which pixels belong to which class; the mean of a class's pixels is
its region; every pixel then attends to the regions. Layers as in the authors' code for
HRNet.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import enlarged, layers, ops

VERSION = 1  # goes up when the same weights would give other outputs
TINY = {"width": 16, "key_width": 8}  # at the smoke size


class Attention(nn.Module):
    """Pixels [B, N, C] attend to regions [B, K, C]."""

    width: int
    dtype: str

    @nn.compact
    def __call__(self, pixels: Array, regions: Array, *, train: bool) -> Array:
        query = self._twice(pixels, "query", train)
        key = self._twice(regions, "key", train)
        value = self._conv(self.width, "value")(regions, train=train)
        scores = jnp.einsum("bnd,bkd->bnk", _flat(query), _flat(key))
        scores = scores.astype(jnp.float32) * self.width**-0.5
        weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        context = jnp.einsum("bnk,bkd->bnd", weights, _flat(value))
        context = context.reshape(*pixels.shape[:3], self.width)
        return self._conv(pixels.shape[-1], "up")(context, train=train)

    def _twice(self, x: Array, name: str, train: bool) -> Array:
        for i in (1, 2):
            x = self._conv(self.width, f"{name}{i}")(x, train=train)
        return x

    def _conv(self, width: int, name: str) -> layers.ConvNorm:
        return layers.ConvNorm(width, 1, dtype=self.dtype, name=name)


def _flat(x: Float[Array, "b h w c"]) -> Float[Array, "b n c"]:
    return x.reshape(x.shape[0], -1, x.shape[-1])


class OCRNet(nn.Module):
    """Features -> logits [B, *size, K]; in training, coarse logits after them."""

    num_outputs: int
    width: int = 512
    key_width: int = 256
    dropout: float = 0.05
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> (
        Float[Array, "b h w k"]
        | tuple[Float[Array, "b h w k"] | enlarged.Enlarged, ...]
    ):
        maps = ops.concat_at_finest(features)
        hidden = layers.ConvNorm(
            maps.shape[-1], 1, bias=True, dtype=self.dtype, name="coarse"
        )(maps, train=train)
        coarse = layers.output_conv(self.num_outputs, name="coarse_output")(hidden)
        pixels = layers.ConvNorm(self.width, bias=True, dtype=self.dtype, name="conv")(
            maps, train=train
        )
        shares = jax.nn.softmax(_flat(coarse).astype(jnp.float32), axis=1)
        regions = jnp.einsum("bnk,bnc->bkc", shares.astype(pixels.dtype), _flat(pixels))
        attention = Attention(self.key_width, self.dtype, name="attention")
        context = attention(pixels, regions[:, :, None], train=train)
        mixed = layers.ConvNorm(self.width, 1, dtype=self.dtype, name="mix")(
            jnp.concatenate([context, pixels], axis=-1), train=train
        )
        mixed = layers.Dropout(self.dropout)(mixed, train=train)
        logits = layers.output_conv(self.num_outputs, name="output")(mixed)
        logits = enlarged.to_size(logits, size, train)
        return (logits, enlarged.to_size(coarse, size, train)) if train else logits


def build(num_outputs: int, **fields) -> OCRNet:
    """A head with `num_outputs` channels."""
    return OCRNet(num_outputs, **fields)
