"""Keypoints of objects as CenterNet regresses them (factors paper, 4.2 and A.4)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg.core.types import Array, Batch, Example, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.losses import detection as losses
from jaxseg.losses import reduce
from jaxseg.metrics import detection as box_metrics
from jaxseg.metrics import keypoints as metrics
from jaxseg.tasks import detection, targets, task

VERSION = 6  # goes up when the same weights would give another loss or metric
POINTLESS = {"ignored": "ignored", "background": "not there"}  # {rule: in words}
DRAWN, DRAWN_POINT = 0.3, 0.1  # lowest scores of objects and points in pictures


@dataclasses.dataclass(frozen=True)
class Keypoints(task.Task):
    """Six maps, losses L1 to L6; average precision by object keypoint similarity."""

    weights: tuple[float, ...] = (1.0, 1.0, 0.1, 1.0, 1.0, 1.0)  # of L1 to L6
    objects: int = detection.BOXES  # of highest score, per image
    sigmas: tuple[float, ...] = ()  # of the keypoints; (): by their number
    pointless: str = "ignored"  # objects without a known keypoint; or "background"
    headline: str = "ap50"

    name = "keypoints"
    fields = ("boxes", "box_labels", "keypoints")
    label_field = "keypoints"
    optional = ("crowd",)
    judging = ("area",)
    drawn = ("keypoints",)
    dense = False
    written_as = "objects"
    perfect = "ap"
    named = "keypoints"

    def outputs(self, facts: Dataset) -> int:
        """One per keypoint."""
        return len(facts.keypoints)

    def totals(self, batch: Batch) -> Totals:
        """Objects, and known keypoints of all of them."""
        labels, _ = self._objects(batch)
        real = targets.real_boxes(batch["boxes"], labels, 1)
        points = targets.real_points(batch["keypoints"], real)
        return {"objects": jnp.sum(real), "points": jnp.sum(points)}

    def loss(
        self, outputs: dict[str, Array], batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs of heads/keypoints.py; means over objects and over keypoints."""
        totals = totals or self.totals(batch)
        labels, crowd = self._objects(batch)
        shape = outputs["heat"].shape[1:3]
        encoded = targets.encode_keypoints(
            batch["boxes"], labels, batch["keypoints"], shape
        )
        seen = ~targets.ignore_regions(batch["boxes"], crowd, shape)
        parts = detection.center_losses(outputs, encoded, seen, totals["objects"])
        parts |= self._point_losses(outputs, encoded, seen, totals["points"])
        return sum(w * x for w, x in zip(self.weights, parts.values())), parts

    def _objects(self, batch: Batch) -> tuple[Array, Array]:
        """0 [B, N] or, where there is no object to learn, -1; regions of crowds."""
        crowd = detection.crowds(batch)
        there = ~crowd & (detection.known_labels(batch["box_labels"]) >= 0)
        has_points = jnp.any(batch["keypoints"][..., 2] > 0, axis=-1)
        if self.pointless == "ignored":
            crowd |= there & ~has_points
        return jnp.where(there & has_points, 0, -1), crowd

    def _point_losses(
        self, outputs: Any, encoded: Any, seen: Array, count: Array
    ) -> dict[str, Array]:
        """L4 to L6, each divided by the number of known keypoints."""
        known = encoded["point_valid"]
        marked = detection.with_peaks(seen, encoded["points"])
        focal = losses.penalty_focal(outputs["points"], encoded["points"], valid=marked)
        batch, objects, points = known.shape

        def flat(x: Array) -> Array:
            return x.reshape(batch, objects * points, *x.shape[3:])

        offset = losses.l1_at(
            outputs["point_offset"],
            flat(encoded["point_offset"]),
            flat(encoded["point_cells"]),
            flat(known),
        )
        allocation = losses.l1_at(
            outputs["allocation"],
            encoded["allocation"].reshape(batch, objects, 2 * points),
            encoded["cells"],
            jnp.repeat(known, 2, axis=-1),  # two channels of the map per keypoint
        )
        return {
            "point_loss": reduce.over(focal, count),
            "point_offset_loss": reduce.over(offset, count),
            "allocation_loss": reduce.over(allocation, count),
        }

    def decode(self, outputs: dict[str, Array]) -> dict[str, Array]:
        """boxes [B, T, 4], scores, box_labels [B, T], keypoints [B, T, K, 3].

        In [0, 1] of the canvas; the third value of a keypoint is its score.
        """
        parts = targets.decode_keypoints(outputs, self.objects)
        return dict(zip(("boxes", "scores", "box_labels", "keypoints"), parts))

    def metric(self) -> metrics.Oks:
        """Average precision by OKS."""
        sigmas = self.sigmas or metrics.default_sigmas(self.num_outputs)
        return metrics.Oks(self.num_outputs, tuple(sigmas))

    def counting(self, facts: Dataset, state: box_metrics.Images) -> tuple[str, ...]:
        """Which areas, sigmas and predictions count, where that is not as usual."""
        words = [*self._areas(state), *self._given_sigmas()]
        if self.pointless != usual_pointless(facts):
            words.append(f"objects without keypoints {POINTLESS[self.pointless]}")
        return (*words, *detection.at_most(self.objects))

    def _given_sigmas(self) -> tuple[str, ...]:
        """The sigmas of OKS where they are not those of `default_sigmas`."""
        if self.sigmas in ((), metrics.default_sigmas(self.num_outputs)):
            return ()
        alike = len(set(self.sigmas)) == 1
        shown = self.sigmas[:1] if alike else self.sigmas
        return (f"sigmas {' '.join(f'{sigma:g}' for sigma in shown)}",)

    def _areas(self, state: box_metrics.Images) -> tuple[str, ...]:
        """The areas that replace those of segments where these are unknown."""
        of_boxes = box_metrics.without_area(state)
        if of_boxes is None:
            return ()
        factor = self.metric().area_factor
        return (f"OKS by {factor:g} of the areas of boxes{of_boxes}",)

    def rows(self, counts: None, predictions: Any, batch: Batch) -> dict[str, Any]:
        """Predictions and truths in image pixels; the metric knows one class."""
        answers, truth = self.at_image(predictions, batch), detection.true_rows(batch)
        size = batch["label_size"].astype(np.float32)[:, None, None]
        points = batch["keypoints"].copy()
        points[..., :2] *= size
        there = truth["true_labels"] >= 0
        pointless = there & ~(points[..., 2] > 0).any(axis=-1)
        if self.pointless == "background":
            there &= ~pointless
        return truth | {
            "true_labels": np.where(there, 0, -1),
            "crowd": truth["crowd"] | (pointless & there),
            "true_keypoints": points,
            "keypoints": answers["keypoints"],
            "scores": answers["scores"],
            "labels": answers["box_labels"],
        }

    def at_image(self, predictions: Any, batch: Batch) -> dict[str, np.ndarray]:
        """Boxes and keypoints in the pixels of each image."""
        answers = {name: np.asarray(x) for name, x in predictions.items()}
        points = answers["keypoints"].copy()
        size = batch["label_size"].astype(np.float32)
        factor = np.array(batch["image"].shape[1:3]) / batch["scaled"] * size
        points[..., :2] *= factor[:, None, None].astype(np.float32)
        boxes = detection.to_pixels(answers["boxes"], batch)
        return answers | {"boxes": boxes, "keypoints": points}

    def as_fields(self, prediction: Any, size: tuple[int, int]) -> Example:
        """The skeletons with a score of DRAWN or more, relative to the image."""
        shown = (prediction["scores"] >= DRAWN) & (prediction["box_labels"] >= 0)
        points = prediction["keypoints"][shown].copy()
        points[..., :2] /= np.array(size)
        points[..., 2] = np.where(points[..., 2] >= DRAWN_POINT, 2, 0)
        return {"keypoints": points}

    def written(self, prediction: Any) -> task.Written:
        """All skeletons, whatever their score, with x, y and score of each point."""
        points = prediction["keypoints"][prediction["box_labels"] >= 0]
        flat = points[..., [1, 0, 2]].reshape(len(points), -1).tolist()
        rows = zip(detection.results(prediction), flat, strict=True)
        return task.Written(objects=[row | {"keypoints": own} for row, own in rows])

    def perfect_predictions(self, batch: Batch) -> dict[str, np.ndarray]:
        """All objects with a known keypoint."""
        boxes, points = detection.true_boxes(batch), batch["keypoints"].copy()
        points[..., :2] *= detection.canvas_share(batch)[:, None]
        known = (points[..., 2] > 0).any(axis=-1)
        labels = np.where((boxes["box_labels"] >= 0) & known, 0, -1)
        return boxes | {"box_labels": labels, "keypoints": points}

    def is_labelled(self, batch: Batch) -> bool:
        """Whether any keypoint of a batch is known."""
        return bool((batch["keypoints"][..., 2] > 0).any())


