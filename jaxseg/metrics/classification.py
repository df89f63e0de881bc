"""Top-1 accuracy, and average precision where an image can have several labels."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxseg.metrics import metric


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Counts [right, all, those of each class] over all valid images of a set."""

    num_classes: int

    def zeros(self) -> metric.Counts:
        """[2 + K] zeros."""
        return np.zeros(2 + self.num_classes, np.int64)

    def update(
        self,
        predictions: Int[Array, " b"],
        labels: Int[Array, " b"],
        valid: Bool[Array, " b"],
    ) -> Int[Array, " counts"]:
        """[right, all, those of each class] of one batch."""
        right = jnp.sum((predictions == labels) & valid)
        known = jnp.where(valid, labels, self.num_classes)  # one bin too many
        classes = jnp.bincount(known, length=self.num_classes + 1)[:-1]
        return jnp.concatenate([jnp.stack([right, jnp.sum(valid)]), classes])

    def merge(self, counts: metric.Counts, batch: Any) -> metric.Counts:
        """The counts of one more batch."""
        return metric.add(counts, batch)

    def compute(
        self, counts: metric.Counts, classes: Sequence[str]
    ) -> dict[str, float]:
        """`top1` in [0, 1]; 0 for an empty set."""
        return {"top1": float(counts[0] / max(counts[1], 1))}

    def floor(self, counts: metric.Counts, name: str) -> float | None:
        """The share of the most frequent class."""
        return float(counts[2:].max() / counts[1]) if counts[1] else None


@dataclasses.dataclass(frozen=True)
class MultiLabel:
    """Average precision of each class over a set, in NumPy on the host.

    Over `rows`: scores float32 [B, K]; labels int32 [B, K], 1 there, 0 not there, -1
    unknown and left out for that class; valid bool [B]. Equal scores are ranked in the
    order merged.
    """

    num_classes: int

    def zeros(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """No images."""
        return []

    def merge(
        self, state: list[tuple[np.ndarray, np.ndarray]], rows: Mapping[str, Any]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """`state` and (scores, labels) of the valid images of one batch."""
        valid = np.asarray(rows["valid"])
        return [*state, tuple(np.asarray(rows[k])[valid] for k in ("scores", "labels"))]

    def compute(
        self, state: list[tuple[np.ndarray, np.ndarray]], classes: Sequence[str]
    ) -> dict[str, float]:
        """`map` in [0, 1], the mean of `map/<class>` over classes that occur."""
        scores, labels = self._stacked(state)
        values = {}
        for name, score, label in zip(classes, scores.T, labels.T, strict=True):
            if (label == 1).any():
                values[f"map/{name}"] = _average_precision(score, label)
        mean = float(np.mean(list(values.values()))) if values else 0.0
        return {"map": mean} | values

    def floor(
        self, state: list[tuple[np.ndarray, np.ndarray]], name: str
    ) -> float | None:
        """The mean share of images that have a class: the AP of any fixed order, about.

        Not below the floor of other average precisions.
        """
        _, labels = self._stacked(state)
        there, known = (labels == 1).sum(axis=0), (labels >= 0).sum(axis=0)
        occur = there > 0
        if not occur.any():
            return None
        return max(metric.AP_FLOOR, float((there[occur] / known[occur]).mean()))

    def _stacked(
        self, state: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
        nothing = np.zeros((0, self.num_classes))
        scores = np.concatenate([nothing, *(one for one, _ in state)])
        return scores, np.concatenate([nothing, *(one for _, one in state)])


def _average_precision(
    scores: Float[np.ndarray, " n"], labels: Float[np.ndarray, " n"]
) -> float:
    """Mean over the positives of the precision at their rank; no interpolation."""
    known = labels >= 0
    order = np.argsort(-scores[known], kind="stable")
    positive = labels[known][order] == 1
    precision = np.cumsum(positive) / np.arange(1, len(positive) + 1)
    return float(precision[positive].mean())
