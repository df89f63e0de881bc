"""A study at its smoke size: what is small, and what stays."""

import importlib
import inspect

import pytest

from configs import common
from jaxseg.core import lookup
from jaxseg.models import model as models
from jaxseg.transfer import chain, overrides, smoke

DATA = {"name": "camvid/11", "size": [713, 713]}


def small(stages, **more):
    """{name: section} of bound stages at the smoke size."""
    config = {"study": "x", "stages": stages, "smoke": True}
    return chain.bind(config | more).plain()["stages"]


def training(**more):
    """A section of a training as large as a paper's."""
    section = dict(
        kind="train",
        data=DATA | {"fraction": 0.5},
        task={"name": "segmentation"},
        model={
            "backbone": {
                "name": "resnet",
                "variant": "101",
                "output_stride": 8,
                "lengths": [3, 4, 20, 3],
            },
            "head": {"name": "fcn"},
        },
        steps=10_000,
    )
    return section | more


def pick(section, *keys):
    return {key: section[key] for key in keys}


def test_a_training_is_small():
    protocol = {"mode": "sliding", "scales": [0.5, 1.0]}
    crop = dict(name="crop", height=9, width=9)
    stage = training(
        data=DATA | {"fraction": 0.5, "augment": [{"name": "flip"}, crop]},
        batch_size=32,
        eval_every=500,
        patience=8,
        accumulate=4,
        schedule={"name": "poly", "warmup_steps": 100},
        lr=0.1,
        headline="test",
        evaluations={
            "test": {"split": "test", "count": 3, "protocol": protocol},
            "holdout": {"split": "train", "part": "holdout"},
            "other": {"name": "voc/cat", "count": None},
        },
    )
    (found,) = small({"x": stage}).values()
    draw = ("count", "fraction", "part", "size")
    assert pick(found["data"], *draw) == dict(
        count=4, fraction=None, part="all", size=[64, 64]
    )
    assert found["data"]["augment"] == [
        {"name": "flip"}, dict(name="crop", height=64, width=64)
    ]  # fmt: skip
    backbone = found["model"]["backbone"]
    tiny = dict(variant="tiny", lengths=[1, 1, 1, 1], width=8, output_stride=8)
    assert pick(backbone, *tiny) == tiny
    test, holdout, other = (found["evaluations"][n] for n in stage["evaluations"])
    assert (test["split"], test["count"], test["size"]) == ("test", 3, [64, 64])
    assert pick(test["protocol"], *protocol) == protocol
    # Of the same four.
    assert pick(holdout, *draw) == pick(found["data"], *draw) | {"part": "holdout"}
    assert (other["name"], other["count"]) == ("voc/cat", 4)
    schedule = pick(found["schedule"], "name", "warmup_steps")
    assert schedule == dict(name="poly", warmup_steps=1)
    numbers = ("steps", "batch_size", "eval_every", "patience", "accumulate", "lr")
    assert [found[key] for key in numbers] == [2, 2, 1, 1, 2, 0.1]
    (found,) = small({"x": training()}).values()
    assert found["evaluations"]["validation"]["count"] == 4
    numbers = ("eval_every", "patience", "accumulate")
    assert [found[key] for key in numbers] == [0, None, 1]


def test_what_a_draw_leaves_out_is_small():
    """Of a whole split it would be thousands."""
    rest = {"rest": {"split": "train", "part": "rest"}}
    (found,) = small({"x": training(evaluations=rest, headline="rest")}).values()
    drawn = [found["data"], found["evaluations"]["rest"]]
    assert [(one["part"], one["count"]) for one in drawn] == [
        ("train", 4), ("holdout", 4)
    ]  # fmt: skip