def build(
    num_outputs: int,
    weights: Sequence[float] = (1.0, 1.0, 0.1, 1.0, 1.0, 1.0),
    objects: int = detection.BOXES,
    sigmas: Sequence[float] | None = None,
    pointless: str | None = None,
    headline: str = "ap50",
) -> Keypoints:
    """weights: of L1 to L6; of the first three CenterNet's (none are printed).

    sigmas: per keypoint, as COCO defines them; None: the data set's, else by their
    number. pointless: objects without a known keypoint are "ignored" or "background";
    None: ignored in a data set of one class, all of whose objects have keypoints.
    """
    return Keypoints(
        num_outputs,
        weights=tuple(weights),
        objects=objects,
        sigmas=tuple(sigmas or ()),
        pointless=pointless or "ignored",
        headline=headline,
    )


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """The section with the data set's sigmas and rule for objects without keypoints."""
    section = task.judged(section, facts)
    for name, allowed in (
        ("pointless", (*POINTLESS, None)),
        ("headline", ("ap", "ap50", "ap75")),
    ):
        task.check_choice(section[name], allowed, name)
    return section | {"pointless": section["pointless"] or usual_pointless(facts)}


def usual_pointless(facts: Dataset) -> str:
    """How objects without a known keypoint count by default."""
    return "ignored" if facts.num_classes <= 1 else "background"
