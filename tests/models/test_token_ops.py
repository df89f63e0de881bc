"""The operations of transformers equal the plain ones in value and in gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import token_ops
from tests.models import agreement


def plain_attention(query, key, value):
    scores = jnp.einsum("bhnd,bhmd->bhnm", query, key)
    return jnp.einsum("bhnm,bhmd->bhnd", jax.nn.softmax(scores, axis=-1), value)


def test_dense():
    plain = lambda x, kernel: jnp.einsum("bnc,cd->bnd", x, kernel)
    agreement.check(token_ops.dense, plain, (2, 5, 7), (7, 3))


def test_gelu():
    plain = lambda x: jax.nn.gelu(x, approximate=False)
    agreement.check(token_ops.gelu, plain, (4, 50), scale=3.0)


def test_gelu_has_the_limits_of_the_plain_one():
    x = jnp.array([-40.0, -10.0, 0.0, 10.0, 40.0])
    value, pull = jax.vjp(token_ops.gelu, x)
    np.testing.assert_allclose(value, [0, 0, 0, 10, 40], atol=1e-6)
    np.testing.assert_allclose(pull(jnp.ones(5))[0], [0, 0, 0.5, 1, 1], atol=1e-6)


@pytest.mark.parametrize("keys", [6, 4])
def test_attention(keys):
    shapes = (2, 3, 6, 8), (2, 3, keys, 8), (2, 3, keys, 8)
    agreement.check(token_ops.attention, plain_attention, *shapes)


def test_attention_by_hand():
    """Equal scores share: of two values the mean; of a certain one all."""
    query, value = jnp.zeros((1, 1, 1, 1)), jnp.array([1.0, 3.0]).reshape(1, 1, 2, 1)
    key = jnp.array([0.0, 100.0]).reshape(1, 1, 2, 1)
    assert token_ops.attention(query, key, value).item() == 2
    assert token_ops.attention(query + 1, key, value).item() == 3


def test_layer_norm():
    plain = nn.LayerNorm(epsilon=1e-6)

    def apply(x, scale, bias):
        return plain.apply({"params": {"scale": scale, "bias": bias}}, x)

    rewritten = lambda *arguments: token_ops.layer_norm(*arguments, 1e-6)
    agreement.check(rewritten, apply, (2, 5, 16), (16,), (16,), scale=2.0)


@pytest.mark.parametrize("name", ["gelu", "attention", "dense"])
def test_bfloat16_stays(name):
    """Values and gradients have the type of their arguments."""
    x = jnp.ones((1, 2, 4, 4), jnp.bfloat16)
    arguments = {"gelu": [x], "attention": [x, x, x], "dense": [x, x[0, 0]]}
    value, pull = jax.vjp(getattr(token_ops, name), *arguments[name])
    for found in (value, *pull(value)):
        assert found.dtype == x.dtype


def test_attention_of_short_floats_is_as_near_to_float64_as_the_plain_one():
    """Values of a large mean: what the sum of the weights lacks of 1 is multiplied by
    it.
    """
    rng = np.random.default_rng(0)
    query, key, value, gradient = rng.normal(size=(4, 1, 2, 40, 16))
    exact = (query, key + 3, value + 10)

    def of_query(attention, *given):
        return jax.vjp(attention, *given)[1](gradient.astype(given[0].dtype))[0]

    short = [jnp.asarray(x, jnp.bfloat16) for x in exact]
    found = of_query(token_ops.attention, *short).astype(jnp.float32)
    plain = of_query(plain_attention, *short).astype(jnp.float32)
    wide = [jnp.asarray(x, jnp.float32) for x in short]
    wanted = of_query(plain_attention, *wide)
    error = lambda x: float(jnp.abs(x - wanted).max())
    assert error(found) < 1.5 * error(plain)


def test_gelu_of_short_floats():
    x = jnp.linspace(-4, 4, 200).astype(jnp.bfloat16)
    value, pull = jax.vjp(token_ops.gelu, x)
    plain = lambda x: jax.nn.gelu(x, approximate=False)
    wanted, wanted_pull = jax.vjp(plain, x.astype(jnp.float32))
    np.testing.assert_allclose(value.astype("float32"), wanted, rtol=0.005, atol=1e-6)
    (slope,), (wanted,) = pull(jnp.ones_like(x)), wanted_pull(jnp.ones(200))
    np.testing.assert_allclose(slope.astype("float32"), wanted, rtol=0.005, atol=1e-6)
