"""The mean of a loss over a set: it judges what is trained without predictions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NAME = "loss"  # lower is better


@dataclasses.dataclass(frozen=True)
class MeanLoss:
    """Losses as sums and what they are divided by, each added up in float64.

    Rows of a batch: totals {total: count}, and sums {total: {name: sum}} of all terms
    that are divided by that total. The losses of the set are then those that one batch
    of the whole set would have, not means of those of batches.

    >>> metric = MeanLoss()
    >>> rows = [{"totals": {"images": n}, "sums": {"images": {"loss": n * loss}}}
    ...         for n, loss in ((4, 1.0), (1, 6.0))]
    >>> state = metric.merge(metric.merge(metric.zeros(), rows[0]), rows[1])
    >>> metric.compute(state, ())
    {'loss': 2.0}
    """

    def zeros(self) -> dict[str, dict[str, Any]]:
        """No batch."""
        return {"totals": {}, "sums": {}}

    def merge(self, state: Mapping[str, Any], rows: Mapping[str, Any]) -> Any:
        """The state after one more batch."""
        return _added(state, rows)

    def compute(
        self, state: Mapping[str, Any], classes: Sequence[str]
    ) -> dict[str, float]:
        """`loss` and what it logs; a term without anything to divide by counts 0."""
        values: dict[str, float] = {}
        for total, count in state["totals"].items():
            for name, part in state["sums"][total].items():
                share = float(part / count) if count > 0 else 0.0
                values[name] = values.get(name, 0.0) + share
        return {NAME: values.pop(NAME, 0.0)} | values

    def floor(self, state: Any, name: str) -> float | None:
        """Not known."""
        return None


def _added(state: Any, rows: Any) -> Any:
    """Two trees of numbers, the first of which may lack branches."""
    if isinstance(rows, Mapping):
        return {key: _added(state.get(key, {}), rows[key]) for key in rows}
    before = 0.0 if isinstance(state, Mapping) else state
    return before + np.asarray(rows, np.float64)
