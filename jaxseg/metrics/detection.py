"""Average precision of boxes over a set, as COCO and as Pascal VOC count it.

COCO: Lin et al. 2014 (arXiv:1405.0312), through pycocotools. VOC: Everingham et al.,
IJCV 2010, after the devkit's VOCevaldet.m. Both run in NumPy on the host over `rows`,
the arrays of one batch, boxes as row0, col0, row1, col1 in image pixels:

  boxes        float32 [B, T, 4]
  scores       float32 [B, T]
  labels       int32 [B, T], -1 = no prediction in this slot
  true_boxes   float32 [B, N, 4]
  true_labels  int32 [B, N], -1 = no object in this slot
  crowd        bool [B, N]
  difficult    bool [B, N]
  area         float32 [B, N] pixels squared, of the segment; may be absent or 0
  valid        bool [B], False = fills up the last batch, counts for nothing
"""

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxseg.core import errors
from jaxseg.metrics import metric

Rows = Mapping[str, Any]
Images = list[dict[str, np.ndarray]]  # one dict per image, without empty slots
PREDICTED = ("boxes", "scores", "labels")
TRUE = ("true_boxes", "true_labels", "crowd", "difficult", "area")
FINITE = ("boxes", "scores", "true_boxes")
COCO_NAMES = ("map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
COCO_NAMES += ("ar1", "ar10", "ar100")
VOC_OVERLAP = 0.5


@dataclasses.dataclass(frozen=True)
class CocoBoxes:
    """COCO's mAP, exactly as pycocotools gives it for the same boxes.

    The area that sorts an object into small, medium and large is that of its box; the
    official numbers use the area of its segment, so rows may carry `area`, which is
    taken where it is > 0. Equal scores are ranked in list order within an image, then
    by image in the order merged. COCO has no `difficult`: it is ignored.

    >>> box, none = np.float32([[[0, 0, 8, 8]]]), np.zeros((1, 1), bool)
    >>> rows = {"boxes": box, "scores": np.ones((1, 1)), "labels": none.astype(int)}
    >>> rows |= {"true_boxes": box, "true_labels": none.astype(int), "crowd": none}
    >>> metric = CocoBoxes(num_classes=1)
    >>> state = metric.merge(metric.zeros(), rows | {"valid": [True]})
    >>> round(metric.compute(state, ["dog"])["map"], 6)
    1.0
    """

    num_classes: int

    def zeros(self) -> Images:
        """No images."""
        return []

    def merge(self, state: Images, rows: Rows) -> Images:
        """`state` and the valid images of one batch."""
        images = split(rows, PREDICTED, TRUE)
        check(images, self.num_classes, FINITE)
        return state + images

    def compute(self, state: Images, classes: Sequence[str]) -> dict[str, float]:
        """COCO_NAMES and `ap/<class>` in [0, 1]; a class without objects is left out.

        `map` and `ap50` are 0 then.
        """
        run = evaluate(
            truths=annotations(state),
            results=_results(state),
            num_images=len(state),
            num_classes=self.num_classes,
            kind="bbox",
        )
        values = defined_values(COCO_NAMES, run.stats)
        for label, name in _enumerated(classes, self.num_classes):
            precision = run.eval["precision"][:, :, label, 0, -1]  # all areas, 100 each
            if (precision > -1).any():
                values[f"ap/{name}"] = float(precision[precision > -1].mean())
        return {"map": 0.0, "ap50": 0.0} | values

    def floor(self, state: Images, name: str) -> float | None:
        """The same for every average precision."""
        return metric.AP_FLOOR


@dataclasses.dataclass(frozen=True)
class VocBoxes:
    """VOC's AP at IoU 0.5.

    A detection takes the truth of its class and image that it overlaps most, taken or
    not, so a second detection of an object is false. Difficult objects count for
    nothing, neither right nor wrong; crowds, which VOC does not have, likewise.
    Equal scores are ranked as in CocoBoxes.
    """

    num_classes: int
    interpolation: str = "all"  # area under the monotone curve; "11": VOC2007
    inclusive: bool = False  # boxes end *on* a pixel: the devkit's + 1 on both sides

    def __post_init__(self) -> None:
        if self.interpolation not in ("all", "11"):
            raise errors.UserError(
                f"interpolation is {self.interpolation!r}; allowed are 'all' (area "
                "under the curve, VOC2010 and later) and '11' (11 points, VOC2007)"
            )

    @property
    def name(self) -> str:
        """Not `ap50`, which is COCO's: 101 points and another rule of matching."""
        return "ap50_voc" if self.interpolation == "all" else "ap50_voc07"

    def zeros(self) -> Images:
        """No images."""
        return []

    def merge(self, state: Images, rows: Rows) -> Images:
        """`state` and the valid images of one batch."""
        images = split(rows, PREDICTED, TRUE)
        check(images, self.num_classes, FINITE)
        return state + images

    def compute(self, state: Images, classes: Sequence[str]) -> dict[str, float]:
        """`ap50_voc` in [0, 1], of 11 points `ap50_voc07`: the mean over the classes
        with truth, of which each has its own `<name>/<class>`.
        """
        values = {}
        for label, name in _enumerated(classes, self.num_classes):
            outcomes, positives = self._ranked(state, label)
            if positives:
                values[f"{self.name}/{name}"] = self._area(outcomes, positives)
        mean = float(np.mean(list(values.values()))) if values else 0.0
        return {self.name: mean} | values

    def floor(self, state: Images, name: str) -> float | None:
        """The same for every average precision."""
        return metric.AP_FLOOR

    def _ranked(self, state: Images, label: int) -> tuple[Int[np.ndarray, " t"], int]:
        """(outcomes of all detections of a class, best score first; objects)."""
        parts = [self._outcomes(image, label) for image in state]
        if not parts:
            return np.zeros(0, np.int64), 0
        scores, outcomes, positives = zip(*parts)
        order = np.argsort(-np.concatenate(scores), kind="stable")
        return np.concatenate(outcomes)[order], sum(positives)

    def _outcomes(self, image: dict[str, np.ndarray], label: int) -> Any:
        """(scores, outcomes, number of objects) of one image, best score first.

        An outcome is 1 for right, -1 for wrong, 0 for neither.
        """
        chosen = np.flatnonzero(image["labels"] == label)
        order = chosen[np.argsort(-image["scores"][chosen], kind="stable")]
        true = image["true_labels"] == label
        aside = (image["difficult"] | image["crowd"])[true]
        outcomes = np.full(len(order), -1)
        if true.any():
            boxes, truths = image["boxes"][order], image["true_boxes"][true]
            overlaps = _iou(boxes, truths, extra=1.0 if self.inclusive else 0.0)
            outcomes = _match(overlaps, aside)
        return image["scores"][order], outcomes, int((~aside).sum())

    def _area(self, outcomes: Int[np.ndarray, " t"], positives: int) -> float:
        hits, false = np.cumsum(outcomes == 1), np.cumsum(outcomes == -1)
        precision = hits / np.maximum(hits + false, 1)
        monotone = np.maximum.accumulate(precision[::-1])[::-1]
        if self.interpolation == "all":  # recall grows by 1 / positives at each hit
            return float(monotone[outcomes == 1].sum() / positives)
        # In integers, since 3 * 0.1 > 3 / 10 would miss a recall of exactly 0.3.
        first = np.searchsorted(10 * hits, positives * np.arange(11))
        return float(np.append(monotone, 0.0)[first].mean())


def split(rows: Rows, predicted: Sequence[str], true: Sequence[str]) -> Images:
    """One dict per valid image, without the empty slots."""
    names = [name for name in (*predicted, *true) if name in rows]
    arrays = {name: np.asarray(rows[name]) for name in names}
    slots = dict.fromkeys(predicted, arrays["labels"] >= 0)
    slots |= dict.fromkeys(true, arrays["true_labels"] >= 0)
    valid = np.flatnonzero(np.asarray(rows["valid"]))
    return [{name: arrays[name][i][slots[name][i]] for name in names} for i in valid]


def check(images: Images, num_classes: int, finite: Sequence[str]) -> None:
    """UserError on classes that do not exist and on NaN or infinity."""
    for image in images:
        for name in ("labels", "true_labels"):
            if (image[name] >= num_classes).any():
                raise errors.UserError(
                    f"{name} holds {image[name].max()}; allowed are 0 to "
                    f"{num_classes - 1}, and -1 for an empty slot"
                )
        for name in finite:  # an IoU of NaN would pass for a match
            if not np.isfinite(image[name]).all():
                raise errors.UserError(
                    f"{name} holds NaN or infinity. Fix: if the model has diverged, "
                    "train with a lower learning rate."
                )


def evaluate(
    truths: list[dict[str, Any]],
    results: list[dict[str, Any]],
    num_images: int,
    num_classes: int,
    kind: str,
    sigmas: Sequence[float] | None = None,
) -> Any:
    """A finished COCOeval with its `stats`; no files, nothing printed."""
    from pycocotools import coco  # here, so that planning need not load it

    from jaxseg.metrics import coco_eval

    base = {
        "images": [{"id": number} for number in range(num_images)],
        "categories": [{"id": number} for number in range(num_classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth, predicted = coco.COCO(), coco.COCO()
        truth.dataset = base | {"annotations": truths}
        truth.createIndex()
        predicted.dataset = base | {"annotations": []}
        predicted.createIndex()
        if results:  # loadRes fails on an empty list
            predicted = truth.loadRes(results)
        run = coco_eval.Evaluation(truth, predicted, kind)
        if sigmas is not None:
            run.params.kpt_oks_sigmas = np.asarray(sigmas)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def defined_values(names: Sequence[str], stats: np.ndarray) -> dict[str, float]:
    """{name: value} without those that pycocotools marks -1: they have no objects."""
    return {name: float(x) for name, x in zip(names, stats) if x > -1}


def annotations(images: Images, area_factor: float = 1.0) -> list[dict[str, Any]]:
    """COCO annotations of all true objects, in order; `area_factor` of boxes' areas."""
    objects: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        boxes = xywh(image["true_boxes"])
        areas = area_factor * boxes[:, 2] * boxes[:, 3]
        if "area" in image:
            areas = np.where(image["area"] > 0, image["area"], areas)
        for row, box in enumerate(boxes):
            objects.append(
                {
                    "id": len(objects) + 1,  # pycocotools reads 0 as: not matched
                    "image_id": number,
                    "category_id": int(image["true_labels"][row]),
                    "bbox": box.tolist(),
                    "area": float(areas[row]),
                    "iscrowd": int(image["crowd"][row]),
                }
            )
    return objects


def without_area(images: Images, crowds: bool = True) -> str | None:
    """Which objects have only the area of their box: "" all, words some, None none.

    crowds: whether those of crowds are used.
    """
    lacking, objects = 0, 0
    for image in images:
        counted = crowds | ~image["crowd"]
        known = image.get("area", np.zeros(len(counted))) > 0
        lacking += int((counted & ~known).sum())
        objects += int(counted.sum())
    if not lacking:
        return None
    return "" if lacking == objects else " where the data have none"


def _results(images: Images) -> list[dict[str, Any]]:
    """COCO results of all predictions, in order."""
    return [
        {
            "image_id": number,
            "category_id": int(label),
            "bbox": box.tolist(),
            "score": float(score),
        }
        for number, image in enumerate(images)
        for box, score, label in zip(
            xywh(image["boxes"]), image["scores"], image["labels"]
        )
    ]


def xywh(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """x, y, width, height in float64 of row0, col0, row1, col1."""
    row0, col0, row1, col1 = boxes.astype(np.float64).T
    return np.stack([col0, row0, col1 - col0, row1 - row0], axis=1)


def _iou(
    a: Float[np.ndarray, "t 4"], b: Float[np.ndarray, "n 4"], extra: float
) -> Float[np.ndarray, "t n"]:
    """Intersection over union of all pairs, `extra` pixels added to each side."""
    a, b = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    inner = np.maximum(high - low + extra, 0.0).prod(axis=-1)
    outer = [(x[..., 2:] - x[..., :2] + extra).prod(axis=-1) for x in (a, b)]
    union = outer[0] + outer[1] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def _match(
    overlaps: Float[np.ndarray, "t n"], aside: Bool[np.ndarray, " n"]
) -> Int[np.ndarray, " t"]:
    """1 right, -1 wrong, 0 neither, of detections sorted by score."""
    outcomes = np.full(len(overlaps), -1)
    taken = np.zeros(len(aside), bool)
    best = overlaps.argmax(axis=1)  # of equals the first, as in the devkit
    for row, truth in enumerate(best):
        if overlaps[row, truth] < VOC_OVERLAP:
            continue
        if aside[truth]:
            outcomes[row] = 0
        elif not taken[truth]:
            outcomes[row] = 1
        taken[truth] = True
    return outcomes


def _enumerated(classes: Sequence[str], num_classes: int) -> list[tuple[int, str]]:
    return list(zip(range(num_classes), classes, strict=True))
