"""Top-1 accuracy: the share of images whose highest score is their label."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from jaxseg.metrics import metric


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Counts [right, all] over all valid images of a set."""

    def zeros(self) -> metric.Counts:
        """[2] zeros."""
        return np.zeros(2, np.int64)

    def update(
        self,
        predictions: Int[Array, " b"],
        labels: Int[Array, " b"],
        valid: Bool[Array, " b"],
    ) -> Int[Array, "2"]:
        """[right, all] of one batch."""
        return jnp.stack([jnp.sum((predictions == labels) & valid), jnp.sum(valid)])

    def compute(
        self, counts: metric.Counts, classes: Sequence[str]
    ) -> dict[str, float]:
        """`top1` in [0, 1]; 0 for an empty set."""
        return {"top1": float(counts[0] / max(counts[1], 1))}
