import jax
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.train import mesh
from tests.train import toy


def test_one_axis_over_all_devices():
    assert mesh.create().shape == {"data": 2}
    assert str(mesh.create().axis_types) == str((jax.sharding.AxisType.Auto,))


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
