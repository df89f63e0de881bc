"""Leeds Sports Pose Extended, people in sport (Johnson and Everingham, CVPR 2011).

joints.mat holds `joints`, 14 x 3 x images: x, y and 1 where the point is labelled; the
images are images/im00001.jpg and so on. There is one person in each; the box is the
hull of the known points, wider on each side by 10 % of its longer side, and cut at the
image. A person with fewer than two known points is left out, but not the image. The
data set has no splits: a fifth is for validation, drawn with seed 0.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import subsets
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import file_cache, mat_files, objects

JOINTS = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee")
JOINTS += ("left_ankle", "right_wrist", "right_elbow", "right_shoulder")
JOINTS += ("left_shoulder", "left_elbow", "left_wrist", "neck", "head_top")
MARGIN = 0.1  # of the hull's longer side, so that a straight body is no line

DATASETS = {
    "extended": Dataset(
        fields=("image", "boxes", "box_labels", "keypoints"),
        domain="consumer",
        splits={"train": 8000, "validation": 2000},
        version=1,
        size=(128, 128),
        classes=("person",),
        keypoints=JOINTS,
        flip_pairs=objects.flip_pairs(JOINTS),
        skeleton=objects.skeleton(JOINTS),
        licence="none stated; the authors ask for citation",
        obtain="Get lspet_dataset.zip of sam.johnson.io/research/lspet.html; root is "
        "the folder that holds joints.mat and images/.",
    )
}


class Person(NamedTuple):
    """One record: an image below the root and the joints of the person in it."""

    image: str
    joints: np.ndarray  # float64 [14, 3] x, y, known


def records(variant: str, split: str, root: Path) -> Sequence[Person]:
    """The people of a split in the order of the file."""
    joints = read(file_cache.stamp(root / "joints.mat"))
    return [Person(_image(i), joints[i]) for i in _splits(root)[split]]


def parse(record: Person, root: Path, variant: str) -> Example:
    image = image_files.read(root / record.image)
    size = image.shape[:2]
    known = record.joints * [1, 1, 2]  # all labelled joints are visible
    keypoints = objects.known_points(known[None], size)
    boxes, kept = objects.cut_boxes(hull(keypoints[0], size), size)
    return {
        "image": image,
        "boxes": boxes[kept],
        "box_labels": np.zeros(int(kept.sum()), np.int32),
        "keypoints": keypoints[kept],
        "id": Path(record.image).stem,
    }


def describe(variant: str, root: Path) -> Dataset:
    """The variant's facts with the number of images in the file."""
    splits = {split: len(places) for split, places in _splits(root).items()}
    return dataclasses.replace(DATASETS[variant], splits=splits)


def hull(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float [1, 4] x0, y0, x1, y1 in pixels, of the known points and the margin."""
    places = keypoints[keypoints[:, 2] > 0, 1::-1] * size[::-1]
    if not len(places):
        return np.zeros((1, 4))
    low, high = places.min(axis=0), places.max(axis=0)
    margin = MARGIN * (high - low).max()
    return np.concatenate([low - margin, high + margin])[None]


@file_cache.of_file(maxsize=8)
def read(file: tuple[str, int, int]) -> np.ndarray:
    """float64 [N, 14, 3] of the MATLAB file with this stamp."""
    path = Path(file[0])
    if file[1] < 0:
        raise errors.UserError(
            f"{path}: file not found. Fix: point root at the folder that holds it."
        )
    try:
        joints = mat_files.load(path)["joints"]
    except Exception as error:  # a damaged file raises one of a dozen types
        raise errors.UserError(
            f"{path}: not a MATLAB 5 file with `joints` ({type(error).__name__}: "
            f"{error}). Fix: get the file again."
        ) from None
    right = np.issubdtype(joints.dtype, np.number) and joints.ndim == 3
    if not right or joints.shape[:2] != (len(JOINTS), 3):
        raise errors.UserError(
            f"{path}: joints is {joints.dtype} {list(joints.shape)}; allowed are "
            "numbers [14, 3, images], as in LSP Extended (the first LSP has [3, 14, "
            "2000]). Fix: get the extended set."
        )
    return joints.transpose(2, 0, 1).astype(np.float64)


def _splits(root: Path) -> dict[str, list[int]]:
    """{split: indices in the file}."""
    count = len(read(file_cache.stamp(root / "joints.mat")))
    return subsets.drawn_splits(range(count), root / "joints.mat")


def _image(place: int) -> str:
    return f"images/im{place + 1:05d}.jpg"
