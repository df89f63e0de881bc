"""What training begins with is what was taken, and the manifest says whose it is."""

import jax
import numpy as np
import pytest
import safetensors.numpy

from jaxseg.core import errors, jsonl, licences, trees
from jaxseg.core import manifest as manifests
from jaxseg.data import catalogue
from jaxseg.train import mesh
from jaxseg.train import state as states
from jaxseg.transfer import artifact, store, stored
from jaxseg.transfer import run as runs
from jaxseg.transfer.training import receipts
from tests import tiny

LEAF = "params/backbone/stem/conv1/conv/kernel"


def child(**changes):
    """A stage that starts from the source and trains one step."""
    return tiny.candidate(0.001) | {"steps": 1} | changes


def run(workdir, **changes):
    """(Outcome, folder of the child) in a workdir that has the source."""
    stages = tiny.config()["stages"] | {"child": child(**changes)}
    outcome = runs.run({"study": "more", "stages": stages}, workdir, only="child")
    key = tiny.plan({"stages": stages}).by_name["child"].key
    return outcome, store.Store(workdir).folder(key)


def zeroed(tree):
    """The tree with one leaf of the backbone overwritten."""
    flat = trees.flatten(tree)
    return trees.unflatten(flat | {LEAF: jax.numpy.zeros_like(flat[LEAF])})


def test_a_leaf_that_is_initialised_again_stops_the_run(tmp_path, monkeypatch):
    workdir, put = tiny.copy(tmp_path), mesh.put_state

    def tampered(state, where):
        if isinstance(state, states.TrainState):
            params = zeroed({"params": state.params})["params"]
            state = state.replace(params=params)
        return put(state, where)

    monkeypatch.setattr(mesh, "put_state", tampered)
    outcome, folder = run(workdir)
    assert outcome.states["child"] == "failed" and not folder.exists()
    text = outcome.errors["child"]
    assert text.startswith(f"{LEAF}: taken from source with sum ")
    assert "the parameters at step 0 hold sum 0 and norm 0" in text


def test_an_average_that_begins_elsewhere_stops_the_run(tmp_path, monkeypatch):
    workdir, create = tiny.copy(tmp_path), states.create

    def tampered(variables, tx, **options):
        state, other = (
            create(v, tx, **options) for v in (variables, zeroed(variables))
        )
        return state.replace(ema=other.ema)

    monkeypatch.setattr(states, "create", tampered)
    outcome, _ = run(workdir, ema=0.9)
    assert "their average (ema) at step 0 hold sum 0" in outcome.errors["child"]


def test_the_receipt_has_the_fingerprint_of_every_leaf_taken():
    (row,) = jsonl.read_json(tiny.artifact("target/a") / "receipt.json")
    source = trees.flatten(artifact.load(tiny.artifact("source")).variables)
    assert set(row["fingerprints"]) == set(row["copied"])
    for path, found in row["fingerprints"].items():
        leaf = np.float64(source[path])
        assert found["sum"] == pytest.approx(leaf.sum(), rel=1e-12, abs=1e-12)
        assert found["norm"] == pytest.approx(np.linalg.norm(leaf.ravel()), rel=1e-12)
    manifest = manifests.read(tiny.artifact("source"))
    assert row["source_weights"] == manifest["weights"]


def test_two_values_that_change_places_are_another_leaf():
    one, other = np.float32([1, 2, 3]), np.float32([2, 1, 3])
    assert receipts.fingerprint(one)["sum"] == receipts.fingerprint(other)["sum"]
    assert receipts.fingerprint(one) != receipts.fingerprint(other)


def test_a_resumed_training_refuses_a_parent_that_was_made_again(tmp_path):
    (row,) = jsonl.read_json(tiny.artifact("target/a") / "receipt.json")
    receipts.compare([row], [row], tmp_path)
    changed = {LEAF: receipts.fingerprint(np.zeros(3))}
    other = row | {"fingerprints": row["fingerprints"] | changed}
    with pytest.raises(errors.UserError, match=r"began with other weights of source"):
        receipts.compare([row], [other], tmp_path)


