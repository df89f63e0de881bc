"""ResNeSt: split attention in a ResNet-50d (Zhang et al. 2020, arXiv:2004.08955).

Equal to timm's `resnest50d` given its weights, dilated forms included. (The authors'
own dilated form pools 3x3 in the first block of a dilated stage and does not pool its
shortcut; timm does the reverse.)
"""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.core import lookup
from jaxseg.models import layers, ops, outlined

VERSION = 1  # goes up when the same weights would give other maps
# Same weights, denser maps by dilation: the usual way to use them.
FREE = ("output_stride",)
RADIX = 2  # branches that attention weighs against each other


class SplitAttention(nn.Module):
    """RADIX grouped 3x3 convolutions, mixed per channel by what the image holds."""

    width: int
    dilation: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        conv = layers.ConvNorm(
            self.width * RADIX,
            dilation=self.dilation,
            groups=RADIX,
            dtype=self.dtype,
            name="conv",
        )
        y = conv(x, train=train)
        y = y.reshape(*y.shape[:3], RADIX, self.width)  # the radix is the slow axis
        pooled = ops.global_mean(y.sum(axis=3))[:, None, None]
        narrow = max(32, self.width * RADIX // 4)
        hidden = layers.ConvNorm(narrow, 1, bias=True, dtype=self.dtype, name="fc1")
        scores = layers.Conv(
            self.width * RADIX, 1, bias=True, dtype=self.dtype, name="fc2"
        )(hidden(pooled, train=train))
        scores = scores.reshape(-1, 1, 1, RADIX, self.width).astype(jnp.float32)
        weights = jax.nn.softmax(scores, axis=3).astype(y.dtype)
        return jnp.sum(y * weights, axis=3)


class Block(nn.Module):
    """Bottleneck around a split attention; pooling, not strides, halves the maps."""

    width: int
    stride: int
    first_dilation: int
    dilation: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        wide = 4 * self.width
        y = layers.ConvNorm(self.width, 1, dtype=self.dtype, name="conv1")(
            x, train=train
        )
        y = SplitAttention(self.width, self.first_dilation, self.dtype, name="split")(
            y, train=train
        )
        if self.stride > 1:
            y = ops.avg_pool(y, window=3, stride=self.stride, padding=1)
        y = layers.ConvNorm(wide, 1, relu=False, dtype=self.dtype, name="conv3")(
            y, train=train
        )
        if x.shape[-1] != wide:
            x = self._pool(x)
        return nn.relu(y + layers.shortcut(x, wide, train=train, dtype=self.dtype))

    def _pool(self, x: Array) -> Array:
        """2x2 means before the shortcut, as timm has them."""
        if self.stride > 1:  # an odd last row is averaged over what there is
            ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
            count = ops.avg_pool(ops.pad_to_multiple(ones, 2))
            return ops.avg_pool(ops.pad_to_multiple(x, 2)) / count
        if self.dilation > 1:  # "same" padding, zeros counted
            x = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
            return ops.avg_pool(x, window=2, stride=1)
        return x


class Stem(nn.Module):
    """Three 3x3 convolutions instead of one 7x7; stride 2."""

    widths: tuple[int, int, int]
    dtype: str

    @nn.compact
    def __call__(self, image: Float[Array, "b h w c"], *, train: bool):
        x = image
        for i, width in enumerate(self.widths):
            stride = 1 if i else 2
            conv = layers.ConvNorm(
                width, 3, stride, dtype=self.dtype, name=f"conv{i + 1}"
            )
            x = conv(x, train=train)
        return x


class Stage(nn.Module):
    """Blocks at one resolution."""

    width: int
    length: int
    stride: int
    dilations: tuple[int, int]
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        for i in range(self.length):
            stride, first = (
                (1, self.dilations[1]) if i else (self.stride, self.dilations[0])
            )
            block = Block(
                self.width,
                stride,
                first,
                self.dilations[1],
                self.dtype,
                name=f"block{i}",
            )
            x = block(x, train=train)
        return x


class ResNeSt(nn.Module):
    """Image -> four maps at strides 4, 8, 16, 32; width * (4, 8, 16, 32) channels."""

    lengths: tuple[int, int, int, int]
    width: int = 64
    stem: tuple[int, int, int] = (32, 32, 64)
    output_stride: int = 32
    remat: bool = False  # recompute each stage in the backward pass
    dtype: str = "float32"
    multiple: ClassVar[int] = 1

    @nn.compact
    def __call__(
        self, image: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Float[Array, "..."], ...]:
        x = Stem(self.stem, self.dtype, name="stem")(image, train=train)
        x = ops.max_pool(x, window=3, stride=2, padding=1)
        maps = []
        plan = layers.stage_strides((1, 2, 2, 2), self.output_stride // 4)
        for i, (length, (stride, *dilations)) in enumerate(zip(self.lengths, plan)):
            width = self.width * 2**i
            stage = Stage(
                width,
                length,
                stride,
                tuple(dilations),
                self.dtype,
                name=f"stage{i + 1}",
            )
            x = outlined.call(stage, x, train=train, remat=self.remat)
            maps.append(x)
        return tuple(maps)


VARIANTS = {
    "tiny": {"lengths": (1, 1, 1, 1), "width": 8, "stem": (8, 8, 8)},
    # 1.0 M parameters.
    "small": {"lengths": (2, 2, 2, 2), "width": 16, "stem": (16, 16, 16)},
    "50d": {"lengths": (3, 4, 6, 3)},
}


def build(variant: str, **overrides) -> ResNeSt:
    """The backbone of a variant, single fields overridden."""
    fields = lookup.fields(VARIANTS, variant, overrides, kind="resnest")
    layers.check_output_stride(fields.get("output_stride", 32))
    return ResNeSt(**fields)
