"""Convolution with normalisation, and residual blocks that several networks share."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import initial, ops

# The last layer of a head: small, so that the first loss is that of a uniform guess.
small_normal = initial.normal(0.01)


class Conv(nn.Module):
    """Square convolution in `dtype` with float32 parameters and torch's padding."""

    width: int
    size: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b p q d"]:
        shape = (self.size, self.size, x.shape[-1] // self.groups, self.width)
        kernel = self.param("kernel", initial.he_fan_out, shape, jnp.float32)
        y = ops.conv(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            dilation=self.dilation,
        )
        if not self.bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        return y + bias.astype(self.dtype).reshape(1, 1, 1, -1)


class BatchNorm(nn.Module):
    """Batch normalisation over all pixels; tree and values of `nn.BatchNorm`.

    torch's eps and momentum (0.1 there, 0.9 here). One multiplication and one addition
    per pixel, so that its gradient is one more of each: half the kernels that Linen's
    (x - mean) * scale + bias compiles to, in half the time.
    """

    dtype: str = "float32"
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        shape, ones, zeros = x.shape[-1:], nn.initializers.ones, nn.initializers.zeros
        scale = self.param("scale", ones, shape, jnp.float32)
        bias = self.param("bias", zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape)
        mean, var = running_mean.value, running_var.value
        wide = x.astype(jnp.float32)
        if train:
            mean = jnp.mean(wide, axis=(0, 1, 2))
            var = jnp.mean(wide * wide, axis=(0, 1, 2)) - mean * mean
            var = jnp.maximum(var, 0)  # rounding may leave less
            if not self.is_initializing():
                keep = self.momentum
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * var
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        shift = bias - mean * factor
        return (wide * factor.reshape(1, 1, 1, -1) + shift.reshape(1, 1, 1, -1)).astype(
            self.dtype
        )


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, unless `relu` is off, a ReLU."""

    width: int
    size: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    relu: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b p q d"]:
        x = Conv(
            self.width,
            self.size,
            self.stride,
            self.dilation,
            self.groups,
            self.bias,
            self.dtype,
            name="conv",
        )(x)
        x = BatchNorm(self.dtype, name="norm")(x, train=train)
        return nn.relu(x) if self.relu else x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, arXiv:1512.03385)."""

    width: int
    dtype: str = "float32"
    expansion: ClassVar[int] = 1

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w d"]:
        y = ConvNorm(self.width, dtype=self.dtype, name="conv1")(x, train=train)
        y = ConvNorm(self.width, relu=False, dtype=self.dtype, name="conv2")(
            y, train=train
        )
        return nn.relu(y + shortcut(x, self.width, train=train, dtype=self.dtype))


class Bottleneck(nn.Module):
    """1x1, 3x3 and widening 1x1 convolutions and a shortcut; 4 * width channels out."""

    width: int
    dtype: str = "float32"
    expansion: ClassVar[int] = 4

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w d"]:
        wide = self.width * self.expansion
        y = ConvNorm(self.width, 1, dtype=self.dtype, name="conv1")(x, train=train)
        y = ConvNorm(self.width, 3, dtype=self.dtype, name="conv2")(y, train=train)
        y = ConvNorm(wide, 1, relu=False, dtype=self.dtype, name="conv3")(
            y, train=train
        )
        return nn.relu(y + shortcut(x, wide, train=train, dtype=self.dtype))


def shortcut(x: Array, width: int, *, train: bool, dtype: str) -> Array:
    """`x`, projected where the channel counts differ; call it in a compact method."""
    if x.shape[-1] == width:
        return x
    return ConvNorm(width, 1, relu=False, dtype=dtype, name="shortcut")(x, train=train)
