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
from scipy import special

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
TWO_TESTS = 0.9  # level of the interval that equals two one-sided tests at 5 %
Result = tuple[str, int, str]  # what was measured, count, verdict
Groups = Mapping[
    Any, Sequence[int | float]
]  # {cell: its values, one for each seed or pair}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One finding. settings: those of a study in which it is measured apart; with none
    it is measured once, over the whole study.
    """

    name: str
    finding: str
    paper: str
    rule: str
    measure: Callable[[View], Result]
    settings: Sequence[str] = ()


class Interval(NamedTuple):
    """A mean and its 95 % t interval; low and high are None where there is none."""

    mean: float
    low: float | None
    high: float | None


def table(view: View) -> list[dict[str, Any]]:
    """Rows of COLUMNS: each claim, in the study or in each of its settings that have
    gains; where only others have, in the first.
    """
    here = {"": view} | {setting: view.at(setting) for setting in view.settings}
    return [
        _line(claim, here.get(setting) or view.at(setting), setting)
        for claim in (view.own.CLAIMS if view.own else ())
        for setting in _settings(claim, view)
    ]


def _settings(claim: Claim, view: View) -> Sequence[str]:
    if not claim.settings:
        return ("",)
    there = [setting for setting in claim.settings if setting in view.settings]
    return there or claim.settings[: bool(view.settings)]


def _line(claim: Claim, view: View, setting: str) -> dict[str, Any]:
    measured, count, verdict = claim.measure(view)
    line = {"study": view.study.name, "setting": setting, "claim": claim.name}
    line |= {"finding": claim.finding, "paper": claim.paper, "rule": claim.rule}
    return line | {"measured": measured, "count": count, "verdict": verdict}


def nothing(why: str) -> Result:
    """The result of a finding for which the plan has no finished cell."""
    return why, 0, UNMEASURED


def means(
    groups: Groups, level: float = layout.LEVEL
) -> tuple[dict[Any, Interval], Interval]:
    """The mean of each group, and the mean of these means, with intervals of `level`.

    Groups share one variance, of the values around their group's mean: three groups of
    three values leave six degrees of freedom. Without one there is no interval.
    """
    values = {key: np.asarray(some, float) for key, some in groups.items()}
    deviation, dof = _scatter(values)
    each = {
        key: _interval(some.mean(), deviation / math.sqrt(len(some)), dof, level)
        for key, some in values.items()
    }
    centre = np.mean([one.mean for one in each.values()])
    return each, _interval(centre, deviation * _shrunk(values), dof, level)


def _scatter(values: Mapping[Any, np.ndarray]) -> tuple[float, int]:
    """(standard deviation around the groups' means, degrees of freedom)."""
    dof = sum(len(some) - 1 for some in values.values())
    squares = sum(((some - some.mean()) ** 2).sum() for some in values.values())
    return math.sqrt(squares / dof) if dof else math.nan, dof


def _shrunk(values: Mapping[Any, np.ndarray]) -> float:
    """The standard error of the mean of groups' means, of values that scatter by 1."""
    return math.sqrt(sum(1 / len(some) for some in values.values())) / len(values)


def _interval(mean: float, error: float, dof: int, level: float) -> Interval:
    if not dof:
        return Interval(float(mean), None, None)
    half = float(layout.half_width(error, dof, level))
    return Interval(float(mean), float(mean) - half, float(mean) + half)


ABOVE = (
    "held: the 95 % interval of the mean difference lies above 0, by however little, "
    "and each cell's mean does; weakly: only the interval does; with one seed the "
    "means decide: held where each is above 0, weakly where only their mean is, "
    "else not"
)
ENDS = "; not: the interval does not lie above 0, and {ends}; undecided: otherwise"
EQUAL = (
    "held: the 90 % interval of the mean difference lies within {margin} of 0 (two "
    "one-sided tests at 5 %); not: it lies outside; undecided: otherwise. With one "
    "seed the mean decides"
)
WORST = "Of the parts the worst decides, from not over undecided and weakly to held"
JOINT = f". {WORST}"
PARTLY = JOINT + "; but weakly where some parts are not and others are"


def shortened(rules: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The rules, letters in place of what several share; {letter: ABOVE or WORST}.

    >>> shortened(["IoU; " + ABOVE, "steps; " + ABOVE + JOINT])[0][0]
    'IoU; (a)'
    """
    several = [t for t in (ABOVE, WORST) if sum(t in rule for rule in rules) > 1]
    letters = {f"({letter})": text for letter, text in zip("ab", several)}
    for letter, text in letters.items():
        rules = [rule.replace(text, letter) for rule in rules]
    return list(rules), letters


def above(
    groups: Groups, margin: float = 0.0, sample: Sequence[int | float] = ()
) -> str:
    """The verdict on `all of these differences are above 0`, by ABOVE and ENDS.

    margin: an interval that reaches from 0 or less to less than this excludes any
    difference that matters; the finding then does not hold, where it would else be
    undecided. sample: independent values whose interval is asked for where those of
    the groups are not; else the interval is of the groups' means, as in `means`.
    """
    each, overall = means(groups)
    if sample:
        overall = means({"": sample})[1]
    every = all(one.mean > 0 for one in each.values())
    if overall.low is None:
        return HELD if every else WEAKLY if overall.mean > 0 else NOT
    if overall.low > 0:
        return HELD if every else WEAKLY
    return NOT if overall.high < margin or overall.high <= 0 else UNDECIDED


def equal(groups: Groups, margin: float) -> str:
    """The verdict on `the mean of these differences is 0`, by the rule EQUAL.

    margin: the smallest difference that matters, above 0.
    """
    mean = means(groups, level=TWO_TESTS)[1]
    low, high = (mean.mean, mean.mean) if mean.low is None else mean[1:]
    if -margin < low and high < margin:
        return HELD
    return NOT if low >= margin or high <= -margin else UNDECIDED


def power(groups: Groups, margin: float) -> float | None:
    """The chance that `equal` says HELD of groups of these sizes where the difference
    is 0 and values scatter by the standard deviation that was found; None where each
    group has one value. A finding that is undecided at a low power says little.
    """
    values = {key: np.asarray(some, float) for key, some in groups.items()}
    deviation, dof = _scatter(values)
    if not dof:
        return None
    error = deviation * _shrunk(values)
    return layout.chance_within(error, dof, margin, level=TWO_TESTS)


def kendall(one: Sequence[int | float], other: Sequence[int | float]) -> Interval:
    """Kendall's tau-b of two rankings of the same n things, and its 95 % interval: of
    atanh(tau), whose variance is 0.437 / (n - 4) (Fieller et al. 1957, Biometrika 44).

    None for its ends below five things, and where all are in one order: the variance
    holds for |tau| < 0.8. Mean NaN where all things of a ranking are tied.
    """
    from scipy import stats  # a second: other reports do without

    tau, n = float(stats.kendalltau(one, other).statistic), len(one)
    if n < 5 or not abs(tau) < 1 - 1e-9:
        return Interval(tau, None, None)
    half = special.ndtri((1 + layout.LEVEL) / 2) * math.sqrt(0.437 / (n - 4))
    ends = (math.tanh(math.atanh(tau) + end) for end in (-half, half))
    return Interval(tau, *ends)


def joint(verdicts: Iterable[str], *, partly: bool = False) -> str:
    """The verdict on a finding of several parts, by the rule JOINT or PARTLY.

    >>> joint([HELD, WEAKLY]), joint([HELD, UNDECIDED])
    ('held weakly', 'undecided')
    >>> joint([HELD, NOT]), joint([HELD, NOT], partly=True)
    ('did not hold', 'held weakly')
    """
    found = set(verdicts)
    if NOT in found:
        return WEAKLY if partly and found & {HELD, WEAKLY} else NOT
    if UNDECIDED in found:
        return UNDECIDED
    return HELD if found == {HELD} else WEAKLY


def shown(interval: Interval, form: str = "{:+.1f}") -> str:
    """A mean with its interval; never '-0.0'.

    >>> shown(Interval(2.0, -0.01, 4.01)), shown(Interval(2.0, None, None))
    ('+2.0 (+0.0 to +4.0)', '+2.0')
    """
    numbers = [number for number in interval if number is not None]
    rounded = [form.format(number) for number in numbers]
    mean, *ends = [text if float(text) else form.format(0.0) for text in rounded]
    return mean + f" ({' to '.join(ends)})" * bool(ends)


def times(logs: Interval) -> str:
    """An interval of logarithms of ratios as ratios.

    >>> times(Interval(math.log(2), 0.0, math.log(4)))
    '2.00 (1.00 to 4.00) times'
    """
    ends = (None if log is None else math.exp(log) for log in logs)
    return shown(Interval(*ends), "{:.2f}") + " times"


def joined(*texts: str) -> str:
    """The texts that say something, in one."""
    return "; ".join(filter(None, texts))


def size(groups: Groups) -> int:
    """The number of values in all groups."""
    return sum(map(len, groups.values()))
