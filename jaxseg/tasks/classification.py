"""Image classification: one class per image, or several (factors paper, A.1)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Array, Batch, Example, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.losses import reduce
from jaxseg.losses import segmentation as losses
from jaxseg.metrics import classification as metrics
from jaxseg.tasks import task

VERSION = 3  # goes up when the same weights would give another loss or metric


@dataclasses.dataclass(frozen=True)
class OfImages(task.Task):
    """Both kinds: a loss that is a mean over known labels."""

    name = "classification"
    dense = False
    written_as = "table"

    def totals(self, batch: Batch) -> Totals:
        """Labels that are known, of all images."""
        return {"known": jnp.sum(self._valid(batch))}

    def options_for(self, facts: Dataset) -> dict[str, Any]:
        """Several labels an image where the data set has them."""
        return {"multilabel": "labels" in facts.fields}


@dataclasses.dataclass(frozen=True)
class Classification(OfImages):
    """Softmax cross entropy; top-1 accuracy."""

    label_smoothing: float = 0.0

    fields = ("label",)
    mixable = True
    label_field = "label"
    headline = "top1"

    def loss(
        self, outputs: Array, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs [B, K] logits, labels [B]; of images mixed by MixUp both labels."""
        count = (totals or self.totals(batch))["known"]
        labels, valid = batch["label"], self._valid(batch)
        values = losses.smoothed_xent(outputs, labels, valid, self.label_smoothing)
        if "mix" in batch:
            others = batch["other_label"]
            other = losses.smoothed_xent(outputs, others, valid, self.label_smoothing)
            values = batch["mix"] * values + (1 - batch["mix"]) * other
        right = (jnp.argmax(outputs, axis=-1) == labels).astype(outputs.dtype)
        top1 = reduce.masked_mean(right, valid, count)
        return reduce.masked_mean(values, valid, count), {"top1": top1}

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """float32 [K], their sum is 1."""
        return np.asarray(jax.nn.softmax(scores, axis=-1))

    def decode(self, outputs: Array) -> Array:
        """[B, K] logits -> [B] class ids."""
        return jnp.argmax(outputs, axis=-1).astype(jnp.int32)

    def metric(self) -> metrics.Accuracy:
        """Counts of right answers and of all."""
        return metrics.Accuracy(self.num_outputs)

    def update(self, predictions: Array, batch: Batch) -> jax.Array:
        """[2 + K] counts of one batch."""
        return self.metric().update(predictions, batch["label"], self._valid(batch))

    def as_fields(self, prediction: Array, size: tuple[int, int]) -> Example:
        """A label."""
        return {"label": prediction}

    def _valid(self, batch: Batch) -> Array:
        """bool [B]: images all of whose labels are classes."""
        valid = batch.get("valid", True)
        for name in {"label", "other_label"} & batch.keys():
            valid &= (batch[name] >= 0) & (batch[name] < self.num_outputs)
        return valid


@dataclasses.dataclass(frozen=True)
class MultiLabel(OfImages):
    """Any number of classes per image: a sigmoid for each; mean average precision."""

    fields = ("labels",)
    label_field = "labels"
    headline = "map"

    def loss(
        self, outputs: Array, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs [B, K] logits, labels [B, K] 1, 0 or -1 = unknown."""
        count = (totals or self.totals(batch))["known"]
        valid = self._valid(batch)
        values = losses.binary_xent(outputs, batch["labels"], valid)
        return reduce.masked_mean(values, valid, count), {}

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """float32 [K], of each class alone."""
        return np.asarray(jax.nn.sigmoid(scores))

    def decode(self, outputs: Array) -> Array:
        """[B, K] logits -> probabilities."""
        return jax.nn.sigmoid(outputs)

    def metric(self) -> metrics.MultiLabel:
        """Scores and labels of all images."""
        return metrics.MultiLabel(self.num_outputs)

    def rows(self, counts: Any, predictions: Array, batch: Batch) -> dict[str, Any]:
        """Of one batch, on the host."""
        scores = np.asarray(jax.device_get(predictions))
        return {"scores": scores, "labels": batch["labels"], "valid": batch["valid"]}

    def as_fields(self, prediction: Array, size: tuple[int, int]) -> Example:
        """The classes with a probability above a half."""
        return {"labels": (np.asarray(prediction) > 0.5).astype(np.int32)}

    def perfect_predictions(self, batch: Batch) -> np.ndarray:
        """Probabilities of 0 and 1; 0 where a label is unknown."""
        return np.maximum(batch["labels"], 0).astype(np.float32)

    def _valid(self, batch: Batch) -> Array:
        valid = batch["labels"] >= 0
        return valid & batch["valid"][:, None] if "valid" in batch else valid


def build(
    num_outputs: int, multilabel: bool = False, label_smoothing: float = 0.0
) -> Classification | MultiLabel:
    """One output per class. multilabel: an image may have several classes or none.

    label_smoothing: share of the target spread over all classes (Szegedy et al. 2016).
    """
    if not 0 <= label_smoothing < 1 or (multilabel and label_smoothing):
        raise errors.UserError(
            f"task/label_smoothing: found {label_smoothing}, allowed: [0, 1), and 0 "
            "with multilabel"
        )
    if multilabel:
        return MultiLabel(num_outputs)
    return Classification(num_outputs, label_smoothing)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """The section as it is: nothing depends on the data set."""
    return dict(section)
