"""The gradients equal those of JAX, in the order that is fast inside a loop."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import convolution

CASES = [(3, 1, 1), (3, 2, 1), (3, 1, 2), (3, 2, 4), (7, 2, 1), (2, 1, 1), (2, 2, 3)]
CASES += [(3, 1, 5), (3, 1, 9), (3, 1, 20), (5, 1, 3), (2, 1, 2)]  # beyond the map too
IMAGE = (2, 9, 12, 6)


def plain(x, kernel, stride, dilation):
    around = dilation * (kernel.shape[0] - 1) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((around, around), (around, around)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


def gradients(conv, x, kernel, stride, dilation):
    """Of x and of the kernel, for a weight of its own for every output."""

    def loss(x, kernel):
        y = conv(x, kernel, stride, dilation)
        return jnp.sum(jnp.sin(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape) * y)

    return jax.jit(jax.grad(loss, (0, 1)))(x, kernel)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size, stride, dilation", CASES)
def test_gradients_are_those_of_jax(size, stride, dilation, groups):
    rng = np.random.default_rng(0)
    shapes = IMAGE, (size, size, 6 // groups, 4)
    x, kernel = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes)
    value, wanted = (f(x, kernel, stride, dilation) for f in (convolution.conv, plain))
    np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)
    found = gradients(convolution.conv, x, kernel, stride, dilation)
    for one, wanted in zip(found, gradients(plain, x, kernel, stride, dilation)):
        np.testing.assert_allclose(one, wanted, rtol=1e-5, atol=1e-5)


def orders(conv, wanted, platform):
    """Of all convolutions in the program of these gradients."""
    x, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 3))
    loss = lambda x, kernel: jnp.sum(conv(x, kernel, 1, 1) ** 2)
    traced = jax.jit(jax.grad(loss, wanted)).trace(x, kernel)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    return sorted(re.findall(r"dim_numbers = (\S.*\]->\[.*?\])", text))


@pytest.mark.parametrize("wanted", [(0,), (1,), (0, 1)])
def test_only_the_gradients_asked_for_are_made_all_in_one_order(wanted):
    fast = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    assert orders(convolution.conv, wanted, "cpu") == [fast] * (1 + len(wanted))


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_other_platforms_have_the_gradients_of_jax(platform):
    found = orders(convolution.conv, (0, 1), platform)
    assert found == orders(plain, (0, 1), platform)
    assert len(set(found)) == 3


@pytest.mark.parametrize("dilation, places", [(2, 9), (4, 9), (5, 3), (8, 1)])
def test_a_dilated_one_is_a_product_for_each_place_on_the_map(dilation, places):
    x, kernel = jnp.ones((1, 8, 5, 2)), jnp.ones((3, 3, 2, 2))
    traced = jax.jit(lambda *given: convolution.conv(*given, 1, dilation))
    traced = traced.trace(x, kernel)
    for platform, count in {"cpu": places, "tpu": 0}.items():
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.dot_general") == count


def test_frozen_kernels_get_none():
    x, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 3))

    def loss(x, kernel):
        return jnp.sum(convolution.conv(x, jax.lax.stop_gradient(kernel)))

    of_x, of_kernel = jax.grad(loss, (0, 1))(x, kernel)
    assert not of_kernel.any() and of_x[0, 4, 4, 0] == 27


@pytest.mark.parametrize("size", [(7, 9), (1, 4), (4, 1)])
def test_the_gradient_by_a_product_is_that_of_jax(size):
    rng = np.random.default_rng(0)
    shapes = (2, *size, 5), (2, *size, 4), (3, 3, 5, 4)
    x, gradient, kernel = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes)
    found = jax.jit(convolution._of_kernel_by_product)(x, gradient)
    (wanted,) = jax.vjp(lambda k: plain(x, k, 1, 1), kernel)[1](gradient)
    bound = 1e-5 * float(jnp.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=bound)


@pytest.mark.parametrize(
    "shape, width, stride, chained, products",
    [  # many pixels for the channels, and enough channels
        ((2, 32, 32, 32), 16, 1, True, 1),
        ((2, 32, 32, 32), 16, 1, False, 0),
        ((2, 8, 8, 64), 64, 1, True, 0),
        ((2, 32, 32, 3), 16, 1, True, 0),
        ((2, 64, 64, 16), 16, 2, True, 0),
    ],
)
def test_a_product_where_it_is_faster(shape, width, stride, chained, products):
    x, kernel = jnp.ones(shape), jnp.ones((3, 3, shape[-1], width))
    conv = lambda *given: convolution.conv(*given, stride, 1, chained)
    loss = lambda x, kernel: jnp.sum(conv(x, kernel))
    traced = jax.jit(jax.grad(loss, (0, 1))).trace(x, kernel)
    for platform, count in {"cpu": products, "tpu": 0}.items():
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.dot_general") == count
