"""Object detection as CenterNet does it (factors paper, section 4.2 and A.3)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Array, Batch, Example, Logs, Totals
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.losses import detection as losses
from jaxseg.losses import reduce
from jaxseg.metrics import detection as metrics
from jaxseg.metrics import metric
from jaxseg.tasks import targets, task

VERSION = 7  # goes up when the same weights would give another loss or metric
METRICS = {  # name: (metric of a number of classes, headlines it has)
    "coco": (metrics.CocoBoxes, ("map", "ap50", "ap75")),
    "voc": (metrics.VocBoxes, ("ap50_voc",)),
    "voc07": (lambda k: metrics.VocBoxes(k, interpolation="11"), ("ap50_voc07",)),
}
BOXES = 100  # predicted per image; as many as COCO's AP counts
DRAWN = 0.3  # lowest score of a box that pictures show


@dataclasses.dataclass(frozen=True)
class Detection(task.Task):
    """Penalised focal loss on centres, L1 on offsets and sizes; COCO or VOC AP."""

    offset_weight: float = 1.0
    size_weight: float = 0.1
    boxes: int = BOXES  # of highest score, per image
    nms: float | None = None  # IoU above which the lower score of a class is dropped
    protocol: str = "coco"
    headline: str = "map"

    name = "detection"
    fields = ("boxes", "box_labels")
    label_field = "box_labels"
    optional = ("crowd", "difficult")
    judging = ("area",)
    drawn = ("boxes", "box_labels")
    dense = False
    written_as = "objects"

    def totals(self, batch: Batch) -> Totals:
        """Objects."""
        labels, _ = self._objects(batch)
        real = targets.real_boxes(batch["boxes"], labels, self.num_outputs)
        return {"objects": jnp.sum(real)}

    def loss(
        self, outputs: dict[str, Array], batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs of heads/centernet.py; means over the objects of the batch."""
        totals = totals or self.totals(batch)
        labels, crowd = self._objects(batch)
        shape = outputs["heat"].shape[1:3]
        encoded = targets.encode_boxes(batch["boxes"], labels, shape, self.num_outputs)
        seen = ~targets.ignore_regions(batch["boxes"], crowd, shape)
        parts = center_losses(outputs, encoded, seen, totals["objects"])
        total = parts["class_loss"] + self.offset_weight * parts["offset_loss"]
        return total + self.size_weight * parts["size_loss"], parts

    def decode(self, outputs: dict[str, Array]) -> dict[str, Array]:
        """boxes [B, T, 4] in [0, 1] of the canvas, scores [B, T], box_labels [B, T]."""
        boxes, scores, labels = targets.decode_boxes(
            outputs["heat"], outputs["offset"], outputs["size"], self.boxes
        )
        if self.nms is not None:
            scores, labels = targets.nms(boxes, scores, labels, self.nms)
        return {"boxes": boxes, "scores": scores, "box_labels": labels}

    def metric(self) -> metric.Metric:
        """Average precision by the protocol."""
        return METRICS[self.protocol][0](self.num_outputs)

    def counting(self, facts: Dataset, state: metrics.Images) -> tuple[str, ...]:
        """Which curve, areas and predictions count, where that is not as usual."""
        nms = () if self.nms is None else (f"NMS {self.nms:g}",)
        return (*self._curve_and_areas(state), *nms, *at_most(self.boxes))

    def _curve_and_areas(self, state: metrics.Images) -> tuple[str, ...]:
        """The curve of VOC's AP; the areas by which COCO sorts objects into sizes."""
        if self.protocol != "coco":
            points = "11 points" if self.protocol == "voc07" else "all points"
            return (f"VOC, {points}",)
        of_boxes = metrics.without_area(state, crowds=False)
        return (f"sizes by areas of boxes{of_boxes}",) if of_boxes is not None else ()

    def rows(self, counts: None, predictions: Any, batch: Batch) -> dict[str, Any]:
        """Predictions and truths in image pixels."""
        answers = self.at_image(predictions, batch)
        return true_rows(batch) | {
            "boxes": answers["boxes"],
            "scores": answers["scores"],
            "labels": answers["box_labels"],
        }

    def at_image(self, predictions: Any, batch: Batch) -> dict[str, np.ndarray]:
        """Boxes in the pixels of each image, cut at its border."""
        answers = {name: np.asarray(x) for name, x in predictions.items()}
        return answers | {"boxes": to_pixels(answers["boxes"], batch)}

    def as_fields(self, prediction: Any, size: tuple[int, int]) -> Example:
        """The boxes with a score of DRAWN or more, relative to the image."""
        shown = (prediction["scores"] >= DRAWN) & (prediction["box_labels"] >= 0)
        fields = {name: x[shown] for name, x in prediction.items()}
        return fields | {"boxes": fields["boxes"] / np.array([*size, *size])}

    def written(self, prediction: Any) -> task.Written:
        """All boxes, whatever their score."""
        return task.Written(objects=results(prediction))

    def perfect_predictions(self, batch: Batch) -> dict[str, np.ndarray]:
        """All objects but crowds and difficult ones, which count neither way."""
        return true_boxes(batch)

    def _objects(self, batch: Batch) -> tuple[Array, Array]:
        """Classes [B, N], -1 where there is no object to learn; regions of crowds."""
        crowd = crowds(batch)
        return jnp.where(crowd, -1, known_labels(batch["box_labels"])), crowd


