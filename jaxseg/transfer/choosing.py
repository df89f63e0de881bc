"""Which images decide what weights a training keeps, and who has to be told."""

from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, lookup
from jaxseg.data import subsets

SET = ("name", "root", "options", "copy")  # of a data section: whose images


def chooser(spec: Mapping[str, Any]) -> str:
    """The evaluation that `keep` and `patience` look at, and that runs in between."""
    return spec["choose_by"] or spec["headline"]


def chooses(spec: Mapping[str, Any]) -> bool:
    """Whether evaluations decide which weights are kept or when training ends."""
    return spec["keep"] == "best" or spec["patience"] is not None


def due(spec: Mapping[str, Any], step: int) -> bool:
    """Whether the chooser looks at the weights after this step, from 1.

    All evaluators see the last ones after the loop; in it only where that may choose.
    """
    period, steps = spec["eval_every"], spec["steps"]
    if step == steps:
        return bool(period) and chooses(spec)
    return bool(period) and step % period == 0


def check(spec: Mapping[str, Any], where: str) -> None:
    """UserError on evaluations that are not there or never run."""
    for field in ("headline", "choose_by"):
        name = spec[field]
        if name is not None and name not in spec["evaluations"]:
            raise lookup.unknown(
                name, spec["evaluations"], kind="evaluation", where=f"{where}/{field}"
            )
    if chooses(spec) and not spec["eval_every"]:
        field = "patience" if spec["patience"] is not None else "keep='best'"
        raise errors.UserError(
            f"{where}: {field} needs eval_every, found 0. Fix: eval_every=N, the steps "
            "between evaluations."
        )


def overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two data sections may share images: all of one split but the parts of
    one draw.
    """
    if not same_split(one, other):
        return False
    apart = {one["part"], other["part"]} == {"fit", "held_out"}
    return not apart or any(one[key] != other[key] for key in subsets.DRAW)


def same_split(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two data sections draw from the same images."""
    return all(one[key] == other[key] for key in (*SET, "split"))


def candidates(spec: Mapping[str, Any], name: str, decided: str, count: int) -> str:
    """What the protocol of an evaluation adds where its images chose one of `count`
    candidates of this spec, by the evaluation `decided`.
    """
    if count == 1:
        return ""
    known = spec.get("evaluations", {})  # a selection among selections has none
    both = name in known and decided in known
    if name == decided or (both and overlap(known[name], known[decided])):
        return f", best of {count} candidates on this set"
    return ""


def words(spec: Mapping[str, Any], name: str) -> str:
    """What the protocol of an evaluation adds where its images chose the weights too.

    The same for all runs of a spec, whenever patience ended them: rows compare.
    """
    data, chosen = spec["evaluations"][name], spec["evaluations"][chooser(spec)]
    if not chooses(spec) or not overlap(data, chosen):
        return ""
    count = -(-spec["steps"] // spec["eval_every"])  # the last step has one as well
    if count == 1:
        return ""
    if spec["keep"] == "last":
        return ", stopped by evaluations of this set"
    at_most = "" if spec["patience"] is None else "up to "
    return f", best of {at_most}{count} evaluations of this set"
