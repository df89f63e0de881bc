"""Convolution in forms that XLA runs fast on CPU, gradients and dilation included.

XLA's CPU compiler runs a convolution fast in the order NHWC, HWIO -> NHWC alone. It
reorders all others, except those within the body of a loop (microbatches, a scan), and
both gradients of a convolution have another order: there they take 10 to 20 times as
long. So on CPU the gradients are written in that order, with the same transpositions
that the compiler makes elsewhere; other platforms get the gradients of JAX.

A dilated convolution is, on CPU, a sum of one product for each place of its kernel:
two to four times as fast on large maps, and 15 to 50 times where most places lie
outside of the map, as in DeepLabV3's pyramid (tests/bench/README.md).

Convolutions in a few groups, as ResNeSt has them, are on CPU one for each group: their
gradients in one piece take 7 to 14 times as long (maps of 4 to 16 pixels, 2 groups).
"""

import functools
import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxseg.models import platforms

ORDER = ("NHWC", "HWIO", "NHWC")
FEW = 8  # groups; depthwise convolutions have as many as channels


def conv(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "i j m d"],
    stride: int = 1,
    dilation: int = 1,
    chained: bool = False,
) -> Float[Array, "b p q d"]:
    """`jax.lax.conv_general_dilated` with a square kernel and `dilation * (size - 1) //
    2` zeros all round; groups inferred.

    chained: no shortcut goes around it, as in a U-Net; see `_of_kernel`.
    """
    groups = x.shape[-1] // kernel.shape[2]
    if 1 < groups <= FEW:
        return _grouped(x, kernel, stride, dilation, groups)
    if dilation > 1 and stride == 1 and kernel.shape[0] % 2 and groups == 1:
        return _dilated(x, kernel, dilation)
    return _conv(x, kernel, stride, dilation, chained)


# Jitted, so that convolutions of equal shapes are traced once.
@functools.partial(jax.jit, static_argnums=(2, 3, 4), inline=True)
def _grouped(x: Array, kernel: Array, stride: int, dilation: int, groups: int) -> Array:
    def apart(x: Array, kernel: Array) -> Array:
        parts = zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1))
        made = [conv(part, own, stride, dilation) for part, own in parts]
        return jnp.concatenate(made, -1)

    together = functools.partial(_plain, stride=stride, dilation=dilation)
    return platforms.dependent(x, kernel, cpu=apart, default=together)


# Jitted, so that convolutions of equal shapes are traced once.
@functools.partial(jax.jit, static_argnums=2, inline=True)
def _dilated(x: Array, kernel: Array, dilation: int) -> Array:
    places = functools.partial(_by_places, dilation=dilation)
    plain = functools.partial(_plain, stride=1, dilation=dilation)
    return platforms.dependent(x, kernel, cpu=places, default=plain)


