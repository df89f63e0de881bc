"""pycocotools' evaluation without matching the detections that overlap no object.

Its matching runs in Python over thresholds, detections and objects; of the usual 100
detections an image most overlap no object, and cannot match.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import cocoeval


class Ranked(NamedTuple):
    """Detections of one image and class, best score first."""

    ids: list[int]
    scores: np.ndarray  # float [D]
    areas: np.ndarray  # float [D]
    places: np.ndarray  # int [N], of those that overlap an object
    near: list[dict[str, Any]]  # these
    overlaps: np.ndarray  # float [N, G], theirs


class Evaluation(cocoeval.COCOeval):
    """COCOeval with the same results, to the last bit."""

    def __init__(self, truths: Any, results: Any, kind: str) -> None:
        super().__init__(truths, results, kind)
        self._known: dict[Any, Ranked] = {}  # used again for each range of areas

    def evaluateImg(
        self, imgId: Any, catId: Any, aRng: Sequence[Any], maxDet: int
    ) -> dict[str, Any] | None:
        """What pycocotools stores for one image, class and range of areas."""
        key = (imgId, catId)
        detections, overlaps = self._dts[key], self.ious[key]
        if not len(overlaps):  # no detection, or no object
            return super().evaluateImg(imgId, catId, aRng, maxDet)
        if key not in self._known:
            self._known[key] = self._ranked(detections, overlaps, maxDet)
        ranked = self._known[key]
        self._dts[key], self.ious[key] = ranked.near, ranked.overlaps
        try:
            stored = super().evaluateImg(imgId, catId, aRng, maxDet)
        finally:
            self._dts[key], self.ious[key] = detections, overlaps
        shape = (len(self.params.iouThrs), len(ranked.ids))
        outside = (ranked.areas < aRng[0]) | (ranked.areas > aRng[1])
        matches, ignore = np.zeros(shape), np.repeat(outside[None], shape[0], axis=0)
        if len(ranked.places):
            matches[:, ranked.places] = stored["dtMatches"]
            ignore[:, ranked.places] = stored["dtIgnore"]
        return stored | {
            "dtIds": ranked.ids,
            "dtScores": ranked.scores,
            "dtMatches": matches,
            "dtIgnore": ignore,
        }

    def accumulate(self, p: Any = None) -> None:
        """Precision and recall over all images, its loops over detections in NumPy."""
        p = self.params
        shape = (len(p.catIds), len(p.areaRng), len(p.maxDets))
        precision = -np.ones((len(p.iouThrs), len(p.recThrs), *shape))
        recall = -np.ones((len(p.iouThrs), *shape))
        for place in np.ndindex(*shape):
            begin = (place[0] * shape[1] + place[1]) * len(p.imgIds)
            images = self.evalImgs[begin : begin + len(p.imgIds)]
            curves = self._curves([e for e in images if e], p.maxDets[place[2]])
            if curves is not None:
                precision[(..., *place)], recall[(..., *place)] = curves
        self.eval = {"params": p, "precision": precision, "recall": recall}

    def _curves(self, images: list[dict[str, Any]], limit: int) -> Any:
        """(precision [T, R] at the recall thresholds, recall [T]); None: no object."""
        total = sum(int((e["gtIgnore"] == 0).sum()) for e in images)
        if total == 0:
            return None
        scores = np.concatenate([e["dtScores"][:limit] for e in images])
        order = np.argsort(-scores, kind="mergesort")
        matched, ignored = (
            np.concatenate([e[name][:, :limit] for e in images], axis=1)[:, order] != 0
            for name in ("dtMatches", "dtIgnore")
        )
        hits = np.cumsum(matched & ~ignored, axis=1).astype(float)
        false = np.cumsum(~matched & ~ignored, axis=1).astype(float)
        recall = np.pad(hits / total, ((0, 0), (1, 0)))  # of no detection: 0
        precision = hits / (false + hits + np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        best = np.pad(best, ((0, 0), (0, 1)))  # a recall that is never reached
        rows = []
        for reached, curve in zip(recall[:, 1:], best):
            rows.append(curve[np.searchsorted(reached, self.params.recThrs)])
        return np.stack(rows), recall[:, -1]

    def _ranked(
        self, detections: Sequence[Any], overlaps: np.ndarray, limit: int
    ) -> Ranked:
        order = np.argsort([-d["score"] for d in detections], kind="mergesort")
        every = [detections[place] for place in order[:limit]]
        nearest = np.max(overlaps, axis=1, initial=0)
        places = np.flatnonzero(nearest >= self.params.iouThrs.min())
        return Ranked(
            ids=[d["id"] for d in every],
            scores=np.array([d["score"] for d in every]),
            areas=np.array([d["area"] for d in every]),
            places=places,
            near=[every[place] for place in places],
            overlaps=overlaps[places],
        )
