"""Intersection over union and pixel accuracy from one confusion matrix over a set."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxseg.metrics import metric


@dataclasses.dataclass(frozen=True)
class Confusion:
    """Counts [truth, prediction] over all valid pixels of a set.

    >>> metric, truth = Confusion(num_classes=2), jnp.array([0, 0, 1, 1])
    >>> counts = metric.update(jnp.array([0, 1, 1, 1]), truth, truth >= 0)
    >>> values = metric.compute(metric.merge(metric.zeros(), counts), ["sky", "road"])
    >>> round(values["miou"], 3), values["pixel_accuracy"]
    (0.583, 0.75)
    """

    num_classes: int
    uncounted: tuple[int, ...] = ()  # predicted they are wrong, but have no IoU

    def zeros(self) -> metric.Counts:
        """[K, K] zeros."""
        return np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(
        self,
        predictions: Int[Array, "*b"],
        labels: Int[Array, "*b"],
        valid: Bool[Array, "*b"],
    ) -> Int[Array, "k k"]:
        """Confusion of one batch; pixels that are not valid count nowhere."""
        k = self.num_classes
        cell = jnp.where(valid, labels * k + predictions, k * k)  # one bin too many
        return jnp.bincount(cell.ravel(), length=k * k + 1)[:-1].reshape(k, k)

    def merge(self, counts: metric.Counts, batch: Any) -> metric.Counts:
        """The counts of one more batch."""
        return metric.add(counts, batch)

    def compute(
        self, counts: metric.Counts, classes: Sequence[str]
    ) -> dict[str, float]:
        """`miou` over classes present in truth or prediction, `pixel_accuracy`, and
        `iou/<class>` for each of them; a class absent from both is left out, and so is
        one that is uncounted.
        """
        hits = np.diag(counts).astype(np.float64)
        union = counts.sum(axis=0) + counts.sum(axis=1) - hits
        present = union > 0
        present[list(self.uncounted)] = False
        if not present.any():
            return {"miou": 0.0, "pixel_accuracy": 0.0}
        iou = hits[present] / union[present]
        names = [name for name, there in zip(classes, present, strict=True) if there]
        per_class = {f"iou/{name}": float(x) for name, x in zip(names, iou)}
        accuracy = float(hits.sum() / counts.sum())
        return {"miou": float(iou.mean()), "pixel_accuracy": accuracy} | per_class

    def floor(self, counts: metric.Counts, name: str) -> float | None:
        """The value of the most frequent class as the answer everywhere."""
        truth = counts.sum(axis=1)
        if not truth.any():
            return None
        constant = np.zeros_like(counts)
        constant[:, np.argmax(truth)] = truth
        return self.compute(constant, [str(n) for n in range(len(truth))])[name]
