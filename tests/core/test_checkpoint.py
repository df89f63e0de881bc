import json
import logging
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxseg.core import checkpoint, errors, hashing


def tree(seed=0):
    rng = np.random.default_rng(seed)
    odd = np.array([np.nan, -0.0, np.inf, 1e-45], np.float32)
    return {
        "params": {"a": {"kernel": rng.normal(size=(3, 4)).astype(np.float32)}},
        "odd": odd,
        "step": np.int32(7),
        "flag": np.array([True, False]),
        "opt:0:mu:a/b": np.arange(3, dtype=np.uint32),
    }


def assert_same_bits(one, other):
    flat, shape = jax.tree.flatten(one)
    flat2, shape2 = jax.tree.flatten(other)
    assert shape == shape2
    for a, b in zip(flat, flat2):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def test_a_tree_comes_back_bit_for_bit(tmp_path):
    checkpoint.save_tree(tmp_path / "state", tree())
    assert_same_bits(checkpoint.restore_tree(tmp_path / "state"), tree())


def test_arrays_on_devices_are_saved(tmp_path):
    value = {"a": jnp.arange(4.0), "b": {"c": jnp.ones((2, 2), jnp.bfloat16)}}
    checkpoint.save_tree(tmp_path / "state", value)
    assert_same_bits(checkpoint.restore_tree(tmp_path / "state"), value)


def test_parts_on_devices_are_restored_onto_others(tmp_path):
    """The files have the names that they have without devices."""
    mesh = jax.make_mesh((2,), ("x",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, spec) for spec in (P("x"), P()))
    values = {"a": np.arange(4.0), "b": np.ones((2, 3))}
    values = {name: value.astype(np.float32) for name, value in values.items()}
    checkpoint.save_tree(tmp_path / "state", jax.device_put(values, split))
    assert {path.name for path in (tmp_path / "state").iterdir()} == {
        "_CHECKPOINT_METADATA",
        "_METADATA",
        "commit_success.txt",
        "d",
        "manifest.ocdbt",
        "ocdbt.process_0",
    }
    for sharding in (split, whole):
        like = {
            name: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=sharding)
            for name, value in values.items()
        }
        found = checkpoint.restore_tree(tmp_path / "state", like)
        assert_same_bits(found, values)
        assert all(leaf.sharding == sharding for leaf in found.values())


def test_what_a_killed_try_left_is_overwritten(tmp_path):
    checkpoint.save_tree(tmp_path / "weights", tree(1))
    (tmp_path / "weights.orbax-checkpoint-tmp-1").mkdir()
    checkpoint.save_tree(tmp_path / "weights", tree(2))
    assert_same_bits(checkpoint.restore_tree(tmp_path / "weights"), tree(2))
    assert [p.name for p in tmp_path.iterdir()] == ["weights"]


def test_a_tree_beside_it_of_a_longer_name_stays(tmp_path):
    for name in ("state", "state_of_old", "state"):
        checkpoint.save_tree(tmp_path / name, tree())
    assert (tmp_path / "state_of_old").is_dir()


def test_a_slow_save_holds_what_was_true_when_it_began(tmp_path, monkeypatch):
    """Hooks hand over lists that they go on filling while the thread writes."""
    began, go_on, finish = threading.Event(), threading.Event(), checkpoint.finish

    def slowly(writing):
        began.set()
        assert go_on.wait(10)
        finish(writing)

    monkeypatch.setattr(checkpoint, "finish", slowly)
    meta = {"window": [{"loss": 1.0}], "best": {"bad": 0}}
    checkpoints = checkpoint.Checkpoints(tmp_path)
    checkpoints.save(3, tree(), meta)
    assert began.wait(10)
    meta["window"].append({"loss": 2.0})
    meta["best"]["bad"] = 1
    go_on.set()
    checkpoints.wait()
    _, stored = checkpoints.restore()
    assert stored["window"] == [{"loss": 1.0}] and stored["best"] == {"bad": 0}


