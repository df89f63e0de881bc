import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxseg.core import flops
from jaxseg.models import model, shapes


def count(call, *inputs):
    return flops.count(jax.make_jaxpr(call)(*inputs).jaxpr)


def conv(x, w, **more):
    given = dict(window_strides=(1, 1), padding="SAME")
    given |= {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    return jax.lax.conv_general_dilated(x, w, **given | more)


IMAGE = jnp.zeros((2, 8, 6, 4))


def test_convolutions_by_hand():
    kernel = jnp.zeros((3, 3, 4, 5))
    assert count(conv, IMAGE, kernel) == 2 * (2 * 8 * 6 * 5) * (3 * 3 * 4)
    strided = lambda x, w: conv(x, w, window_strides=(2, 2))
    assert count(strided, IMAGE, kernel) == 2 * (2 * 4 * 3 * 5) * (3 * 3 * 4)
    grouped = lambda x, w: conv(x, w, feature_group_count=2)
    halves = jnp.zeros((3, 3, 2, 6))
    assert count(grouped, IMAGE, halves) == 2 * (2 * 8 * 6 * 6) * (3 * 3 * 2)


def test_products_by_hand():
    a, b = jnp.zeros((5, 3, 7)), jnp.zeros((5, 7, 2))
    assert count(jnp.matmul, a, b) == 2 * (5 * 3 * 2) * 7


def test_programs_within_programs():
    a = jnp.zeros((3, 3))
    one = 2 * 27
    assert count(jax.jit(jnp.matmul), a, a) == one
    loop = lambda x: jax.lax.scan(lambda y, _: (y @ y, None), x, length=4)[0]
    assert count(loop, a) == 4 * one
    branch = lambda x: jax.lax.cond(x[0, 0] > 0, lambda y: y @ y @ y, lambda y: y, x)
    assert count(branch, a) == 2 * one
    assert count(jax.checkpoint(lambda x: x @ x), a) == one


def test_a_network_against_the_compilers_count():
    section = {
        "backbone": {"name": "resnet", "variant": "tiny"},
        "head": {"name": "linear"},
    }
    network = model.build_model(section, head_outputs={"segmentation": 9})
    ours = shapes.forward_flops(network, ("segmentation",), (64, 96, 3))
    variables = shapes.variables(network, (64, 96, 3))
    image = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)
    call = lambda v, x: network.apply(v, x, train=False)
    theirs = jax.jit(call).lower(variables, image).cost_analysis()["flops"]
    # The compiler counts sums and normalization, and no product with the padding.
    assert ours == pytest.approx(theirs, rel=0.15)


def test_a_dense_layer():
    layer = nn.Dense(5)
    variables = layer.init(jax.random.key(0), jnp.zeros((2, 3)))
    assert count(layer.apply, variables, jnp.zeros((2, 3))) == 2 * 2 * 5 * 3
