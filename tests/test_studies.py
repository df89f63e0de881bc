"""Every study runs whole at its smoke size, on tiny trees of its data sets.

What only the full size has, networks and training steps of its images, is traced
without compute.
"""

import copy
import csv
import functools
import importlib

import jax
import pytest

from configs import common
from jaxseg import main
from jaxseg.core import hashing, lookup, trees
from jaxseg.data import dataset
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.train import programs, state, step
from jaxseg.transfer import chain
from tests import test_configs
from tests.data import official

CLAIMS = {f"C{n}" for n in range(1, 10)}


def planned(name, more):
    return chain.plan(chain.bind(test_configs.load(name, more=more)))


def run(config, workdir):
    """The rows of a table of the report, by its name."""
    assert main.main([f"--config=configs/{config}", f"--workdir={workdir}"]) == 0

    def table(name):
        with open(workdir / "report" / name, newline="") as file:
            return list(csv.DictReader(file))

    return table


def cells(rows):
    names = ("variant", "target", "source")
    return {tuple(row[name] for name in names) for row in rows}


def columns(plan):
    """Of all trainings."""
    trained = [stage for stage in plan.stages if stage.kind == "train"]
    return [row for stage in trained for row in stage.columns]


@pytest.fixture
def official_sets(tmp_path, monkeypatch):
    """Tiny trees below $JAXSEG_DATA."""
    official.object_discovery(tmp_path / "data")
    official.coco_chairs(tmp_path / "data")
    monkeypatch.setenv("JAXSEG_DATA", str(tmp_path / "data"))


def test_chairs_of_the_paper(official_sets, tmp_path):
    """All networks, sets, starts and measurements; the report judges each claim."""
    table = run("chairs.py:paper,smoke", tmp_path)
    assert cells(table("results.csv")) == cells(columns(planned("chairs", "paper")))
    claims = {row["claim"]: row for row in table("claims.csv")}
    assert set(claims) == CLAIMS
    assert all(row["verdict"] and int(row["count"]) for row in claims.values())
    assert (tmp_path / "report/index.html").is_file()


def trainings(plan):
    """(spec, part) of the trainings, one of each program and shape of its batches."""
    found = {}
    for stage in plan.stages:
        if stage.kind == "train":
            spec = stage.spec
            fields = [getattr(spec, name) for name in (*programs.FIELDS, "batch_size")]
            for part in spec.by_part.values():
                key = hashing.canonical([fields, part.task, part.data.shape])
                found[key] = spec, part
    return found.values()


def trace(spec, part):
    """(state before, state after, logs) of a step that trains a part, as shapes."""
    facts = part.data.facts()
    model, task = build.network(spec.model, part.task, build.outputs(part.task, facts))
    height, width, channels = part.data.shape
    sizes = dict(height=height, width=width, objects=2, points=len(facts.keypoints))
    shapes = {name: dataset.shape(name, **sizes) for name in task.fields_of(facts)}
    shapes["image"] = (height, width, channels), "float32"
    batch = {
        name: jax.ShapeDtypeStruct((spec.batch_size, *shape), kind)
        for name, (shape, kind) in shapes.items()
    }
    tx = programs.optimizer(spec.optimizer)
    create = functools.partial(state.create, tx=tx, seed=0, ema=spec.ema is not None)
    before = jax.eval_shape(create, spec.network.shapes())
    options = dict(accumulate=spec.accumulate, ema=spec.ema)
    options |= dict(lr_multipliers=spec.lr_multipliers)
    one = functools.partial(step.train_step, model=model, task=task, tx=tx, **options)
    rate = jax.ShapeDtypeStruct((), "float32")
    return before, *jax.eval_shape(one, before, batch, rate)


@pytest.mark.parametrize(
    "name, more, millions",
    [
        # With torchvision's FCNs without the auxiliary head; U-Net as published.
        ("chairs", "paper,sizes=64", {31.7, 15.3, 32.9, 51.9}),
        pytest.param(
            "chairs", "paper", {31.7, 15.3, 32.9, 51.9}, marks=pytest.mark.slow
        ),
        pytest.param("factors", "", None, marks=pytest.mark.slow),
    ],
)
def test_steps_of_the_full_size(name, more, millions, monkeypatch):
    """Each keeps the shapes of all that it updates, and gives one loss."""
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    plan, found = planned(name, more), set()
    for spec, part in trainings(plan):
        before, after, logs = trace(spec, part)
        same = jax.tree.map(
            lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), before, after
        )
        assert jax.tree.all(same)
        assert (logs["loss"].shape, logs["loss"].dtype) == ((), "float32")
        found.add(round(trees.num_parameters(before.params) / 1e6, 1))
    assert millions is None or found == millions


