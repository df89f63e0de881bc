"""A metric is a state that grows batch by batch and is divided once, at the end.

Either counts, added up on device for each batch, or rows kept on the host for what only
the whole set can decide (average precision).
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

AP_FLOOR = 0.05  # an average precision that is no better has found nothing
Counts = np.ndarray  # int64 on the host: a set can hold more pixels than int32 counts


@runtime_checkable  # the type checker of the tests asks for instances
class Metric(Protocol):
    """All three run in NumPy on the host; `tasks` say what a batch's rows are."""

    def zeros(self) -> Any:
        """State of an empty set."""

    def merge(self, state: Any, rows: Any) -> Any:
        """The state after one more batch."""

    def compute(self, state: Any, classes: Sequence[str]) -> dict[str, float]:
        """{metric name: value} of everything merged."""

    def floor(self, state: Any, name: str) -> float | None:
        """What learning nothing gives of the metric `name` on this set.

        None where nothing was merged, or where no one can say.
        """


def add(counts: Counts, batch: Any) -> Counts:
    """Adds one batch's counts in int64."""
    return counts + np.asarray(batch, dtype=np.int64)
