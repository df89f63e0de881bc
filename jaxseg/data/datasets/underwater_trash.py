"""Trash-ICRA19, boxes of trash under water (Fulton, ICRA 2019, arXiv:1804.01079).

dataset/{train,val,test}/ hold NAME.jpg with NAME.xml in Pascal VOC's format beside it.
The three classes are those of the paper and of the YOLO files; the XML files also
name materials: other names are left out, misspelt ones are corrected.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import voc
from jaxseg.data.readers import file_cache, imagenet, labelled_images, objects
from jaxseg.data.readers.objects import Record

CLASSES = ("plastic", "bio", "rov")
MISSPELT = {"platstic": "plastic"}
# Materials without a class, and the text that a camera writes into its frames.
OTHERS = ("cloth", "fishing", "metal", "paper", "papper", "rubber", "timestamp")
OTHERS += ("unknown", "wood")
FOLDERS = {"train": "train", "validation": "val", "test": "test"}

DATASETS = {
    "boxes": Dataset(
        fields=("image", "boxes", "box_labels"),
        domain="underwater",
        splits={"train": 5720, "validation": 820, "test": 1144},
        version=1,
        size=(256, 256),
        classes=CLASSES,
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="none stated; the frames are of JAMSTEC's J-EDI",
        obtain="Get trash_ICRA19.zip of conservancy.umn.edu/handle/11299/214366; root "
        "is the folder that holds dataset/.",
        protocol={"detection": {"protocol": "voc", "nms": 0.3}},
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[Record]:
    """The frames of a split with their objects, sorted by name."""
    home = f"dataset/{FOLDERS[split]}"
    if not (root / home).is_dir():
        raise errors.UserError(
            f"{root / home}: folder not found; allowed is trash_ICRA19's layout. Fix: "
            "point root at the folder that holds dataset/."
        )
    return [
        _record(f"{home}/{name}", root) for name in labelled_images.files(root / home)
    ]


def parse(record: Record, root: Path, variant: str) -> Example:
    return {
        "image": objects.read_image(record, root, "<size> of its XML"),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "id": record.id,
    }


def _record(image: str, root: Path) -> Record:
    path = (root / image).with_suffix(".xml")
    if not path.is_file():
        raise errors.UserError(
            f"{path}: file not found; allowed is one for each image. Fix: restore it."
        )
    content = voc.read(file_cache.stamp(path))
    if content.size is None:
        raise errors.UserError(
            f"{path}: <size> is missing; allowed are width and height. Fix: add it."
        )
    names = [MISSPELT.get(name, name) for name in map(str.lower, content.names)]
    for name in names:
        if name not in CLASSES and name not in OTHERS:
            raise errors.UserError(
                f"{path}: <name> is {name!r}; allowed are {', '.join(CLASSES)}, and "
                f"{', '.join(OTHERS)}, which are left out. Fix: correct it."
            )
    corners = np.array(content.corners, np.float64).reshape(-1, 4) - [1, 1, 0, 0]
    boxes, kept = objects.cut_boxes(corners, content.size)
    kept &= np.array([name in CLASSES for name in names], bool)
    labels = [CLASSES.index(name) for name, keep in zip(names, kept) if keep]
    return Record(
        image=image,
        id=path.stem,
        size=content.size,
        boxes=boxes[kept],
        labels=np.array(labels, np.int32),
        flags=np.zeros(int(kept.sum()), bool),
    )
