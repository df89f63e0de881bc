"""Convolution with normalisation, and residual blocks that several networks share."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxseg.core import errors
from jaxseg.models import initial, ops, platforms, token_ops

# The last layer of a head: small, so that the first loss is that of a uniform guess.
small_normal = initial.normal(0.01)


def _parameter(
    module: nn.Module, name: str, law: Callable[..., Any], shape: tuple[int, ...]
) -> ArrayLike:
    """`module.param` in float32. In a plan, what is there is taken without Flax's check
    of its shape, which traces the law again: a quarter of the time of a trace.
    """
    if platforms.planned() and module.has_variable("params", name):
        return module.get_variable("params", name)
    return module.param(name, law, shape, jnp.float32)


class Conv(nn.Module):
    """Square convolution in `dtype` with float32 parameters and torch's padding."""

    width: int
    size: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = False
    dtype: str = "float32"
    chained: bool = False  # no shortcut goes around it, see `convolution.conv`
    kernel_init: Callable[..., Any] = initial.he_fan_out
    bias_init: Callable[..., Any] = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b p q d"]:
        shape = (self.size, self.size, x.shape[-1] // self.groups, self.width)
        kernel = _parameter(self, "kernel", self.kernel_init, shape)
        y = ops.conv(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            stride=self.stride,
            dilation=self.dilation,
            chained=self.chained,
        )
        if not self.bias:
            return y
        bias = _parameter(self, "bias", self.bias_init, (self.width,))
        return y + bias.astype(self.dtype).reshape(1, 1, 1, -1)


class BatchNorm(nn.Module):
    """Batch normalisation over all pixels; tree and values of `nn.BatchNorm`.

    torch's eps and momentum (0.1 there, 0.9 here). One multiplication and one addition
    per pixel, and a gradient of its own: half the kernels that Linen's (x - mean) *
    scale + bias compiles to, in half the time.
    """

    dtype: str = "float32"
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        shape, ones, zeros = x.shape[-1:], nn.initializers.ones, nn.initializers.zeros
        scale = _parameter(self, "scale", ones, shape)
        bias = _parameter(self, "bias", zeros, shape)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape)
        mean, var = running_mean.value, running_var.value
        if not train:
            factor = scale * jax.lax.rsqrt(var + self.epsilon)
            return _normalized(x, mean, factor, bias).astype(self.dtype)
        y, mean, var = _batch_norm(x, scale, bias, self.epsilon, self.dtype)
        if not self.is_initializing():
            keep = self.momentum
            running_mean.value = keep * running_mean.value + (1 - keep) * mean
            running_var.value = keep * running_var.value + (1 - keep) * var
        return y


def _normalized(x: Array, mean: ArrayLike, factor: ArrayLike, bias: ArrayLike) -> Array:
    """(x - mean) * factor + bias by one multiplication and one addition."""
    shift = bias - mean * factor
    wide = x.astype(jnp.float32)
    return wide * factor.reshape(1, 1, 1, -1) + shift.reshape(1, 1, 1, -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _batch_norm(
    x: Array, scale: ArrayLike, bias: ArrayLike, epsilon: float, dtype: str
):
    """(normalized x in `dtype`, its mean and variance). The gradient is that of the
    first alone: a loss may not depend on the others. Written out, it keeps x and three
    numbers a channel, where JAX would keep a dozen.
    """
    return _batch_norm_forward(x, scale, bias, epsilon, dtype)[0]


def _batch_norm_forward(x, scale, bias, epsilon, dtype):
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, axis=(0, 1, 2))
    var = jnp.mean(wide * wide, axis=(0, 1, 2)) - mean * mean
    var = jnp.maximum(var, 0)  # rounding may leave less
    inverse = jax.lax.rsqrt(var + epsilon)
    y = _normalized(x, mean, scale * inverse, bias).astype(dtype)
    return (y, mean, var), (x, scale, mean, inverse)


def _batch_norm_backward(epsilon, dtype, kept, gradients):
    # of x: scale / sigma * (g - mean(g) - x_hat * mean(g * x_hat))
    x, scale, mean, inverse = kept
    gradient = gradients[0].astype(jnp.float32)
    row = lambda vector: vector.reshape(1, 1, 1, -1)
    pixels = x.size // x.shape[-1]
    wide = x.astype(jnp.float32)
    of_bias = jnp.sum(gradient, axis=(0, 1, 2))
    of_scale = jnp.sum(gradient * (wide - row(mean)), axis=(0, 1, 2)) * inverse
    # As two multiplications and two additions per pixel.
    factor = scale * inverse
    slope = -factor * inverse * of_scale / pixels
    shift = -factor * of_bias / pixels - slope * mean
    of_x = row(factor) * gradient + row(slope) * wide + row(shift)
    return of_x.astype(x.dtype), of_scale, of_bias


