"""The whole way through `main`, small: pretraining, source, targets, gains, a model."""

import contextlib
import csv
import re

import numpy as np
import pytest

import jaxseg
from jaxseg import main
from jaxseg.core import errors, jsonl
from jaxseg.core import manifest as manifests

CONFIG = "configs/factors.py:sources=driving_day,targets=driving_night,seeds=1"
SMALL = (
    ",target_images=8,source_images=8,pretraining_images=8,target_steps=2,"
    "source_steps=2,pretraining_steps=2"
)
FEWER = ["--set", r".*/datasets=[]", "--set", r".*/evaluations/.*/count=8"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A workdir in which three starts reached one target, two steps a stage."""
    workdir = tmp_path_factory.mktemp("study")
    arguments = [f"--config={CONFIG}{SMALL}", f"--workdir={workdir}", *FEWER]
    assert main.main(arguments) == 0
    return workdir


def rows(workdir, name):
    with open(workdir / "report" / name, newline="") as file:
        return list(csv.DictReader(file))


def artifact(workdir, source):
    for row in rows(workdir, "results.csv"):
        if row["source"] == source and row["setting"] == "small":
            return workdir / "artifacts" / row["artifact"][:20]
    raise AssertionError(f"no row of {source}")


def test_results_and_gains(study):
    cells = {
        r["source"]: r for r in rows(study, "results.csv") if r["setting"] == "small"
    }
    assert set(cells) == {"random", "websearch", "driving_day"}
    assert cells["driving_day"]["source_task"] == "segmentation"
    assert cells["websearch"]["source_task"] == "classification"
    gains = {row["source"]: row for row in rows(study, "gains.csv")}
    assert set(gains) == {"random", "driving_day"}
    base, value = (float(cells[s]["value"]) for s in ("websearch", "driving_day"))
    gain, note = gains["driving_day"]["gain"], gains["driving_day"]["note"]
    if not gain:  # two steps need not be enough to learn anything
        assert note.startswith("baseline not learned")
    else:
        assert float(gain) == pytest.approx(100 * (value / base - 1))


def test_the_receipt_says_what_moved(study):
    (receipt,) = jsonl.read_json(artifact(study, "driving_day") / "receipt.json")
    assert receipt["take"] == {"backbone": "backbone"}
    assert all(path.split("/")[1] == "backbone" for path in receipt["copied"])
    assert any(path.startswith("batch_stats/") for path in receipt["copied"])
    assert {path.split("/")[1] for path in receipt["kept"]} == {"heads_segmentation"}
    assert jsonl.read_json(artifact(study, "random") / "receipt.json") == []


def test_a_second_run_makes_nothing(study, capsys):
    before = {p: p.stat().st_mtime_ns for p in study.glob("artifacts/*/manifest.json")}
    arguments = [f"--config={CONFIG}{SMALL}", f"--workdir={study}", *FEWER]
    assert main.main(arguments) == 0
    after = {p: p.stat().st_mtime_ns for p in study.glob("artifacts/*/manifest.json")}
    assert after == before
    assert "were done already" in capsys.readouterr().out


def test_evaluation_afterwards_gives_the_same_digits(study):
    from jaxseg.data import spec as data_spec
    from jaxseg.evals import evaluator

    folder = artifact(study, "driving_day")
    model = jaxseg.load(folder)
    source = data_spec.stored(model.evaluations["validation"]).open()
    evaluate = evaluator.Evaluator(model.predictor(batch_size=8), source)
    stored = {m["name"]: m["value"] for m in model.manifest["metrics"]}
    assert evaluate(model.variables) == stored


@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_a_loaded_model_predicts_at_the_size_of_the_image(study, size):
    model = jaxseg.load(artifact(study, "driving_day"))
    image = np.zeros((*size, 3), np.uint8)
    predicted = model(image)
    assert predicted.shape == size and predicted.dtype == np.int32
    np.testing.assert_array_equal(model(np.stack([image, image]))[1], predicted)


def test_the_manifest_traces_every_number(study):
    manifest = jaxseg.load(artifact(study, "driving_day")).manifest
    assert manifest["data"]["train"]["count"] == 8
    assert manifest["packages"]["jax"] and manifest["code"]["revision"]
    assert manifest["spec"]["optimizer"]["b1"] == 0.9  # defaults are written out
    assert set(manifest["timing"]) >= {"steps", "data_wait", "compile", "evaluation"}
    assert manifest["flops"] > 0 and manifest["parameters"] > 200_000
    (headline,) = [m for m in manifest["metrics"] if m["headline"]]
    assert headline["name"] == "miou" and "64x64" in headline["protocol"]


def test_pictures_and_events(study):
    folder = artifact(study, "websearch")
    assert len(list((folder / "samples").glob("*_prediction.png"))) == 4
    assert list((folder / "events").glob("events.out.tfevents.*"))
    page = (study / "report" / "index.html").read_text()
    assert "driving_night" in page and "data:image/png;base64," in page


def test_a_flipped_byte_in_any_file_is_noticed_by_name(study):
    folder = artifact(study, "random")
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        with flipped(path), pytest.raises(errors.Damaged, match=re.escape(str(path))):
            manifests.check(folder)
    manifests.check(folder)


def test_a_damaged_artifact_ends_its_branch_and_the_run_says_so(study, capsys):
    path = artifact(study, "random") / "metrics.jsonl"
    arguments = [f"--config={CONFIG}{SMALL}", f"--workdir={study}", *FEWER]
    with flipped(path):
        assert main.main(arguments) == 1
    out, message = capsys.readouterr()
    assert str(path) in out and "artifacts remove" in out
    assert "2 stages were done already" in out  # after it
    assert "Traceback" not in out + message


@contextlib.contextmanager
def flipped(path):
    """One bit in the middle of a file changed, for a while."""
    data = path.read_bytes()
    if not data:
        path.write_bytes(b"x")
    else:
        place = len(data) // 2
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    yield
    path.write_bytes(data)
