"""Which images decide what weights a training keeps, and who has to be told."""

from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, lookup
from jaxseg.data import subsets

SET = ("name", "root", "options", "copy")  # of a data section: whose images
EVALUATIONS, SHARE = 10, 1 / 8  # at most, where `eval_every` is left open, see `period`


def chooser(spec: Mapping[str, Any]) -> str:
    """The evaluation that `keep` and `patience` look at, and that runs in between."""
    return spec["choose_by"] or spec["headline"]


def chooses(spec: Mapping[str, Any]) -> bool:
    """Whether evaluations decide which weights are kept or when training ends."""
    return spec["keep"] == "best" or spec["patience"] is not None


def period(spec: Mapping[str, Any], images: int) -> int:
    """Steps between evaluations of so many images, where `eval_every` is left open.

    Of the numbers of evaluations up to 10, the last one at the end, the largest that
    looks at no more than an eighth as many images as training does; one where that is
    too much already, or where their number is not known (0). Counted, never timed:
    another machine stops at the same step.
    """
    steps = spec["steps"]
    looks = int(SHARE * steps * spec["batch_size"])
    affordable = looks // images if images else 1
    return -(-steps // max(1, min(affordable, EVALUATIONS)))


def due(spec: Mapping[str, Any], step: int) -> bool:
    """Whether the chooser looks at the weights after this step, from 1.

    All evaluators see the last ones after the loop; in it only where that may choose,
    and there is another one to choose.
    """
    every, steps = spec["eval_every"], spec["steps"]
    if step == steps:
        return 0 < every < steps and chooses(spec)
    return bool(every) and step % every == 0


def during(spec: Mapping[str, Any]) -> int:
    """How often the chooser looks at the weights before all evaluators do at the end,
    if patience does not end it earlier.
    """
    every, steps = spec["eval_every"], spec["steps"]
    before = (steps - 1) // every if every else 0
    return before + due(spec, steps)


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
    apart = {one["part"], other["part"]} == {"train", "holdout"}
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
