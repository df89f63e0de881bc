"""Vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929).

Variants ti16, s16 and b16 equal timm's `vit_*_patch16_224` given their weights; l16 is
ViT-L/16 of its Table 1; simmim is the small one of the SimMIM study (its Table 1) for
images of 128 pixels.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxseg.core import errors, lookup, rules
from jaxseg.models import initial, layers, outlined, token_ops

VERSION = 1  # goes up when the same weights would give other maps
FREE = ("class_map",)  # only which maps it hands on


class Attention(nn.Module):
    """Multi-head self-attention; softmax in float32."""

    heads: int
    head_width: int
    bias: bool
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        inner = self.heads * self.head_width
        qkv = layers.Dense(3 * inner, self.bias, self.dtype, name="qkv")(x)
        qkv = qkv.reshape(*x.shape[:2], 3, self.heads, self.head_width)
        query, key, value = jnp.moveaxis(qkv, (2, 3), (0, 2))  # each [B, heads, N, d]
        mixed = token_ops.attention(query * self.head_width**-0.5, key, value)
        mixed = jnp.swapaxes(mixed, 1, 2).reshape(*x.shape[:2], inner)
        return layers.Dense(x.shape[-1], True, self.dtype, name="out")(mixed)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added.

    It takes and gives (tokens [B, N, D], key or None): modules of a loop draw no keys
    of their own. In training with a key, values are dropped after the attention's
    projection and after both layers of the perceptron.
    """

    heads: int
    head_width: int
    hidden: int
    bias: bool
    dropout: float
    dtype: str

    @nn.compact
    def __call__(
        self, carried: tuple[Float[Array, "b n d"], Array | None], *, train: bool
    ) -> tuple[Float[Array, "b n d"], Array | None]:
        x, key = carried
        following, *keys = key, None, None, None
        if key is not None and train:
            following, *keys = jax.random.split(key, 4)

        def thinned(
            y: Float[Array, "b n d"], own: Array | None
        ) -> Float[Array, "b n d"]:
            return y if own is None else layers.dropped(y, self.dropout, own)

        attention = Attention(
            self.heads, self.head_width, self.bias, self.dtype, name="attention"
        )
        y = attention(layers.LayerNorm(self.dtype, name="norm1")(x))
        x = x + thinned(y, keys[0])
        y = layers.LayerNorm(self.dtype, name="norm2")(x)
        y = layers.Dense(self.hidden, True, self.dtype, name="fc1")(y)
        y = thinned(token_ops.gelu(y), keys[1])
        y = layers.Dense(x.shape[-1], True, self.dtype, name="fc2")(y)
        return x + thinned(y, keys[2]), following


class ViT(nn.Module):
    """Image -> one map [B, H / patch, W / patch, width], normalised.

    class_map: add the class token's output as a second map [B, 1, 1, width], which a
    classifier reads. Positions are those of `image_size` and resampled for others.
    """

    width: int
    depth: int
    heads: int
    head_width: int = 64
    hidden: int | None = None  # of the perceptron; None: 4 * width
    patch: int = 16
    image_size: int = 224
    class_token: bool = True
    class_map: bool = False
    mask_token: bool = False  # a learned patch in place of masked ones (SimMIM)
    qkv_bias: bool = True
    dropout: float = 0.0  # in training, of the tokens and in each block
    remat: bool = False  # recompute each block in the backward pass
    dtype: str = "float32"

    @property
    def multiple(self) -> int:
        """An image is cut into whole patches."""
        return self.patch

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "b h w c"],
        *,
        train: bool,
        mask: Bool[Array, "b p q"] | None = None,
    ) -> tuple[Float[Array, "..."], ...]:
        """mask: patches to replace by the mask token."""
        embed = layers.PatchEmbed(self.width, self.patch, self.dtype, name="embed")
        x = embed(image)
        rows, columns = x.shape[1:3]
        if self.mask_token:
            token = self._vector("mask_token", 1)
            if mask is not None:
                x = jnp.where(mask[..., None], token[:, None].astype(x.dtype), x)
        x = x.reshape(x.shape[0], -1, self.width)
        if self.class_token:
            token = self._vector("class_token", 1).astype(x.dtype)
            token = jnp.broadcast_to(token, (x.shape[0], 1, self.width))
            x = jnp.concatenate([token, x], axis=1)
        x = x + self._positions(rows, columns).astype(x.dtype)
        hidden = self.hidden or 4 * self.width
        blocks = [
            Block(
                self.heads,
                self.head_width,
                hidden,
                self.qkv_bias,
                self.dropout,
                self.dtype,
                name=f"block{i}",
            )
            for i in range(self.depth)
        ]
        key = None
        if self.dropout and train and not self.is_initializing():
            key, own = jax.random.split(self.make_rng("dropout"))
            x = layers.dropped(x, self.dropout, own)
        x, _ = outlined.sequence(blocks, (x, key), train=train, remat=self.remat)
        x = layers.LayerNorm(self.dtype, name="norm")(x)
        patches = x[:, self.class_token :].reshape(-1, rows, columns, self.width)
        if not self.class_map:
            return (patches,)
        return patches, x[:, None, :1]

    def _positions(self, rows: int, columns: int) -> Float[Array, "1 n d"]:
        side, first = self.image_size // self.patch, int(self.class_token)
        positions = self._vector("positions", first + side * side)
        if (rows, columns) == (side, side):
            return positions
        grid = positions[:, first:].reshape(1, side, side, self.width)
        shape = (1, rows, columns, self.width)
        grid = jax.image.resize(grid, shape, "cubic")  # antialiased, as in timm
        grid = grid.reshape(1, rows * columns, self.width)
        return jnp.concatenate([positions[:, :first], grid], axis=1)

    def _vector(self, name: str, length: int) -> Float[Array, "1 n d"]:
        shape = (1, length, self.width)
        return self.param(name, initial.normal(0.02), shape, jnp.float32)


VARIANTS = {
    "tiny": {"width": 16, "depth": 2, "heads": 2, "head_width": 8, "image_size": 64},
    "small": {  # 0.3 M parameters, for images of 64 pixels; ViT-S of papers is s16
        "width": 64,
        "depth": 6,
        "heads": 4,
        "head_width": 16,
        "patch": 8,
        "image_size": 64,
    },
    "ti16": {"width": 192, "depth": 12, "heads": 3},
    "s16": {"width": 384, "depth": 12, "heads": 6},
    "b16": {"width": 768, "depth": 12, "heads": 12},
    "l16": {"width": 1024, "depth": 24, "heads": 16},
    # 8 heads of 64 give the paper's "4M"; of width / heads = 16 they would give 2.5 M.
    "simmim": {
        "width": 128,
        "depth": 12,
        "heads": 8,
        "head_width": 64,
        "hidden": 512,
        "image_size": 128,
        "class_token": False,
        "mask_token": True,
        "qkv_bias": False,
    },
}


def build(variant: str, **overrides) -> ViT:
    """The backbone of a variant, single fields overridden."""
    fields = lookup.fields(VARIANTS, variant, overrides, kind="vit")
    if fields.get("class_map") and not fields.get("class_token", True):
        raise errors.UserError("class_map=True needs class_token=True, found False")
    rules.BELOW_1.check(fields.get("dropout"), "dropout")
    return ViT(**fields)
