import chex
import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import trees
from jaxseg.models import freezing, initial, layers, outlined

WIDTH, SHAPE = 4, (6, 6, 3)


class Plain(nn.Module):
    """Five blocks, the first of which widens; called as they are."""

    @nn.compact
    def __call__(self, x, *, train):
        for i in range(5):
            block = layers.BasicBlock(WIDTH, name=f"block{i}")
            x = self.run(block, x, train)
        return x

    def run(self, block, x, train):
        return block(x, train=train)


class Tower(Plain):
    """The same, outlined."""

    remat: bool = False

    def run(self, block, x, train):
        return outlined.call(block, x, train=train, remat=self.remat)


class Looped(Plain):
    """The same; the four equal ones are a loop."""

    remat: bool = False

    @nn.compact
    def __call__(self, x, *, train):
        blocks = [layers.BasicBlock(WIDTH, name=f"block{i}") for i in range(5)]
        return outlined.sequence(blocks, x, train=train, remat=self.remat)


TOWERS = [Tower, Looped]


@pytest.fixture(scope="module")
def given():
    """(variables, image); statistics differ from block to block."""
    rng = np.random.default_rng(0)
    made = initial.variables(Tower(), SHAPE, seed=0)
    draw = lambda leaf: leaf + jnp.asarray(rng.uniform(0, 0.3, leaf.shape), leaf.dtype)
    return jax.tree.map(draw, made), jnp.asarray(rng.normal(size=(2, *SHAPE)), "f")


def gradient(tower, frozen=()):
    """(variables, image) -> (loss, changed collections), gradients."""

    def loss(params, rest, image):
        with freezing.evaluating(frozen):
            y, changed = tower.apply(
                {"params": params, **rest}, image, train=True, mutable=["batch_stats"]
            )
        return jnp.sum(y * jnp.arange(WIDTH).reshape(1, 1, 1, -1) ** 2), changed

    def both(variables, image):
        rest = {"batch_stats": variables["batch_stats"]}
        return jax.value_and_grad(loss, has_aux=True)(variables["params"], rest, image)

    return jax.jit(both)


def equal(found, expected, rtol=1e-5):
    found, expected = trees.flatten(found), trees.flatten(expected)
    assert list(found) == list(expected)
    for name, leaf in found.items():
        atol = rtol * np.abs(expected[name]).max()
        np.testing.assert_allclose(leaf, expected[name], rtol, atol, err_msg=name)


def at(tree, path):
    return np.asarray(trees.flatten(tree)[path])


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize("remat", [False, True])
def test_values_gradients_and_statistics_are_those_of_plain_calls(remat, tower, given):
    (loss, changed), grads = gradient(tower(remat=remat))(*given)
    (expected, before), plain = gradient(Plain())(*given)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    equal(grads, plain)
    equal(changed, before)
    path = "batch_stats/block3/conv1/norm/mean"
    assert np.abs(at(changed, path) - at(given[0], path)).max() > 1e-3


def test_equal_blocks_are_lowered_once(given):
    """The widening block, and one for the four others, forward and backward."""
    convolutions = {
        tower: gradient(tower).lower(*given).as_text().count("stablehlo.convolution")
        for tower in (Tower(), Looped(), Plain())
    }
    # Each block has two of size 3; each has two gradients, the image has none.
    once = 2 * 2 * 3 - 1
    assert convolutions == {Plain(): 5 * 2 * 3 - 1, Tower(): once, Looped(): once}


def test_equal_blocks_are_compiled_once(given):
    """Of those that are called XLA puts a copy in each place."""
    programs = {
        tower: gradient(tower).lower(*given).compile().as_text()
        for tower in (Tower(), Looped())
    }
    # Of convolutions: how many lines there are depends on the processor.
    counts = {tower: text.count("dim_labels=") for tower, text in programs.items()}
    assert 0 < counts[Looped()] < counts[Tower()] / 2
    assert "while" in programs[Looped()]


