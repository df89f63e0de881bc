"""Our BatchNorm is Linen's: same tree, values, statistics and gradients."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import layers


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, name="norm")(x)


class Ours(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return layers.BatchNorm(name="norm")(x, train=train)


@pytest.mark.parametrize("train", [False, True])
def test_batch_norm_equals_linen(train):
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    x, weights = 3 + 2 * draw(4, 5, 6, 7), draw(4, 5, 6, 7)
    params = {"norm": {"scale": draw(7), "bias": draw(7)}}
    stats = {"norm": {"mean": draw(7), "var": draw(7) ** 2}}

    def run(module, params, x):
        y, updated = module.apply(
            {"params": params, "batch_stats": stats},
            x,
            train=train,
            mutable=["batch_stats"],
        )
        return jnp.sum(y * weights), (y, updated)

    gradient = jax.jit(jax.grad(run, argnums=(1, 2), has_aux=True), static_argnums=0)
    wanted, ours = gradient(Linen(), params, x), gradient(Ours(), params, x)
    chex.assert_trees_all_close(wanted, ours, rtol=1e-4, atol=1e-4)


def test_batch_norm_survives_a_constant_channel():
    """Rounding makes E[x^2] - E[x]^2 negative there; eps alone does not cover it."""
    x = jnp.full((2, 8, 8, 3), 1234.567)
    module = layers.BatchNorm()
    variables = module.init(jax.random.key(0), x, train=False)
    y, updated = module.apply(variables, x, train=True, mutable=["batch_stats"])
    assert np.isfinite(y).all()
    assert all((leaf >= 0).all() for leaf in jax.tree.leaves(updated))
