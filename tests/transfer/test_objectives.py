"""Trainings of an objective: two heads, pairs of views, judged by its loss or not."""

import numpy as np
import pytest

from jaxseg import artifacts
from jaxseg.core import errors, jsonl, trees
from jaxseg.models import initial
from jaxseg.models import model as models
from jaxseg.report import build as report
from jaxseg.transfer import artifact, store
from jaxseg.transfer import run as runs
from tests import tiny

PAIRS = '''
"""Like embeddings of two views, and their colors before the jitter."""

import dataclasses

import jax.numpy as jnp

from jaxseg.tasks import objective

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Pairs(objective.Objective):
    dimensions: int = 4

    name = "added_pairs"
    views = 2
    clean = True

    @property
    def heads(self):
        return {"colors": self.num_outputs, "embedding": self.dimensions}

    def outputs(self, facts):
        return len(facts.mean)

    def loss(self, outputs, batch, totals=None):
        count = (totals or self.totals(batch))["images"]
        valid = batch.get("valid", jnp.ones(len(batch["image"]), bool))
        apart = jnp.square(outputs["embedding"][:, 0] - outputs["embedding"][:, 1])
        colors = jnp.square(outputs["colors"] - batch["clean"])
        parts = {"apart": apart.sum(1), "color": colors.mean((1, 2, 3, 4))}
        logs = {n: jnp.where(valid, x, 0).sum() / count for n, x in parts.items()}
        return logs["apart"] + logs["color"], logs


def build(num_outputs: int, dimensions: int = 4) -> Pairs:
    return Pairs(num_outputs, dimensions)


def resolve(section, facts):
    return dict(section)
'''
CONTRAST = '''
"""Two vectors of each view, alike to those of the other view of a record."""

import jax.numpy as jnp

from jaxseg.tasks import objective

VERSION = 1


class Contrast(objective.Objective):
    name = "added_contrast"
    views = 2
    clean = True
    heads = {"first": 2, "second": 3}

    def prepare(self, batch, rng):
        return batch | {"colors": batch["clean"].mean((2, 3))}

    def loss(self, outputs, batch, totals=None):
        count = (totals or self.totals(batch))["images"]
        pairs = [jnp.einsum("bvd,bwd->bvw", z, z) for z in outputs.values()]
        return sum(jnp.sum(x[:, 0, 1]) for x in pairs) / count, {}


def build(num_outputs: int) -> Contrast:
    return Contrast(num_outputs)


def resolve(section, facts):
    return dict(section)
'''
BACKBONE = {"name": "unet", "variant": "tiny"}
HEADS = {
    "embedding": {"name": "projection", "hidden": [6]},
    "colors": {"name": "reconstruction", "targets": 1},
}
AUGMENT = [{"name": "flip"}, {"name": "jitter"}]
DATA = {"name": "worlds/driving_day", "count": 4, "augment": AUGMENT}


@pytest.fixture
def pairs(add):
    add("jaxseg.tasks", "added_pairs", PAIRS)


@pytest.fixture
def contrast(add):
    add("jaxseg.tasks", "added_contrast", CONTRAST)


def section(**changes):
    own = {"data": DATA, "task": {"name": "added_pairs"}}
    own["model"] = {"backbone": BACKBONE, "heads": HEADS}
    return tiny.train(**own | changes)


def run(stages, workdir):
    """The store after all stages, and the plan."""
    outcome = runs.run({"study": "pairs", "stages": stages}, workdir)
    assert outcome.ok, outcome.errors
    return store.Store(workdir), tiny.plan({"stages": stages}).by_name


@pytest.mark.slow
def test_both_heads_train_and_nothing_has_to_judge_them(pairs, tmp_path):
    made = {"alone": section(evaluations={}, accumulate=2, eval_every=None)}
    made["alone"]["columns"] = [{"role": "source", "setting": "full"}]
    box, plan = run(made, tmp_path)
    key = plan["alone"].key
    manifest, folder = box.manifest(key), box.folder(key)
    assert manifest["metrics"] == [] and manifest["best_step"] is None
    assert manifest["heads"] == ["colors", "embedding"]
    assert manifest["outputs"] == {"colors": 3, "embedding": 4}
    loaded = artifact.load(folder, head="embedding")
    assert loaded.objective.heads == {"colors": 3, "embedding": 4}  # of the task
    assert loaded.prediction == artifact.load(folder).prediction
    fresh = initial.variables(loaded.model, (64, 64, 3), plan["alone"].spec.seed)
    before, after = trees.flatten(fresh), trees.flatten(loaded.variables)
    assert before.keys() == after.keys()
    moved = {p.split("/")[1] for p in before if not np.array_equal(before[p], after[p])}
    assert moved == {"backbone", "heads_colors", "heads_embedding"}
    image = np.zeros((2, 64, 64, 3), np.float32)
    assert loaded.logits(image).shape == (2, 4)
    with pytest.raises(errors.UserError, match="'added_pairs' predicts nothing"):
        loaded(np.zeros((64, 64, 3), np.uint8))
    (study,) = report.build(tmp_path).studies
    assert study.counts()["done"] == 1 and study.stages[0].result.headline is None
    assert artifacts.headline(manifest) == ""


