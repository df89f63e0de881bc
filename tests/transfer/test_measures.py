"""Analyses of several models on the shared tiny workdir."""

import jax
import pytest

from jaxseg.core import errors, jsonl, trees
from jaxseg.data import source
from jaxseg.evals import loss
from jaxseg.transfer import artifact
from jaxseg.transfer import run as runs
from tests import tiny

NIGHT = {"name": "worlds/driving_night", "count": 8, "part": "train"}
LINE = {
    "kind": "measure",
    "parents": {"a": "target/a", "b": "target/b"},
    "analysis": {
        "name": "interpolation",
        "data": {"name": "worlds/driving_night", "split": "validation", "count": 3},
        "training": NIGHT,
        "at": [0, 0.5, 1],
        "batches": 2,
    },
}
DISTANCE = {
    "kind": "measure",
    "parents": {"P": "source", "Ft0": "target/a", "Ft1": "target/b"},
    "analysis": {"name": "parameter_distance", "depth": 1},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """{stage: rows} and the workdir."""
    workdir = tiny.copy(tmp_path_factory.mktemp("measured"))
    stages = tiny.config()["stages"] | {"line": LINE, "apart": DISTANCE}
    config = {"study": "measured", "stages": stages}
    outcome = runs.run(config, workdir, only="line|apart")
    assert outcome.ok, outcome.errors
    made = tiny.plan(config).by_name
    rows = {
        name: jsonl.read(workdir / "artifacts" / made[name].short / "rows.jsonl")
        for name in ("line", "apart")
    }
    return rows, workdir


def headline(stage):
    """What the training itself measured, on the same three images."""
    (row,) = (
        row
        for row in artifact.load(tiny.artifact(stage)).manifest["metrics"]
        if row["evaluation"] == "validation" and row["name"] == "miou"
    )
    return row["value"]


def own_loss(stage):
    """Of a model on those images, without a line."""
    model = artifact.load(tiny.artifact(stage))
    own = model.predictor()
    evaluate = loss.LossEvaluator(
        own.model,
        own.task,
        own.num_outputs,
        own.size,
        own.normalize,
        source.open("worlds/driving_night", split="validation", count=3),
        batch_size=4,
    )
    return evaluate(jax.device_put(model.variables))["loss"]


def test_the_ends_of_a_line_are_the_models_themselves(measured):
    rows = [row for row in measured[0]["line"] if row["statistics"] == "raw"]
    assert [row["t"] for row in rows] == [0, 0.5, 1]
    assert [rows[0]["value"], rows[-1]["value"]] == [
        headline("target/a"),
        headline("target/b"),
    ]
    losses = [row["loss"] for row in rows]
    height = max(losses[1] - (losses[0] + losses[2]) / 2, 0)
    assert [row["barrier"] for row in rows] == pytest.approx([height] * 3, abs=1e-12)
    assert [losses[0], losses[-1]] == [own_loss("target/a"), own_loss("target/b")]
    assert losses[0] != losses[-1]
    assert {row["metric"] for row in rows} == {"miou"}


def test_other_statistics_give_another_loss(measured):
    rows = measured[0]["line"]
    anew = [row for row in rows if row["statistics"] == "re-estimated"]
    assert len(rows) == 6 and len(anew) == 3
    for raw, other in zip(rows, anew):
        assert raw["t"] == other["t"] and raw["loss"] != other["loss"]


def test_all_pairs_of_parents_have_distances(measured):
    rows = measured[0]["apart"]
    assert {row["layer"] for row in rows} == {"total", "backbone", "heads_segmentation"}
    found = {(r["a"], r["b"]): r["distance"] for r in rows if r["layer"] == "backbone"}
    assert list(found) == [("Ft0", "Ft1"), ("Ft0", "P"), ("Ft1", "P")]
    a, b = (
        artifact.load(tiny.artifact(name)).variables["params"]["backbone"]
        for name in ("source", "target/a")
    )
    pairs = zip(trees.flatten(a).values(), trees.flatten(b).values())
    square = sum(float(((x.astype(float) - y) ** 2).sum()) for x, y in pairs)
    assert found["Ft0", "P"] == pytest.approx(square**0.5)


def test_models_of_two_kinds_have_no_line_between_them(tmp_path):
    section = LINE | {"parents": {"a": "source", "b": "target/b"}}
    stages = tiny.config()["stages"] | {"line": section}
    outcome = runs.run(
        {"study": "x", "stages": stages}, tiny.copy(tmp_path), only="line"
    )
    assert "preprocessing of a is" in str(outcome.errors)


def test_one_model_has_no_distance():
    section = DISTANCE | {"parents": {"P": "source"}}
    with pytest.raises(errors.UserError, match="compares two or more"):
        tiny.plan({"stages": tiny.config()["stages"] | {"apart": section}})
