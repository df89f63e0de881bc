"""Every rewritten operation equals the plain one in value and in gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import ops
from tests.models import agreement


@pytest.mark.parametrize("window, padding, size", [(2, 0, 8), (2, 0, 7), (3, 1, 8)])
@pytest.mark.parametrize("quantise", [False, True])
def test_max_pool(window, padding, size, quantise):
    around = ((padding, padding),) * 2
    agreement.check(
        lambda x: ops.max_pool(x, window, 2, padding),
        lambda x: nn.max_pool(x, (window, window), (2, 2), around),
        (2, size, size + 2, 3),
        quantise=quantise,
    )


def test_max_pool_passes_nan_on():
    x = jnp.zeros((1, 4, 4, 1)).at[0, 0, 0, 0].set(jnp.nan).at[0, 3, 3, 0].set(jnp.nan)
    pooled = ops.max_pool(x)[0, :, :, 0]
    np.testing.assert_array_equal(jnp.isnan(pooled), [[True, False], [False, True]])


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize("window, padding, size", [(2, 0, 7), (3, 1, 8)])
def test_avg_pool(window, padding, size, count_padding):
    around = ((padding, padding),) * 2
    agreement.check(
        lambda x: ops.avg_pool(x, window, 2, padding, count_padding),
        lambda x: nn.avg_pool(
            x, (window, window), (2, 2), around, count_include_pad=count_padding
        ),
        (2, size, size + 2, 3),
    )


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_upsample_nearest(factor):
    agreement.check(
        lambda x: ops.upsample_nearest(x, factor),
        lambda x: jnp.repeat(jnp.repeat(x, factor, 1), factor, 2),
        (2, 3, 4, 5),
    )


@pytest.mark.parametrize(
    "size", [(6, 8), (12, 16), (24, 32), (9, 8), (17, 23), (3, 4), (4, 7), (6, 1)]
)
def test_resize_bilinear(size):
    agreement.check(
        lambda x: ops.resize_bilinear(x, size),
        lambda x: jax.image.resize(
            x, (2, *size, 3), "bilinear", antialias=False, precision="highest"
        ),
        (2, 6, 8, 3),
    )


def test_resize_bilinear_from_one_pixel():
    np.testing.assert_array_equal(
        ops.resize_bilinear(jnp.full((1, 1, 1, 2), 3.0), (4, 5)),
        np.full((1, 4, 5, 2), 3),
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [8, 7])
def test_conv1x1(size, stride):
    agreement.check(
        lambda x, k: ops.conv1x1(x, k, stride),
        lambda x, k: jax.lax.conv_general_dilated(
            x,
            k.reshape(1, 1, *k.shape),
            (stride, stride),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ),
        (2, size, size + 1, 3),
        (3, 5),
    )


def test_conv_transpose2x2():
    agreement.check(
        ops.conv_transpose2x2,
        lambda x, k: jax.lax.conv_transpose(x, k[::-1, ::-1], (2, 2), "VALID"),
        (2, 3, 4, 5),
        (2, 2, 5, 6),
    )


def test_conv_pads_evenly_where_same_does_not():
    """A corner response: torch's window starts one pixel outside, XLA's SAME inside."""
    image = jnp.zeros((1, 4, 4, 1)).at[0, 0, 0, 0].set(1.0)
    kernel = jnp.arange(9.0).reshape(3, 3, 1, 1)
    assert ops.conv(image, kernel, stride=2)[0, 0, 0, 0] == 4.0  # the centre


def test_conv_groups_and_dilation():
    image, kernel = jnp.ones((1, 7, 7, 4)), jnp.ones((3, 3, 2, 6))
    out = ops.conv(image, kernel, dilation=2)
    assert out.shape == (1, 7, 7, 6)
    assert out[0, 3, 3, 0] == 18 and out[0, 0, 0, 0] == 8


IMAGE, KERNEL = (2, 8, 8, 4), (2, 2, 4, 3)


@pytest.mark.parametrize(
    "form, plain, shapes",
    [  # what the plain form is lowered to, and the other is not
        (lambda x: ops.max_pool(x, 3, 2, 1), "select_and_scatter", [IMAGE]),
        (ops.avg_pool, "reduce_window", [IMAGE]),
        (ops.conv_transpose2x2, "stablehlo.convolution", [IMAGE, KERNEL]),
    ],
)
def test_tpu_gets_the_plain_form_where_it_moves_fewer_bytes(form, plain, shapes):
    def both(*arguments):
        value, pull = jax.vjp(form, *arguments)
        return value, pull(value)

    traced = jax.jit(both).trace(*map(jnp.ones, shapes))
    text = {p: traced.lower(lowering_platforms=(p,)).as_text() for p in ("tpu", "cpu")}
    assert plain in text["tpu"] and plain not in text["cpu"]


def test_pad_to_multiple():
    padded = ops.pad_to_multiple(jnp.ones((1, 5, 8, 2)), 4)
    assert padded.shape == (1, 8, 8, 2)
    assert padded.sum() == 5 * 8 * 2 and padded[0, :5, :8].all()
