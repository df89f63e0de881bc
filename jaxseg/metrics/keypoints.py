"""Average precision of keypoints by object keypoint similarity (COCO's OKS).

Ronchi and Perona 2017 (arXiv:1707.05388), through pycocotools. Runs in NumPy on the
host over `rows`, the arrays of one batch, everything in image pixels:

  keypoints       float32 [B, T, K, 3] row, col, score of the point
  scores          float32 [B, T], of the instance; negative = no prediction in this slot
  labels          int32 [B, T], 0, or -1 = no prediction in this slot
  true_keypoints  float32 [B, N, K, 3] row, col, visibility 0, 1 or 2
  true_boxes      float32 [B, N, 4] row0, col0, row1, col1
  true_labels     int32 [B, N], 0, or -1 = no object in this slot
  crowd           bool [B, N]
  area            float32 [B, N] pixels squared, of the segment; may be absent or 0
  valid           bool [B], False = fills up the last batch, counts for nothing
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxseg.core import errors
from jaxseg.metrics import detection, metric

PREDICTED = ("keypoints", "scores", "labels")
TRUE = ("true_keypoints", "true_boxes", "true_labels", "crowd", "area")
FINITE = ("keypoints", "scores", "true_boxes")
NAMES = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "ar50")
# COCO's, divided as in its code, for 0.26 / 10 is not 0.026 to the last bit.
PERSON_17 = (0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62)
PERSON_17 += (1.07, 1.07, 0.87, 0.87, 0.89, 0.89)
PERSON_17 = tuple(sigma / 10 for sigma in PERSON_17)
# MPII states none; those of public code (mmpose, xtcocotools), adapted from COCO's.
MPII_16 = (0.089, 0.083, 0.107, 0.107, 0.083, 0.089, 0.026, 0.026)
MPII_16 += (0.026, 0.026, 0.062, 0.072, 0.179, 0.179, 0.072, 0.062)
OTHER = 0.05  # ours: the papers on dogs (20 points) and others state none


def default_sigmas(num_keypoints: int) -> tuple[float, ...]:
    """One per point: COCO's for 17, the usual ones of MPII for 16, else 0.05 each."""
    known = {len(sigmas): sigmas for sigmas in (PERSON_17, MPII_16)}
    return known.get(num_keypoints, (OTHER,) * num_keypoints)


@dataclasses.dataclass(frozen=True)
class Oks:
    """COCO's keypoint AP, exactly as pycocotools gives it for the same points.

    OKS is measured in units of the object's segment area. Where rows carry no `area`
    > 0 it is taken as `area_factor` times that of the box: segments of people cover
    about half of their boxes. Objects without a labelled point and crowds count
    neither as right nor as wrong. Equal scores are ranked as in detection.CocoBoxes.
    """

    num_keypoints: int
    sigmas: tuple[float, ...]  # tolerance of each point relative to sqrt(area)
    area_factor: float = 0.53

    def __post_init__(self) -> None:
        if len(self.sigmas) != self.num_keypoints or min(self.sigmas, default=0) <= 0:
            raise errors.UserError(
                f"sigmas are {self.sigmas}; allowed is one number above 0 for each of "
                f"the {self.num_keypoints} keypoints. "
                f"Fix: keypoints.default_sigmas({self.num_keypoints})."
            )

    def zeros(self) -> detection.Images:
        """No images."""
        return []

    def merge(self, state: detection.Images, rows: detection.Rows) -> detection.Images:
        """`state` and the valid images of one batch."""
        labels = np.where(np.asarray(rows["scores"]) < 0, -1, rows["labels"])
        images = detection.split({**rows, "labels": labels}, PREDICTED, TRUE)
        detection.check(images, 1, FINITE)
        self._check_count(images)
        return state + images

    def compute(
        self, state: detection.Images, classes: Sequence[str]
    ) -> dict[str, float]:
        """NAMES in [0, 1], over one class; a metric without any object is left out.

        `ap` and `ap50` are 0 then.
        """
        run = detection.evaluate(
            truths=self._truths(state),
            results=_results(state),
            num_images=len(state),
            num_classes=1,
            kind="keypoints",
            sigmas=self.sigmas,
        )
        return {"ap": 0.0, "ap50": 0.0} | detection.defined_values(NAMES, run.stats)

    def floor(self, state: detection.Images, name: str) -> float | None:
        """The same for every average precision."""
        return metric.AP_FLOOR

    def _truths(self, state: detection.Images) -> list[dict[str, Any]]:
        truths = detection.annotations(state, self.area_factor)
        points = [one for image in state for one in image["true_keypoints"]]
        for truth, one in zip(truths, points, strict=True):
            truth["keypoints"] = _flat(one)
            truth["num_keypoints"] = int((one[:, 2] > 0).sum())
        return truths

    def _check_count(self, images: detection.Images) -> None:
        for image in images:
            for name in ("keypoints", "true_keypoints"):
                if image[name].shape[1] != self.num_keypoints:
                    raise errors.UserError(
                        f"{name} hold {image[name].shape[1]} points per object; this "
                        f"metric was made for {self.num_keypoints}"
                    )


def _results(images: detection.Images) -> list[dict[str, Any]]:
    """COCO results of all predictions, in order."""
    return [
        {
            "image_id": number,
            "category_id": 0,
            "keypoints": _flat(points),
            "score": float(score),
        }
        for number, image in enumerate(images)
        for points, score in zip(image["keypoints"], image["scores"])
    ]


def _flat(points: Float[np.ndarray, "k 3"]) -> list[float]:
    """x, y, third, x, y, third, ... as COCO writes row, col, third."""
    return points[:, [1, 0, 2]].astype(np.float64).ravel().tolist()
