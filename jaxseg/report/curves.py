"""Curves of trainings by step, from metrics.jsonl, and their averages over runs."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Points = Sequence[tuple[int | float, int | float]]  # (step, value), by step
Lines = Iterable[Mapping[str, Any]]  # of metrics.jsonl
CLOSE = 0.99  # of the best value, or the best is of this: a run that has converged


class Band(NamedTuple):
    """Several runs as one curve: at each x mean, smallest and largest, [points]."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: int


def losses(lines: Lines) -> Points:
    """[(step, training loss)]."""
    return _series(lines, "train", lambda line: line.get("loss"))


def evaluated(lines: Lines, metric: str) -> Points:
    """[(step, value)] of the first evaluation of a log; others run at the end only."""
    lines = list(lines)
    of = next((line["split"] for line in lines if line["kind"] == "evaluation"), None)
    read = lambda line: line["metrics"].get(metric) if line["split"] == of else None
    first: dict[int, float] = {}  # the kept weights are measured again at the end
    for step, value in _series(lines, "evaluation", read):
        first.setdefault(step, value)
    return list(first.items())


def average(runs: Sequence[Points]) -> Band:
    """Mean and range of runs at each step that one of them has.

    Between its own steps a run is a straight line. After its end it counts with the
    last value it measured, which may be worse than that of the weights it keeps:
    without it the mean would jump where a run stops. Before its first step it does not
    count.

    >>> band = average([[(1, 0.2), (3, 0.4)], [(1, 0.4), (2, 0.9)]])
    >>> [round(float(value), 2) for value in band.mean], band.runs
    ([0.3, 0.6, 0.65], 2)
    """
    steps = np.array(sorted({step for points in runs for step, _ in points}), float)
    table = [
        np.interp(steps, *np.array(points, float).T, left=np.nan) for points in runs
    ]
    ends = [reduce(table, axis=0) for reduce in (np.nanmean, np.nanmin, np.nanmax)]
    return Band(steps, *ends, len(runs))


def reached(
    points: Points, bar: float, higher_is_better: bool = True
) -> int | float | None:
    """The first step with a value of at least `bar`, of an error at most; None: never.

    >>> reached([(10, 0.2), (20, 0.7), (30, 0.6)], bar=0.5)
    20
    >>> reached([(10, 0.9), (20, 0.4)], bar=0.5, higher_is_better=False)
    20
    """
    good = operator.ge if higher_is_better else operator.le
    return next((step for step, value in points if good(value, bar)), None)


def close(points: Points, higher_is_better: bool = True) -> float:
    """What a run has when it has converged: 99 % of its best value, of an error that of
    which its best value is 99 %; never better than the best.

    >>> close([(1, 0.4), (2, 0.8)])
    0.792
    >>> close([(1, 2.0), (2, 0.99)], higher_is_better=False)
    1.0
    """
    values = [value for _, value in points]
    best = max(values) if higher_is_better else min(values)
    return best * CLOSE if (best > 0) == higher_is_better else best / CLOSE


def head_start(
    pretrained: Points, scratch: Points, higher_is_better: bool = True
) -> float:
    """log(steps of the random start / steps of the pretrained one) to within 1 % of the
    best value of the random start. A run that never comes there takes all steps of
    both.

    >>> round(math.exp(head_start([(5, 0.7), (10, 0.8)], [(5, 0.1), (10, 0.7)])), 2)
    2.0
    """
    bar = close(scratch, higher_is_better)
    last = max(pretrained[-1][0], scratch[-1][0])
    steps = [
        reached(points, bar, higher_is_better) or last
        for points in (pretrained, scratch)
    ]
    return math.log(steps[1] / steps[0])


def _series(lines: Lines, kind: str, read) -> Points:
    """[(step, value)] of the log lines of one kind in which `read` gives a value."""
    points = [(line["step"], read(line)) for line in lines if line["kind"] == kind]
    return [(step, value) for step, value in points if value is not None]
