"""U-Net's decoder: doubles the deepest map step by step, a skip from each finer one.

Its subtree `decoder` transplants on its own (decoder paper, section 3).
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.core import lookup
from jaxseg.models import enlarged, initial, layers, ops

VERSION = 2  # goes up when the same weights would give other outputs
UPS = ("nearest", "bilinear", "transpose")


class Up(nn.Module):
    """A map brought to the size of a finer one, joined with it and mixed."""

    width: int
    up: str
    project_skip: bool
    dtype: str

    @nn.compact
    def __call__(self, x: Array, skip: Float[Array, "b h w c"], *, train: bool):
        if self.up == "transpose":
            shape = (2, 2, x.shape[-1], self.width)
            kernel = self.param("kernel", initial.he_fan_out, shape, jnp.float32)
            bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
            x = ops.conv_transpose2x2(x.astype(self.dtype), kernel.astype(self.dtype))
            x = x + bias.astype(self.dtype).reshape(1, 1, 1, -1)
        elif self.up == "nearest" and skip.shape[1] == 2 * x.shape[1]:
            x = ops.upsample_nearest(x, 2)
        x = ops.resize_bilinear(x, skip.shape[1:3])
        if self.project_skip:
            conv = layers.Conv(
                skip.shape[-1], 1, bias=True, dtype=self.dtype, name="skip"
            )
            skip = conv(skip)
        mix = layers.DoubleConv(self.width, self.dtype, name="mix")
        return mix(jnp.concatenate([skip, x.astype(skip.dtype)], axis=-1), train=train)


class Decoder(nn.Module):
    """Maps, shallow to deep -> [B, h, w, widths[0]] at the size of the finest used."""

    widths: tuple[int, ...] | None
    up: str
    project_skip: bool
    dtype: str
    until: int = 0  # the finest map joined: 1 leaves the last block to somebody else

    @nn.compact
    def __call__(self, features: tuple[Array, ...], *, train: bool) -> Array:
        x = features[-1]
        widths = self.widths or tuple(m.shape[-1] for m in features[:-1])
        for i in reversed(range(self.until, len(features) - 1)):
            block = Up(widths[i], self.up, self.project_skip, self.dtype, name=f"up{i}")
            x = block(x, features[i], train=train)
        return x


class UNet(nn.Module):
    """Features -> logits [B, *size, K] in float32.

    up: "nearest", "bilinear" or "transpose" (a learned 2x2 convolution, the classic).
    project_skip: a 1x1 convolution on each skip, as in ConRec's code. widths: of the
    blocks, finest first; None: those of the maps they join.
    """

    num_outputs: int
    widths: tuple[int, ...] | None = None
    up: str = "nearest"
    project_skip: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        features: tuple[Float[Array, "..."], ...],
        size: tuple[int, int],
        *,
        train: bool,
    ) -> Float[Array, "b h w k"] | enlarged.Enlarged:
        decoder = Decoder(
            self.widths, self.up, self.project_skip, self.dtype, name="decoder"
        )
        x = decoder(features, train=train)
        # Few channels end here: weights near 0 all turn negative in the first steps,
        # while most pixels are background, and the bias alone is left for the others.
        output = layers.output_conv(
            self.num_outputs, kernel_init=initial.torch_default, name="output"
        )
        logits = output(x)
        return enlarged.to_size(logits, size, train)


def build(num_outputs: int, **fields) -> UNet:
    """A head with `num_outputs` channels."""
    lookup.pick(dict.fromkeys(UPS), fields.get("up", UPS[0]), kind="unet up")
    return UNet(num_outputs, **fields)
