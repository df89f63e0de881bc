"""Networks whose equal modules have their variables as one."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import flops, trees
from jaxseg.models import initial, model, shapes, stacking

SIZE = (32, 32, 3)
DEEP = {
    "hrnet": {"name": "hrnet", "variant": "tiny", "modules": (1, 2, 2), "blocks": 2},
    "vit": {"name": "vit", "variant": "tiny", "depth": 3},
}


def made(name):
    """(model, variables, loops)"""
    section = {"backbone": DEEP[name], "head": {"name": "linear"}}
    network = model.build_model(section, head_outputs={"x": 3})
    variables = jax.device_get(initial.variables(network, SIZE, seed=0))
    return network, variables, initial.loops(network, SIZE)


def test_loops_are_those_of_modules_that_keep_shapes():
    _, _, loops = made("hrnet")
    assert ("backbone", ("stage3_module0", "stage3_module1")) in loops
    assert ("backbone/stage4_module1/branch3", ("block0", "block1")) in loops
    assert not any(path == "backbone/stage1" for path, _ in loops)  # one block
    assert made("vit")[2] == [("backbone", ("block0", "block1", "block2"))]


def test_paths_name_each_leaf():
    _, variables, loops = made("hrnet")
    stacked = trees.flatten(stacking.stack(variables, loops))
    flat = trees.flatten(variables)
    assert len(stacked) < len(flat) / 2
    assert sorted(p for path in stacked for p in stacking.paths(path)) == list(flat)
    name = "backbone/stage3_module0..1/branch0/block0..1/conv1/conv/kernel"
    leaf = stacked[f"params/{name}"]
    own = flat["params/backbone/stage3_module1/branch0/block0/conv1/conv/kernel"]
    np.testing.assert_array_equal(leaf[1, 0], own)
    chex.assert_trees_all_equal(stacking.unstack(trees.unflatten(stacked)), variables)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param("hrnet", marks=pytest.mark.release), "vit"]
)
def test_outputs_statistics_and_gradients_are_those_of_the_parts(name):
    network, variables, loops = made(name)
    image = jnp.asarray(np.random.default_rng(0).normal(size=(2, *SIZE)), jnp.float32)

    @functools.partial(jax.jit, static_argnums=1)
    def found(variables, train):
        def loss(params):
            given = {**variables, "params": params}
            output, rest = network.apply(
                given, image, train=train, mutable=["batch_stats"]
            )
            return jnp.sum(output**2), (output, rest)

        gradient, (output, rest) = jax.grad(loss, has_aux=True)(variables["params"])
        return output, rest, gradient

    stacked = stacking.stack(variables, loops)
    for train in (True, False):
        plain, own = found(variables, train), found(stacked, train)
        assert jax.tree.structure(own[2]) == jax.tree.structure(stacked["params"])
        own = tuple(map(stacking.unstack, own))
        chex.assert_trees_all_close(own, plain, rtol=1e-4, atol=1e-5)


def test_modules_with_other_factors_stay_apart():
    loops = [("backbone", ("block0", "block1", "block2", "block3"))]
    factors = {f"backbone/block{i}/{leaf}": 1.0 for i in range(4) for leaf in "ab"}
    assert stacking.cut(loops, factors) == loops
    factors["backbone/block0/a"] = factors["backbone/block1/a"] = 0.1
    assert stacking.cut(loops, factors) == [
        ("backbone", ("block0", "block1")), ("backbone", ("block2", "block3"))
    ]  # fmt: skip
    factors["backbone/block1/b"] = 0.0
    assert stacking.cut(loops, factors) == [("backbone", ("block2", "block3"))]


def test_names_that_do_not_count_up_are_no_stack():
    assert stacking.numbered(["block9", "block10"])
    for names in (["block0"], ["block0", "block2"], ["a", "b"], ["block0", "stage1"]):
        assert not stacking.numbered(names)


@pytest.mark.parametrize("name", DEEP)
def test_flops_are_those_of_all_modules(name):
    """Also at the size that variables are made for, where one of equal modules is
    called.
    """
    network, _, _ = made(name)
    for side in (shapes.SIDE, 96):
        found = shapes.forward_flops(network, ("x",), (side, side, 3))
        known = shapes.variables(network, (side, side, 3))
        image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
        call = functools.partial(network.apply, train=False)
        assert found == flops.count(jax.make_jaxpr(call)(known, image).jaxpr)


@pytest.mark.slow
def test_linen_itself_draws_each_module():
    network, _, _ = made("vit")
    params = network.init(jax.random.key(0), jnp.zeros((1, *SIZE)), train=False)
    blocks = [
        params["params"]["backbone"][f"block{i}"]["fc1"]["kernel"] for i in (0, 1)
    ]
    assert not np.array_equal(*(block.unbox() for block in blocks))


def test_intermediates_are_those_of_modules_by_themselves():
    network, variables, loops = made("vit")
    stacked = jax.device_put(stacking.stack(variables, loops))
    taken = dict(capture_intermediates=True, mutable=["intermediates"], train=False)
    image = jnp.zeros((1, *SIZE))
    _, found = network.apply(stacking.unstack(stacked), image, **taken)
    assert "block2" in found["intermediates"]["backbone"]
    with pytest.raises(ValueError, match=r"allowed after .stacking.unstack. alone"):
        network.apply(stacked, image, **taken)