def test_each_part_of_a_training_is_small():
    whole = training(batch_size=8)
    part = {key: whole.pop(key) for key in ("data", "task")}
    whole["model"].pop("head")
    whole["model"]["heads"] = {
        "a": {"name": "linear"},
        "b": {"name": "deeplabv3", "width": 256},
    }
    stage = whole | {"parts": {"a": part, "b": dict(part, weight=2)}}
    (found,) = small({"x": stage}).values()
    parts = found["parts"].values()
    assert [one["weight"] for one in parts] == [1.0, 2.0]
    assert [one["data"]["count"] for one in parts] == [4, 4]
    assert found["model"]["heads"]["b"]["width"] == 16
    counts = {name: one["count"] for name, one in found["evaluations"].items()}
    assert counts == {"a/validation": 4, "b/validation": 4}


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
    data = {"name": "camvid/11", "split": "test"}
    line = dict(name="interpolation", data=data, training=dict(data, count=2))
    stages["pair"] = dict(kind="measure", parents=pair, analysis=line)
    found = small(stages)
    kept = {f"cell/seed{seed}" for seed in (0, 1)} | {f"{seed}/lr2" for seed in (0, 1)}
    assert set(found) == kept | {"source", "unused", "pair"}
    assert list(found) == [name for name in stages if name in found]
    assert found["cell/seed0"]["parents"] == {"candidate01": "0/lr2"}
    line = found["pair"]["analysis"]
    assert (line["data"]["count"], line["training"]["count"]) == (4, 2)
    assert (line["at"], line["batches"]) == ([0, 0.5, 1], 2)


def test_each_setting_has_a_cell_of_each_source_and_chain():
    def cell(setting, target, source):
        row = dict(role="target", setting=setting, target=target, source=source)
        parent = {} if source == "random" else {"parents": {"start": source}}
        return training(columns=[row], **parent)

    stages = {"a": training(), "b": training()}
    for setting in ("small", "full"):
        for target in ("t", "u"):
            for source in ("random", "a", "b"):
                name = f"{setting}/{target}/{source}"
                stages[name] = cell(setting, target, source)
    kept = [f"{s}/t/{of}" for s in ("small", "full") for of in ("random", "a", "b")]
    kept += ["small/u/random", "full/u/random"]
    assert set(small(stages)) == {"a", "b", *kept}


def test_a_change_of_the_config_holds_at_the_smoke_size():
    config = {"study": "x", "smoke": True, "stages": {"x": training()}}
    changed = overrides.override(config, [("stages/x/steps", 5)])
    assert changed.stages["x"].spec.steps == 5
    assert changed.stages["x"].spec.batch_size == 2


PARTS = [
    (package, name)
    for package in (models.HEADS, smoke.TASKS, smoke.ANALYSES)
    for name in lookup.names(package)
    if hasattr(importlib.import_module(f"{package}.{name}"), "TINY")
]


@pytest.mark.parametrize("package, name", PARTS)
def test_what_a_part_calls_small_are_its_fields(package, name):
    part = importlib.import_module(f"{package}.{name}")
    if package == smoke.ANALYSES:
        known = part.Spec.__dataclass_fields__
    elif package == models.HEADS:
        known = part.build(num_outputs=2, **part.TINY).__dataclass_fields__
    else:
        known = inspect.signature(part.build).parameters
    assert part.TINY and set(part.TINY) <= set(known)


@pytest.mark.parametrize("name", lookup.names(models.BACKBONES))
def test_a_tiny_backbone_has_none_of_the_sizes_of_another(name):
    """Whatever variant a study has, its numbers are those of `tiny`; the rest stays."""
    module = importlib.import_module(f"{models.BACKBONES}.{name}")

    def backbone(variant):
        model = {"backbone": {"name": name, "variant": variant}}
        stages = {"x": training(model=model | {"head": {"name": "linear"}})}
        return small(stages)["x"]["model"]["backbone"]

    tiny, sizes = backbone("tiny"), smoke.sizes(module.VARIANTS)
    for variant in module.VARIANTS:
        found = backbone(variant)
        assert {k: found[k] for k in sizes} == {k: tiny[k] for k in sizes}
        assert found["variant"] == "tiny"
