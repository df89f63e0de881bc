"""VGG-16, with and without BatchNorm (Simonyan and Zisserman 2015, arXiv:1409.1556).

Equal to timm's and torchvision's `vgg16` and `vgg16_bn` given their weights.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.core import lookup
from jaxseg.models import layers, ops, outlined

VERSION = 1  # goes up when the same weights would give other maps


class Level(nn.Module):
    """3x3 convolutions with biases at one resolution."""

    width: int
    length: int
    norm: bool
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        fields = dict(bias=True, dtype=self.dtype, chained=True)
        for i in range(1, self.length + 1):
            if self.norm:
                conv = layers.ConvNorm(self.width, name=f"conv{i}", **fields)
                x = conv(x, train=train)
            else:
                conv = layers.Conv(self.width, name=f"conv{i}", **fields)
                x = nn.relu(conv(x))
        return x


class VGG(nn.Module):
    """Image -> five maps at strides 1 to 16, each before its pooling."""

    widths: tuple[int, ...]
    lengths: tuple[int, ...]
    norm: bool = False
    remat: bool = False  # recompute each level in the backward pass
    dtype: str = "float32"
    multiple: ClassVar[int] = 1  # any size: odd rows are dropped by pooling

    @nn.compact
    def __call__(
        self, image: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Float[Array, "..."], ...]:
        x, maps = image, []
        for i, (width, length) in enumerate(zip(self.widths, self.lengths)):
            if i:
                x = ops.max_pool(x)
            level = Level(width, length, self.norm, self.dtype, name=f"level{i}")
            x = outlined.call(level, x, train=train, remat=self.remat)
            maps.append(x)
        return tuple(maps)


WIDTHS, LENGTHS = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3)
VARIANTS = {
    "tiny": {"widths": (4, 8, 8, 16, 16), "lengths": (1, 1, 1, 1, 1), "norm": True},
    # A quarter of the widths of 16_bn: 0.9 M parameters.
    "small": {"widths": (16, 32, 64, 128, 128), "lengths": LENGTHS, "norm": True},
    "16": {"widths": WIDTHS, "lengths": LENGTHS},
    "16_bn": {"widths": WIDTHS, "lengths": LENGTHS, "norm": True},
}


def build(variant: str, **overrides) -> VGG:
    """The backbone of a variant, single fields overridden."""
    return VGG(**lookup.fields(VARIANTS, variant, overrides, kind="vgg"))
