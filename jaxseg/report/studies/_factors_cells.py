"""Gain rows of the factors study: pairs of them, shares, verdicts on shares."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import claims, gains, shares
from jaxseg.report.view import View

Rows = Sequence[Mapping[str, Any]]
Pair = tuple[Mapping[str, Any], Mapping[str, Any]]
POSITIVE = ("P", "VP")
PLACE = ("target", "source", "metric")  # of a cell, in any setting or plan


def base(name: str) -> str:
    """The name of a set without its task type.

    >>> base("driving_day@depth"), base("driving_day")
    ('driving_day', 'driving_day')
    """
    return name.split("@")[0]


def multi(row: Mapping[str, Any]) -> bool:
    """Whether the source is a model of several sets."""
    return " + " in (row["source_dataset"] or "")


def segmentation(rows: Rows) -> Rows:
    """Measured pairs of targets and sources of segmentation: Tables 4a, 5a, 6, 9."""
    within = shares.select(rows, "all", "within")
    return [row for row in within if row["target_task"] == "segmentation"]


def apart(rows: Rows) -> Rows:
    """The rows whose target was no part of what its source was trained on."""
    return [row for row in rows if row["overlap"] != "part"]


def same_images(row: Mapping[str, Any]) -> bool:
    """Whether source and target are one data set with two kinds of labels."""
    return row["overlap"] == "images" and not multi(row)


def paired(ones: Rows, others: Rows) -> list[Pair]:
    """[(one, other)] of the cells that both have with a gain, but the random start."""
    table = {_place(row): row for row in shares.measured(others)}
    kept = [row for row in shares.measured(ones) if _place(row) in table]
    return [(row, table[_place(row)]) for row in kept]


def _place(row: Mapping[str, Any]) -> tuple:
    return tuple(row[name] for name in PLACE)


def alike(pairs: Sequence[Pair]) -> int:
    """The number of pairs with mean gains on one side: both P, or both N."""
    return sum(
        (one["gain"] > 0) == (other["gain"] > 0) and other["mean_effect"] != "I"
        for one, other in pairs
    )


def points(row: Mapping[str, Any]) -> dict[int, float]:
    """{seed: gain in per cent over the baseline's mean} of one row."""
    higher, base = row["higher_is_better"], row["baseline"]
    return {
        seed: gains.gain(row["rows"][seed]["value"], base, higher)
        for seed in row["shared"]
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[float]:
    """Gain of one minus that of the other, in points, on the seeds that both have."""
    first, second = points(one), points(other)
    return [first[seed] - second[seed] for seed in sorted(set(first) & set(second))]


def surely(row: Mapping[str, Any], way: str) -> bool:
    """Whether a gain is sure and has the sign of `way`, up or down."""
    return row["significant"] and (row["gain"] > 0) == (way == "up")


def could_be_positive(row: Mapping[str, Any]) -> bool:
    """Whether the interval reaches P; without an interval, whether the mean is P."""
    high = row["gain_high"]
    if high is None:
        return row["mean_effect"] in POSITIVE or (row["several"] and row["value"] > 0)
    return gains.effect(high) in POSITIVE


def by_share(rows: Rows) -> str:
    """The verdict on "half of the rows are P": surely, by the mean, or possibly."""
    if sure_share(rows) >= 50:
        return claims.HELD
    if share(rows, "P") >= 50:
        return claims.WEAKLY
    possible = sum(could_be_positive(row) for row in rows)
    return claims.UNDECIDED if 2 * possible >= len(rows) else claims.NOT


def by_half(intervals: Sequence[claims.Interval], margin: float) -> str:
    """The verdict on "half of these are above `margin`": surely, by the mean, or
    possibly; where there are no intervals, by the mean.
    """
    several = any(one.low is not None for one in intervals)
    count = lambda number: 2 * sum(map(number, intervals)) >= len(intervals)
    likely = count(lambda one: one.mean > margin)
    if likely and (not several or count(lambda one: (one.low or 0) > margin)):
        return claims.HELD
    if likely:
        return claims.WEAKLY
    possible = several and count(lambda one: (one.high or one.mean) > margin)
    return claims.UNDECIDED if possible else claims.NOT


def over_targets(values: Sequence[float]) -> tuple[claims.Interval, str]:
    """The mean of a value for each target with its t interval, and the verdict on "it
    is above 0" by OVER_TARGETS.
    """
    mean = claims.means({"": values})[1]
    if mean.low is None:
        return mean, claims.WEAKLY if mean.mean > 0 else claims.NOT
    if mean.low > 0:
        return mean, claims.HELD
    return mean, claims.NOT if mean.high <= 0 else claims.UNDECIDED


OVER_TARGETS = (
    "held: the 95 % t interval over targets lies above 0; not: it ends at or below 0; "
    "undecided: it covers 0; with one target its sign decides, weakly or not"
)


def if_any_sure(rows: Rows, verdict: str) -> str:
    """The verdict; undecided where there are several seeds and no gain is sure."""
    several = any(row["several"] for row in rows)
    sure = any(row["significant"] or row["value"] <= 0 for row in rows)
    return claims.UNDECIDED if several and not sure else verdict


def share(rows: Rows, level: str) -> float:
    """Per cent of the rows whose mean gain is P, VP or N."""
    return shares.share(rows, level, "mean_effect")


def sure_share(rows: Rows) -> float:
    """Per cent of the rows that are P with an interval that leaves out 0."""
    return shares.share(rows, "P", "effect")


def surely_positive(rows: Rows) -> str:
    """', 40 % surely'; '' with one seed, which has no interval."""
    several = any(row["several"] for row in rows)
    return f", {sure_share(rows):.0f} % surely" if several else ""


def positive(rows: Rows) -> str:
    """'85 % (67 %)': shares of P and of VP."""
    return f"{share(rows, 'P'):.0f} % ({share(rows, 'VP'):.0f} %)"


def sides(rows: Rows) -> str:
    """'69/17 %': shares of P and of N."""
    return f"{share(rows, 'P'):.0f}/{share(rows, 'N'):.0f} %"


def count(rows: Rows, level: str) -> int:
    """The number of rows whose mean gain is P, VP or N."""
    return round(share(rows, level) * len(rows) / 100) if rows else 0


def by_target_mean(rows: Rows) -> dict[tuple, float]:
    """{target cell: mean gain over its sources}."""
    return {
        target: float(np.mean([row["gain"] for row in group]))
        for target, group in shares.by_target(rows).items()
    }


def domains(view: View) -> dict[str, str]:
    """{data set: its domain} of all single sets of the plan."""
    return {
        row[f"{side}_dataset"]: row[f"{side}_domain"]
        for row in (*view.cells, *view.results)
        for side in ("source", "target")
        if row.get(f"{side}_dataset") and " + " not in row[f"{side}_dataset"]
    }
