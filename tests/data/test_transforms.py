"""A marked object stays together: its pixels, class, box, keypoints and depth."""

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import transforms
from jaxseg.data.dataset import IGNORE, Dataset

RED, METRES, OBJECT = (250, 10, 20), 7.0, 2
FACTS = Dataset(
    fields=("image", "segmentation", "boxes", "box_labels", "keypoints", "depth"),
    domain="synthetic",
    splits={"train": 1},
    version=1,
    size=(24, 32),
    classes=("a", "b", "c"),
    mean=(90.0, 91.0, 92.0),
    std=(10.0, 20.0, 30.0),
    flip_pairs=((0, 1),),
)


def marked(size=(40, 60), box=(10, 20, 22, 36)):
    """An example with one object: red, class 2, 7 m away, keypoints near its corners."""
    top, left, bottom, right = box
    image = np.full((*size, 3), 100, np.uint8)
    segmentation, depth = np.zeros(size, np.int32), np.full(size, 30, np.float32)
    for array, value in ((image, RED), (segmentation, OBJECT), (depth, METRES)):
        array[top:bottom, left:right] = value
    corners = np.array([[top + 2, left + 2, 2], [bottom - 2, right - 2, 1], [0, 0, 0]])
    return {
        "id": "marked",
        "image": image,
        "segmentation": segmentation,
        "depth": depth,
        "boxes": np.array([box], np.float32) / [*size, *size],
        "box_labels": np.array([OBJECT], np.int32),
        "keypoints": (corners[None] / [*size, 1]).astype(np.float32),
    }


def assert_together(example):
    """Where the box says the object is, all fields agree that it is."""
    height, width = example["image"].shape[:2]
    assert example["segmentation"].shape == example["depth"].shape == (height, width)
    inside = np.zeros((height, width), bool)
    for box in example["boxes"]:
        row0, col0, row1, col1 = np.rint(box * [height, width] * 2).astype(int)
        inside[row0:row1, col0:col1] = True
    core, shell = inside.copy(), inside.copy()
    for shift in (-1, 1):  # resampling may move a border by one pixel
        for axis in (0, 1):
            core &= np.roll(inside, shift, axis)
            shell |= np.roll(inside, shift, axis)
    known = example["segmentation"] != IGNORE
    assert (example["segmentation"][core] == OBJECT).all()
    assert (example["segmentation"][~shell & known] == 0).all()
    assert (example["depth"][core] == METRES).all()
    assert (example["depth"][~known] == 0).all()
    for row, col, visibility in example["keypoints"].reshape(-1, 3):
        if visibility:
            place = int(row * height), int(col * width)
            assert shell[place]


def boxes_in_pixels(example):
    height, width = example["image"].shape[:2]
    return example["boxes"] * np.array([height, width] * 2)


@pytest.fixture(autouse=True)
def fixed_box_scale(monkeypatch):
    """`assert_together` reads boxes in pixels."""
    monkeypatch.setitem(globals(), "assert_together", together)


def together(example):
    height, width = example["image"].shape[:2]
    rows, cols = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    near = np.zeros((height, width), bool)
    for row0, col0, row1, col1 in boxes_in_pixels(example):
        for mask, slack in ((inside, -1.5), (near, 1.5)):
            mask |= (rows > row0 - slack) & (rows < row1 + slack) & (
                (cols > col0 - slack) & (cols < col1 + slack)
            )
    known = example["segmentation"] != IGNORE