# What is small.


def test_the_sizes_of_all_backbones_are_known():
    """Every field of a tiny variant is one that the smoke size leaves to it."""
    for name in lookup.names(models.BACKBONES):
        module = importlib.import_module(f"{models.BACKBONES}.{name}")
        assert set(module.VARIANTS["tiny"]) - {"norm"} <= set(common.SIZES), name


def training(name="a/b", **more):
    """A section of a training as large as a paper's."""
    section = dict(
        kind="train",
        data={"name": name, "fraction": 0.5, "size": [713, 713]},
        task={"name": "segmentation"},
        model={
            "backbone": {
                "name": "resnet",
                "variant": "101",
                "output_stride": 8,
                "lengths": [3, 4, 23, 3],
            },
            "head": {"name": "fcn"},
        },
        steps=10_000,
    )
    return section | more


def test_a_training_is_small():
    protocol = {"mode": "window", "scales": [0.5, 1.0]}
    stage = training(
        batch_size=32,
        eval_every=500,
        patience=8,
        accumulate=4,
        schedule={"name": "poly", "warmup_steps": 100},
        lr=0.1,
        evaluations={
            "test": {"split": "test", "count": 3, "protocol": protocol},
            "holdout": {"split": "train", "part": "holdout"},
            "other": {"name": "c/d", "count": None},
        },
    )
    stage["data"]["augment"] = [{"name": "flip"}, dict(name="crop", height=9, width=9)]
    given = copy.deepcopy(stage)
    (small,) = common.small({"x": stage}).values()
    assert stage == given  # which others may share
    crop = dict(name="crop", height=64, width=64)
    data = {"name": "a/b", "size": [64, 64], "count": 4}
    assert small["data"] == data | {"augment": [{"name": "flip"}, crop]}
    tiny = {"name": "resnet", "variant": "tiny", "output_stride": 8}
    assert small["model"] == {"backbone": tiny, "head": {"name": "fcn"}}
    assert small["evaluations"] == {
        "test": {"split": "test", "count": 3, "protocol": protocol},
        "holdout": {"split": "train", "part": "holdout"},  # of the same four
        "other": {"name": "c/d", "count": 4},
    }
    assert small["schedule"] == {"name": "poly", "warmup_steps": 1}
    numbers = ("steps", "batch_size", "eval_every", "patience", "accumulate", "lr")
    assert [small[key] for key in numbers] == [2, 2, 1, 1, 2, 0.1]
    (small,) = common.small({"x": training()}).values()
    assert small["evaluations"] == {"validation": {"count": 4}}
    assert not {"eval_every", "patience", "accumulate", "parts"} & set(small)


def test_each_part_of_a_training_is_small():
    whole = training()
    part = {key: whole.pop(key) for key in ("data", "task")}
    stage = whole | {"parts": {"a": part, "b": dict(part, weight=2)}}
    (small,) = common.small({"x": stage}).values()
    data = {"name": "a/b", "size": [64, 64], "count": 4}
    task = {"name": "segmentation"}
    parts = {"a": dict(data=data, task=task), "b": dict(data=data, task=task, weight=2)}
    assert small["parts"] == parts and "data" not in small
    few = {"count": 4}
    assert small["evaluations"] == {"a/validation": few, "b/validation": few}


def test_a_cell_is_there_once_with_all_that_it_needs():
    """A second seed stays where it is measured; a rate stays where a search begins."""

    def cell(seed):
        return [dict(role="target", target="t", seed=seed)]

    stages = {"source": training(), "unused": training()}
    for seed in range(3):
        rates = {f"{seed}/lr{lr}": training(lr=lr) for lr in (1, 2, 3)}
        stages |= rates
        chosen = common.select(rates, start=f"{seed}/lr2", columns=cell(seed))
        stages[f"cell/seed{seed}"] = chosen
    pair = {"a": "cell/seed0", "b": "cell/seed1"}
    data = {"name": "a/b", "split": "test"}
    line = dict(name="interpolation", data=data, training=dict(data, count=2))
    stages["pair"] = dict(kind="measure", parents=pair, analysis=line)
    small = common.small(stages)
    kept = {f"cell/seed{seed}" for seed in (0, 1)} | {f"{seed}/lr2" for seed in (0, 1)}
    assert set(small) == kept | {"source", "unused", "pair"}
    assert list(small) == [name for name in stages if name in small]
    assert small["cell/seed0"]["parents"] == {"candidate01": "0/lr2"}
    assert small["pair"]["analysis"] == dict(
        name="interpolation",
        data=data | {"count": 4},
        training=data | {"count": 2},
        at=[0, 0.5, 1],
        batches=2,
    )
