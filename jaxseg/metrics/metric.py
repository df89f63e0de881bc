"""A metric is a state that grows batch by batch and is divided once, at the end.

The state is either counts, added up on the device for each batch, or rows kept on the
host, where a metric needs the whole set at once (average precision).
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

AP_FLOOR = 0.05  # an average precision below it shows that nothing was learned
Counts = np.ndarray  # int64 on the host: a set can hold more pixels than int32 counts


@runtime_checkable  # the type checker of the tests asks for instances
class Metric(Protocol):
    """Runs in NumPy on the host; a task makes the rows of a batch."""

    def zeros(self) -> Any:
        """State of an empty set."""

    def merge(self, state: Any, rows: Any) -> Any:
        """The state after one more batch."""

    def compute(self, state: Any, classes: Sequence[str]) -> dict[str, float]:
        """{metric name: value} of everything merged."""

    def floor(self, state: Any, name: str) -> float | None:
        """The metric `name` of a model that learned nothing, on this set.

        None where nothing was merged, or where it is not known.
        """


def add(counts: Counts, batch: Any) -> Counts:
    """Adds one batch's counts in int64."""
    return counts + np.asarray(batch, dtype=np.int64)
