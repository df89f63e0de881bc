"""Where a result stands in tables: what the config says, and what follows from it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.data import subsets
from jaxseg.transfer import stage as stages
from jaxseg.transfer.kinds import select, train


def complete(
    label: Mapping[str, Any], stage: stages.Stage, by_name: Mapping[str, stages.Stage]
) -> dict[str, Any]:
    """All columns of results.csv that are known before the stage has run."""
    trained = _trained(stage, by_name)
    if trained is None:
        return dict(label)
    parent = _first_parent(trained, by_name)
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
    """Data set, task, domain and images of a target or a source.

    images: what is trained on; set_images: all that the training split has.
    """
    trained = None if stage is None else _trained(stage, by_name)
    if trained is None:
        names = ("dataset", "task", "domain", "images", "set_images")
        return {f"{side}_{what}": None for what in names}
    data = trained.spec["data"]
    facts = train.find(data)
    total = facts.splits.get(data["split"], 0)
    count = subsets.share(total, data["count"], data["fraction"], what=data["name"])
    drawn = count or total  # 0: only counted in the folder
    return {
        f"{side}_dataset": data["name"],
        f"{side}_task": trained.spec["task"]["name"],
        f"{side}_domain": facts.domain,
        f"{side}_images": subsets.part_size(drawn, data["part"]) if drawn else None,
        f"{side}_set_images": total or None,
    }


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


def _first_parent(
    stage: stages.Stage, by_name: Mapping[str, stages.Stage]
) -> stages.Stage | None:
    starts = stage.spec["starts"]
    return by_name[stage.parents[starts[0]["parent"]]] if starts else None


def _chain(stage: stages.Stage, by_name: Mapping[str, stages.Stage]) -> list[str]:
    """Names of what `stage` starts from, the first training first."""
    parent = _first_parent(stage, by_name)
    if parent is None:
        return []
    trained = _trained(parent, by_name)
    before = [] if trained is None else _chain(trained, by_name)
    return [*before, parent.name]
