"""Image classification: one class per image (factors paper, section A.1)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxseg.core.types import Array, Batch, Example, Logs
from jaxseg.data.dataset import Dataset
from jaxseg.losses import classification as xent
from jaxseg.losses import reduce
from jaxseg.metrics import classification as metrics
from jaxseg.tasks import task

VERSION = 1  # goes up when the same weights would give another loss or metric


@dataclasses.dataclass(frozen=True)
class Classification(task.Task):
    """Softmax cross entropy; top-1 accuracy."""

    name = "classification"
    fields = ("label",)
    headline = "top1"
    dense = False

    def loss(self, outputs: Array, batch: Batch) -> tuple[Array, Logs]:
        """Outputs [B, K] logits, labels [B]."""
        labels, valid = batch["label"], self._valid(batch)
        loss = reduce.masked_mean(xent.softmax_xent(outputs, labels, valid), valid)
        return loss, {"top1": jnp.mean(jnp.argmax(outputs, axis=-1) == labels)}

    def decode(self, outputs: Array) -> Array:
        """[B, K] logits -> [B] class ids."""
        return jnp.argmax(outputs, axis=-1).astype(jnp.int32)

    def metric(self) -> metrics.Accuracy:
        """Right and all."""
        return metrics.Accuracy()

    def update(self, predictions: Array, batch: Batch) -> jax.Array:
        """[2] counts of one batch."""
        return self.metric().update(predictions, batch["label"], self._valid(batch))

    def as_fields(self, prediction: Array, size: tuple[int, int]) -> Example:
        """A label."""
        return {"label": prediction}

    def _valid(self, batch: Batch) -> Array:
        labels = batch["label"]
        valid = (labels >= 0) & (labels < self.num_outputs)
        return valid & batch["valid"] if "valid" in batch else valid


def build(num_outputs: int) -> Classification:
    """One output per class."""
    return Classification(num_outputs)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """Nothing here depends on the data set."""
    return dict(section)
