"""A study at its smoke size: all that it has, each thing once, in minutes.

A part with sizes of its own says beside its `build` or `run` what is small: a backbone
by its variant `tiny`; a head, a task or an analysis by TINY = {field: value}, if it
needs one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jaxseg.core import lookup
from jaxseg.models import model as models

SIDE, IMAGES, STEPS, BATCH = 64, 4, 2, 2
AT_MOST = {"eval_every": 1, "patience": 1, "accumulate": BATCH}
START = ("source", "baseline", "overlap", "seed")  # columns: from what, which draw
TASKS, ANALYSES = "jaxseg.tasks", "jaxseg.analysis"
Section = Mapping[str, Any]


def small(stages: Mapping[str, Section]) -> dict[str, dict[str, Any]]:
    """The stages of a study at its smoke size, from bound ones as a config writes them.

    Data sets, tasks, heads, transplants and protocols stay. Backbones are `tiny`,
    images of SIDE pixels, at most IMAGES of each split, which needs as many; STEPS
    steps of BATCH images; one rate. Of the cells those stay that show a line of a
    table, a source or a chain of task types for the first time, and what other stages
    need. Evaluations of what a draw left out are of the held-out part of a draw.
    Imported weights stay, so give those of tiny networks.
    """
    inner = {name for stage in stages.values() for name in _parents(stage)}
    rules = {"train": _training, "measure": _measurement, "pseudo": _explanation}
    changed = {
        name: {**stage, **rules.get(stage["kind"], dict)(stage)}
        for name, stage in stages.items()
    }
    for stage in changed.values():
        if stage["kind"] == "select":
            stage["parents"] = _of_one_rate(stage, changed)
    kept = _once(changed, inner)
    return {name: stage for name, stage in changed.items() if name in kept}


def _training(stage: Section) -> dict[str, Any]:
    few = dict(steps=STEPS, batch_size=BATCH, model=_model(stage["model"]))
    evaluations = stage["evaluations"]
    few["evaluations"] = {name: _data(one) for name, one in evaluations.items()}
    rest = any(one["part"] == "rest" for one in evaluations.values())

    def part(section: Section) -> dict[str, Any]:
        data = section["data"]
        drawn = "train" if rest and data["part"] == "all" else data["part"]
        task = _tiny(TASKS, section["task"])
        return {"data": _data({**data, "part": drawn}), "task": task}

    if stage.get("parts"):
        parts = stage["parts"].items()
        few["parts"] = {name: {**own, **part(own)} for name, own in parts}
    else:
        few |= part(stage)
    few |= {key: min(stage[key], n) for key, n in AT_MOST.items() if stage[key]}
    if (stage["schedule"] or {}).get("warmup_steps"):
        few["schedule"] = {**stage["schedule"], "warmup_steps": 1}
    return few


def _model(section: Section) -> dict[str, Any]:
    """A model section with the tiny variant of its backbone and small heads."""
    backbone = section["backbone"]
    variants = lookup.load(models.BACKBONES, backbone["name"]).VARIANTS
    kept = {k: v for k, v in backbone.items() if k not in sizes(variants)}
    changed = {**section, "backbone": {**kept, "variant": "tiny"}}
    if "heads" in section:
        heads = section["heads"].items()
        return changed | {"heads": {n: _tiny(models.HEADS, one) for n, one in heads}}
    return changed | {"head": _tiny(models.HEADS, section["head"])}


def sizes(variants: Mapping[str, Section]) -> set[str]:
    """Fields of a backbone that variants set to a number or numbers.

    >>> sizes({"16": {"widths": (64, 128)}, "16_bn": {"widths": (64,), "norm": True}})
    {'widths'}
    """
    fields = [item for variant in variants.values() for item in variant.items()]
    return {field for field, value in fields if not isinstance(value, bool | str)}


def _tiny(package: str, section: Section) -> dict[str, Any]:
    """The section of a part with what it calls small."""
    part = lookup.load(package, section["name"])
    return {**section, **getattr(part, "TINY", {})}


def _data(section: Section) -> dict[str, Any]:
    """A data section with at most IMAGES images; those with a size are of SIDE."""
    few = {**section, "fraction": None}
    few["count"] = min(section["count"] or IMAGES, IMAGES)
    if section["part"] == "rest":
        few["part"] = "holdout"
    if "size" in section:
        few["size"] = [SIDE, SIDE]
    if not isinstance(section.get("augment", ""), str):
        few["augment"] = [
            {k: SIDE if k in ("height", "width") else v for k, v in step.items()}
            for step in section["augment"]
        ]
    if section.get("mix"):
        few["mix"] = [_data(one) for one in section["mix"]]
    return few


def _explanation(stage: Section) -> dict[str, Any]:
    return dict(data=_data(stage["data"]), method={**stage["method"], "samples": STEPS})


def _measurement(stage: Section) -> dict[str, Any]:
    """Data sections, alone or in lists, are those that say which part of a draw."""

    def few(value: Any) -> Any:
        if isinstance(value, list):
            return [few(one) for one in value]
        is_data = isinstance(value, Mapping) and "part" in value
        return _data(value) if is_data else value

    analysis = {key: few(value) for key, value in stage["analysis"].items()}
    return {"analysis": _tiny(ANALYSES, analysis)}


def _of_one_rate(select: Section, stages: Mapping[str, Section]) -> dict[str, str]:
    """The parents of a selection: of those that differ only in their rate the one that
    its search begins with, or the first.
    """
    kept: dict[str, str] = {}
    seen: list[dict[str, Any]] = []
    for role in sorted(select["parents"], key=lambda role: role != select.get("start")):
        name = select["parents"][role]
        alike = {key: value for key, value in stages[name].items() if key != "lr"}
        if alike not in seen:
            seen.append(alike)
            kept[role] = name
    return kept


def _once(stages: Mapping[str, Section], inner: Iterable[str]) -> set[str]:
    """Names of the stages that bring something new, by `_brings`, and of all that they
    descend from. inner: names of parents; without a cell they are there for these.
    """
    seen: set[tuple] = set()
    again, needed = set(), set()
    for name, stage in stages.items():
        new = set(_brings(stage, stages)) - seen
        seen |= new
        if not new and (stage.get("columns") or name in inner):
            again.add(name)
    for name, stage in reversed(stages.items()):
        if name in needed or name not in again:
            needed |= {name, *_parents(stage)}
    return needed


def _brings(stage: Section, stages: Mapping[str, Section]) -> Iterator[tuple]:
    """What the cells of a stage show, whatever their seed: each line of a table from
    any start; for each network and setting each source and each chain of task types.
    """
    for row in stage.get("columns") or ():
        line = {k: v for k, v in row.items() if k not in START}
        yield "line", *sorted(map(repr, line.items()))
        place = row.get("role"), row.get("variant"), row.get("setting")
        yield "source", *place, row.get("source")
        yield "chain", *place, *_tasks(stage, stages)


def _tasks(stage: Section, stages: Mapping[str, Section]) -> Iterator[str]:
    """Task types of all that a stage descends from, and its own."""
    parents = list(_parents(stage))
    for name in parents[:1] if stage["kind"] == "select" else parents:
        yield from _tasks(stages[name], stages)
    if stage["kind"] == "train":
        tasks = [part["task"] for part in (stage.get("parts") or {"": stage}).values()]
        yield "+".join(dict.fromkeys(task["name"] for task in tasks))


def _parents(stage: Section) -> Iterable[str]:
    return (stage.get("parents") or {}).values()
