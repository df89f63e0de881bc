"""Findings of a paper, compared with what a study measured.

The findings of a study are CLAIMS of its file in `report/studies`. Each has a fixed
rule, printed beside its verdict. A finding is undecided where it was measured and the
intervals are too wide to say; with one seed there are none, and the means decide.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxseg.report import layout
from jaxseg.report.view import View

COLUMNS = [
    "study",
    "setting",
    "claim",
    "finding",
    "paper",
    "measured",
    "count",
    "rule",
    "verdict",
]
HELD, WEAKLY, NOT = "held", "held weakly", "did not hold"
UNDECIDED, UNMEASURED = "undecided", "not measured"
UNLEARNED = "pretext not learned"
Result = tuple[str, int, str]  # what was measured, count, verdict
Groups = Mapping[Any, Sequence[float]]  # {cell: its values, one for each seed or pair}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One finding. by_setting: it is measured for each setting of a study apart."""

    name: str
    finding: str
    paper: str
    rule: str
    measure: Callable[[View], Result]
    by_setting: bool = False


class Interval(NamedTuple):
    """A mean and its 95 % t interval; low and high are None where there is none."""

    mean: float
    low: float | None
    high: float | None


def table(view: View) -> list[dict[str, Any]]:
    """Rows of COLUMNS: each claim of the study, or of each of its settings."""
    claims = view.own.CLAIMS if view.own else ()
    whole = [claim for claim in claims if not claim.by_setting]
    lines = [_line(claim, view, "") for claim in whole]
    for setting in view.settings:
        here = view.at(setting)
        lines += [_line(claim, here, setting) for claim in claims if claim.by_setting]
    return lines


def _line(claim: Claim, view: View, setting: str) -> dict[str, Any]:
    measured, count, verdict = claim.measure(view)
    line = {"study": view.study.name, "setting": setting, "claim": claim.name}
    line |= {"finding": claim.finding, "paper": claim.paper, "rule": claim.rule}
    return line | {"measured": measured, "count": count, "verdict": verdict}


def nothing(why: str) -> Result:
    """The result of a finding for which the plan has no finished cell."""
    return why, 0, UNMEASURED


def means(groups: Groups) -> tuple[dict[Any, Interval], Interval]:
    """The mean of each group, and the mean of these means.

    Groups share one variance, of the values around their group's mean: three groups of
    three values leave six degrees of freedom. Without one there is no interval.
    """
    values = {key: np.asarray(some, float) for key, some in groups.items()}
    dof = sum(len(some) - 1 for some in values.values())
    squares = sum(((some - some.mean()) ** 2).sum() for some in values.values())
    deviation = math.sqrt(squares / dof) if dof else math.nan
    each = {
        key: _interval(some.mean(), deviation / math.sqrt(len(some)), dof)
        for key, some in values.items()
    }
    shares = sum(1 / len(some) for some in values.values())
    centre = np.mean([one.mean for one in each.values()])
    return each, _interval(centre, deviation * math.sqrt(shares) / len(values), dof)


def _interval(mean: float, error: float, dof: int) -> Interval:
    if not dof:
        return Interval(float(mean), None, None)
    half = float(layout.half_width(error, dof))
    return Interval(float(mean), float(mean) - half, float(mean) + half)


ABOVE = (
    "held: the 95 % interval of the mean difference is above 0, and so is the mean of "
    "each cell; weakly: only the interval is; not: the interval is below {margin}; "
    "undecided: none of these; with one seed the means decide"
)


def above(groups: Groups, margin: float = 0.0) -> str:
    """The verdict on `all of these differences are above 0`, by the rule ABOVE.

    margin: the smallest difference that counts.
    """
    each, overall = means(groups)
    every = all(one.mean > 0 for one in each.values())
    if overall.low is None:
        return HELD if every else WEAKLY if overall.mean > 0 else NOT
    if overall.low > 0:
        return HELD if every else WEAKLY
    return NOT if overall.high < margin or overall.high <= 0 else UNDECIDED


def both(verdicts: Iterable[str]) -> str:
    """The verdict on a finding of several parts.

    >>> both([HELD, WEAKLY]), both([HELD, NOT]), both([NOT, UNDECIDED])
    ('held weakly', 'held weakly', 'did not hold')
    >>> both([HELD, UNDECIDED])
    'undecided'
    """
    found = set(verdicts)
    if found == {HELD}:
        return HELD
    if NOT in found:
        return WEAKLY if found & {HELD, WEAKLY} else NOT
    return UNDECIDED if UNDECIDED in found else WEAKLY


def shown(interval: Interval, form: str = "{:+.1f}") -> str:
    """A mean with its interval.

    >>> shown(Interval(2.0, 1.5, 2.5)), shown(Interval(2.0, None, None))
    ('+2.0 (+1.5 to +2.5)', '+2.0')
    """
    if interval.low is None:
        return form.format(interval.mean)
    ends = (form.format(end) for end in (interval.low, interval.high))
    return f"{form.format(interval.mean)} ({' to '.join(ends)})"


def size(groups: Groups) -> int:
    """The number of values in all groups."""
    return sum(map(len, groups.values()))
