"""Train stages that are interrupted, stop early, keep the best, freeze."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from jaxseg.core import checkpoint, jsonl, trees
from jaxseg.core import manifest as manifests
from jaxseg.evals import evaluator
from jaxseg.train import hooks
from jaxseg.transfer import artifact, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.running import status
from jaxseg.transfer.training import training
from tests import tiny

RUN = {"log_every": 2, "checkpoint_every": 2}


def long(**changes):
    """Five steps with a checkpoint after each second one."""
    return {"stages": {"x": tiny.train(steps=5, run=RUN, **changes)}}


def run(config, workdir, interrupted=lambda: False):
    """(Store, manifest or None) after one try."""
    (one,) = tiny.plan(config).stages
    box = store.Store(workdir)
    outcome = runs.run_stages(
        [one], box, watcher=status.Watcher(), interrupted=interrupted
    )
    assert outcome.ok, outcome.errors
    return box.manifest(one.key), box.folder(one.key)


def results(manifest, folder):
    metrics = {(m["evaluation"], m["name"]): m["value"] for m in manifest["metrics"]}
    losses = [(r["step"], r["loss"]) for r in lines(folder) if r["kind"] == "train"]
    weights = artifact.load(folder).variables
    return metrics, losses, {k: v.tobytes() for k, v in trees.flatten(weights).items()}


def lines(folder):
    return jsonl.read(folder / "metrics.jsonl")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return results(*run(long(), tmp_path_factory.mktemp("unbroken")))


def test_the_log_has_all_steps(unbroken):
    assert [step for step, _ in unbroken[1]] == [2, 4, 5]


def test_asked_to_end_it_saves_and_the_next_try_ends_the_same(unbroken, tmp_path):
    stopped(long(), tmp_path)
    assert store.Store(tmp_path).stored() == []
    manifest, folder = run(long(), tmp_path)
    assert results(manifest, folder) == unbroken
    assert [e["step"] for e in manifest["environments"]] == [0]  # nothing changed


def test_a_resume_elsewhere_says_so(unbroken, tmp_path, monkeypatch, caplog):
    asked = iter([False, False, False, True])
    with pytest.raises(hooks.Interrupted):
        run(long(), tmp_path, interrupted=asked.__next__)
    here = store.environment("2 x cpu")
    other = here | {"cores": 64, "jax": "9.9"}
    monkeypatch.setattr(store, "environment", lambda devices: other)
    manifest, _ = run(long(), tmp_path)
    (warning,) = [r.getMessage() for r in caplog.records if "goes on" in r.getMessage()]
    cores, jax = f"cores 64 (was {here['cores']})", f"jax 9.9 (was {here['jax']})"
    assert warning == (
        f"stage x goes on after step 3 with {cores}, {jax}: the last digits may differ"
    )
    assert manifest["environments"] == [{"step": 0, **here}, {"step": 3, **other}]
    assert (manifest["cores"], manifest["devices"]) == (64, "2 x cpu")


class Killed(BaseException):
    """Nothing catches it: what a SIGKILL leaves on disk."""


def kill_at(monkeypatch, module, name, call=1):
    """The n-th call of a function ends everything, before it does anything."""
    original, count = getattr(module, name), iter(range(1, 999))

    def killer(*arguments, **options):
        if next(count) == call:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, killer)


@pytest.mark.parametrize(
    "module, name, call",
    [
        (store.os, "rename", 1),  # weights, receipt, manifest: all is written
        pytest.param(jsonl, "write_json", 1, marks=pytest.mark.slow),
    ],
    ids=["rename", "receipt"],
)
def test_killed_near_the_end_it_ends_the_same(
    unbroken, tmp_path, monkeypatch, module, name, call
):
    with monkeypatch.context() as patch:
        kill_at(patch, module, name, call)
        with pytest.raises(Killed):
            run(long(), tmp_path)
    box = store.Store(tmp_path)
    assert box.stored() == []
    found = results(*run(long(), tmp_path))
    assert found == unbroken
    (short,) = box.stored()
    box.verify(short)
    names = set(box.manifest(short)["files"])
    assert not [name for name in names if "tmp" in name or "checkpoints" in name]


def stopped(config, workdir):
    """A try that was asked to end after step 3; its unfinished folder."""
    asked = iter([False, False, False, True])  # before the stage and after each step
    with pytest.raises(hooks.Interrupted, match=r"saved at step 3$"):
        run(config, workdir, interrupted=asked.__next__)
    (folder,) = workdir.glob("running/*/artifact")
    return folder


def other_digit(path):
    path.write_text(path.read_text().replace('"loss": 1', '"loss": 2', 1))


def no_text(path):
    path.write_bytes(b"\xff" + path.read_bytes()[1:])


def no_json(path):
    path.write_text(path.read_text().replace("{", "", 1))


@pytest.mark.parametrize(
    "damage", [no_json, no_text, other_digit, Path.unlink], ids=lambda f: f.__name__
)
def test_a_damaged_log_is_taken_from_the_checkpoint(unbroken, tmp_path, caplog, damage):
    path = stopped(long(), tmp_path) / "metrics.jsonl"
    before = path.read_bytes()
    damage(path)
    assert not path.exists() or path.read_bytes() != before
    assert results(*run(long(), tmp_path)) == unbroken
    assert f"{path}: damaged" in caplog.text and "checkpoint" in caplog.text


def test_a_damaged_receipt_is_no_obstacle(unbroken, tmp_path):
    path = stopped(long(), tmp_path) / "receipt.json"
    path.write_text("[")
    manifest, folder = run(long(), tmp_path)
    assert results(manifest, folder) == unbroken
    assert jsonl.read_json(folder / "receipt.json") == []


def test_the_best_of_another_try_is_not_taken_for_the_best(tmp_path):
    """Elsewhere the digits may differ, and with them the step that was best."""
    config = long(eval_every=1, keep="best", lr=1.0)
    whole = results(*run(config, tmp_path / "whole"))
    stopped(config, tmp_path)
    (best,) = tmp_path.glob("running/*/best")
    box = checkpoint.Checkpoints(best, keep=9)
    for step in (50, 51):
        box.save(step, box.restore()[0], {"value": 0.9})
    box.wait()
    assert results(*run(config, tmp_path)) == whole


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_costs_steps_not_the_result(
    unbroken, tmp_path, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        kill_at(patch, checkpoint, "begin", 3)  # two checkpoints, then the weights
        with pytest.raises(Killed):
            run(long(), tmp_path)
    (newest,) = tmp_path.glob("running/*/checkpoints/step_00000004")
    (file,) = newest.glob("state/_METADATA")
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert results(*run(long(), tmp_path)) == unbroken
    assert "Falling back" in caplog.text


def test_the_best_weights_are_kept(tmp_path):
    config = long(eval_every=1, keep="best", lr=1.0)  # too high a rate: it gets worse
    manifest, folder = run(config, tmp_path)
    seen = {
        row["step"]: row["metrics"]["miou"]
        for row in lines(folder)
        if row["kind"] == "evaluation" and not row["final"]
    }
    best = max(seen.values())
    first = min(step for step, value in seen.items() if value == best)
    (headline,) = [m for m in manifest["metrics"] if m["headline"]]
    assert set(seen) == {1, 2, 3, 4, 5}
    assert manifest["best_step"] == first
    assert headline["value"] == best


def test_patience_ends_a_run_that_stands_still(tmp_path):
    config = long(eval_every=1, patience=1, lr=1.0)
    manifest, folder = run(config, tmp_path)
    rows = [r for r in lines(folder) if r["kind"] == "evaluation"]
    values = [row["metrics"]["miou"] for row in rows if not row["final"]]
    better = [b > max(values[: i + 1]) for i, b in enumerate(values[1:])]
    assert manifest["steps"] == len(values) == rows[-1]["step"]
    assert all(better[:-1]) and (len(values) == 5 or not better[-1])


def failure(config, workdir):
    """The error of a stage that fails, and that it left no artifact."""
    (one,) = tiny.plan(config).stages
    box = store.Store(workdir)
    outcome = runs.run_stages([one], box, watcher=status.Watcher())
    assert box.stored() == []
    return outcome.errors["x"]


def test_a_run_that_diverged_is_not_done_by_patience(tmp_path):
    """Patience ends it at step 3, between two lines of the log."""
    config = long(eval_every=1, patience=1, lr=1e30)
    config["stages"]["x"]["run"] = {"log_every": 50}
    text = failure(config, tmp_path)
    assert re.match(r"loss is (nan|inf) at step 2 ", text)


def test_the_last_update_can_diverge_too(tmp_path, monkeypatch):
    final = training.Training._final_variables

    def spoilt(self, state, watch):
        variables, step = final(self, state, watch)
        stem = variables["batch_stats"]["backbone"]["stem"]["conv1"]["norm"]
        stem["var"] = stem["var"].at[0].set(np.nan)
        return variables, step

    monkeypatch.setattr(training.Training, "_final_variables", spoilt)
    text = failure(long(), tmp_path)
    leaf = "batch_stats/backbone/stem/conv1/norm/var"
    assert text.startswith(f"{leaf} is not finite after step 5")


def test_a_headline_that_is_not_finite_leaves_no_artifact(tmp_path, monkeypatch):
    measure = evaluator.Evaluator.measure

    def spoilt(self, variables):
        measured = measure(self, variables)
        return measured._replace(values=measured.values | {"miou": np.nan})

    monkeypatch.setattr(evaluator.Evaluator, "measure", spoilt)
    where = "miou of evaluation 'validation' is nan after step"
    assert failure(long(), tmp_path / "end").startswith(f"{where} 5")
    during = failure(long(eval_every=2), tmp_path / "during")
    assert during.startswith(f"{where} 2")


def test_the_clock_goes_on_after_a_resume(tmp_path, monkeypatch):
    config = long(eval_every=1)
    asked = iter([False, False, False, True])
    with pytest.raises(hooks.Interrupted):
        run(config, tmp_path, interrupted=asked.__next__)
    restore = training.Training._go_on
    before = {"prepare": 100.0, "steps": 200.0, "data_wait": 300.0}
    before["compile"] = 400.0

    def older(self, meta):
        evaluation = meta["hooks"]["evaluate"]
        spent = meta["timing"] | {"evaluation": evaluation["seconds"]}
        assert set(meta["timing"]) == set(before)
        assert all(seconds >= 0 for seconds in spent.values())
        assert sum(spent.values()) <= meta["seconds"]
        evaluation["seconds"] = 500.0
        restore(self, meta | {"timing": before, "seconds": 1600.0})

    monkeypatch.setattr(training.Training, "_go_on", older)
    manifest, _ = run(config, tmp_path)
    timing = manifest["timing"]
    for name, seconds in (before | {"evaluation": 500, "other": 100}).items():
        assert seconds <= timing[name] < seconds + 60, name
    assert sum(timing.values()) == pytest.approx(manifest["seconds"], abs=0.01)


@pytest.mark.slow  # a program of its own
def test_what_is_frozen_keeps_the_bits_of_the_source(tmp_path):
    workdir = tiny.copy(tmp_path)
    child = tiny.candidate(0.1) | {"lr_multipliers": [["backbone/.*", 0]], "ema": 0.9}
    child["optimizer"] = {"name": "adamw", "weight_decay": 0.1}
    stages = tiny.config()["stages"] | {"child": child}
    outcome = runs.run({"study": "frozen", "stages": stages}, workdir, only="child")
    assert outcome.ok and outcome.states == {"source": "cached", "child": "done"}
    key = tiny.plan({"stages": stages}).by_name["child"].key
    found = trees.flatten(artifact.load(store.Store(workdir).folder(key)).variables)
    source = trees.flatten(artifact.load(tiny.artifact("source")).variables)
    for path, leaf in source.items():
        same = leaf.tobytes() == found[path].tobytes()
        assert same == ("/backbone/" in path), path


def test_the_backbone_is_transplanted_and_the_head_is_fresh(tmp_path):
    """One step of rate zero: what is stored is what training began with."""
    workdir = tiny.copy(tmp_path)
    child = tiny.candidate(0.0) | {"steps": 1, "seed": 3}
    stages = tiny.config()["stages"] | {"child": child}
    runs.run({"study": "zero", "stages": stages}, workdir, only="child")
    key = tiny.plan({"stages": stages}).by_name["child"].key
    folder = store.Store(workdir).folder(key)
    found = trees.flatten(artifact.load(folder).variables)
    source = trees.flatten(artifact.load(tiny.artifact("source")).variables)
    (receipt,) = jsonl.read_json(folder / "receipt.json")
    for path, leaf in source.items():
        if path.startswith("params/"):
            same = leaf.tobytes() == found[path].tobytes()
            assert same == (path in receipt["copied"]), path
    assert set(receipt["copied"]) == {p for p in source if "/backbone/" in p}
    assert receipt["source_key"] == tiny.key("source")


@pytest.mark.slow
def test_another_seed_is_another_run(unbroken, tmp_path):
    assert results(*run(long(seed=1), tmp_path))[1] != unbroken[1]


def test_the_report_has_the_metrics_of_the_manifest():
    with open(tiny.workdir() / "report" / "results.csv", newline="") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    manifest = manifests.read(tiny.artifact("target"))
    (headline,) = [m for m in manifest["metrics"] if m["headline"]]
    assert float(rows["target"]["value"]) == headline["value"]


@pytest.mark.parametrize(
    "steps, run, period",
    [(10, {}, 1), (40, {}, 2), (5000, {}, 50), (40, {"log_every": 7}, 7)],
)
def test_a_short_run_logs_often_enough_for_a_curve(steps, run, period):
    section = tiny.train(steps=steps, run=run)
    (one,) = tiny.plan({"stages": {"x": section}}).stages
    assert one.spec.run.log_every == period
