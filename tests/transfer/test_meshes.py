"""A training whose state is divided over devices against one where it is not."""

import shutil

import numpy as np
import pytest

from jaxseg.core import jsonl, trees
from jaxseg.train import hooks
from jaxseg.transfer import artifact, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.running import status
from tests import tiny

RUN = {"log_every": 1, "checkpoint_every": 2}
UNET = {"backbone": {"name": "unet", "variant": "tiny"}, "head": {"name": "linear"}}


def stages(fsdp=1):
    """A source, and what starts from it, averages, and keeps the best weights."""
    own = {"steps": 5, "ema": 0.9, "eval_every": 2, "keep": "best", "model": UNET}
    section = tiny.candidate(0.01) | own | {"choose_by": "holdout"}
    section["run"] = RUN | {"mesh": {"fsdp": fsdp}}
    source = tiny.train(model=UNET, steps=1)
    return tiny.plan({"stages": {"source": source, "x": section}}).by_name


def stage(fsdp=1):
    return stages(fsdp)["x"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workdir with the source."""
    folder = tmp_path_factory.mktemp("made") / "workdir"
    run(stages()["source"], folder)
    return folder


@pytest.fixture
def workdir(made, tmp_path):
    return shutil.copytree(made, tmp_path / "workdir")


def run(one, workdir, interrupted=lambda: False):
    """(manifest, folder) after one try."""
    box = store.Store(workdir)
    outcome = runs.run_stages(
        [one], box, watcher=status.Watcher(), interrupted=interrupted
    )
    assert outcome.ok, outcome.errors
    return box.manifest(one.key), box.folder(one.key)


def results(manifest, folder):
    """(losses, metrics, one vector of all weights)."""
    rows = jsonl.read(folder / "metrics.jsonl")
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    metrics = {(m["evaluation"], m["name"]): m["value"] for m in manifest["metrics"]}
    weights = trees.flatten(artifact.load(folder).variables)
    return losses, metrics, np.concatenate([np.ravel(x) for x in weights.values()])


def alike(found, wanted):
    assert len(found[0]) == 5 and found[0] == pytest.approx(wanted[0], rel=1e-5)
    assert found[1] == pytest.approx(wanted[1], abs=1e-4)
    assert np.linalg.norm(found[2] - wanted[2]) < 1e-4 * np.linalg.norm(wanted[2])


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "workdir"
    return results(*run(stage(), shutil.copytree(made, workdir)))


@pytest.mark.slow
def test_divided_and_goes_on_undivided(whole, workdir, caplog):
    """Checkpoints and weights do not depend on the mesh, and neither does the key."""
    one = stage(fsdp=2)
    assert one.key == stage().key
    asked = iter([False, False, True])
    with pytest.raises(hooks.Interrupted):
        run(one, workdir, interrupted=asked.__next__)
    manifest, folder = run(stage(), workdir)
    (text,) = [r.getMessage() for r in caplog.records if "goes on" in r.getMessage()]
    assert "devices 2 x cpu (was 2 x cpu, fsdp 2): the last digits may differ" in text
    devices = [row["devices"] for row in manifest["environments"]]
    assert devices == ["2 x cpu, fsdp 2", "2 x cpu"]
    alike(results(manifest, folder), whole)


def test_undivided_and_goes_on_divided_to_the_end(whole, workdir):
    asked = iter([False, False, True])
    with pytest.raises(hooks.Interrupted):
        run(stage(), workdir, interrupted=asked.__next__)
    manifest, folder = run(stage(fsdp=2), workdir)
    assert manifest["devices"] == "2 x cpu, fsdp 2"
    alike(results(manifest, folder), whole)


def test_a_mesh_of_other_devices_is_refused(workdir):
    one = stage(fsdp=3)
    outcome = runs.run_stages(
        [one], store.Store(workdir), watcher=status.Watcher(), interrupted=lambda: False
    )
    assert "run/mesh: found data=None, fsdp=3, but 2 devices" in outcome.errors["x"]
