"""U-Net's encoder as a dense feature extractor (Ronneberger 2015, arXiv:1505.04597).

The decoder is the head `unet`, so that both can be transplanted on their own. Zero
padding keeps every level's size, as in the chairs paper and in ConRec's code.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from jaxseg.core import lookup
from jaxseg.models import layers, ops, outlined

VERSION = 1  # goes up when the same weights would give other maps


class Encoder(nn.Module):
    """Image -> one map per level, level i at stride 2**i."""

    widths: tuple[int, ...]
    remat: bool = False  # recompute each level in the backward pass
    dtype: str = "float32"

    @property
    def multiple(self) -> int:
        """Sizes must be multiples of the last stride: the decoder doubles exactly."""
        return 2 ** (len(self.widths) - 1)

    @nn.compact
    def __call__(
        self, image: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Float[Array, "..."], ...]:
        x, maps = image, []
        for i, width in enumerate(self.widths):
            if i:
                x = ops.max_pool(x)
            level = layers.DoubleConv(width, self.dtype, name=f"level{i}")
            x = outlined.call(level, x, train=train, remat=self.remat)
            maps.append(x)
        return tuple(maps)


VARIANTS = {
    "tiny": {"widths": (4, 8, 8)},
    "small": {"widths": (8, 16, 32, 64, 128)},  # 0.3 M parameters
    "base": {"widths": (32, 64, 128, 256, 512)},  # of the decoder paper, section 2.3
    "classic": {"widths": (64, 128, 256, 512, 1024)},
}


def build(variant: str, **overrides) -> Encoder:
    """The backbone of a variant, single fields overridden."""
    return Encoder(**lookup.fields(VARIANTS, variant, overrides, kind="unet"))