def test_modules_that_change_shapes_are_no_loop():
    """Their outputs are halves of their inputs, whatever their variables are."""

    class Halves(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            names = [f"conv{i}" for i in range(3)]
            convs = [layers.ConvNorm(3, stride=2, name=name) for name in names]
            return outlined.sequence(convs, x, train=train)

    image = jnp.ones((2, 16, 16, 3))
    variables = initial.variables(Halves(), image.shape[1:], seed=0)
    apply = lambda v, x: Halves().apply(v, x, train=False)
    assert jax.jit(apply)(variables, image).shape == (2, 2, 2, 3)
    assert " scan[" not in str(jax.make_jaxpr(apply)(variables, image))


@pytest.mark.parametrize("tower", TOWERS)
def test_evaluation_mode_changes_no_statistics(tower, given):
    call = lambda tower: tower.apply(*given, train=False, mutable=["batch_stats"])
    (found, changed), (expected, _) = call(tower()), call(Plain())
    equal({"y": found}, {"y": expected})
    equal(changed, {"batch_stats": given[0]["batch_stats"]}, 0)


@pytest.mark.parametrize("tower", TOWERS)
def test_leaves_and_initial_values_are_those_of_plain_calls(tower):
    outlined_, plain = (
        trees.flatten(initial.variables(one, SHAPE, seed=3))
        for one in (tower(), Plain())
    )
    assert "params/block4/conv2/norm/scale" in plain
    assert list(outlined_) == list(plain)
    assert all(outlined_[name].tobytes() == plain[name].tobytes() for name in plain)


@pytest.mark.parametrize(
    "frozen",
    [
        {"block2", "block2/conv1", "block2/conv2", "block2/conv1/norm"},
        {f"block{i}/conv1" for i in (1, 2, 3, 4)},
    ],
)
@pytest.mark.parametrize("tower", TOWERS)
def test_frozen_modules_run_in_evaluation_mode_and_no_others(tower, frozen, given):
    (_, changed), grads = gradient(tower(), frozen)(*given)
    (_, before), plain = gradient(Plain(), frozen)(*given)
    equal(changed, before)
    equal(grads, plain)
    still = lambda path: (at(changed, path) == at(given[0], path)).all()
    assert still("batch_stats/block2/conv1/norm/mean")
    assert still("batch_stats/block2/conv2/norm/mean") == ("block2" in frozen)
    assert not still("batch_stats/block3/conv2/norm/mean")


@pytest.mark.parametrize("tower", TOWERS)
def test_intermediates_are_those_of_each_module(tower, given):
    _, taken = tower().apply(*given, train=False, capture_intermediates=True)
    assert {"block3", "block4"} < set(taken["intermediates"])


def test_modules_that_draw_are_refused(given):
    class Drawing(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            return outlined.call(layers.Dropout(0.5, name="drop"), x, train=train)

    with pytest.raises(flax.errors.InvalidRngError):
        Drawing().apply({}, given[1], train=True, rngs={"dropout": jax.random.key(0)})


class Twice(nn.Module):
    """A frozen `conv1`, and a module with another one."""

    outline: bool

    @nn.compact
    def __call__(self, x, *, train):
        x = layers.ConvNorm(4, name="conv1")(x, train=train)
        block = Above(name="block")
        if self.outline:
            return outlined.call(block, x, train=train)
        return block(x, train=train)


class Above(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return layers.ConvNorm(4, name="conv1")(x, train=train)


def test_a_frozen_module_freezes_no_other_of_its_name_inside():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 6, 3)), jnp.float32)
    variables = initial.variables(Twice(False), (6, 6, 3), seed=0)
    found = []
    for outline in (False, True):
        with freezing.evaluating({"conv1", "conv1/conv", "conv1/norm"}):
            found.append(
                Twice(outline).apply(variables, x, train=True, mutable=["batch_stats"])
            )
    chex.assert_trees_all_close(*found, rtol=1e-5)
    mean = found[0][1]["batch_stats"]["block"]["conv1"]["norm"]["mean"]
    assert np.any(mean)
