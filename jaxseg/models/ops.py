"""Pooling, resizing and cheap convolutions in the forms that XLA runs fast on CPUs too.

Each equals the plain operation named in its docstring in value and in gradient
(tests/models/test_ops.py) and is measured against it by tests/bench/bench_ops.py. The
plain forms are fast forward; their gradients are not: select-and-scatter, gathers and
weight gradients over huge windows run on one core or without vectors. On GPU the forms
below fuse or become matrix products. For TPU tests/bench/README.md counts the bytes of
both, and where the plain operation moves fewer it is lowered in their place.

All arrays are NHWC. Padding is torch's: explicit and the same on both sides.
"""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxseg.models import convolution, platforms


def _windows(x: Array, window: int, stride: int, padding: int, value: float) -> list:
    """The window**2 shifted and strided views of padded [B, H, W, C], row by row."""
    around = (padding, padding)
    if padding:
        x = jnp.pad(x, ((0, 0), around, around, (0, 0)), constant_values=value)
    height, width = ((n - window) // stride + 1 for n in x.shape[1:3])
    if window == stride:  # a reshape has a gradient without sums
        x = x[:, : height * window, : width * window]
        x = x.reshape(x.shape[0], height, window, width, window, x.shape[-1])
        return [x[:, :, i, :, j] for i in range(window) for j in range(window)]
    rows, columns = (stride * (n - 1) + 1 for n in (height, width))
    return [
        x[:, i : i + rows : stride, j : j + columns : stride]
        for i in range(window)
        for j in range(window)
    ]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def max_pool(
    x: Float[Array, "b h w c"], window: int = 2, stride: int = 2, padding: int = 0
) -> Float[Array, "b p q c"]:
    """`nn.max_pool` as maximum of shifted views; windows that overrun are left out.

    Of equal values the first gets the gradient, as in the plain operation and in torch
    (`jnp.maximum` would share it, and after a ReLU most ties are between zeros).
    """
    views = lambda x: _largest(_windows(x, window, stride, padding, -jnp.inf))
    if window == stride:
        return views(x)
    plain = functools.partial(_plain_max_pool, window, stride, padding)
    return platforms.dependent(x, tpu=plain, default=views)


def _plain_max_pool(window, stride, padding, x):
    around = ((padding, padding),) * 2
    return nn.max_pool(x, (window, window), (stride, stride), around)


def _largest(views):
    return functools.reduce(jnp.maximum, views)


def _max_pool_forward(x, window, stride, padding):
    best = max_pool(x, window, stride, padding)
    return best, (x, best)


def _max_pool_backward(window, stride, padding, kept, gradient):
    plain = functools.partial(_plain_max_pool, window, stride, padding)

    def scatter(x, best, gradient):
        return jax.vjp(plain, x)[1](gradient)[0]

    views = functools.partial(_first_of_equals, window, stride, padding)
    if window == stride:
        return (views(*kept, gradient),)
    found = platforms.dependent(*kept, gradient, tpu=scatter, default=views)
    return (found,)


def _first_of_equals(window, stride, padding, x, best, gradient):
    parts, taken = [], jnp.zeros(best.shape, bool)
    for view in _windows(x, window, stride, padding, -jnp.inf):
        first = (view == best) & ~taken
        parts.append(jnp.where(first, gradient, 0))
        taken = taken | first
    back = jax.linear_transpose(lambda x: _windows(x, window, stride, padding, 0.0), x)
    return back(parts)[0]


max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def avg_pool(
    x: Float[Array, "b h w c"],
    window: int = 2,
    stride: int = 2,
    padding: int = 0,
    count_padding: bool = True,
) -> Float[Array, "b p q c"]:
    """`nn.avg_pool` as sum of shifted views; `count_padding` as in both libraries."""
    around = ((padding, padding),) * 2

    def plain(x):
        mean = nn.avg_pool(x, (window, window), (stride, stride), around)
        return mean * window**2

    views = lambda x: sum(_windows(x, window, stride, padding, 0.0))
    total = platforms.dependent(x, tpu=plain, default=views)
    if count_padding or not padding:
        return total / window**2
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return total / sum(_windows(ones, window, stride, padding, 0.0))


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
    if x.shape[1:3] == tuple(size):
        return x
    plain = functools.partial(_resize_both_axes, size)
    rewritten = functools.partial(_resize_by_products, size)
    return platforms.dependent(x, tpu=plain, default=rewritten)


def _resize_both_axes(size: tuple[int, int], x: Array) -> Array:
    """What `jax.image.resize` does, whose weights are computed in the program, after a
    trace of ten times this one's.
    """
    rows, columns = (_weights(*pair, x) for pair in zip(x.shape[1:3], size))
    return jnp.einsum("bhwc,ph,qw->bpqc", x, rows, columns, precision="highest")


def _resize_by_products(size: tuple[int, int], x: Array) -> Array:
    b, h, w, c = x.shape
    height, width = size
    if width % w == 0:
        x = _widen(x, width // w)
    else:
        x = jnp.einsum("bhwc,qw->bhqc", x, _weights(w, width, x), precision="highest")
    if height == h:
        return x
    # Rows as one product per image: the layout is right as it is, nothing is moved.
    weights = jnp.broadcast_to(_weights(h, height, x), (b, height, h))
    x = jnp.matmul(weights, x.reshape(b, h, width * c), precision="highest")
    return x.reshape(b, height, width, c)


def _widen(x: Array, factor: int) -> Array:
    """Each of the `factor` phases of a wider row mixes a pixel with one neighbour."""
    if factor == 1:
        return x
    b, h, w, c = x.shape
    left = jnp.concatenate([x[:, :, :1], x[:, :, :-1]], axis=2)
    right = jnp.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2)
    phases = []
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5
        neighbour, weight = (left if offset < 0 else right), abs(offset)
        phases.append((1 - weight) * x + weight * neighbour)
    return jnp.stack(phases, axis=3).reshape(b, h, w * factor, c)


def _weights(source: int, target: int, like: Array) -> Array:
    return jnp.asarray(bilinear_weights(source, target), like.dtype)


@functools.lru_cache(maxsize=64)
def bilinear_weights(source: int, target: int) -> np.ndarray:
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
    rows = x.reshape(-1, x.shape[-1]) @ kernel
    return rows.reshape(*x.shape[:-1], kernel.shape[-1])


def conv(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "i j m d"],
    stride: int = 1,
    dilation: int = 1,
    chained: bool = False,
) -> Float[Array, "b p q d"]:
    """1x1 as `conv1x1`, others as `convolution.conv`, which tells the arguments."""
    size = kernel.shape[0]
    if size == 1 and kernel.shape[2] == x.shape[-1]:
        return conv1x1(x, kernel[0, 0], stride)
    return convolution.conv(x, kernel, stride, dilation, chained)


