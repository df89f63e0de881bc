"""Two processes with four devices each against one process with eight."""

import functools
import time

import numpy as np
import pytest

from jaxseg.core import hashing, jsonl, trees
from jaxseg.core import manifest as manifests
from jaxseg.data import source as source_lib
from jaxseg.transfer import artifact
from tests.hosts import processes

pytestmark = pytest.mark.slow  # each compiles what it runs for eight devices
FEW = ("segmentation", "detection", "depth", "divided")
REST = ("keypoints", "classification", "depth", "candidate", "chosen")


def start(workdir, stages, devices, count=1):
    names = "+".join(stages)
    flags = [f"--config={processes.FIVE}:{names}", f"--workdir={workdir}"]
    return processes.start(flags, devices, count)


def artifacts(workdir):
    """{stage: (manifest, rows of its log)}."""
    found = {}
    for folder in (workdir / "artifacts").iterdir():
        manifest = manifests.check(folder)
        found[manifest["name"]] = (manifest, jsonl.read(folder / "metrics.jsonl"))
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory, user_cache):
    """Artifacts of several stages, by one process and by two."""

    @functools.cache
    def make(stages):
        made = []
        for devices, count in ((8, 1), (4, 2)):
            workdir = tmp_path_factory.mktemp(f"by{count}")
            started = start(workdir, stages, devices, count)
            for code, text in processes.ended(started, 900):
                assert code == 0, text
            assert not list((workdir / "running").iterdir())
            made.append(artifacts(workdir))
        return made

    return make


@pytest.mark.parametrize(
    "stages, stage",
    [(FEW, stage) for stage in FEW]
    + [pytest.param(REST, stage, marks=pytest.mark.release) for stage in REST],
)
def test_the_same_key_losses_and_metrics(both, stages, stage):
    (alone, log), (shared, shared_log) = (made[stage] for made in both(stages))
    assert alone["key"] == shared["key"] and alone["devices"] == shared["devices"]
    losses, others = (
        [row["loss"] for row in rows if row["kind"] == "train"]
        for rows in (log, shared_log)
    )
    assert len(losses) >= 2 and others == pytest.approx(losses, rel=1e-5)
    metrics, theirs = (
        {(row["evaluation"], row["name"]): row["value"] for row in manifest["metrics"]}
        for manifest in (alone, shared)
    )
    assert metrics and theirs == pytest.approx(metrics, abs=1e-4)


@pytest.mark.release  # beside the tests of the kind in one process
def test_the_same_pseudo_labels(tmp_path, user_cache):
    """Each process explains a share of every batch; both know all of them."""
    found = []
    for devices, count in ((8, 1), (4, 2)):
        workdir = tmp_path / str(count)
        stages = ("classification", "explained")
        for code, text in processes.ended(start(workdir, stages, devices, count), 900):
            assert code == 0, text
        (root,) = workdir.glob("artifacts/*/dataset")
        found.append(source_lib.open("deciles/shards", split="train", root=root))
    alone, shared = found
    assert len(alone) == len(shared) == 11
    for one, other in zip(alone, shared):
        assert one["id"] == other["id"]
        np.testing.assert_array_equal(one["image"], other["image"])
        same = one["segmentation"] == other["segmentation"]
        assert same.mean() > 0.99  # sums of other orders: ranks at a border may swap


def wait_for(workdir, step, started):
    """Until there is a checkpoint of that step or a later one."""
    end = time.monotonic() + 200
    while time.monotonic() < end:
        found = workdir.glob("running/*/checkpoints/step_*/meta.json")
        if any(int(path.parent.name[5:]) >= step for path in found):
            return
        assert all(one.poll() is None for one in started)
        time.sleep(0.1)
    raise AssertionError("no checkpoint")


def kill(workdir, place, step, stage="long"):
    """Two processes of which one is killed at a step: both end within a minute."""
    started = start(workdir, [stage], 4, 2)
    try:
        wait_for(workdir, step, started)
        started[place].kill()
        begin = time.monotonic()
        results = processes.ended(started, 60)
    finally:
        for one in started:
            one.kill()
    assert results[place][0] == -9 and results[1 - place][0] != 0, results
    assert not list(workdir.glob("artifacts/*"))
    return time.monotonic() - begin


