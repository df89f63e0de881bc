import ast
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.train import mesh
from tests.train import toy

GOLDEN = Path(__file__).parent.parent / "golden"
FOUR = jax.sharding.AbstractMesh((1, 4), mesh.AXES)


def test_two_axes_over_all_devices():
    assert mesh.create().shape == {"data": 2, "fsdp": 1}
    assert mesh.create(fsdp=2).shape == {"data": 1, "fsdp": 2}
    assert mesh.create(data=1, fsdp=2) == mesh.create(fsdp=2)
    assert set(mesh.create().axis_types) == {jax.sharding.AxisType.Auto}
    assert mesh.described(mesh.create()) == "2 x cpu"
    assert mesh.described(mesh.create(fsdp=2)) == "2 x cpu, fsdp 2"


@pytest.mark.parametrize("data, fsdp", [(None, 4), (None, 3), (1, 1), (2, 2), (4, 1)])
def test_axes_of_another_number_of_devices_are_refused(data, fsdp):
    with pytest.raises(errors.UserError) as caught:
        mesh.create(data, fsdp)
    assert str(caught.value) == (
        f"run/mesh: found data={data}, fsdp={fsdp}, but 2 devices; allowed: data x "
        "fsdp = 2. Fix: leave out data, and an fsdp of [1, 2]"
    )


@pytest.mark.parametrize(
    "shape, axis",
    [
        ((64, 192), 1),
        ((192, 64), 0),
        ((3, 3, 8, 8), 2),  # the first of the largest
        ((6, 4), 1),  # the largest that 4 divides
        ((8,), 0),
        ((6, 10), None),
        ((), None),
    ],
)
def test_the_largest_axis_that_divides(shape, axis):
    leaf = jax.ShapeDtypeStruct(shape, np.float32)
    spec = mesh.shardings(leaf, FOUR).spec
    assert [n for n, name in enumerate(spec) if name == "fsdp"] == (
        [] if axis is None else [axis]
    )
    count = jax.ShapeDtypeStruct(shape, np.int32)
    assert not any(mesh.shardings(count, FOUR).spec)
    one = jax.sharding.AbstractMesh((4, 1), mesh.AXES)
    assert not any(mesh.shardings(leaf, one).spec)


@pytest.mark.parametrize("name", ["vit_l16", "hrnet_w48", "resnet_101", "unet_base"])
def test_a_device_has_a_quarter_of_a_large_network(name):
    lines = (GOLDEN / f"{name}.txt").read_text().splitlines()
    shapes = [ast.literal_eval(line.split(" ", 1)[1]) for line in lines]
    whole = part = 0
    for shape in shapes:
        leaf = jax.ShapeDtypeStruct(shape, np.float32)
        whole += np.prod(shape)
        part += np.prod(mesh.shardings(leaf, FOUR).shard_shape(shape))
    assert whole > 4e6 and 0.25 <= part / whole < 0.251


def test_a_divided_state_is_whole_again():
    leaves = {"w": np.arange(8.0, dtype=np.float32).reshape(2, 4), "n": np.arange(4)}
    divided = mesh.put_state(leaves, mesh.create(fsdp=2))
    first, second = (shard.data.tolist() for shard in divided["w"].addressable_shards)
    assert (first, second) == ([[0, 1], [4, 5]], [[2, 3], [6, 7]])
    assert divided["n"].is_fully_replicated
    whole = mesh.replicated(divided)
    assert whole["n"] is divided["n"] and whole["w"].is_fully_replicated
    np.testing.assert_array_equal(whole["w"], leaves["w"])


def test_a_batch_is_split_and_a_state_is_everywhere():
    made = mesh.put_batch({"image": np.arange(8.0).reshape(4, 2)}, mesh.create())
    rows = [shard.data.tolist() for shard in made["image"].addressable_shards]
    assert rows == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    copies = mesh.put_state({"w": np.ones(3)}, mesh.create())["w"].addressable_shards
    assert [copy.data.tolist() for copy in copies] == [[1, 1, 1]] * 2


def test_a_batch_that_does_not_split_is_refused():
    mesh.check_batch(8, toy.on(2), accumulate=4)
    with pytest.raises(errors.UserError) as caught:
        mesh.check_batch(10, toy.on(2), accumulate=2)
    assert "found 10" in str(caught.value) and "[8, 12]" in str(caught.value)
    with pytest.raises(errors.UserError, match=r"Nearest that do: \[2\]"):
        mesh.check_batch(1, toy.on(2))


def test_processes_that_were_not_joined_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    with pytest.raises(errors.UserError, match=r"found 4 processes .*coordinator=auto"):
        mesh.create()


def test_round_up():
    assert [mesh.round_up(n, toy.on(2)) for n in (1, 2, 3)] == [2, 2, 4]
