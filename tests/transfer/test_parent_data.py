"""Data that a stage publishes, and the stages that train and measure on them."""

import json

import numpy as np
import pytest

from jaxseg.core import errors, jsonl, nested
from jaxseg.core import manifest as manifests
from jaxseg.data import published
from jaxseg.transfer import run as runs
from jaxseg.transfer import stage, store
from tests import tiny

MADE = '''
"""Squares, bright on dark: shards of images and masks."""

import dataclasses

import numpy as np

from jaxseg.core import binding, image_files
from jaxseg.data import published
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import shards
from jaxseg.transfer import stage as stages

SPLITS = {"train": 8, "validation": 3}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MadeSpec(binding.Spec):
    light: int = 200
    known: bool = True
    told: int = 8


class Made(stages.Kind):
    Spec = MadeSpec
    VERSION = 1

    def publishes(self, spec):
        told = SPLITS | {"train": spec.told}
        facts = Dataset(
            fields=("image", "segmentation"),
            domain="synthetic",
            splits=told if spec.known else dict.fromkeys(SPLITS, 0),
            version=1,
            size=(32, 32),
            classes=("dark", "square"),
            licence="CC0",
        )
        return published.Published("shards/segmentation", facts)

    def run(self, context):
        spec, rng = context.stage.spec, np.random.default_rng(0)
        root = published.folder(context.folder)
        root.mkdir()
        for split, count in SPLITS.items():
            shards.write(root, split, [self._row(spec, rng) for _ in range(count)])
        (root / "classes.txt").write_text("dark\\nsquare\\n")
        facts = published.finish(context.folder, self.publishes(spec))
        return {"metrics": [], "data": {}, "mean": list(facts.mean)}

    def _row(self, spec, rng):
        row, column = rng.integers(0, 24, 2)
        mask = np.zeros((32, 32), np.uint8)
        mask[row : row + 8, column : column + 8] = 1
        image = np.repeat(mask[..., None] * np.uint8(spec.light), 3, axis=2)
        encode = image_files.encode_png
        return {"image": encode(image), "mask": encode(mask)}


KIND = Made()
'''
DATA = {"of": "labels", "count": 6}


def stages(made=None, data=DATA, **changes):
    """A published set, a training on it, and its score for background everywhere."""
    section = {"validation": {"count": 2}, "own": {"split": "train", "part": "rest"}}
    section["own"]["count"] = 6
    return {
        "made": {"kind": "made"} | (made or {}),
        "model": tiny.train(data=data, evaluations=section)
        | {"parents": {"labels": "made"}, "columns": [{"role": "source"}]}
        | changes,
        "constant": {
            "kind": "measure",
            "parents": {"labels": "made"},
            "analysis": {"name": "constant_predictor", "data": {"of": "labels"}},
        },
    }


@pytest.fixture
def kind(add):
    add("jaxseg.transfer.kinds", "made", MADE)


def run(given, workdir, only=".*"):
    return runs.run({"study": "own", "stages": given}, workdir, only=only)


@pytest.mark.slow  # trains twice
def test_a_set_of_a_parent_is_planned_trained_on_and_measured(kind, tmp_path):
    plan = tiny.plan({"stages": stages()}).by_name  # nothing is made yet
    model, made = plan["model"], plan["made"]
    assert model.spec.data.name == "shards/segmentation"
    assert model.spec.data.fingerprint == f"shards/segmentation@1 of {made.key}"
    assert list(model.spec.data.size) == [32, 32]
    (columns,) = model.columns
    assert columns["target_dataset"] == "of made"
    assert (columns["target_images"], columns["target_set_images"]) == (6, 8)
    assert columns["target_domain"] == "synthetic"

    outcome = run(stages(), tmp_path)
    assert outcome.ok, outcome.errors
    box = store.Store(tmp_path)
    manifest = box.verify(model.key)
    read = manifest["data"]
    assert {name: one["count"] for name, one in read.items()} == {
        "train": 6,
        "validation": 2,
        "own": 2,
    }
    for one in read.values():
        assert (one["of"], one["artifact"]) == ("made", made.key)
        assert one["root"] == str(box.folder(made.key) / "dataset")
    assert manifest["outputs"] == {"segmentation": 2}
    assert manifest["classes"] == ["dark", "square"]
    assert {row["dataset"] for row in manifest["metrics"]} == {"of made"}
    (licence,) = manifest["licences"]
    assert (licence["of"], licence["licence"]) == ("of made", "CC0")
    mean = box.manifest(made.key)["mean"]
    assert manifest["preprocessing"]["mean"] == mean
    assert mean == pytest.approx([200 / 16] * 3)  # 64 of 1024 pixels
    rows = jsonl.read(box.folder(plan["constant"].key) / "rows.jsonl")
    values = {row["metric"]: row["value"] for row in rows}
    assert values["pixel_accuracy"] == pytest.approx(15 / 16)
    assert "dataset/facts.json" in box.manifest(made.key)["files"]
    assert set(run(stages(), tmp_path).states.values()) == {"cached"}


