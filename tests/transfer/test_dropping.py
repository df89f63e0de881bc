"""store="metrics": weights go once nothing needs them, and come back where it does."""

import os
import shutil
from pathlib import Path

import pytest

from jaxseg import artifacts
from jaxseg.core import errors
from jaxseg.core import manifest as manifests
from jaxseg.transfer import artifact, store
from jaxseg.transfer import run as runs
from tests import tiny

TRAINED = ("source", "target/a", "target/b", "target")
APART = {
    "kind": "measure",
    "parents": {"P": "source", "Ft": "target/a"},
    "analysis": {"name": "parameter_distance"},
}


def config(kept="metrics", **more):
    """That of the tiny workdir, whose keys `store` leaves as they are."""
    stages = tiny.config()["stages"] | more
    for one in stages.values():
        if one["kind"] == "train":
            one["store"] = kept
    return {"study": "tiny", "stages": stages}


def folders(workdir):
    return {name: tiny.artifact(name, workdir) for name in TRAINED}


@pytest.fixture
def dropped(tmp_path):
    """A workdir without weights."""
    workdir = tiny.copy(tmp_path)
    outcome = runs.run(config(), workdir)
    assert outcome.ok and set(outcome.states.values()) == {"cached"}, outcome.errors
    return workdir


def test_weights_go_and_all_else_stays(dropped, capsys):
    box = store.Store(dropped)
    for name, folder in folders(dropped).items():
        before = manifests.read(tiny.artifact(name))
        after = box.verify(tiny.key(name))
        assert not (folder / "weights").exists()
        assert after["dropped"] == ["weights"]
        kept = {k: v for k, v in before["files"].items() if k[:8] != "weights/"}
        assert after["files"] == kept and kept != before["files"]
        same = before.keys() - {"files", "self"}
        assert {k: after[k] for k in same} == {k: before[k] for k in same}
        assert manifests.extra(folder) == []
    with pytest.raises(errors.UserError, match=r"source were dropped.*store=\"all\""):
        _ = artifact.load(folders(dropped)["source"]).variables
    capsys.readouterr()
    assert artifacts.main(["list", "--verify", f"--workdir={dropped}"]) == 0
    assert capsys.readouterr().out.count("without weights  ok") == len(TRAINED)


def test_a_stage_that_needs_them_has_them_made_again(dropped, capsys):
    before = {n: manifests.read(f)["weights"] for n, f in folders(dropped).items()}
    outcome = runs.run(config(apart=APART), dropped)
    assert outcome.ok, outcome.errors
    made = {name for name, state in outcome.states.items() if state == "done"}
    assert made == {"source", "target/a", "apart"}  # b and the refit stay as they are
    text = " ".join(capsys.readouterr().out.split())
    assert "source its weights were dropped and target/a needs them: made again" in text
    after = {n: manifests.read(f) for n, f in folders(dropped).items()}
    assert {n: m["weights"] for n, m in after.items()} == before
    assert all(manifests.dropped(one) for one in after.values())
    assert not any((f / "weights").exists() for f in folders(dropped).values())
    assert set(runs.run(config(apart=APART), dropped).states.values()) == {"cached"}


def test_store_all_brings_them_back(dropped):
    given = config()
    given["stages"]["target/b"]["store"] = "all"
    outcome = runs.run(given, dropped, only="target/b")
    assert outcome.states == {"source": "done", "target/b": "done"}
    own = tiny.artifact("target/b", dropped)
    assert "dropped" not in store.Store(dropped).verify(tiny.key("target/b"))
    assert artifact.load(own).variables["params"]
    assert not (folders(dropped)["source"] / "weights").exists()


def test_weights_stay_while_the_plan_needs_them(tmp_path):
    workdir = tiny.copy(tmp_path)
    store.Store(workdir).remove(tiny.key("target"))  # its refit starts from the source
    outcome = runs.run(config(), workdir, only="source|target/.*")
    assert outcome.ok
    there = {n: (f / "weights").is_dir() for n, f in folders(workdir).items()}
    candidates = {"target/a": False, "target/b": False}
    assert there == {"source": True, "target": False} | candidates
    assert runs.run(config(), workdir).states["target"] == "done"
    assert not (folders(workdir)["source"] / "weights").exists()


def test_a_selection_without_refit_passes_its_winners_weights_on(tmp_path):
    workdir, given = tiny.copy(tmp_path), config()
    select = given["stages"]["target"] | {"refit": False, "columns": []}
    child = tiny.candidate(0.1) | {"parents": {"start": "chosen"}}
    given["stages"] |= {"chosen": select, "child": child}
    assert runs.run(given, workdir, only="chosen").ok
    assert (folders(workdir)["target/a"] / "weights").is_dir()
    assert runs.run(given, workdir).ok
    assert not (folders(workdir)["target/a"] / "weights").exists()


def test_a_kill_between_manifest_and_deletion(tmp_path, monkeypatch):
    workdir = tiny.copy(tmp_path)
    box, folder = store.Store(workdir), folders(workdir)["target"]

    def kill(path, **_):
        (next(path.rglob("*.json"), None) or path / "x").unlink(missing_ok=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(store.shutil, "rmtree", kill)
    with pytest.raises(KeyboardInterrupt):
        box.drop(tiny.key("target"))
    monkeypatch.undo()
    assert (folder / "weights").is_dir()
    assert box.verify(tiny.key("target"))["dropped"] == ["weights"]
    assert runs.run(config(), workdir).ok
    assert not (folder / "weights").exists()


def test_a_kill_while_they_are_made_again(dropped, monkeypatch):
    """Just before the rename: the artifact is gone, what replaces it is whole."""

    rename = os.rename

    def kill(folder, final):
        if Path(folder).name == "artifact":
            raise KeyboardInterrupt
        rename(folder, final)

    monkeypatch.setattr(store.os, "rename", kill)
    with pytest.raises(KeyboardInterrupt):
        runs.run(config(apart=APART), dropped)
    monkeypatch.undo()
    assert not store.Store(dropped).done(tiny.key("source"))
    outcome = runs.run(config(apart=APART), dropped)
    assert outcome.ok and outcome.states["apart"] == "done"


def test_missing_weights_that_were_not_dropped_are_damage(tmp_path):
    workdir = tiny.copy(tmp_path)
    shutil.rmtree(folders(workdir)["target"] / "weights")
    with pytest.raises(errors.Damaged, match="weights/"):
        store.Store(workdir).verify(tiny.key("target"))
    assert runs.run(config(), workdir).states["target"] == "failed"


def test_no_key_knows_of_it():
    keys = [
        [one.key for one in tiny.plan(config(kept)).stages]
        for kept in ("all", "metrics")
    ]
    assert keys[0] == keys[1] == [one.key for one in tiny.plan(tiny.config()).stages]
