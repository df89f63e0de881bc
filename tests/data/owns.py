"""A tiny folder for each reader of own data, and what may be replaced in it."""

import dataclasses
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxseg.data.datasets import shards
from tests.data import (
    layouts,
    test_catalogue_objects,
    test_chairs,
    test_containers,
    test_deciles,
    trees,
)


@dataclasses.dataclass(frozen=True)
class Own:
    """How to write it, and two files that the first training examples are made of."""

    write: Callable[[Path], Any]
    image: str
    label: str | None = None  # one of pixels
    text: str | None = None  # a file of labels that is read when it is opened
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def table(root):
    lines = [test_containers.line(i, name) for i, name in enumerate("aba")]
    test_containers.write_table(root, lines)
    (root / "classes.txt").write_text("a\nb\nc\n")


def classes(root):
    for i in range(4):
        trees.write_image(root / f"train/{'xy'[i % 2]}/{i}.png", seed=i)


def coco(root):
    layouts.write_coco(root)


def points(root):
    content = layouts.coco()
    layouts.write_coco(root, content, "person_keypoints")


def panoptic(root):
    pixels = np.zeros(layouts.SIZE, int)
    pixels[:5], pixels[5:10] = 70000, 300
    segments = [{"id": 70000, "category_id": 200}, {"id": 300, "category_id": 1}]
    test_catalogue_objects.write_panoptic(root, segments, pixels)


def depth(root):
    for i in range(3):
        trees.write_image(root / f"images/{i}.png", seed=i)
        layouts.write_depth(root / f"depth/{i}.png", (500 + i, 1000))


def shard(root, seed=0):
    rows = []
    for i in range(3):
        rows.append({"image": plain(noise(seed + i)), "label": i % 2})
        rows[-1]["mask"] = plain(noise(seed + i)[..., 0] % 2)
        rows[-1]["deciles"] = plain(noise(seed + i)[..., 0] % 10)
    root.mkdir(parents=True, exist_ok=True)
    shards.write(root, "train", rows)
    (root / "classes.txt").write_text("x\ny\n")


def noise(seed, size=(12, 16)):
    """uint8 [H, W, 3], another for each seed."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def plain(pixels):
    """A PNG that is not compressed: files of one size for pictures of one size."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


SHARD = "train-00000-of-00001.array_record"
TFDS = "tiny/1.0.0/tiny-train.array_record-00000-of-00001"
JSON = "annotations/instances_train2017.json"
OWN = {
    "chairs/folder": Own(test_chairs.write_chairs, "backgrounds/room 0.jpg"),
    "coco/instances": Own(coco, "train2017/1.jpg", text=JSON),
    "coco/keypoints": Own(
        points,
        "train2017/1.jpg",
        text="annotations/person_keypoints_train2017.json",
    ),
    "coco/panoptic": Own(
        panoptic,
        "train2017/0.jpg",
        "annotations/panoptic_train2017/0.png",
        "annotations/panoptic_train2017.json",
    ),
    "deciles/images": Own(
        lambda root: test_deciles.write_tree(root, ["train/cat/a", "train/dog/b"]),
        "images/train/dog/b.jpg",
        "deciles/train/dog/b.png",
    ),
    "deciles/shards": Own(shard, SHARD, text="classes.txt"),
    "depth/folder": Own(depth, "images/1.png", "depth/1.png"),
    "folder/segmentation": Own(
        lambda root: trees.write_folder(root, "abcdef"), "images/c.jpg", "masks/c.png"
    ),
    "image_folder/classes": Own(classes, "train/y/1.png"),
    "shards/segmentation": Own(shard, SHARD, text="classes.txt"),
    "shards/classification": Own(shard, SHARD, text="classes.txt"),
    "table/segmentation": Own(table, "a b/1.jpg", "masks/1.png", "train.csv"),
    "table/depth": Own(table, "a b/1.jpg", "depth/1.png", "train.csv"),
    "table/classification": Own(table, "a b/1.jpg", text="train.csv"),
    "tfds/segmentation": Own(
        test_containers.write_tfds,
        TFDS,
        options={"name": "tiny", "classes": ["a", "b", "c", "d"]},
    ),
    "tfds/classification": Own(
        test_containers.write_tfds, TFDS, options={"name": "tiny"}
    ),
    "tfds/detection": Own(test_containers.write_tfds, TFDS, options={"name": "tiny"}),
    "voc/boxes": Own(
        lambda root: layouts.write_voc(root, "abcdef"),
        "JPEGImages/c.jpg",
        text="Annotations/c.xml",
    ),
    "yolo/boxes": Own(
        layouts.write_yolo, "images/train/0.png", text="labels/train/0.txt"
    ),
}
