"""Distances between sets of images, by four assignments, and their rank correlation
with gains (factors paper, Eq. 1 and Table 10).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxseg.report import claims
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.view import View, where

ONE_TO_ONE, NEAREST = "one-to-one", "target to source"
BACK, SYMMETRIC = "source to target", "mean of both"
PAPER = {ONE_TO_ONE: 0.20, NEAREST: 0.42, BACK: 0.06, SYMMETRIC: 0.27}  # Table 10
SMALL = {"distance": 0.40, "source size": 0.12}  # section 6, A3
Table = Mapping[tuple[str, str], int | float]  # {(target, source): distance}


@dataclasses.dataclass(frozen=True)
class Taus:
    """Kendall's tau with gains. all: of all pairs together, as in the paper (NaN where
    there is none); each: {target: of its sources alone}; count: of pairs.
    """

    all: float
    each: Mapping[str, float]
    count: int


def tables(view: View) -> dict[str, Table]:
    """{assignment: distances} of the sets that the plan's analysis compared."""
    rows = where(view.measurements, analysis="domain_distance")
    of = lambda name: {(r["target"], r["source"]): r.get(name) for r in rows}
    near, pairs = of("value"), of("one_to_one")
    back = {(t, s): near[s, t] for t, s in near if (s, t) in near}
    found = {ONE_TO_ONE: pairs, NEAREST: near, BACK: back}
    found[SYMMETRIC] = {pair: (near[pair] + back[pair]) / 2 for pair in back}
    return {
        name: {pair: value for pair, value in table.items() if value is not None}
        for name, table in found.items()
    }


def measured(view: View) -> cells.Rows:
    """Gains of segmentation, of sources of one set that distances are known of."""
    known = tables(view)[NEAREST]
    return [
        row
        for row in cells.segmentation(view.gains)
        if (row["target_dataset"], row["source_dataset"]) in known
    ]


def taus(view: View, assignment: str) -> Taus:
    """Of nearness, which is minus the distance: positive where closer is better."""
    table = tables(view)[assignment]
    place = lambda row: (row["target_dataset"], row["source_dataset"])
    rows = [row for row in measured(view) if place(row) in table]
    return _taus(rows, lambda row: -table[place(row)])


def of_size(view: View) -> Taus:
    """Of the number of images that a source was trained on."""
    rows = [row for row in measured(view) if row["source_images"]]
    return _taus(rows, lambda row: row["source_images"])


def _taus(rows: cells.Rows, number: Callable[[Mapping[str, Any]], int | float]) -> Taus:
    tau = lambda some: (
        claims.kendall(
            [number(row) for row in some], [row["gain"] for row in some]
        ).mean
    )
    groups: dict[str, list] = {}
    for row in rows:
        groups.setdefault(row["target"], []).append(row)
    each = {name: tau(some) for name, some in groups.items() if len(some) > 1}
    each = {name: value for name, value in each.items() if np.isfinite(value)}
    return Taus(tau(rows) if len(rows) > 1 else np.nan, each, len(rows))
