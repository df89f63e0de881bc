import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.models import platforms


@jax.jit
def doubled(x):
    return platforms.dependent(x, tpu=lambda x: x + x, default=lambda x: 2 * x)


@jax.jit
def halved(x):
    return platforms.dependent(x, cpu=lambda x: x / 2, default=lambda x: 0.5 * x)


def primitives(call):
    """Of the program of a jitted function."""
    (inner,) = jax.make_jaxpr(call)(1.0).jaxpr.eqns
    return [equation.primitive.name for equation in inner.params["jaxpr"].eqns]


def test_a_plan_traces_the_form_of_tpus_alone():
    with platforms.planning():
        assert primitives(doubled) == ["add"]
        assert primitives(halved) == ["mul"]


def test_what_a_plan_traced_is_traced_again_for_a_program():
    with platforms.planning():
        assert primitives(doubled) == ["add"]
    assert "cond" in primitives(doubled)
    np.testing.assert_array_equal(doubled(jnp.arange(3.0)), [0, 2, 4])
