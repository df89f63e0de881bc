"""MPII Human Pose, 16 joints of people in everyday life (Andriluka, CVPR 2014).

mpii_human_pose_v1_u12_1.mat and images/. Its test images have no joints, so people are
those of the training images with joints; a fifth of these images is for validation,
drawn with seed 0. The option `annotations` names the common JSON conversion instead,
whose split is the one of published results (22,246 people for training and 2,958 for
validation). A box is the square of 200 times `scale` around the centre, cut at the
image. Pixels in both files count from 1.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import subsets
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import file_cache, imagenet, mat_files, objects, text_files

JOINTS = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee")
JOINTS += ("left_ankle", "pelvis", "thorax", "upper_neck", "head_top", "right_wrist")
JOINTS += ("right_elbow", "right_shoulder", "left_shoulder", "left_elbow")
JOINTS += ("left_wrist",)
ENTRY = f"are image, center, scale, joints and joints_vis of {len(JOINTS)} points"
MAT = "mpii_human_pose_v1_u12_1.mat"

DATASETS = {
    "person": Dataset(
        fields=("image", "boxes", "box_labels", "keypoints"),
        domain="consumer",
        splits={
            "train": 14679,
            "validation": 2729,
        },  # `describe` counts the images of the files
        version=1,
        size=(256, 256),
        classes=("person",),
        keypoints=JOINTS,
        flip_pairs=objects.flip_pairs(JOINTS),
        skeleton=objects.skeleton(JOINTS),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="simplified BSD, non-commercial images",
        obtain="Get mpii_human_pose_v1.tar.gz and mpii_human_pose_v1_u12_2.zip of "
        f"human-pose.mpi-inf.mpg.de; root is the folder that holds {MAT} and images/.",
    )
}


class People(NamedTuple):
    """One record: an image and the people in it, in pixels from 0."""

    image: str
    corners: np.ndarray  # float64 [N, 4] x0, y0, x1, y1
    joints: np.ndarray  # float64 [N, 16, 3] x, y, visibility


class Person(NamedTuple):
    image: str
    centre: tuple[float, float]  # x, y
    scale: float
    joints: np.ndarray  # float64 [16, 3]


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    annotations: Mapping[str, str] | None = None,
    images: str = "images",
) -> Sequence[People]:
    """The images of a split with their people, in the order of the file.

    annotations: {split: JSON file below root}, instead of the MATLAB file. images:
    their folder below root.
    """
    return [
        each._replace(image=f"{images}/{each.image}")
        for each in _splits(root, annotations)[split]
    ]


def parse(record: People, root: Path, variant: str) -> Example:
    image = image_files.read(root / record.image)
    size = image.shape[:2]
    boxes, kept = objects.cut_boxes(record.corners, size)
    return {
        "image": image,
        "boxes": boxes[kept],
        "box_labels": np.zeros(int(kept.sum()), np.int32),
        "keypoints": objects.known_points(record.joints, size)[kept],
        "id": Path(record.image).stem,
    }


def describe(
    variant: str, root: Path, *, annotations: Mapping[str, str] | None, images: str
) -> Dataset:
    """The variant's facts with the number of images in the files."""
    facts = DATASETS[variant]
    splits = _splits(root, annotations)
    return dataclasses.replace(facts, splits={s: len(x) for s, x in splits.items()})


def _splits(
    root: Path, annotations: Mapping[str, str] | None
) -> dict[str, list[People]]:
    if annotations is None:
        every = read_mat(file_cache.stamp(root / MAT))
        return subsets.drawn_splits(every, root / MAT)
    return {s: read_json(file_cache.stamp(root / f)) for s, f in annotations.items()}


@file_cache.of_file(maxsize=4)
def read_json(file: tuple[str, int, int]) -> list[People]:
    """The images of the JSON conversion with this stamp."""
    path = Path(file[0])
    people = []
    for place, entry in enumerate(text_files.read_json(path)):
        with errors.reading(f"{path}[{place}]", ENTRY):
            joints = np.array(entry["joints"], np.float64).reshape(len(JOINTS), 2)
            known = np.array(entry["joints_vis"], np.float64).reshape(len(JOINTS), 1)
            x, y = map(float, entry["center"])
            person = Person(entry["image"], (x, y), float(entry["scale"]), joints)
        points = np.concatenate([joints, 2 * (known > 0)], axis=1)
        people.append(person._replace(joints=points))
    return _by_image(people)


@file_cache.of_file(maxsize=2)
def read_mat(file: tuple[str, int, int]) -> list[People]:
    """The training images of the MATLAB file with this stamp that have joints."""
    path = Path(file[0])
    if file[1] < 0:
        raise errors.UserError(
            f"{path}: file not found. Fix: point root at the folder that holds it, or "
            "name JSON files with annotations={'train': FILE, ...}."
        )
    try:
        release = mat_files.load(path, squeeze_me=True, struct_as_record=False)
        release = release["RELEASE"]
        pairs = zip(_list(release.annolist), _list(release.img_train))
        people = [p for image, train in pairs if train for p in _people(image)]
    except Exception as error:  # a damaged file raises one of a dozen types
        raise errors.UserError(
            f"{path}: not MPII's RELEASE ({type(error).__name__}: {error}). Fix: get "
            "the file again."
        ) from None
    return _by_image(people)


def _people(image: Any) -> list[Person]:
    """The people of one entry of annolist that have a place, a scale and joints."""
    people = []
    for rect in _list(image.annorect):
        points = getattr(rect, "annopoints", None)
        place, scale = getattr(rect, "objpos", None), getattr(rect, "scale", None)
        if not all(map(_filled, (points, place, scale))):
            continue
        joints = np.zeros((len(JOINTS), 3))
        for point in _list(points.point):
            # Neck and head, from the box of the head, have no visibility.
            seen = getattr(point, "is_visible", 1)
            hidden = _filled(seen) and int(seen) == 0
            joints[int(point.id)] = point.x, point.y, 1 if hidden else 2
        centre = (float(place.x), float(place.y))
        people.append(Person(str(image.image.name), centre, float(scale), joints))
    return people


def _filled(value: Any) -> bool:
    """Whether a field of a MATLAB struct has a value: an empty one is []."""
    return value is not None and np.size(value) > 0


def _list(value: Any) -> list[Any]:
    """The entries of a struct array; SciPy returns the entry itself if there is one."""
    return list(np.atleast_1d(value)) if _filled(value) else []


def _by_image(people: Sequence[Person]) -> list[People]:
    """One record per image, in the order of its first person; pixels from 0."""
    table: dict[str, list[Person]] = {}
    for person in people:
        table.setdefault(person.image, []).append(person)
    result = []
    for image, mine in table.items():
        centres = np.array([person.centre for person in mine]) - 1
        half = 100 * np.array([[person.scale] for person in mine])
        joints = np.stack([person.joints for person in mine]) - [1, 1, 0]
        corners = np.concatenate([centres - half, centres + half], axis=1)
        result.append(People(image, corners, joints))
    return result
