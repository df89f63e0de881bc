"""Boxes and keypoints of images, in the units of an example.

A box counts if it is finite and has an area left once it is cut at the border of its
image; all others (no width, no height, NaN, wholly outside) are dropped. A box with
swapped corners or far outside is a mistake: readers of users' own data refuse it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.data import refusals

# Body parts that a line joins: on one side or in the middle, and across the body.
BONES = (("ankle", "knee"), ("knee", "hip"), ("hip", "shoulder"), ("elbow", "wrist"))
BONES += (("shoulder", "elbow"), ("eye", "ear"), ("neck", "head_top"))
BONES += (("thorax", "upper_neck"), ("pelvis", "thorax"), ("paw", "middle"))
BONES += (("middle", "top"), ("tail_start", "tail_end"), ("ear_base", "ear_tip"))
BONES += (("nose", "chin"),)
ACROSS = ("hip", "shoulder", "eye")
FAR = 1.0  # image sides by which a box may exceed its image; YOLO's rule for pixels


class Record(NamedTuple):
    """An image below the root and its objects without the dropped ones."""

    image: str
    id: str
    size: tuple[int, int] | None  # height, width as the annotations give them
    boxes: np.ndarray  # float32 [N, 4] row0, col0, row1, col1 in [0, 1]
    labels: np.ndarray  # int32 [N]
    flags: np.ndarray  # bool [N], crowd or difficult
    keypoints: np.ndarray | None = None  # float32 [N, K, 3]
    areas: np.ndarray | None = None  # float32 [N] square pixels, 0 = unknown


def cut_boxes(
    corners: np.ndarray, sizes: np.ndarray | tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """float32 [N, 4] row0, col0, row1, col1 in [0, 1], and bool [N], true if it counts.

    corners: [N, 4] x0, y0, x1, y1 in pixels; sizes: height, width, of all or of each.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4)
    finite = np.isfinite(corners).all(axis=1)
    height, width = np.broadcast_to(sizes, (len(corners), 2)).T
    sides = np.stack([height, width, height, width], axis=1)
    safe = np.where(finite[:, None], corners, 0)
    boxes = np.clip(safe[:, [1, 0, 3, 2]] / sides, 0, 1).astype(np.float32)
    return boxes, finite & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)


def odd_boxes(corners: np.ndarray, sizes: np.ndarray | tuple[int, int]) -> np.ndarray:
    """bool [N], true if corners are swapped or lie farther outside than one image side.

    No annotator draws such a box, so the extent of its object is unknown.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4)
    height, width = np.broadcast_to(sizes, (len(corners), 2)).T
    shares = corners / np.stack([width, height, width, height], axis=1)
    far = ((shares < -FAR) | (shares > 1 + FAR)).any(axis=1)
    return far | turned(corners)


def turned(corners: np.ndarray) -> np.ndarray:
    """bool [N], true if the second corner lies left of or above the first."""
    return (corners[:, 2:] < corners[:, :2]).any(axis=1)


def odd_box(where: str, corners: Sequence[float], size: Sequence[int]) -> Exception:
    """UserError for a box of x0, y0, x1, y1 that is one of `odd_boxes`."""
    numbers = ", ".join(f"{number:g}" for number in corners)
    return errors.UserError(
        f"{where}: found a box from x, y to x, y of {numbers}, its image is {size[0]} "
        f"x {size[1]} (height x width); allowed are boxes from top left to bottom "
        "right, up to one of its sides outside of it. Fix: correct or remove the box."
    )


def known_points(points: np.ndarray, size: np.ndarray | tuple[int, int]) -> np.ndarray:
    """float32 [..., K, 3] row, col in [0, 1], visibility, from x, y in pixels.

    Points that are not labelled, not finite or outside the image are 0, 0, 0.
    """
    height, width = np.moveaxis(np.asarray(size, np.float64), -1, 0)
    rows, cols = points[..., 1] / height, points[..., 0] / width
    with np.errstate(invalid="ignore"):
        inside = (rows >= 0) & (rows <= 1) & (cols >= 0) & (cols <= 1)
    known = inside & (points[..., 2] > 0)
    placed = np.stack([rows, cols, points[..., 2]], axis=-1)
    return np.where(known[..., None], placed, 0).astype(np.float32)


def report_dropped(dropped: int, total: int, path: Path, example: str) -> None:
    """Notes how many boxes do not count, and the image of one of them."""
    if dropped:
        refusals.note(
            f"{path}: {dropped} of {total} boxes have no area within their image and "
            f"are left out, for example one of {example}"
        )


def read_image(record: Record, root: Path, labels: str) -> np.ndarray:
    """uint8 [H, W, 3]; UserError where it is not of the size that `labels` say."""
    size = image_files.size(root / record.image)  # checked before gigabytes are decoded
    if record.size is not None and size != tuple(record.size):
        raise errors.UserError(
            f"{root / record.image}: image is {size[0]} x {size[1]} (height x width, "
            f"upright), {labels} says {record.size[0]} x {record.size[1]}. Fix: "
            "restore the image that was labelled, or correct the size there."
        )
    return image_files.read(root / record.image)


def flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(left, right) indices of keypoints whose names differ by left, right or L, R."""
    places = {name.lower(): index for index, name in enumerate(names)}
    pairs = []
    for name, index in places.items():
        other = re.sub(r"left|(?<![a-z])l(?![a-z])", _to_right, name)
        if other != name and other in places:
            pairs.append((index, places[other]))
    return tuple(pairs)


def skeleton(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of indices of keypoints that a line joins, by the names of body parts."""
    places = {name.lower(): index for index, name in enumerate(names)}
    pairs = [("left_" + part, "right_" + part) for part in ACROSS]
    for name in places:
        pairs += [
            (name, name.removesuffix(one) + other)
            for one, other in BONES
            if name.endswith(one)
        ]
    return tuple(
        (places[a], places[b]) for a, b in pairs if a in places and b in places
    )


def _to_right(match: re.Match) -> str:
    return "right" if match[0] == "left" else "r"
