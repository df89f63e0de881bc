"""Semantic segmentation: one class per pixel (factors paper, section 4.2 and A.2)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxseg.core import errors
from jaxseg.core.types import Array, Batch, Example, Logs
from jaxseg.data.dataset import Dataset
from jaxseg.losses import classification as xent
from jaxseg.losses import reduce
from jaxseg.metrics import segmentation as metrics
from jaxseg.tasks import task

VERSION = 1  # goes up when the same weights would give another loss or metric


@dataclasses.dataclass(frozen=True)
class Segmentation(task.Task):
    """Cross entropy over valid pixels; mIoU from one confusion matrix over the set."""

    ignored: tuple[int, ...] = ()  # classes dropped from the loss, not from the metric
    auxiliary: float = 0.4  # weight of further logits a head gives in training

    name = "segmentation"
    fields = ("segmentation",)
    drawn = ("segmentation",)
    headline = "miou"

    def loss(
        self, outputs: Array | tuple[Array, ...], batch: Batch
    ) -> tuple[Array, Logs]:
        """Outputs [B, H, W, K] logits, or several (OCRNet's), labels [B, H, W]."""
        labels = batch["segmentation"]
        valid = self._valid(batch)
        for label in self.ignored:
            valid &= labels != label
        main, *others = outputs if isinstance(outputs, tuple) else (outputs,)

        def mean(logits: Array) -> Array:
            return reduce.masked_mean(xent.softmax_xent(logits, labels, valid), valid)

        loss = mean(main)
        if not others:
            return loss, {}
        auxiliary = sum(mean(logits) for logits in others)
        total = loss + self.auxiliary * auxiliary
        return total, {"main_loss": loss, "auxiliary_loss": auxiliary}

    def scores(self, outputs: Array) -> Array:
        """[B, H, W, K] logits -> probabilities, which average over views."""
        return jax.nn.softmax(outputs, axis=-1)

    def decode(self, outputs: Array) -> Array:
        """[B, H, W, K] logits -> [B, H, W] class ids."""
        return jnp.argmax(outputs, axis=-1).astype(jnp.int32)

    def metric(self) -> metrics.Confusion:
        """Confusion over `num_outputs` classes."""
        return metrics.Confusion(self.num_outputs)

    def update(self, predictions: Array, batch: Batch) -> jax.Array:
        """[K, K] counts of one batch."""
        labels, valid = batch["segmentation"], self._valid(batch)
        return self.metric().update(predictions, labels, valid)

    def as_fields(self, prediction: Array, size: tuple[int, int]) -> Example:
        """A segmentation, cut to the image where it is padded."""
        return {"segmentation": prediction[: size[0], : size[1]]}

    def _valid(self, batch: Batch) -> Array:
        labels = batch["segmentation"]
        valid = (labels >= 0) & (labels < self.num_outputs)  # 255 is void
        if "valid" in batch:  # padding of the last evaluation batch
            valid &= batch["valid"][:, None, None]
        return valid


def build(
    num_outputs: int, ignored: Sequence[int] | str = (), auxiliary: float = 0.4
) -> Segmentation:
    """ignored: classes dropped from the loss, or "background": the data set's (A.1).

    mIoU counts them all the same: the paper does not say (ours). auxiliary: weight of
    the loss of OCRNet's coarse logits (0.4, arXiv:1909.11065).
    """
    return Segmentation(num_outputs, ignored=tuple(ignored), auxiliary=auxiliary)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """The section with "background" replaced by the classes it means for this set."""
    background = [] if facts.background is None else [facts.background]
    ignored = background if section["ignored"] == "background" else section["ignored"]
    known = range(facts.num_classes)
    if isinstance(ignored, str) or not all(label in known for label in ignored):
        raise errors.UserError(
            f"task/ignored: found {section['ignored']!r}, allowed: 'background' or a "
            f"list of classes from 0 to {facts.num_classes - 1}"
        )
    return dict(section) | {"ignored": list(ignored)}
