"""Segmentation in Pascal VOC 2012 (Everingham et al., IJCV 2015): one PNG per image.

SegmentationClass/NAME.png holds class ids, 255 at the borders of objects and on what is
too hard; the lists are ImageSets/Segmentation/{train,val,trainval}.txt. The augmented
set (Hariharan et al., ICCV 2011) is SegmentationClassAug/ with train_aug.txt there.
`four_way` are whole images with one label (decoder study, CKA): those whose mask shows
exactly one of the four classes; that the others are left out is ours.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import imagenet, present_ids, text_files

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
# Images with at least one pixel of the class: training, validation.
SINGLE = {
    "aeroplane": (88, 90),
    "car": (128, 127),
    "cat": (131, 119),
    "horse": (68, 79),
    "motorbike": (81, 76),
    "person": (442, 445),
}
FOUR = ("motorbike", "car", "cat", "aeroplane")
LISTS = {"train": "train", "validation": "val", "trainval": "trainval"}


class Labelled(NamedTuple):
    """One record: two files below the root."""

    image: str
    mask: str


class OfOne(NamedTuple):
    """One record of `four_way`; label: of the whole image."""

    image: str
    mask: str
    label: int


def palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """VOC's colours: bits of the class go to red, green and blue in turn."""
    return tuple(
        tuple(
            sum((label >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8))
            for channel in range(3)
        )
        for label in range(count)
    )


def _facts(splits: Sequence[int], **facts) -> Dataset:
    names = ("train", "validation", "trainval")
    return Dataset(
        domain="consumer",
        splits=dict(zip(names, (*splits, sum(splits)))),
        version=1,
        size=(512, 512),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="VOC 2012 terms (Flickr)",
        obtain="Get VOCtrainval_11-May-2012.tar of host.robots.ox.ac.uk/pascal/VOC/"
        "voc2012; root is VOCdevkit/VOC2012. voc/augmented needs "
        "SegmentationClassAug/ and ImageSets/Segmentation/train_aug.txt beside.",
        **{"fields": ("image", "segmentation")} | facts,
    )


def _single(name: str) -> Dataset:
    own = CLASSES.index(name) + 1
    return _facts(
        SINGLE[name],
        classes=("background", name),
        ids={n: int(n == own) for n in range(1, len(CLASSES) + 1)},
    )


OFFICIAL = dict(classes=("background", *CLASSES), palette=palette(21), background=0)
DATASETS = (
    {
        "segmentation2012": _facts((1464, 1449), **OFFICIAL),
        "segmentation2012_void": _facts(
            (1464, 1449),
            classes=("background", *CLASSES, "void"),
            palette=(*palette(21), (224, 224, 192)),  # as the files show 255
            ids={255: len(CLASSES) + 1},
            background=0,
        ),
        "no_background": _facts(
            (1464, 1449),
            classes=CLASSES,
            palette=palette(21)[1:],
            ids={0: IGNORE} | {n: n - 1 for n in range(1, len(CLASSES) + 1)},
        ),
        "augmented": _facts((10582, 1449), **OFFICIAL),
        "four_way": _facts((0, 0), fields=("image", "label"), classes=FOUR),
    }
    | {name: _single(name) for name in SINGLE}
)


def records(variant: str, split: str, root: Path) -> Sequence[Labelled | OfOne]:
    """The pairs of a split, in the order of its list."""
    if variant == "augmented" and split == "trainval":
        return [
            pair
            for part in ("train", "validation")
            for pair in records(variant, part, root)
        ]
    augmented = variant == "augmented" and split == "train"
    list_ = "train_aug" if augmented else LISTS[split]
    folder = "SegmentationClassAug" if augmented else "SegmentationClass"
    names = text_files.read_lines(root / f"ImageSets/Segmentation/{list_}.txt")
    pairs = [Labelled(f"JPEGImages/{n}.jpg", f"{folder}/{n}.png") for n in names]
    if variant not in (*SINGLE, "four_way"):
        return pairs
    masks = [pair.mask for pair in pairs]
    shown = present_ids.holds(root, masks, image_files.read_ids, "ids")
    if variant == "four_way":
        return _of_one(pairs, shown)
    own = CLASSES.index(variant) + 1
    return [pair for pair, shows in zip(pairs, shown[:, own]) if shows]


def _of_one(pairs: Sequence[Labelled], shown: np.ndarray) -> Sequence[OfOne]:
    """The pairs that show one class of FOUR, with its number."""
    four = shown[:, [CLASSES.index(name) + 1 for name in FOUR]]
    return [
        OfOne(*pair, int(row.argmax()))
        for pair, row in zip(pairs, four)
        if row.sum() == 1
    ]


def describe(variant: str, root: Path) -> Dataset:
    """The variant's facts; those of `four_way` with the number of its images."""
    facts = DATASETS[variant]
    if variant != "four_way":
        return facts
    lists = {s: root / f"ImageSets/Segmentation/{n}.txt" for s, n in LISTS.items()}
    there = [split for split, path in lists.items() if path.is_file()] or lists
    splits = {split: len(records(variant, split, root)) for split in there}
    return dataclasses.replace(facts, splits=splits)


def parse(record: Labelled | OfOne, root: Path) -> Example:
    image, name = image_files.read(root / record.image), Path(record.image).stem
    if isinstance(record, OfOne):
        return {"image": image, "label": np.array(record.label, np.int32), "id": name}
    ids = image_files.read_ids(root / record.mask)
    return {"image": image, "segmentation": ids, "id": name}