def conv_transpose2x2(
    x: Float[Array, "b h w c"], kernel: Float[Array, "2 2 c d"]
) -> Float[Array, "b p q d"]:
    """Transposed 2x2 convolution of stride 2: windows do not overlap, so a product.

    `jax.lax.conv_transpose(x, kernel, (2, 2), "VALID")` with its kernel flipped in both
    axes, that is output[2i + a, 2j + b] = x[i, j] @ kernel[a, b], as torch has it.
    """

    def plain(x, kernel):
        return jax.lax.conv_transpose(x, kernel[::-1, ::-1], (2, 2), "VALID")

    def product(x, kernel):
        b, h, w, c = x.shape
        flat = jnp.moveaxis(kernel, 2, 0).reshape(c, -1)
        y = (x.reshape(-1, c) @ flat).reshape(b, h, w, 2, 2, -1)
        return jnp.swapaxes(y, 2, 3).reshape(b, 2 * h, 2 * w, -1)

    return platforms.dependent(x, kernel, tpu=plain, default=product)


def pad_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Array:
    """Zeros at the right and the bottom until `multiple` divides height and width."""
    right = [(0, -n % multiple) for n in x.shape[1:3]]
    return jnp.pad(x, ((0, 0), *right, (0, 0))) if any(map(sum, right)) else x


def global_mean(x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
    """Mean over all pixels, in float32 whatever the input."""
    return jnp.mean(x, axis=(1, 2), dtype=jnp.float32)


def adaptive_avg_pool(x: Float[Array, "b h w c"], bins: int) -> Array:
    """Means over a grid of `bins` x `bins` cells, torch's `AdaptiveAvgPool2d`."""
    rows, columns = (jnp.asarray(_cells(n, bins), x.dtype) for n in x.shape[1:3])
    x = jnp.einsum("bhwc,ph->bpwc", x, rows, precision="highest")
    return jnp.einsum("bpwc,qw->bpqc", x, columns, precision="highest")


@functools.lru_cache(maxsize=64)
def _cells(length: int, bins: int) -> np.ndarray:
    """Weights [bins, length]; cell i is [floor(i n / bins), ceil((i + 1) n / bins))."""
    weights = np.zeros((bins, length), np.float32)
    for i in range(bins):
        start, stop = i * length // bins, -(-(i + 1) * length // bins)
        weights[i, start:stop] = 1 / (stop - start)
    return weights


def concat_at_finest(maps: Sequence[Array]) -> Float[Array, "b h w c"]:
    """All maps side by side at the resolution of the first, resized bilinearly."""
    size = maps[0].shape[1:3]
    return jnp.concatenate([resize_bilinear(x, size) for x in maps], axis=-1)


def split_kernel(kernel: Array, widths: Sequence[int]) -> list[Array]:
    """Rows of a [sum(widths), d] kernel that belong to each of the inputs."""
    return jnp.split(kernel, np.cumsum(widths)[:-1], axis=0)