def test_one_is_killed_and_the_next_run_resumes(tmp_path, user_cache):
    for place, step in ((1, 5), (0, 20)):
        assert kill(tmp_path, place, step) < 60
    ((code, text),) = processes.ended(start(tmp_path, ["long"], 4))
    assert code == 0, text
    assert "stage long goes on after step " in text
    assert "devices 4 x cpu (was 8 x cpu): the last digits may differ" in text
    manifest, log = artifacts(tmp_path)["long"]
    assert [row["step"] for row in log if row["kind"] == "train"] == list(range(1, 201))
    assert [row["devices"] for row in manifest["environments"]] == [
        "8 x cpu",
        "4 x cpu",
    ]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, user_cache):
    """(weights, losses) of a divided state that two processes train to the end."""
    workdir = tmp_path_factory.mktemp("unbroken")
    for code, text in processes.ended(start(workdir, ["split"], 4, 2)):
        assert code == 0, text
    return outcome(workdir)


def outcome(workdir):
    (folder,) = (workdir / "artifacts").iterdir()
    weights = trees.flatten(artifact.load(folder).variables)
    rows = jsonl.read(folder / "metrics.jsonl")
    return weights, [row["loss"] for row in rows if row["kind"] == "train"]


@pytest.mark.release  # beside the test above and damages of one process
def test_one_is_killed_and_its_part_is_damaged(unbroken, tmp_path, user_cache):
    kill(tmp_path, 1, 10, "split")
    newest = max(tmp_path.glob("running/*/checkpoints/*/meta.json")).parent
    files = [*newest.glob("state/ocdbt.process_1/d/*")]
    path = max(files, key=lambda one: one.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    results = processes.ended(start(tmp_path, ["split"], 4, 2))
    assert [code for code, _ in results] == [0, 0], results
    assert f"{path}: damaged." in results[0][1]
    assert "Falling back to the checkpoint before it." in results[0][1]
    weights, losses = outcome(tmp_path)
    assert losses == unbroken[1] and len(losses) == 60
    assert hashing.arrays_sum(weights) == hashing.arrays_sum(unbroken[0])


@pytest.mark.release  # beside the first of the tests above
def test_two_save_and_one_goes_on_and_two_again(unbroken, tmp_path, user_cache):
    kill(tmp_path, 0, 5, "split")
    (alone,) = start(tmp_path, ["split"], 8)
    wait_for(tmp_path, 20, [alone])
    alone.kill()
    processes.ended([alone])
    for code, text in processes.ended(start(tmp_path, ["split"], 4, 2)):
        assert code == 0, text
    weights, losses = outcome(tmp_path)
    # One process and two that nobody kills differ by 5e-5 and 1e-4 at most: sums of
    # other orders, enlarged by 60 steps.
    assert losses == pytest.approx(unbroken[1], rel=5e-4)
    assert weights.keys() == unbroken[0].keys()
    found, wanted = (
        np.concatenate([np.ravel(tree[path]) for path in weights])
        for tree in (weights, unbroken[0])
    )
    assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_a_request_to_stop_is_saved_by_all(tmp_path, user_cache):
    """Given to the second process alone."""
    started = start(tmp_path, ["long"], 4, 2)
    wait_for(tmp_path, 5, started)
    started[1].terminate()
    results = processes.ended(started, 60)
    assert [code for code, _ in results] == [130, 130], results
    assert "stopped, saved at step " in results[0][1]


@pytest.mark.parametrize(
    "case, why",
    [
        ("fails", "UserError: a.png: damaged"),
        pytest.param(
            *("unwritten", "OSError: [Errno 28] No space left on device"),
            marks=pytest.mark.release,
        ),
    ],
)
def test_one_fails_while_the_other_waits_for_it(tmp_path, case, why):
    """Nobody can tell the other, which is in an operation on the devices of both, or
    waits for a checkpoint.
    """
    started = processes.start([case, tmp_path], 2, 2, module="tests.hosts.work")
    results = processes.ended(started, 60)
    assert all(code != 0 for code, _ in results), results
    said = f"process 1 of 2 ends, the others do not answer: {why}"
    assert said in results[1][1]
    assert not list(tmp_path.rglob("meta.json"))


def test_what_cannot_be_shared_is_refused(tmp_path, user_cache):
    results = processes.ended(start(tmp_path, ["sliding", "segmentation"], 1, 2))
    assert [code for code, _ in results] == [1, 1]
    text = results[0][1]
    assert "mode 'sliding': found 2 processes, allowed: 1. Fix: mode 'whole'" in text
    assert "failed" in text and [*artifacts(tmp_path)] == ["segmentation"]
