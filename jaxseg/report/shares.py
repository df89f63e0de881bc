"""Shares of positive and negative gains over many cells: Tables 7 and 8.

Section 6 of arXiv:2103.13318; `report/gains.py` defines a single gain.
"""

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import gains, layout

FILTERS = (  # (image domain, task type) of each row of Table 7
    ("all", "all"),
    ("within", "all"),
    ("cross", "all"),
    ("within", "within"),
    ("within", "cross"),
    ("cross", "within"),
    ("cross", "cross"),
)
Rows = Sequence[Mapping[str, Any]]


def measured(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """The rows that have a gain, without those of the random start."""
    return [r for r in rows if r["source"] != gains.RANDOM and r["gain"] is not None]


def side(row: Mapping[str, Any], what: str) -> str:
    """'within' where source and target have the same domain or task (`what`), 'cross'
    where they differ, '' where that of the source is not known. A source of several
    sets has the domains of all ("indoor + synthetic").
    """
    source = row[f"source_{what}"]
    if source in (None, "", "unknown"):
        return ""
    return "within" if row[f"target_{what}"] in source.split(" + ") else "cross"


def select(rows: Rows, domain: str = "all", task: str = "all") -> Rows:
    """Measured gains within or across the image domain and the task type."""
    return [
        row
        for row in measured(rows)
        if domain in ("all", side(row, "domain")) and task in ("all", side(row, "task"))
    ]


def by_target(rows: Rows) -> dict[tuple, list[Mapping[str, Any]]]:
    """{target and baseline: its rows}; gains over two baselines cannot be compared."""
    groups = collections.defaultdict(list)
    for row in rows:
        groups[tuple(row[n] for n in (*gains.SAME, "baseline_source"))].append(row)
    return dict(groups)


def best(rows: Rows) -> list[dict[str, Any]]:
    """For each target the row of the largest gain, as in Table 8; `among`: of how many.

    The lower end of its interval is Dunnett's bound, since the row was chosen for its
    gain: where no start has an effect, the best one is sure in 5 % of targets.
    """
    return [_chosen(group) for group in by_target(rows).values()]


def _chosen(group: Rows) -> dict[str, Any]:
    top = dict(max(group, key=lambda row: row["gain"])) | {"among": len(group)}
    if top["error"] is None:
        return top
    quantile = layout.best_quantile(len(group), top["dof"])
    low, _ = gains.ends(top, quantile * top["error"])
    top["gain_low"] = min(low, top["gain_low"])
    return top | gains.verdict(top)


def chance(rows: Rows) -> tuple[int, float, float]:
    """(cells with an interval, number of them sure by chance, its standard deviation).

    Cells of one target share their baseline. Their t values correlate by 1/2, and the
    deviation is larger than that of a binomial distribution.
    """
    kept = [r for r in measured(rows) if r["error"] is not None and not r["undecided"]]
    wrong, variance = 1 - layout.LEVEL, 0.0
    for group in by_target(kept).values():
        pairs = len(group) * (len(group) - 1)
        both = layout.both_sure(max(row["dof"] for row in group))
        variance += len(group) * wrong * (1 - wrong) + pairs * (both - wrong**2)
    return len(kept), wrong * len(kept), math.sqrt(variance)


def share(rows: Rows, level: str, by: str) -> float | None:
    """Per cent of rows whose effect in column `by` is `level`; P includes VP."""
    levels = ("P", "VP") if level == "P" else (level,)
    hits = sum(row[by] in levels for row in rows)
    return 100 * hits / len(rows) if rows else None


def summary(rows: Rows, *, only_best: bool = False) -> list[dict[str, Any]]:
    """The rows of Table 7; with only_best those of Table 8.

    P, VP and N, in per cent, follow the mean gain as in the paper; sure_P and sure_N
    count only cells whose interval leaves out 0.
    """
    table = []
    for domain, task in FILTERS:
        kept = select(rows, domain, task)
        kept = best(kept) if only_best else kept
        line = {"domain": domain, "task": task, "count": len(kept)}
        line["mean"] = float(np.mean([r["gain"] for r in kept])) if kept else None
        for level in ("P", "VP", "N"):
            line[level] = share(kept, level, "mean_effect")
        sure = [row for row in kept if row["significant"]]
        for level in ("P", "N"):
            hits = share(sure, level, "effect") or 0.0
            line[f"sure_{level}"] = hits * len(sure) / len(kept) if kept else None
        table.append(line)
    return table
