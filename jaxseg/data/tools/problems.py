"""Problems of one example, each with a line of text and a fix."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset

FAR = 1000.0  # metres; larger values are probably millimetres
SHOWN = 8  # values in one message


class Problem(NamedTuple):
    """A problem; if it is not fatal it may be right, and `check` prints a note."""

    kind: str
    text: str
    fix: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.text}. Fix: {self.fix}" if self.fix else self.text


def examine(example: Example, facts: Dataset) -> list[Problem]:
    """Problems of an example that `dataset.check` accepts."""
    where, problems = str(example["id"]), []
    ids = example.get("segmentation")
    if ids is not None and (ids == IGNORE).all():
        fix = "leave the image out, or map ids={raw: class}"
        text = f"{where}: every pixel of the mask is {facts.file_ignore} (ignore)"
        problems.append(Problem("ignored", text, fix, fatal=False))
    if "boxes" in example:
        problems += _examine_boxes(example["boxes"], where)
    if "keypoints" in example:
        problems += _examine_keypoints(example["keypoints"], facts, where)
    if "depth" in example:
        problems += _examine_depth(example["depth"], where)
    return problems


def _examine_boxes(boxes: np.ndarray, where: str) -> Iterator[Problem]:
    flat = ~(boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if flat.any():
        text = f"{where}: {flat.sum()} boxes without an area, such as"
        text += f" {boxes[flat][0].tolist()} (row0, col0, row1, col1)"
        yield Problem("boxes", text, "correct or remove them")


def _examine_keypoints(
    points: np.ndarray, facts: Dataset, where: str
) -> Iterator[Problem]:
    count = len(facts.keypoints)
    if points.ndim != 3 or points.shape[1:] != (count, 3):
        text = f"{where}: keypoints are {list(points.shape)}, allowed: [N, {count}, 3]"
        yield Problem("keypoints", text, "give each object all points, 0 where unknown")
        return
    if not np.isin(points[..., 2], (0, 1, 2)).all():
        odd = np.unique(points[..., 2][~np.isin(points[..., 2], (0, 1, 2))])
        text = f"{where}: visibility {odd[:SHOWN].tolist()}, allowed: 0, 1, 2"
        yield Problem("keypoints", text, "0 unknown, 1 hidden, 2 visible")
    places = points[points[..., 2] > 0][:, :2]
    if not ((places >= 0) & (places <= 1)).all():
        text = f"{where}: a known keypoint lies outside the image"
        yield Problem("keypoints", text, "set its visibility to 0")


def _examine_depth(depth: np.ndarray, where: str) -> Iterator[Problem]:
    if not np.isfinite(depth).all() or (depth < 0).any():
        text = f"{where}: depth holds NaN, infinity or negative metres"
        yield Problem("depth", text, "store 0 where depth is unknown")
    elif not depth.any():
        text = f"{where}: depth is unknown (0) at every pixel"
        yield Problem("unknown", text, "leave the image out", fatal=False)
    elif depth.max() > FAR:
        text = f"{where}: depth reaches {depth.max():.0f} m"
        yield Problem("depth", text, "scale=0.001 if the files hold millimetres", False)
