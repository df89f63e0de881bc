"""Semantic segmentation: one class per pixel (factors paper, section 4.2 and A.2)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import errors, lookup
from jaxseg.core.types import Array, Batch, Example, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.losses import combined
from jaxseg.losses import segmentation as losses
from jaxseg.metrics import binary as binary_metrics
from jaxseg.metrics import segmentation
from jaxseg.models import enlarged
from jaxseg.tasks import task

VERSION = 4  # goes up when the same weights would give another loss or metric
AUTO = "auto"  # class weights from the training pixels
AUTO_IMAGES = 1000  # enough for shares of classes; a set may have millions
CRITERION = combined.Combined()


@dataclasses.dataclass(frozen=True)
class Segmentation(task.Task):
    """Cross entropy over valid pixels; mIoU from one confusion matrix over the set."""

    ignored: tuple[int, ...] = ()  # classes dropped from the loss
    uncounted: tuple[int, ...] = ()  # classes dropped from the metrics
    auxiliary: float = 0.4  # weight of further logits a head gives in training
    binary: bool = False  # one output, sigmoid; 1 is the foreground
    criterion: combined.Combined = CRITERION
    auto: bool = False  # class weights are measured before training
    chosen: str | None = None  # headline, where it is not the usual one

    name = "segmentation"
    fields = ("segmentation",)
    label_field = "segmentation"
    drawn = ("segmentation",)

    def outputs(self, facts: Dataset) -> int:
        """One per class; a binary task has one in all."""
        return 1 if self.binary else facts.num_classes

    @property
    def headline(self) -> str:
        """The metric that gains are computed from."""
        return self.chosen or self.perfect

    @property
    def perfect(self) -> str:
        """One of those that are 1 without an error: the usual headline."""
        return "iou_pooled" if self.binary else "miou"

    def measured(self, source: Any) -> dict[str, Any]:
        """Median-frequency weights of the classes, where they are `auto`."""
        if not self.auto:
            return {}
        pixels = np.zeros(2 if self.binary else self.num_outputs, np.int64)
        count = min(len(source), AUTO_IMAGES)
        for index in np.linspace(0, len(source) - 1, count).astype(int):
            labels = source[int(index)]["segmentation"]
            known = labels[(labels >= 0) & (labels < len(pixels))]
            pixels += np.bincount(known, minlength=len(pixels))
        pixels[list(self.ignored)] = 0
        weights = losses.auto_weights(pixels)
        return {"class_weights": [round(float(w), 6) for w in weights]}

    def totals(self, batch: Batch) -> Totals:
        """Of `losses.combined`: images, pixels, and their class weights."""
        return self.criterion.totals(*self._counted(batch), batch.get("valid"))

    @property
    def unsplit(self) -> tuple[str, ...]:
        """Parts of the criterion."""
        return self.criterion.unsplit

    def loss(
        self,
        outputs: Array | tuple[Array, ...],
        batch: Batch,
        totals: Totals | None = None,
    ) -> tuple[Array, Logs]:
        """Outputs [B, H, W, K] logits, or several (OCRNet's), labels [B, H, W].

        Those of many classes are `Enlarged`, and so is the memory of their loss that of
        a band of rows where the criterion adds up over pixels.
        """
        totals = self.totals(batch) if totals is None else totals
        main, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        loss, parts = self._criterion(main, batch, totals)
        parts = parts if len(parts) > 1 else {}  # one part is the loss itself
        if not others:
            return loss, parts
        auxiliary = sum(self._criterion(x, batch, totals)[0] for x in others)
        total = loss + self.auxiliary * auxiliary
        return total, parts | {"main_loss": loss, "auxiliary_loss": auxiliary}

    def _criterion(
        self, logits: Array | enlarged.Enlarged, batch: Batch, totals: Totals
    ) -> tuple[Array, Logs]:
        targets = self._counted(batch)
        value = lambda *each: self.criterion(*each, totals, batch.get("valid"))
        if not isinstance(logits, enlarged.Enlarged):
            return value(logits, *targets)
        if self.criterion.pixelwise:
            return logits.sum(value, *targets)
        return value(logits.whole(), *targets)

    def scores(self, outputs: Array) -> Array:
        """[B, H, W, K] logits -> probabilities, which average over views.

        Of a binary task less a half, so that `decode` asks for the same sign.
        """
        if self.binary:
            return jax.nn.sigmoid(outputs) - 0.5
        return jax.nn.softmax(outputs, axis=-1)

    def decode(self, outputs: Array) -> Array:
        """[B, H, W, K] logits -> [B, H, W] class ids."""
        if self.binary:
            return (outputs[..., 0] > 0).astype(jnp.int32)
        return jnp.argmax(outputs, axis=-1).astype(jnp.int32)

    def metric(self) -> segmentation.Confusion | binary_metrics.Binary:
        """Confusion over `num_outputs` classes, or counts of each image."""
        if self.binary:
            return binary_metrics.Binary()
        return segmentation.Confusion(self.num_outputs, self.uncounted)

    def counting(self, facts: Dataset, state: Any) -> tuple[str, ...]:
        """The classes that do not count; the background is called that in every set."""
        names = [
            "background" if label == facts.background else facts.classes[label]
            for label in self.uncounted
        ]
        return (f"without {' and '.join(names)}",) if names else ()

    def update(self, predictions: Array, batch: Batch) -> jax.Array:
        """[K, K] counts of one batch; of a binary task [B, 4]."""
        labels, valid = batch["segmentation"], self._valid(batch)
        for label in self.uncounted:
            valid &= labels != label
        return self.metric().update(predictions, labels, valid)

    def as_fields(self, prediction: Array, size: tuple[int, int]) -> Example:
        """A segmentation, cut to the image where it is padded."""
        return {"segmentation": prediction[: size[0], : size[1]]}

    def written(self, prediction: Array) -> task.Written:
        """Class ids."""
        deep = np.uint8 if self.num_outputs <= 1 + np.iinfo(np.uint8).max else np.uint16
        return task.Written(np.asarray(prediction, deep))

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """float32 [H, W, K]; of a binary task [H, W, 2]."""
        if not self.binary:
            return scores
        one = scores + 0.5
        return np.concatenate([1 - one, one], axis=-1)

    def _counted(self, batch: Batch) -> tuple[Array, Array]:
        """Labels [B, H, W] and bool [B, H, W]: which of them count in the loss."""
        labels, valid = batch["segmentation"], self._valid(batch)
        for label in self.ignored:
            valid &= labels != label
        return labels, valid

    def _valid(self, batch: Batch) -> Array:
        labels = batch["segmentation"]
        classes = 2 if self.binary else self.num_outputs
        valid = (labels >= 0) & (labels < classes)  # IGNORE is no class
        if "valid" in batch:  # padding of the last evaluation batch
            valid &= batch["valid"][:, None, None]
        return valid


def build(
    num_outputs: int,
    ignored: Sequence[int] | str = (),
    uncounted: Sequence[int] | str | None = None,
    auxiliary: float = 0.4,
    binary: bool = False,
    losses: Mapping[str, float] | None = None,
    class_weights: Sequence[float] | Mapping[str, float] | str | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 2.0,
    dice_epsilon: float = 1.0,
    dice_per_image: bool = False,
    ohem: float | None = None,
    ohem_keep: int = 4096,
    headline: str | None = None,
) -> Segmentation:
    """ignored: classes dropped from the loss, or "background": the data set's (A.1).

    uncounted: classes dropped from the metrics, their pixels and their IoU; None: those
    of `ignored`, which the model cannot know (our choice: the paper has none).
    auxiliary: weight of the loss of OCRNet's coarse logits (0.4, arXiv:1909.11065).
    binary: data of two classes, one output with a sigmoid; IoU, Dice, pixel accuracy.

    losses: {part: weight} of cross_entropy, focal, dice, lovasz; None: cross entropy.
    class_weights: of cross entropy and focal, a list, {class name: weight} with 1 for
    the others, or "auto": median frequency / frequency in the training pixels.
    label_smoothing: of cross entropy. dice_per_image: sums over one image, not over
    the batch. ohem: only pixels whose true class has a lower probability count in
    cross entropy and focal, but at least `ohem_keep` of a batch. headline: the metric
    that tables show; None: the data set's, else mIoU or, binary, `iou_pooled`.

    With accumulation, Dice over the batch, Lovasz and OHEM are those of microbatches.
    """
    auto = class_weights == AUTO
    known = binary_metrics.NAMES if binary else ("miou", "pixel_accuracy")
    task.check_choice(headline, (None, *known), "headline")
    parts = {"cross_entropy": 1.0} if losses is None else losses
    return Segmentation(
        num_outputs,
        ignored=tuple(ignored),
        uncounted=tuple(ignored if uncounted is None else uncounted),
        auxiliary=auxiliary,
        binary=binary,
        criterion=combined.Combined(
            parts=tuple(sorted(parts.items())),  # as in the resolved section
            binary=binary,
            class_weights=None if auto or not class_weights else tuple(class_weights),
            label_smoothing=label_smoothing,
            focal_gamma=focal_gamma,
            dice_epsilon=dice_epsilon,
            dice_per_image=dice_per_image,
            ohem=ohem,
            ohem_keep=ohem_keep,
        ),
        auto=auto,
        chosen=headline,
    )


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """The section with the data set's ignored classes and with weights by number."""
    section = task.judged(section, facts)
    ignored = _resolve_classes(section["ignored"], facts, "ignored")
    uncounted = ignored
    if section["uncounted"] is not None:
        uncounted = _resolve_classes(section["uncounted"], facts, "uncounted")
    if section["binary"] and facts.num_classes != 2:
        raise errors.UserError(
            f"task/binary: the data have {facts.num_classes} classes "
            f"({', '.join(facts.classes[:8])}), allowed: 2. Fix: drop binary, name the "
            "class that is the foreground (`only` of the data section), or map the ids "
            "to 0 and 1 (options of the reader)."
        )
    weights = _resolve_weights(section["class_weights"], facts)
    dropped = {"ignored": ignored, "uncounted": uncounted}
    usual = build(1, binary=section["binary"]).headline
    headline = None if section["headline"] == usual else section["headline"]  # one key
    return section | dropped | {"class_weights": weights, "headline": headline}


def _resolve_classes(given: Any, facts: Dataset, name: str) -> list[int]:
    """The classes of a list, or the background of the data set."""
    background = [] if facts.background is None else [facts.background]
    classes = background if given == "background" else given
    known = range(facts.num_classes)
    if isinstance(classes, str) or not all(label in known for label in classes):
        raise errors.UserError(
            f"task/{name}: found {given!r}, allowed: 'background' or a list of classes "
            f"from 0 to {facts.num_classes - 1}"
        )
    return sorted(set(classes))


def _resolve_weights(given: Any, facts: Dataset) -> list[float] | str | None:
    if given is None or given == AUTO:
        return given
    if isinstance(given, Mapping):
        for name in given:
            if name not in facts.classes:
                raise lookup.unknown(
                    name, facts.classes, kind="class in task/class_weights"
                )
        given = [given.get(name, 1.0) for name in facts.classes]
    numbers = not isinstance(given, str) and all(
        isinstance(w, (int, float)) and 0 <= w < np.inf for w in given
    )
    if not numbers or len(given) != facts.num_classes or not any(given):
        raise errors.UserError(
            f"task/class_weights: found {given!r}, allowed: 'auto', {{class name: "
            f"weight}}, or {facts.num_classes} numbers from 0, not all 0"
        )
    return [float(w) for w in given]