_batch_norm.defvjp(_batch_norm_forward, _batch_norm_backward)


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
    chained: bool = False

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
            self.chained,
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
    """1x1, 3x3 and widening 1x1 convolutions and a shortcut; 4 * width channels out.

    The stride sits in the 3x3 convolution: what is called ResNet v1.5.
    """

    width: int
    dtype: str = "float32"
    stride: int = 1
    dilation: int = 1
    expansion: ClassVar[int] = 4

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b p q d"]:
        wide = self.width * self.expansion
        y = ConvNorm(self.width, 1, dtype=self.dtype, name="conv1")(x, train=train)
        y = ConvNorm(
            self.width, 3, self.stride, self.dilation, dtype=self.dtype, name="conv2"
        )(y, train=train)
        y = ConvNorm(wide, 1, relu=False, dtype=self.dtype, name="conv3")(
            y, train=train
        )
        same = shortcut(x, wide, self.stride, train=train, dtype=self.dtype)
        return nn.relu(y + same)


def shortcut(
    x: Array, width: int, stride: int = 1, *, train: bool, dtype: str
) -> Array:
    """`x`, projected where its shape must change; call it in a compact method."""
    if x.shape[-1] == width and stride == 1:
        return x
    project = ConvNorm(width, 1, stride, relu=False, dtype=dtype, name="shortcut")
    return project(x, train=train)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with BatchNorm and ReLU: a level of a U-Net."""

    width: int
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w d"]:
        for i in (1, 2):
            name = f"conv{i}"
            conv = ConvNorm(self.width, dtype=self.dtype, chained=True, name=name)
            x = conv(x, train=train)
        return x


class Dense(nn.Module):
    """Linear layer in `dtype` with float32 parameters; starts as timm's ViT."""

    width: int
    bias: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*b c"]) -> Float[Array, "*b d"]:
        shape = (x.shape[-1], self.width)
        kernel = self.param("kernel", initial.normal(0.02), shape, jnp.float32)
        y = token_ops.dense(x.astype(self.dtype), kernel.astype(self.dtype))
        if not self.bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        return y + bias.astype(self.dtype).reshape((1,) * (y.ndim - 1) + (-1,))


class LayerNorm(nn.Module):
    """Layer normalisation in float32, timm's eps; tree and values of `nn.LayerNorm`."""

    dtype: str = "float32"  # of the result
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, "*b c"]) -> Float[Array, "*b c"]:
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        y = token_ops.layer_norm(x.astype(jnp.float32), scale, bias, self.epsilon)
        return y.astype(self.dtype)


class PatchEmbed(nn.Module):
    """Square patches as vectors: a convolution without overlap, as one product."""

    width: int
    patch: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, image: Float[Array, "b h w c"]) -> Float[Array, "b p q d"]:
        b, h, w, c = image.shape
        p, shape = self.patch, (self.patch, self.patch, c, self.width)
        kernel = self.param("kernel", initial.he_fan_out, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        x = image.astype(self.dtype).reshape(b, h // p, p, w // p, p, c)
        x = x.swapaxes(2, 3).reshape(b, h // p, w // p, p * p * c)
        y = token_ops.dense(x, kernel.astype(self.dtype).reshape(p * p * c, self.width))
        return y + bias.astype(self.dtype).reshape(1, 1, 1, -1)


def output_conv(width: int, size: int = 1, *, name: str, **fields: Any) -> Conv:
    """The last convolution of a head: float32, biased, small if not said otherwise."""
    fields = {"kernel_init": small_normal} | fields
    return Conv(width, size, bias=True, name=name, **fields)


class Dropout(nn.Module):
    """Dropout of single values, active in training; draws from the "dropout" key."""

    rate: float

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        return nn.Dropout(self.rate, deterministic=not train)(x)


def dropped(x: Array, rate: float, key: Array) -> Array:
    """x with a share `rate` of its values 0 and the others that much larger: `Dropout`
    by a key, where a module may not ask for one.
    """
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0).astype(x.dtype)


def check_output_stride(stride: int) -> None:
    """UserError on a stride that `stage_strides` has no plan for."""
    if stride not in (8, 16, 32):
        raise errors.UserError(f"output_stride: found {stride}, allowed: 8, 16, 32")


def stage_strides(
    strides: Sequence[int], output_stride: int
) -> list[tuple[int, int, int]]:
    """(stride, dilation of the first block, of the others) of each stage.

    Once `output_stride` is reached further strides become dilation; the first block of
    such a stage keeps the dilation of the stage before, as in timm and torchvision.
    `output_stride` counts from the input of the first stage.
    """
    reached, dilation, stages = 1, 1, []
    for stride in strides:
        before = dilation
        if reached * stride > output_stride:
            dilation, stride = dilation * stride, 1
        reached *= stride
        stages.append((stride, before, dilation))
    return stages