def test_the_parent_is_in_the_key_and_paths_are_not(kind, tmp_path):
    key = lambda **made: tiny.plan({"stages": stages(made)}).by_name["model"].key
    assert key() == key(light=200) != key(light=100)
    plan = tiny.plan({"stages": stages()}).by_name["model"]
    text = json.dumps(nested.plain(plan.spec))
    assert "published" not in text and '"of": "labels"' in text


def test_keys_of_other_data_stay():
    """`of` came later: it is in no section that is without."""
    (one,) = tiny.plan({"stages": {"x": tiny.train()}}).stages
    assert "of" not in nested.plain(one.spec)["data"]


@pytest.mark.slow
def test_counts_may_be_unknown_before_the_parent_has_run(kind, tmp_path):
    given = stages({"known": False})
    plan = tiny.plan({"stages": given}).by_name["model"]
    assert plan.columns[0]["target_set_images"] is None
    outcome = run(given, tmp_path, only="model")
    assert outcome.ok, outcome.errors
    read = store.Store(tmp_path).manifest(plan.key)["data"]
    assert (read["train"]["count"], read["own"]["count"]) == (6, 2)


def test_a_selection_refits_on_the_set_of_its_candidates_parent(kind, tmp_path):
    section = {"holdout": {"split": "train", "part": "holdout"}, "validation": {}}
    given = stages()
    base = given["model"] | {"data": {"of": "labels", "part": "train"}, "columns": []}
    base |= {"evaluations": section}
    given |= {f"c{n}": base | {"lr": 10.0**-n} for n in (2, 3)}
    given["best"] = {"kind": "select", "parents": {"a": "c2", "b": "c3"}}
    outcome = run(given, tmp_path, only="best")
    assert outcome.ok, outcome.errors
    key = tiny.plan({"stages": given}).by_name["best"].key
    read = store.Store(tmp_path).manifest(key)["data"]["train"]
    assert (read["count"], read["of"]) == (8, "made")


@pytest.mark.parametrize(
    "changes, text",
    [
        (dict(data={"of": "label"}), r"stages/model/data/of: .*'label'.*mean 'labels'"),
        (dict(data={"of": "labels", "split": "test"}), r"split of of made 'test'"),
        (dict(data={"of": "labels", "count": 9}), r"count=9; allowed are 1 to 8"),
        (dict(data={"of": "labels", "name": "camvid/11"}), r"data: found of='labels'"),
        (dict(data={"of": "labels", "root": "/x"}), r"data: found of='labels'"),
        (dict(task={"name": "depth"}), "needs depth; of made has image, segmentation"),
        (dict(data={"name": "worlds/driving_day"}), "'labels' is in no `starts`"),
        (dict(parents={"labels": "other"}), "other is a train stage and publishes no"),
    ],
)
def test_mistakes(kind, changes, text):
    given = stages(**changes) | {"other": tiny.train()}
    if "data" in changes:
        given["model"]["evaluations"] = {"validation": {"split": "validation"}}
    with pytest.raises(errors.UserError, match=text):
        tiny.plan({"stages": given})


def test_a_kind_that_publishes_something_else_fails_itself(kind, tmp_path):
    outcome = run(stages({"told": 9}), tmp_path, only="model")
    assert outcome.states == {"made": "failed", "model": "blocked"}
    assert "counts are {'train': 8" in outcome.errors["made"]


def test_options_may_not_change_the_classes(kind, tmp_path):
    data = DATA | {"options": {"classes": ["square", "dark"]}}
    outcome = run(stages(data=data), tmp_path, only="model")
    assert outcome.states["model"] == "failed"
    assert "classes are ('square', 'dark')" in outcome.errors["model"]


def test_a_changed_byte_of_the_set_is_damage(kind, tmp_path):
    assert run(stages(), tmp_path, only="made").ok
    made = tiny.plan({"stages": stages()}).by_name["made"]
    folder = store.Store(tmp_path).folder(made.key)
    (shard, *_) = published.folder(folder).glob("train*")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(errors.Damaged, match="train-00000"):
        manifests.check(folder)
    assert run(stages(), tmp_path, only="model").states["model"] == "blocked"


def test_facts_come_back_as_they_were(kind, tmp_path):
    assert run(stages(), tmp_path, only="made").ok
    made = tiny.plan({"stages": stages()}).by_name["made"]
    root = published.folder(store.Store(tmp_path).folder(made.key))
    planned = published.Published(
        "shards/segmentation",
        stage.kind("made").publishes(made.spec).facts,
        "made",
        made.key,
    )
    source = published.opened(planned, root, split="validation")
    assert len(source) == 3 and source.dataset.licence == "CC0"
    assert source.dataset.classes == ("dark", "square")
    assert source[0]["segmentation"].sum() == 64
    assert set(np.unique(source[0]["image"])) == {0, 200}
