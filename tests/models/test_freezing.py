"""Modules frozen as a whole are fixed functions, whatever network they belong to."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import lookup, trees
from jaxseg.models import freezing, initial
from jaxseg.models import model as models

BACKBONES = lookup.names(models.BACKBONES)


def build(name, head="linear", **fields):
    section = {"backbone": {"name": name, "variant": "tiny"} | fields}
    network = models.build_model(
        section | {"head": {"name": head}}, head_outputs={"x": 3}
    )
    return network, initial.variables(network, (64, 64, 3), seed=0)


def frozen(variables, prefix):
    """Paths of modules when all leaves below the prefix have multiplier 0."""
    flat = trees.flatten(variables["params"])
    scales = {path: float(not trees.under(prefix, path)) for path in flat}
    return freezing.modules(trees.unflatten(scales))


def image(rows=2, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(rows, 64, 64, 3)) + 1, jnp.float32)


def apply(network, variables, x, modules, train, key=0, **more):
    def run(variables):
        with freezing.evaluating(modules):
            return network.apply(
                variables,
                x,
                train=train,
                mutable=["batch_stats"],
                rngs={"dropout": jax.random.key(key)},
                **more,
            )

    outputs, updates = jax.jit(run)(variables)
    return outputs, trees.flatten(updates.get("batch_stats", {}))


def moved(variables, after):
    before = trees.flatten(variables.get("batch_stats", {}))
    return {k for k in before if bool(jnp.any(before[k] != after[k]))}


@pytest.mark.parametrize(
    "name",
    [n if n == "vgg" else pytest.param(n, marks=pytest.mark.slow) for n in BACKBONES],
)
def test_a_frozen_backbone_in_training_is_one_in_evaluation(name):
    network, variables = build(name, remat=True)  # lifted modules keep their paths
    modules = frozen(variables, "backbone")
    assert "backbone" in modules and "heads_x" not in modules
    ask = dict(method="features")
    found, after = apply(network, variables, image(), modules, train=True, **ask)
    expected, _ = apply(network, variables, image(), (), train=False, **ask)
    chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not moved(variables, after)


def test_a_part_of_a_backbone():
    network, variables = build("hrnet")
    modules = frozen(variables, "backbone/stage1")
    assert "backbone/stage1/block0/conv1/norm" in modules
    assert "backbone" not in modules
    _, after = apply(network, variables, image(), modules, train=True)
    still = set(after) - moved(variables, after)
    assert still == {k for k in after if k.startswith("backbone/stage1/")}


def test_dropout_of_a_frozen_head_is_off():
    network, variables = build("vgg", "fcn")
    modules = frozen(variables, "heads_x")
    fixed, random = (
        [apply(network, variables, image(), m, True, key)[0] for key in (1, 2)]
        for m in (modules, ())
    )
    np.testing.assert_array_equal(*fixed)
    assert not np.allclose(*random)


def test_a_module_with_one_leaf_in_training_trains():
    scales = {"a": {"norm": {"scale": 0.0, "bias": 1.0}, "conv": {"kernel": 0.0}}}
    assert freezing.modules(scales) == {"a/conv"}