@pytest.mark.slow
def test_the_lower_mean_loss_is_the_better_one(pairs, tmp_path):
    """Judged on three images in batches of four, by draws that do not change."""
    rates = {"a": 1e-6, "b": 1e-3}
    made = {f"x/{n}": section(lr=lr, eval_every=1) for n, lr in rates.items()}
    made["x"] = {
        "kind": "select",
        "parents": {name: f"x/{name}" for name in rates},
        "evaluation": "validation",
    }
    data = {"name": "worlds/driving_day", "split": "validation", "count": 2}
    line = {"name": "interpolation", "data": data, "training": data | {"count": 4}}
    made["line"] = {
        "kind": "measure",
        "parents": {"a": "x/a", "b": "x/b"},
        "analysis": line | {"at": [0, 1], "batches": 1},
    }
    box, plan = run(made, tmp_path)
    rows = jsonl.read(box.folder(plan["line"].key) / "rows.jsonl")
    assert {row["metric"] for row in rows} == {"loss"}
    assert all(row["value"] == row["loss"] > 0 for row in rows) and len(rows) >= 2
    values = {}
    for name in rates:
        rows = box.manifest(plan[f"x/{name}"].key)["metrics"]
        assert [row["name"] for row in rows] == ["loss", "apart", "color"]
        assert [row["headline"] for row in rows] == [True, False, False]
        assert not any(row["higher_is_better"] for row in rows)
        total, *parts = (row["value"] for row in rows)
        assert total == pytest.approx(sum(parts), rel=1e-6)
        assert rows[0]["protocol"] == "mean loss, 2 views drawn as in training"
        values[plan[f"x/{name}"].key] = total
    assert len(set(values.values())) == 2
    assert box.manifest(plan["x"].key)["winner"] == min(values, key=values.get)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            dict(model={"backbone": BACKBONE, "heads": {"colors": HEADS["colors"]}}),
            "model/heads: found colors; the task asks for colors, embedding",
        ),
        (
            dict(evaluations={}, eval_every=1),
            "choose_by: found None without a headline",
        ),
        (dict(headline=None, keep="best"), "choose_by: found None without a headline"),
        (dict(evaluations={}, headline="validation"), "headline: unknown evaluation"),
        (
            dict(evaluations={"validation": {"protocol": {"flip": True}}}),
            "only tasks that predict maps",
        ),
        (dict(mixup=0.2), "mixup: found 0.2 with task 'added_pairs'"),
    ],
)
def test_a_plan_refuses(pairs, changes, message):
    with pytest.raises(errors.UserError, match=message):
        tiny.plan({"stages": {"x": section(**({"evaluations": {}} | changes))}})


def test_a_selection_needs_a_headline(pairs):
    chosen = {"kind": "select", "parents": {"a": "x"}, "evaluation": "validation"}
    made = {"x": section(headline=None), "y": chosen}
    with pytest.raises(
        errors.UserError, match="x has no headline, whose metric decides"
    ):
        tiny.plan({"stages": made})


def test_one_head_section_serves_all(contrast):
    """As short as for a task of one head."""
    model = {"backbone": BACKBONE, "head": {"name": "pooled"}}
    own = section(task={"name": "added_contrast"}, model=model)
    (one,) = tiny.plan({"stages": {"x": own}}).stages
    assert "heads" not in one.spec.model
    built = models.build_model(one.spec.model, head_outputs={"a": 2, "b": 3})
    shapes = initial.shapes(built, (32, 32, 3))["params"]
    assert shapes["heads_b"]["classifier"]["bias"].shape == (3,)


def test_a_head_that_does_not_suit_a_loss_of_views_is_refused(contrast):
    """Maps in place of vectors."""
    model = {"backbone": BACKBONE, "head": {"name": "linear"}}
    own = section(task={"name": "added_contrast"}, model=model)
    text = "model/head: found linear; task 'added_contrast' cannot use"
    with pytest.raises(errors.UserError, match=text):
        tiny.plan({"stages": {"x": own}})


def test_a_task_may_be_measured_without_a_headline(tmp_path):
    """Its metrics are in the manifest, and none of them in a table."""
    columns = [{"role": "source", "setting": "full"}]
    box, plan = run({"x": tiny.train(headline=None, columns=columns)}, tmp_path)
    manifest, folder = box.manifest(plan["x"].key), box.folder(plan["x"].key)
    assert "miou" in [row["name"] for row in manifest["metrics"]]
    assert not any(row["headline"] for row in manifest["metrics"])
    assert not (folder / "samples").exists()
    assert report.build(tmp_path).results == []


def test_a_new_form_of_sections_changes_no_key():
    """Of a training as it was before: `heads` and views are not in it."""
    (one,) = tiny.plan({"stages": {"x": tiny.train()}}).stages
    assert set(one.spec.model) == {"backbone", "head", "dtype"}
    assert one.spec.headline == "validation"