def test_a_flipped_byte_in_each_stored_file_is_named(tmp_path):
    checkpoint.save_tree(tmp_path / "state", tree())
    sums = hashing.folder_sums(tmp_path)
    assert sums
    checkpoint.check_sums(tmp_path, sums)
    for name in sums:
        path = tmp_path / name
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1} if whole else ():
            path.write_bytes(flipped(whole, place))
            with pytest.raises(errors.Damaged) as caught:
                checkpoint.check_sums(tmp_path, sums, fix="remove it")
            assert str(path) in str(caught.value) and "remove it" in str(caught.value)
        path.unlink()
        with pytest.raises(errors.Damaged, match="no such file"):
            checkpoint.check_sums(tmp_path, sums)
        path.write_bytes(whole)
    checkpoint.check_sums(tmp_path, sums)


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.fixture
def saved(tmp_path):
    """Four checkpoints were saved, of which the newest two are left."""
    box = checkpoint.Checkpoints(tmp_path / "checkpoints")
    assert box.restore() is None
    for step in (2, 10, 9, 4):  # in any order: the highest step is the newest
        box.save(step, tree(step), {"best": {"value": step / 2}})
    box.wait()
    return box


def test_the_newest_two_are_kept(saved):
    assert sorted(p.name for p in saved.folder.iterdir()) == [
        "step_00000009",
        "step_00000010",
    ]
    found, meta = saved.restore()
    assert_same_bits(found, tree(10))
    assert meta["step"] == 10 and meta["best"] == {"value": 5.0}


def test_saving_a_step_again_replaces_it(saved):
    saved.save(10, tree(77), {})
    saved.wait()
    assert_same_bits(saved.restore()[0], tree(77))


def test_a_damaged_newest_falls_back_with_a_warning(saved, caplog):
    names = [p for p in (saved.folder / "step_00000010").rglob("*") if p.is_file()]
    assert len(names) > 2
    for path in names:
        whole = path.read_bytes()
        if not whole:
            continue
        path.write_bytes(flipped(whole, len(whole) // 2))
        with caplog.at_level(logging.WARNING):
            found, meta = saved.restore()
        assert meta["step"] == 9
        assert str(path) in caplog.text and "before it" in caplog.text
        assert_same_bits(found, tree(9))
        path.write_bytes(whole)
        caplog.clear()
    assert saved.restore()[1]["step"] == 10 and not caplog.text


def test_all_damaged_means_none(saved, caplog):
    for path in saved.folder.rglob("meta.json"):
        path.write_text(path.read_text().replace('"value": ', '"value": 1'))
    with caplog.at_level(logging.WARNING):
        assert saved.restore() is None
    assert caplog.text.count("checksum disagrees") == 2


def test_an_unfinished_one_is_ignored(saved):
    source = saved.folder / "step_00000010"
    shutil.copytree(source, saved.folder / "step_00000011")
    (saved.folder / "step_00000011" / "meta.json").unlink()
    assert saved.restore()[1]["step"] == 10
    saved.save(11, tree(11), {})  # and is no obstacle
    saved.wait()
    assert_same_bits(saved.restore()[0], tree(11))


def test_an_error_while_writing_surfaces_at_wait(tmp_path, monkeypatch):
    def full(writing):
        raise OSError(28, "No space left on device")

    box = checkpoint.Checkpoints(tmp_path)
    monkeypatch.setattr(checkpoint, "finish", full)
    box.save(1, tree(), {})
    with pytest.raises(OSError, match="No space left"):
        box.wait()
    box.wait()  # told once
    box.save(2, tree(), {})
    with pytest.raises(OSError, match="No space left"):
        box.save(3, tree(), {})  # or by the save after it
    assert box.restore() is None


def test_what_is_saved_is_of_the_moment_of_saving(tmp_path):
    """The step after it takes the state's memory while the thread still writes."""
    double = jax.jit(lambda x: x * 2, donate_argnums=0)
    value = jnp.arange(200_000.0)
    expected = np.array(value)
    box = checkpoint.Checkpoints(tmp_path)
    box.save(1, {"x": value}, {})
    for _ in range(5):
        value = double(value)
    jax.block_until_ready(value)
    box.wait()
    assert_same_bits(box.restore()[0], {"x": expected})


def test_meta_is_plain_json(saved):
    meta = json.loads((saved.folder / "step_00000010" / "meta.json").read_text())
    assert set(meta) == {"best", "files", "self", "step"}
    assert all(name.startswith("state/") for name in meta["files"])
