"""ResNet with bottlenecks (He et al. 2016, arXiv:1512.03385), v1.5, dilated on request.

Equal to timm's and torchvision's `resnet50` and `resnet101` given their weights.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.core import lookup
from jaxseg.models import layers, ops, outlined

VERSION = 1  # goes up when the same weights would give other maps
# Same weights, denser maps by dilation: the usual way to use them.
FREE = ("output_stride",)


class Stage(nn.Module):
    """Bottlenecks at one resolution; the first may halve it."""

    width: int
    length: int
    stride: int
    dilations: tuple[int, int]  # of the first block, of the others
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        for i in range(self.length):
            block = layers.Bottleneck(
                self.width,
                self.dtype,
                1 if i else self.stride,
                self.dilations[min(i, 1)],
                name=f"block{i}",
            )
            x = block(x, train=train)
        return x


class ResNet(nn.Module):
    """Image -> four maps at strides 4, 8, 16, 32 with width * (4, 8, 16, 32) channels.

    output_stride 16 or 8: the last stages keep that resolution and dilate instead.
    """

    lengths: tuple[int, int, int, int]
    width: int = 64
    output_stride: int = 32
    remat: bool = False  # recompute each stage in the backward pass
    dtype: str = "float32"
    multiple: ClassVar[int] = 1  # any size: padding and ceil division are torch's

    @nn.compact
    def __call__(
        self, image: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Float[Array, "..."], ...]:
        stem = layers.ConvNorm(self.width, 7, 2, dtype=self.dtype, name="stem")
        x = ops.max_pool(stem(image, train=train), window=3, stride=2, padding=1)
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
    "tiny": {"lengths": (1, 1, 1, 1), "width": 8},
    "small": {"lengths": (2, 2, 2, 2), "width": 16},  # 0.9 M parameters
    "50": {"lengths": (3, 4, 6, 3)},
    "101": {"lengths": (3, 4, 23, 3)},
}


def build(variant: str, **overrides) -> ResNet:
    """The backbone of a variant, single fields overridden."""
    fields = lookup.fields(VARIANTS, variant, overrides, kind="resnet")
    layers.check_output_stride(fields.get("output_stride", 32))
    return ResNet(**fields)