def _by_places(x: Array, kernel: Array, dilation: int) -> Array:
    """Each place of the kernel times the part of x that it meets, moved and added."""
    size, total = kernel.shape[0], 0
    moves = [dilation * (i - size // 2) for i in range(size)]
    for (i, down), (j, right) in itertools.product(enumerate(moves), repeat=2):
        lows = (max(down, 0), max(right, 0))
        highs = (x.shape[1] + min(down, 0), x.shape[2] + min(right, 0))
        if lows[0] >= highs[0] or lows[1] >= highs[1]:
            continue  # it meets the padding alone
        part = x[:, lows[0] : highs[0], lows[1] : highs[1]]
        rows = part.reshape(-1, part.shape[-1]) @ kernel[i, j]
        made = rows.reshape(*part.shape[:3], -1)
        around = [(max(-move, 0), max(move, 0)) for move in (down, right)]
        total += jnp.pad(made, ((0, 0), *around, (0, 0)))
    return total


def _plain(
    x: Array, kernel: Array, stride: int, dilation: int, chained: bool = False
) -> Array:
    around = dilation * (kernel.shape[0] - 1) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((around, around), (around, around)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=ORDER,
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


_conv = jax.custom_vjp(_plain, nondiff_argnums=(2, 3, 4))


def _forward(x, kernel, stride, dilation, chained):
    # () or None, told by the structure: of an image and of a frozen kernel no gradient
    # is computed.
    wanted = [() if given.perturbed else None for given in (x, kernel)]
    x, kernel = x.value, kernel.value
    return _plain(x, kernel, stride, dilation), (x, kernel, wanted)


def _backward(stride, dilation, chained, kept, gradient):
    x, kernel, wanted = kept
    names = tuple(n for n, asked in zip(("x", "kernel"), wanted) if asked is not None)
    made = _gradients(x, kernel, gradient, stride, dilation, chained, names)
    return made.get("x"), made.get("kernel")


_conv.defvjp(_forward, _backward, symbolic_zeros=True)


# Jitted, so that convolutions of equal shapes are traced once.
@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6), inline=True)
def _gradients(x, kernel, gradient, stride, dilation, chained, names):
    """{name: gradient} of "x", "kernel" or both."""

    def plain(x, kernel, gradient):
        of = {
            "x": (lambda x: _plain(x, kernel, stride, dilation), x),
            "kernel": (lambda kernel: _plain(x, kernel, stride, dilation), kernel),
        }
        return {n: jax.linear_transpose(*of[n])(gradient)[0] for n in names}

    def ordered(x, kernel, gradient):
        of = {"x": _of_x, "kernel": functools.partial(_of_kernel, chained=chained)}
        return {n: of[n](x, kernel, gradient, stride, dilation) for n in names}

    if x.shape[-1] != kernel.shape[2]:  # in groups
        return plain(x, kernel, gradient)
    return platforms.dependent(x, kernel, gradient, cpu=ordered, default=plain)


def _of_x(x, kernel, gradient, stride, dilation):
    """Convolution of the gradient with the kernel mirrored."""
    reach = dilation * (kernel.shape[0] - 1)
    before = reach - reach // 2
    padding = [
        (before, n + reach - (stride * (m - 1) + 1) - before)
        for n, m in zip(x.shape[1:3], gradient.shape[1:3])
    ]
    return jax.lax.conv_general_dilated(
        gradient,
        kernel[::-1, ::-1].swapaxes(2, 3),
        window_strides=(1, 1),
        padding=padding,
        lhs_dilation=(stride, stride),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=ORDER,
    )


def _of_kernel(x, kernel, gradient, stride, dilation, chained):
    """Convolution of x, as [C, H, W, B], with the gradient as kernel, [P, Q, B, D]: it
    sums over the batch.

    A wide one as a product, but not within residual blocks: a step of a U-Net gains a
    fifth by it, one of HRNetV2-W18 and -W32 takes 1.5 times as long.
    """
    is_plain_3x3 = (kernel.shape[0], stride, dilation) == (3, 1, 1)
    if chained and is_plain_3x3 and _is_wide(x, kernel):
        return _of_kernel_by_product(x, gradient)
    reach = dilation * (kernel.shape[0] - 1)
    before = reach // 2
    padding = [
        (before, stride * (m - 1) + 1 - n + reach - before)
        for n, m in zip(x.shape[1:3], gradient.shape[1:3])
    ]
    made = jax.lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        gradient.transpose(1, 2, 0, 3),
        window_strides=(dilation, dilation),
        padding=padding,
        rhs_dilation=(stride, stride),
        dimension_numbers=ORDER,
    )
    return made.transpose(1, 2, 0, 3)


def _is_wide(x: Array, kernel: Array) -> bool:
    """Whether there are many pixels for the channels: from there on the gradient of a
    3x3 kernel is faster as one product (tests/bench/README.md).
    """
    c, d = kernel.shape[2:]
    pixels = x.size // x.shape[-1]
    return min(c, d) >= 16 and pixels >= 32 * max(c, d)


def _of_kernel_by_product(x, gradient):
    """Three columns of x side by side times three rows of the gradient: the product
    has all nine places of the kernel, and neither is nine times as large.
    """
    c, d = x.shape[-1], gradient.shape[-1]
    zero, still = jnp.zeros((), x.dtype), (0, 0, 0)

    def shifted(x, rows, columns):
        return jax.lax.pad(x, zero, (still, rows, columns, still))

    columns = [shifted(x, (1, 1, 0), (1 - j, j - 1, 0)) for j in range(3)]
    rows = [shifted(gradient, (i, 2 - i, 0), still) for i in range(3)]
    columns = jnp.stack(columns, axis=-2).reshape(-1, 3 * c)
    rows = jnp.stack(rows, axis=-2).reshape(-1, 3 * d)
    return (columns.T @ rows).reshape(3, c, 3, d).transpose(2, 0, 1, 3)
