import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, trees

PATHS = ["backbone/stem/kernel", "backbone/stem/bias", "heads_segmentation/kernel"]


def test_flat_paths_are_sorted_and_come_back():
    tree = {"b": {"y": 1, "x": {"z": 2}}, "a": 3}
    flat = trees.flatten(tree)
    assert list(flat.items()) == [("a", 3), ("b/x/z", 2), ("b/y", 1)]
    assert trees.unflatten(flat) == tree


def test_under_knows_borders():
    assert trees.under("backbone", "backbone/stem")
    assert trees.under("backbone", "backbone")
    assert not trees.under("backbone", "backbone2/stem")
    assert not trees.under("backbone/stem", "backbone")


def test_patterns_match_in_full():
    assert trees.matching("backbone/.*", PATHS, what="x") == PATHS[:2]
    with pytest.raises(errors.UserError, match="matches no leaf of 3"):
        trees.matching("backbone", PATHS, what="freeze")
    with pytest.raises(errors.UserError, match=r"freeze: '\(' is not a regex"):
        trees.matching("(", PATHS, what="freeze")


def test_a_pattern_without_a_leaf_is_explained():
    with pytest.raises(errors.UserError) as caught:
        trees.matching("backbone/stm/kernel", PATHS, what="freeze")
    text = str(caught.value)
    assert "freeze: pattern 'backbone/stm/kernel'" in text
    assert "Did you mean 'backbone/stem/kernel'?" in text


def test_the_first_match_wins():
    table = [["backbone/.*/bias", 2.0], ["backbone/.*", 0]]
    values = trees.first_match(table, PATHS, 1.0, what="multipliers")
    assert values == dict(zip(PATHS, [0, 2.0, 1.0]))


def test_in_a_table_each_pattern_must_match():
    table = [["backbone/.*", 0.0], ["heads_depth/.*", 0.0]]
    with pytest.raises(errors.UserError, match="heads_depth"):
        trees.first_match(table, PATHS, 1.0, what="multipliers")


@pytest.mark.parametrize("pair", [["backbone/.*"], ["backbone/.*", "0"], [0, "a"]])
def test_a_table_holds_pairs(pair):
    with pytest.raises(errors.UserError, match=r"allowed: \[regex, number from 0\]"):
        trees.first_match([pair], PATHS, 1.0, what="multipliers")


def test_sizes():
    tree = {"a": np.zeros((2, 3), np.float32), "b": jnp.zeros((), jnp.int8)}
    assert trees.num_parameters(tree) == 7
    assert trees.num_bytes(tree) == 25
    assert trees.num_parameters({}) == 0
