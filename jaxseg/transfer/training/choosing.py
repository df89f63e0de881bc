"""Evaluations that choose weights: when they run, and what protocols say of it."""

from collections.abc import Mapping

from jaxseg.transfer.spec import EvalSpec, TrainSpec

EVALUATIONS, SHARE = 10, 1 / 8  # at most, where `eval_every` is left open, see `period`


def period(spec: TrainSpec, images: int) -> int:
    """Steps between evaluations of so many images, where `eval_every` is left open.

    Of the numbers of evaluations up to 10, the last one at the end, the largest that
    looks at no more than an eighth as many images as training does; one where that is
    too much already, or where their number is not known (0). Counted, never timed:
    another machine stops at the same step.
    """
    steps = spec.steps
    looks = int(SHARE * steps * spec.batch_size)
    affordable = looks // images if images else 1
    return -(-steps // max(1, min(affordable, EVALUATIONS)))


def due(spec: TrainSpec, step: int) -> bool:
    """Whether the chooser looks at the weights after this step, from 1.

    All evaluators see the last ones after the loop; in it only where that may choose,
    and there is another one to choose.
    """
    every, steps = spec.eval_every, spec.steps
    if step == steps:
        return 0 < every < steps and spec.chooses
    return bool(every) and step % every == 0


def during(spec: TrainSpec) -> int:
    """How often the chooser looks at the weights before all evaluators do at the end,
    if patience does not end it earlier.
    """
    every, steps = spec.eval_every, spec.steps
    before = (steps - 1) // every if every else 0
    return before + due(spec, steps)


def candidates(
    evaluations: Mapping[str, EvalSpec],
    name: str,
    decided: str,
    count: int,
    at_most: str = "",
) -> str:
    """What the protocol of an evaluation adds where its images chose one of `count`
    candidates with these evaluations, by the one called `decided`.

    at_most: "up to " of a search: the same wherever its walk ended, so that rows
    compare.
    """
    if count == 1:
        return ""
    both = name in evaluations and decided in evaluations
    if name == decided or (both and evaluations[name].overlaps(evaluations[decided])):
        return f", best of {at_most}{count} candidates on this set"
    return ""


def words(spec: TrainSpec, name: str) -> str:
    """What the protocol of an evaluation adds where its images chose the weights too.

    The same for all runs of a spec, whenever patience ended them: rows compare.
    """
    if not spec.chooses:
        return ""
    data, chosen = spec.evaluations[name], spec.evaluations[spec.chooser]
    if not data.overlaps(chosen):
        return ""
    count = -(-spec.steps // spec.eval_every)  # the last step has one as well
    if count == 1:
        return ""
    if spec.keep == "last":
        return ", stopped by evaluations of this set"
    at_most = "" if spec.patience is None else "up to "
    return f", best of {at_most}{count} evaluations of this set"