def build(
    num_outputs: int,
    offset_weight: float = 1.0,
    size_weight: float = 0.1,
    boxes: int = BOXES,
    nms: float | None = None,
    protocol: str | None = None,
    headline: str | None = None,
) -> Detection:
    """The weights are CenterNet's (the factors paper prints none).

    protocol: "coco", "voc" (all points) or "voc07" (eleven points); headline: its
    metric that tables show; None: that of the data set.
    """
    protocol = protocol or "coco"
    if protocol not in METRICS:
        raise errors.UserError(
            f"task/protocol: found {protocol!r}, allowed: {', '.join(METRICS)}"
        )
    known = METRICS[protocol][1]
    if headline is not None and headline not in known:
        raise errors.UserError(
            f"task/headline: found {headline!r}, {protocol} has {', '.join(known)}"
        )
    return Detection(
        num_outputs,
        offset_weight=offset_weight,
        size_weight=size_weight,
        boxes=boxes,
        nms=nms,
        protocol=protocol,
        headline=headline or known[0],
    )


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """Protocol, headline and NMS: those of the data set where the section has None."""
    section = task.judged(section, facts)
    built = build(1, **{k: x for k, x in section.items() if k != "name"})
    return section | {"protocol": built.protocol, "headline": built.headline}


def center_losses(
    outputs: Any, encoded: Any, seen: Array, objects: Array
) -> dict[str, Array]:
    """L1 to L3 (Eq. A.2 to A.4), each divided by the number of objects."""
    known = with_peaks(seen, encoded["heat"])
    focal = losses.penalty_focal(outputs["heat"], encoded["heat"], valid=known)
    at = (encoded["cells"], encoded["valid"])
    sums = {
        "class_loss": focal,
        "offset_loss": losses.l1_at(outputs["offset"], encoded["offset"], *at),
        "size_loss": losses.l1_at(outputs["size"], encoded["size"], *at),
    }
    return {name: reduce.over(values, objects) for name, values in sums.items()}


def with_peaks(seen: Array, heat: Array) -> Array:
    """bool [B, h, w, K]: cells outside crowds [B, h, w], and peaks wherever they lie.

    A sum is divided by the number of its peaks, so none of them may be masked.
    """
    return seen[..., None] | (heat == 1)


def known_labels(labels: Array) -> Array:
    """Class ids; -1 where there is no object or its class is unknown."""
    return jnp.where(labels == IGNORE, -1, labels)


def crowds(batch: Batch) -> Array:
    """bool [B, N]: regions that count neither as objects nor as background."""
    unknown = batch["box_labels"] == IGNORE
    return batch["crowd"] | unknown if "crowd" in batch else unknown


def to_pixels(places: np.ndarray, batch: Batch) -> np.ndarray:
    """[B, T, 4] boxes in [0, 1] of the canvas -> pixels of the original images."""
    canvas = np.tile(np.array(batch["image"].shape[1:3], np.float32), 2)
    scaled = np.tile(batch["scaled"].astype(np.float32), 2)[:, None]
    size = np.tile(batch["label_size"].astype(np.float32), 2)[:, None]
    return np.clip(np.asarray(places) * canvas / scaled * size, 0, size)


def true_boxes(batch: Batch) -> dict[str, np.ndarray]:
    """Objects as `decode` gives them; those that count neither way have score -1."""
    there = (batch["box_labels"] >= 0) & (batch["box_labels"] != IGNORE)
    for aside in ("crowd", "difficult"):
        there &= ~batch.get(aside, np.zeros_like(there))
    return {
        "boxes": batch["boxes"] * np.tile(canvas_share(batch), 2),
        "scores": np.where(there, 1.0, -1.0).astype(np.float32),
        "box_labels": np.where(there, batch["box_labels"], -1),
    }


def results(prediction: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Of one image, as COCO writes results, without image_id: class ids, x, y, width
    and height in pixels, scores; without the slots that hold no box.
    """
    there = prediction["box_labels"] >= 0
    boxes, scores, labels = (
        prediction[name][there] for name in ("boxes", "scores", "box_labels")
    )
    return [
        {"category_id": int(label), "bbox": box.tolist(), "score": float(score)}
        for label, box, score in zip(labels, metrics.xywh(boxes), scores)
    ]


def canvas_share(batch: Batch) -> np.ndarray:
    """float32 [B, 1, 2]: the part of the canvas's height and width that is image."""
    share = batch["scaled"] / np.array(batch["image"].shape[1:3])
    return share.astype(np.float32)[:, None]


def at_most(count: int) -> tuple[str, ...]:
    """Words of a protocol on the number of predictions per image; none for BOXES."""
    return () if count == BOXES else (f"up to {count} predictions an image",)


def true_rows(batch: Batch) -> dict[str, np.ndarray]:
    """The truth as the metrics of objects read it, in image pixels."""
    size = np.tile(batch["label_size"].astype(np.float32), 2)[:, None]
    labels, nothing = batch["box_labels"], np.zeros(batch["box_labels"].shape, bool)
    known = {"area": batch["area"]} if "area" in batch else {}
    return known | {
        "true_boxes": batch["boxes"] * size,
        "true_labels": np.where(labels == IGNORE, -1, labels),
        "crowd": batch.get("crowd", nothing),
        "difficult": batch.get("difficult", nothing),
        "valid": batch["valid"],
    }
