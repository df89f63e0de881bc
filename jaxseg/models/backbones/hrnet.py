"""HRNetV2: four resolutions side by side (Wang et al. 2020, arXiv:1908.07919).

Structure and order follow the authors' code (and timm's copy), whose weights fit:
stem, layer of bottlenecks, then stages 2 to 4 of modules that run residual blocks on
each branch and exchange all branches.
"""

from typing import ClassVar

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.core import lookup
from jaxseg.models import layers, ops, outlined

VERSION = 1

# The code the ImageNet weights come from upsamples by repetition; the authors'
# segmentation code uses the same parameter names with bilinear interpolation to the
# size of the map that is added to, half-pixel, which takes images of any size.
UPSAMPLE = {
    "nearest": lambda x, size: ops.upsample_nearest(x, size[0] // x.shape[1]),
    "bilinear": ops.resize_bilinear,
}

Maps = tuple[Float[Array, "..."], ...]


class Stem(nn.Module):
    """Two strided convolutions: [B, H, W, C] -> stride 4."""

    widths: tuple[int, int]
    dtype: str

    @nn.compact
    def __call__(self, image: Float[Array, "b h w c"], *, train: bool):
        x = image
        for i, width in enumerate(self.widths, start=1):
            conv = layers.ConvNorm(width, stride=2, dtype=self.dtype, name=f"conv{i}")
            x = conv(x, train=train)
        return x


class Chain(nn.Module):
    """Residual blocks one after the other."""

    block: type[nn.Module]
    width: int
    length: int
    dtype: str

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool):
        blocks = [
            self.block(self.width, self.dtype, name=f"block{i}")
            for i in range(self.length)
        ]
        return outlined.sequence(blocks, x, train=train)


class Transition(nn.Module):
    """Maps of one stage to the widths of the next, which has one branch more."""

    widths: tuple[int, ...]
    dtype: str

    @nn.compact
    def __call__(self, maps: Maps, *, train: bool) -> Maps:
        out = []
        for i, width in enumerate(self.widths):
            stride = 1 if i < len(maps) else 2  # the new branch halves the coarsest
            x = maps[min(i, len(maps) - 1)]
            if stride == 2 or x.shape[-1] != width:
                name = f"branch{i}"
                conv = layers.ConvNorm(width, 3, stride, dtype=self.dtype, name=name)
                x = conv(x, train=train)
            out.append(x)
        return tuple(out)


class Fuse(nn.Module):
    """Every output is the sum of all inputs, brought to its resolution and width."""

    fusion: str
    dtype: str

    @nn.compact
    def __call__(self, maps: Maps, *, train: bool) -> Maps:
        fused = []
        for i in range(len(maps)):
            total = self._bring(maps, 0, i, train)
            for j in range(1, len(maps)):
                total = total + self._bring(maps, j, i, train)
            fused.append(nn.relu(total))
        return tuple(fused)

    def _bring(self, maps: Maps, source: int, target: int, train: bool) -> Array:
        x, width, name = (
            maps[source],
            maps[target].shape[-1],
            f"from{source}_to{target}",
        )
        if source > target:
            conv = layers.ConvNorm(width, 1, relu=False, dtype=self.dtype, name=name)
            size = maps[target].shape[1:3]
            return UPSAMPLE[self.fusion](conv(x, train=train), size)
        for step in range(source, target):
            last = step == target - 1
            x = layers.ConvNorm(
                width if last else x.shape[-1],
                stride=2,
                relu=not last,  # the sum gets the ReLU
                dtype=self.dtype,
                name=f"{name}_down{step - source}",
            )(x, train=train)
        return x


class Exchange(nn.Module):
    """Residual blocks on each branch, then fusion of all branches."""

    blocks: int
    fusion: str
    dtype: str

    @nn.compact
    def __call__(self, maps: Maps, *, train: bool) -> Maps:
        block = layers.BasicBlock
        branches = [
            Chain(block, x.shape[-1], self.blocks, self.dtype, name=f"branch{i}")(
                x, train=train
            )
            for i, x in enumerate(maps)
        ]
        fuse = Fuse(self.fusion, self.dtype, name="fuse")
        return fuse(tuple(branches), train=train)


class HRNet(nn.Module):
    """Image -> four maps at strides 4, 8, 16, 32 with width * (1, 2, 4, 8) channels.

    Sizes are divided as torch does, rounding up; nearest fusion needs exact multiples.
    """

    width: int
    modules: tuple[int, int, int]  # in stages 2, 3, 4
    blocks: int = 4  # per branch and module
    stem: tuple[int, int] = (64, 64)
    first_width: int = 64  # of the bottlenecks in stage 1, which widen it by 4
    first_blocks: int = 4
    fusion: str = "nearest"  # or "bilinear"
    remat: bool = False  # recompute each module in the backward pass
    dtype: str = "float32"
    any_size: ClassVar[str] = 'fusion="bilinear"'  # what makes `multiple` 1

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of, or are padded to."""
        return 32 if self.fusion == "nearest" else 1

    @nn.compact
    def __call__(self, image: Float[Array, "b h w c"], *, train: bool) -> Maps:
        x = Stem(self.stem, self.dtype, name="stem")(image, train=train)
        block = layers.Bottleneck
        first = Chain(
            block, self.first_width, self.first_blocks, self.dtype, name="stage1"
        )
        maps = (outlined.call(first, x, train=train, remat=self.remat),)
        for stage, modules in enumerate(self.modules, start=2):
            widths = tuple(self.width * 2**i for i in range(stage))
            transition = Transition(widths, self.dtype, name=f"transition{stage - 1}")
            maps = transition(maps, train=train)
            exchanges = [
                Exchange(
                    self.blocks,
                    self.fusion,
                    self.dtype,
                    name=f"stage{stage}_module{i}",
                )
                for i in range(modules)
            ]
            maps = outlined.sequence(exchanges, maps, train=train, remat=self.remat)
        return maps


VARIANTS = {
    "tiny": {
        "width": 8,
        "modules": (1, 1, 1),
        "blocks": 1,
        "stem": (16, 16),
        "first_width": 8,
        "first_blocks": 1,
    },
    "small": {  # 0.5 M parameters, a third of w18_small
        "width": 12,
        "modules": (1, 1, 1),
        "blocks": 1,
        "stem": (32, 32),
        "first_width": 16,
        "first_blocks": 1,
    },
    "w18_small": {
        "width": 16,
        "modules": (1, 1, 1),
        "blocks": 2,
        "first_width": 32,
        "first_blocks": 1,
    },
    "w18": {"width": 18, "modules": (1, 4, 3)},
    "w32": {"width": 32, "modules": (1, 4, 3)},
    "w48": {"width": 48, "modules": (1, 4, 3)},
}


def build(variant: str, **overrides) -> HRNet:
    """The backbone of a variant, single fields overridden."""
    fields = lookup.fields(VARIANTS, variant, overrides, kind="hrnet")
    lookup.pick(UPSAMPLE, fields.get("fusion", "nearest"), kind="hrnet fusion")
    return HRNet(**fields)
