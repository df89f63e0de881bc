import chex
import jax
import numpy as np
import pytest

from jaxseg.train import optim, state
from tests.train import toy


@pytest.mark.parametrize("name, ema", [("sgd", False), ("adamw", True)])
def test_flat_and_back(name, ema):
    tx = optim.build(name, weight_decay=0.1, clip=1.0)
    one = state.create(toy.variables(seed=1), tx, seed=3, ema=ema)
    other = state.create(toy.variables(seed=2), tx, seed=4, ema=ema)
    flat = state.to_flat(one)
    assert all("/" not in name for name in flat)
    assert ("ema:params:heads_segmentation:kernel" in flat) == ema
    assert ("ema:batch_stats:norm:mean" in flat) == ema
    assert {"step", "rng", "collections:batch_stats:norm:mean"} <= flat.keys()
    back = state.from_flat(other, flat)
    chex.assert_trees_all_equal(back, one)


def test_what_is_evaluated():
    tx = optim.build("sgd")
    plain = state.create(toy.variables(), tx, seed=0, ema=False)
    assert plain.variables()["params"] is plain.params
    averaged = state.create(toy.variables(), tx, seed=0, ema=True)
    averaged = averaged.replace(params=None, collections=None)
    found = averaged.variables()
    assert found is averaged.ema
    assert set(found) == {"params", "batch_stats"}


def test_the_average_of_whole_numbers_is_a_copy():
    start = {"params": {"w": np.zeros(2, np.float32)}, "seen": {"n": np.int32(0)}}
    one = state.create(start, optim.build("sgd"), seed=0, ema=True)
    moved = one.replace(
        ema_steps={"w": np.int32(998), "n": np.int32(998)},
        params={"w": np.ones(2, np.float32)},
        collections={"seen": {"n": np.int32(7)}},
    )
    found = moved.averaged(0.9).ema
    np.testing.assert_allclose(found["params"]["w"], [0.1, 0.1], rtol=1e-6)
    assert int(found["seen"]["n"]) == 7


def test_the_average_of_a_head_counts_the_steps_of_that_head():
    """By the steps of all its first would keep (1 + 4) / (10 + 4) of its start."""
    tops = ("backbone", "heads_a", "heads_b")
    start = {
        kind: {top: {"w": np.zeros(2, np.float32)} for top in tops}
        for kind in ("params", "batch_stats")
    }
    one = state.create(start, optim.build("sgd"), seed=0, ema=True)
    ones = jax.tree.map(np.ones_like, start)
    one = one.replace(
        params=ones["params"], collections={"batch_stats": ones["batch_stats"]}
    )
    for step, head in enumerate(("heads_a", "heads_a", "heads_a", "heads_b")):
        one = one.replace(step=np.int32(step + 1))  # as `optim.update` leaves it
        one = one.averaged(0.9, ("backbone", head))
    rests = np.cumprod([2 / 11, 3 / 12, 4 / 13, 5 / 14])  # what is left of the zeros
    wanted = {"backbone": 1 - rests[3], "heads_a": 1 - rests[2], "heads_b": 9 / 11}
    for tree in one.ema.values():
        found = {top: float(leaf["w"][0]) for top, leaf in tree.items()}
        assert found == pytest.approx(wanted, rel=1e-6)


def test_the_mean_does_not_share_memory_with_the_parameters():
    """The step donates the whole state: no buffer may be in it twice."""
    variables = jax.device_put(toy.variables())
    one = state.create(variables, optim.build("sgd"), seed=0, ema=True)
    for a, b in zip(jax.tree.leaves(variables), jax.tree.leaves(one.ema)):
        assert a.unsafe_buffer_pointer() != b.unsafe_buffer_pointer()
