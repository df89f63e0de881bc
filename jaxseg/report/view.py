"""All that a report knows of one study, from its plan and its artifacts alone."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from jaxseg.core import lookup
from jaxseg.report import curves, rows, workdir

STUDIES = "jaxseg.report.studies"
Rows = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class View:
    """One study. What is a property here is read when it is asked for.

    results: `rows.results`; gains: `gains.gains` of them. siblings: the other studies
    of the workdir with the same file in `studies`, such as one of another backbone.
    """

    study: workdir.Study
    results: Rows
    gains: Rows
    siblings: Sequence["View"] = ()

    @property
    def own(self) -> ModuleType | None:
        """The file in `studies` of this study's name, of which what follows a "-" are
        arguments; None where it has none, or where its plan cannot be read.
        """
        name = self.study.name.split("-")[0]
        known = not self.study.error and name in lookup.names(STUDIES)
        return lookup.load(STUDIES, name) if known else None

    @property
    def settings(self) -> list[str]:
        """Settings that have gains."""
        return sorted({row["setting"] for row in self.gains})

    def at(self, setting: str) -> "View":
        """The same study with the results and gains of one setting."""
        kept = {
            name: where(getattr(self, name), setting=setting)
            for name in ("results", "gains")
        }
        return dataclasses.replace(self, **kept)

    @functools.cached_property
    def cells(self) -> Rows:
        """Target cells of the plan: `rows.planned`."""
        return rows.planned(self.study)

    @functools.cached_property
    def metrics(self) -> Rows:
        """All metrics of finished stages: `rows.metrics`."""
        return rows.metrics(self.study)

    @functools.cached_property
    def measurements(self) -> Rows:
        """The rows of finished `measure` stages: `rows.measurements`."""
        return rows.measurements(self.study)

    def curve(self, row: Mapping[str, Any], metric: str) -> curves.Points:
        """[(step, value)] between the steps of the training behind a row: a metric, or
        "loss" of the training.
        """
        lines = row["stage"].result.lines("metrics.jsonl")
        return (
            curves.losses(lines)
            if metric == "loss"
            else curves.evaluated(lines, metric)
        )

    def arrays(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of the analysis behind a row of `measurements`, by name."""
        return row["stage"].artifact.arrays()

    def manifest(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the artifact behind a row: spec, steps, seconds, timing."""
        return row["stage"].result.manifest


def where(rows: Iterable[Mapping[str, Any]], **columns: Any) -> Rows:
    """The rows that have these values.

    >>> where([{"target": "car", "seed": 0}, {"target": "horse"}], target="car")
    [{'target': 'car', 'seed': 0}]
    """
    return [
        row for row in rows if all(row.get(k) == value for k, value in columns.items())
    ]
