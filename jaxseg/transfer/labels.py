"""Where a result stands in tables: what the config says, and what follows from it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.core import trees
from jaxseg.data import subsets
from jaxseg.transfer import stage as stages
from jaxseg.transfer.kinds import imported, select, train


def complete(
    label: Mapping[str, Any], stage: stages.Stage, by_name: Mapping[str, stages.Stage]
) -> dict[str, Any]:
    """All columns of results.csv that are known before the stage has run."""
    trained = _trained(stage, by_name)
    if trained is None:
        return dict(label)
    parent = _parent(trained, by_name)
    spec = trained.spec
    backbone = spec["model"]["backbone"]
    derived = {
        "backbone": "/".join(filter(None, (backbone["name"], backbone.get("variant")))),
        "resolution": "x".join(map(str, spec["data"]["size"])),
        "start": " > ".join(_chain(trained, by_name)) or "random",
        "source": "random" if parent is None else parent.name,
        "seed": spec["seed"],
        "lr": None if stage.kind == "select" else spec["lr"],
        "selected": stage.spec["evaluation"] if stage.kind == "select" else "",
        "variant": "",
        **_side("target", trained, by_name),
        **_side("source", parent, by_name),
    }
    return derived | dict(label)


def _side(
    side: str, stage: stages.Stage | None, by_name: Mapping[str, stages.Stage]
) -> dict[str, Any]:
    """Data set, task, domain and images of a target or a source, of all that is mixed.

    images: what is trained on; set_images: all that the training splits have.
    """
    if stage is not None and stage.kind == "imported":
        origin = imported.came_from(stage.spec)
        return {f"{side}_{what}": value for what, value in origin.items()}
    trained = None if stage is None else _trained(stage, by_name)
    if trained is None:
        names = ("dataset", "task", "domain", "images", "set_images")
        return {f"{side}_{what}": None for what in names}
    data = trained.spec["data"]
    every = (data, *data["mix"])
    images, totals = zip(*map(_images, every))
    domains = dict.fromkeys(train.find(one).domain for one in every)
    return {
        f"{side}_dataset": " + ".join(dict.fromkeys(one["name"] for one in every)),
        f"{side}_task": trained.spec["task"]["name"],
        f"{side}_domain": " + ".join(domains),
        f"{side}_images": sum(images) if all(images) else None,
        f"{side}_set_images": sum(totals) if all(totals) else None,
    }


def _images(data: Mapping[str, Any]) -> tuple[int, int]:
    """How many a data section takes, of how many; 0 where only the folder tells."""
    total = train.find(data).splits.get(data["split"], 0)
    count = subsets.share(total, data["count"], data["fraction"], what=data["name"])
    drawn = count or total
    return subsets.part_size(drawn, data["part"]) if drawn else 0, total


def _trained(
    stage: stages.Stage, by_name: Mapping[str, stages.Stage]
) -> stages.Stage | None:
    """The train stage behind `stage`: itself, or the first candidate of a selection,
    as it is once it is trained on all images.
    """
    if stage.kind == "select":
        first = _trained(by_name[next(iter(stage.parents.values()))], by_name)
        if first is None or not select.refits(stage.spec, first):
            return first
        return dataclasses.replace(first, spec=select.on_all_images(first.spec))
    return stage if stage.kind == "train" else None


def _parent(
    stage: stages.Stage, by_name: Mapping[str, stages.Stage]
) -> stages.Stage | None:
    """Where its backbone comes from, or else what its first start takes."""
    starts = stage.spec["starts"]
    if not starts:
        return None
    filling = [
        start
        for start in starts
        if any(trees.under("backbone", prefix) for prefix in start["take"])
    ]
    return by_name[stage.parents[(filling or starts)[0]["parent"]]]


def _chain(stage: stages.Stage, by_name: Mapping[str, stages.Stage]) -> list[str]:
    """Names of what `stage` starts from, the first training first."""
    parent = _parent(stage, by_name)
    if parent is None:
        return []
    trained = _trained(parent, by_name)
    before = [] if trained is None else _chain(trained, by_name)
    return [*before, parent.name]
