"""Columns of results.csv: where a result stands, by the config and what follows."""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxseg.core import errors, lookup, trees
from jaxseg.data.spec import DataSpec
from jaxseg.report import rows
from jaxseg.transfer import stage as stages
from jaxseg.transfer.spec import StartSpec, TrainSpec

NAMES = (*rows.COLUMNS, "role", "baseline", "pair")  # that tables know
ROLES = (*rows.ROLES, "candidate", "measure")


def complete(given: Mapping[str, Any], stage: stages.Stage) -> dict[str, Any]:
    """All columns that are known before the stage has run; those given win.

    UserError for a name that differs from a known one by a slip alone, and for a role
    that is not among ROLES.
    """
    if given.get("role") not in (None, *ROLES):
        where = f"stages/{stage.name}/columns"
        raise lookup.unknown(given["role"], ROLES, kind="role", where=where)
    for name in given:
        if name not in NAMES and (hint := lookup.did_you_mean(name, NAMES)):
            raise errors.UserError(
                f"stages/{stage.name}/columns: found {name!r}.{hint} A column of your "
                "own needs a name that is not so near to a known one."
            )
    trained = _training(stage)
    if trained is None:
        return dict(given)
    parent, spec = _parent(trained), trained.spec
    parts = spec.by_part.values()
    backbone = spec.model["backbone"]
    choice = stages.kind(stage.kind).selected(stage.spec)
    derived = {
        "backbone": "/".join(filter(None, (backbone["name"], backbone.get("variant")))),
        "resolution": _joined("x".join(map(str, p.data.size)) for p in parts),
        "start": " > ".join(_chain(trained)) or "random",
        "source": "random" if parent is None else parent.name,
        "seed": spec.seed,
        "lr": None if choice else spec.lr,
        "selected": choice,
        "variant": "",
        **_side("target", trained),
        **_side("source", parent),
    }
    return derived | dict(given)


def _side(side: str, stage: stages.Stage | None) -> dict[str, Any]:
    """Data set, task, domain and images of a target or a source.

    images: what is trained on; set_images: all that the training splits have.
    """
    names = ("dataset", "task", "domain", "images", "set_images")
    values: Mapping[str, Any] = dict.fromkeys(names)
    if stage is not None:
        trained, origin = _training(stage), stages.kind(stage.kind).origin(stage.spec)
        values = origin or values if trained is None else _trained_on(trained)
    return {f"{side}_{name}": value for name, value in values.items()}


def _trained_on(stage: stages.Stage) -> dict[str, Any]:
    """Of all sets of all parts; counts are None where only the folder tells one."""
    spec: TrainSpec = stage.spec
    every = [(data, data.facts()) for data in spec.trained_on]
    images, totals = zip(*(data.images(facts) for data, facts in every))
    return {
        "dataset": _joined(_called(data, stage) for data, _ in every),
        "task": _joined(part.task["name"] for part in spec.by_part.values()),
        "domain": _joined(facts.domain for _, facts in every),
        "images": sum(images) if all(images) else None,
        "set_images": sum(totals) if all(totals) else None,
    }


def _called(data: DataSpec, stage: stages.Stage) -> str:
    """The name of a set; of one that a parent publishes, what that was made of first:
    labels that a stage made of drawn images say nothing on photographs either.
    """
    publisher = stage.parents[data.of] if data.of else None
    read = stages.kind(publisher.kind).reads(publisher.spec) if publisher else {}
    return ", ".join([*(one.called for one in read.values()), data.called])


def _joined(values: Iterable[str]) -> str:
    """Each once, in order."""
    return " + ".join(dict.fromkeys(values))


def _training(stage: stages.Stage) -> stages.Stage | None:
    return stages.kind(stage.kind).training(stage)


def _parent(stage: stages.Stage) -> stages.Stage | None:
    """Where its backbone comes from, or else what its first start takes."""
    starts = stage.spec.starts
    filling = [start for start in starts if _fills_backbone(start)]
    return stage.parents[(filling or starts)[0].parent] if starts else None


def _fills_backbone(start: StartSpec) -> bool:
    return any(trees.under("backbone", prefix) for prefix in start.take)


def _chain(stage: stages.Stage) -> list[str]:
    """Names of what `stage` starts from, the first training first."""
    parent = _parent(stage)
    if parent is None:
        return []
    trained = _training(parent)
    before = [] if trained is None else _chain(trained)
    return [*before, parent.name]
