"""A metric is counts: added up exactly over a set and divided once, at the end."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

Counts = np.ndarray  # int64 on the host: a set can hold more pixels than int32 counts


@runtime_checkable  # the type checker of the tests asks for instances
class Metric(Protocol):
    """`update` runs on device for one batch, the rest in NumPy on the host."""

    def zeros(self) -> Counts:
        """Counts of an empty set."""

    def update(self, predictions: Any, labels: Any, valid: Any) -> Any:
        """Integer counts of one batch, int32 on device."""

    def compute(self, counts: Counts, classes: Sequence[str]) -> dict[str, float]:
        """{metric name: value} of everything counted."""


def merge(counts: Counts, batch: Any) -> Counts:
    """Adds one batch's counts in int64."""
    return counts + np.asarray(batch, dtype=np.int64)