def test_weights_of_a_folder_that_was_made_again_are_read_again(tmp_path):
    """The same path, another content: nothing is remembered by path alone."""
    workdir = tiny.copy(tmp_path)
    folder, other = (tiny.artifact(n, workdir) for n in ("target/a", "target/b"))
    loaded = artifact.load(folder)
    before = loaded.variables
    box, keys = store.Store(workdir), [tiny.key(n) for n in ("target/a", "target/b")]
    made_again = box.manifest(keys[1]) | {"key": keys[0]}
    del made_again["self"]
    box.remove(keys[0])
    other.rename(folder)
    jsonl.write_sealed(folder / manifests.FILE, made_again)
    after = artifact.load(folder).variables
    kernels = [trees.flatten(v)[LEAF] for v in (before, after)]
    assert not np.array_equal(*kernels)
    same = trees.flatten(loaded.variables)[LEAF]  # what its manifest speaks of
    assert np.array_equal(same, kernels[0])
    stored.load.cache_clear()
    with pytest.raises(errors.UserError, match="was made again after it was loaded"):
        _ = loaded.variables


def test_licences_of_data_and_of_weights_reach_all_that_comes_of_them(tmp_path):
    source = trees.flatten(artifact.load(tiny.artifact("source")).variables)
    path, flat = tmp_path / "w.safetensors", {}
    for name, leaf in source.items():
        flat[name] = np.ascontiguousarray(leaf)
    file = dict(kind="imported", file=str(path), model=tiny.MODEL)
    stages = {"said": file | {"licence": "CC BY-NC 4.0"}, "file": file}
    safetensors.numpy.save_file(flat, path, metadata={"license": "mit"})
    for name in ("said", "file"):
        stages[f"{name}/child"] = child(parents={"start": name})
    stages["best"] = dict(
        kind="select", parents={n: f"{n}/child" for n in ("said", "file")}
    )
    outcome = runs.run({"stages": stages}, tmp_path / "run")
    assert outcome.ok, outcome.errors
    box, plan = store.Store(tmp_path / "run"), tiny.plan({"stages": stages})

    def listed(name):
        rows = box.manifest(plan.by_name[name].key)["licences"]
        return [(row["of"], row["licence"], row["noncommercial"]) for row in rows]

    own = ("worlds/driving_night", "part of jaxseg (Apache-2.0)", False)
    said, mit = (path.name, "CC BY-NC 4.0", True), (path.name, "mit", False)
    assert listed("said") == [said] and listed("file") == [mit]
    assert listed("said/child") == [own, said] and listed("file/child") == [own, mit]
    assert set(listed("best")) == {own, said, mit}


RESEARCH_ONLY = {  # files of the catalogue whose text allows no commercial use
    *("ade20k", "bdd", "camvid", "cityscapes", "dogs", "idd", "ilsvrc", "isaid"),
    *("isprs", "kitti", "mapillary", "mpii", "nyu", "pascal_context", "scannet"),
    *("seven_scenes", "suim", "sun_rgbd", "vgallery", "vkitti"),
}


def test_which_sets_of_the_catalogue_are_not_for_commerce():
    found = set()
    for name in catalogue.names():
        row = licences.row(name, catalogue.find(name).licence)
        assert row["licence"]
        if row["noncommercial"]:
            found.add(name.split("/")[0])
    assert found == RESEARCH_ONLY


@pytest.mark.parametrize(
    "text, closed",
    [
        ("cc-by-nc-4.0", True),
        ("Noncommercial", True),
        ("MIT; weights for research", True),
        ("research only", True),
        ("apache-2.0, Google Research", False),
        ("AFL-3.0, Academic Free License", False),
        ("CC BY-SA 4.0", False),
        ("", False),
    ],
)
def test_texts_of_licences(text, closed):
    assert licences.row("x", text)["noncommercial"] is closed
    assert licences.row("x", "")["licence"] == "not stated"
