"""Pooling, resizing and cheap convolutions in the forms that XLA runs fast on CPUs too.

Each equals the plain operation named in its docstring in value and in gradient
(tests/models/test_ops.py) and is measured against it by tests/bench/bench_ops.py. The
plain forms are fast forward; their gradients are not: select-and-scatter, gathers and
weight gradients over huge windows run on one core or without vectors. On GPU and TPU
the forms below fuse or become matrix products, so nothing is lost there.

All arrays are NHWC. Padding is torch's: explicit and the same on both sides.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def _windows(x: Array, window: int, stride: int) -> list[Array]:
    """The window**2 shifted and strided views of [B, H, W, C], row by row."""
    height, width = ((n - window) // stride + 1 for n in x.shape[1:3])
    return [
        x[:, i : i + stride * height : stride, j : j + stride * width : stride][
            :, :height, :width
        ]
        for i in range(window)
        for j in range(window)
    ]


def _pad(x: Array, padding: int, value: float) -> Array:
    around = (padding, padding)
    return jnp.pad(x, ((0, 0), around, around, (0, 0)), constant_values=value)


def max_pool(
    x: Float[Array, "b h w c"], window: int = 2, stride: int = 2, padding: int = 0
) -> Float[Array, "b p q c"]:
    """`nn.max_pool` as running maximum of shifted views; windows that overrun are cut.

    Of equal values the first gets the gradient, as in the plain operation and in torch
    (`jnp.maximum` would share it, and after a ReLU most ties are between zeros).
    """
    views = _windows(_pad(x, padding, -jnp.inf) if padding else x, window, stride)
    best = views[0]
    for view in views[1:]:
        best = jnp.where((view > best) | jnp.isnan(view), view, best)
    return best


def avg_pool(
    x: Float[Array, "b h w c"],
    window: int = 2,
    stride: int = 2,
    padding: int = 0,
    count_padding: bool = True,
) -> Float[Array, "b p q c"]:
    """`nn.avg_pool` as sum of shifted views; `count_padding` as in both libraries."""
    total = sum(_windows(_pad(x, padding, 0.0) if padding else x, window, stride))
    if count_padding or not padding:
        return total / window**2
    ones = _pad(jnp.ones((1, *x.shape[1:3], 1), x.dtype), padding, 0.0)
    return total / sum(_windows(ones, window, stride))


def upsample_nearest(
    x: Float[Array, "b h w c"], factor: int
) -> Float[Array, "b p q c"]:
    """Every pixel repeated `factor` times along both axes: a broadcast, no gather."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, factor, w, factor, c))
    return x.reshape(b, h * factor, w * factor, c)


def resize_bilinear(
    x: Float[Array, "b h w c"], size: tuple[int, int]
) -> Float[Array, "b p q c"]:
    """`jax.image.resize(..., "bilinear", antialias=False)`: half-pixel centres.

    That is torch's align_corners=False, enlarging and shrinking alike.
    """
    for axis, target in zip((1, 2), size):
        if target % x.shape[axis] == 0:
            x = _enlarge(x, axis, target // x.shape[axis])
        else:
            x = _interpolate(x, axis, target)
    return x


def _enlarge(x: Array, axis: int, factor: int) -> Array:
    """Each of the `factor` phases of the output mixes a pixel with one neighbour."""
    if factor == 1:
        return x
    n = x.shape[axis]
    first, last = (jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, n - 1))
    before = jnp.concatenate(
        [first, jax.lax.slice_in_dim(x, 0, n - 1, axis=axis)], axis
    )
    after = jnp.concatenate([jax.lax.slice_in_dim(x, 1, n, axis=axis), last], axis)
    phases = []
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5
        neighbour, weight = (before, -offset) if offset < 0 else (after, offset)
        phases.append((1 - weight) * x + weight * neighbour)
    shape = (*x.shape[:axis], n * factor, *x.shape[axis + 1 :])
    return jnp.stack(phases, axis + 1).reshape(shape)


def _interpolate(x: Array, axis: int, size: int) -> Array:
    """One axis of `x` times a constant matrix with two weights a row."""
    matrix = jnp.asarray(_matrix(x.shape[axis], size), x.dtype)
    x = jnp.tensordot(x, matrix, axes=((axis,), (1,)), precision="highest")
    return jnp.moveaxis(x, -1, axis)


@functools.lru_cache(maxsize=64)
def _matrix(source: int, target: int) -> np.ndarray:
    """Half-pixel bilinear weights [target, source]."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    centres = np.clip(centres, 0, source - 1)
    weights = 1 - np.abs(centres[:, None] - np.arange(source)[None, :])
    return np.maximum(weights, 0).astype(np.float32)


def conv1x1(
    x: Float[Array, "b h w c"], kernel: Float[Array, "c d"], stride: int = 1
) -> Float[Array, "b p q d"]:
    """1x1 convolution as a 2-D matrix product over all pixels."""
    x = x[:, ::stride, ::stride] if stride > 1 else x
    return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1)


def conv(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "i j m d"],
    stride: int = 1,
    dilation: int = 1,
) -> Float[Array, "b p q d"]:
    """Convolution padded by `dilation * (size - 1) // 2` all round; groups inferred."""
    size = kernel.shape[0]
    if size == 1 and kernel.shape[2] == x.shape[-1]:
        return conv1x1(x, kernel[0, 0], stride)
    around = dilation * (size - 1) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((around, around), (around, around)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


def conv_transpose2x2(
    x: Float[Array, "b h w c"], kernel: Float[Array, "2 2 c d"]
) -> Float[Array, "b p q d"]:
    """Transposed 2x2 convolution of stride 2: windows do not overlap, so a product.

    `jax.lax.conv_transpose(x, kernel, (2, 2), "VALID")` with its kernel flipped in both
    axes, that is output[2i + a, 2j + b] = x[i, j] @ kernel[a, b], as torch has it.
    """
    b, h, w, c = x.shape
    flat = jnp.moveaxis(kernel, 2, 0).reshape(c, -1)
    y = (x.reshape(-1, c) @ flat).reshape(b, h, w, 2, 2, -1)
    return jnp.swapaxes(y, 2, 3).reshape(b, 2 * h, 2 * w, -1)


def pad_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Array:
    """Zeros at the right and the bottom until `multiple` divides height and width."""
    right = [(0, -n % multiple) for n in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *right, (0, 0))) if any(map(sum, right)) else x


def global_mean(x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
    """Mean over all pixels, in float32 whatever the input."""
    return jnp.mean(x, axis=(1, 2), dtype=jnp.float32)


def split_kernel(kernel: Array, widths: Sequence[int]) -> list[Array]:
    """Rows of a [sum(widths), d] kernel that belong to each of the inputs."""
    return jnp.split(kernel, np.cumsum(widths)[:-1], axis=0)
