"""Segmentation in Pascal VOC 2012 (Everingham et al., IJCV 2015): one PNG per image.

SegmentationClass/NAME.png holds class ids, 255 at the borders of objects and on what is
too hard; the lists are ImageSets/Segmentation/{train,val,trainval}.txt. The augmented
set (Hariharan et al., ICCV 2011) is SegmentationClassAug/ with train_aug.txt there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
LISTS = {"train": "train", "validation": "val", "trainval": "trainval"}


class Labelled(NamedTuple):
    """One record: two files below the root."""

    image: str
    mask: str


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
        fields=("image", "segmentation"),
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
        **facts,
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
    }
    | {name: _single(name) for name in SINGLE}
)


def records(variant: str, split: str, root: Path) -> Sequence[Labelled]:
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
    if variant not in SINGLE:
        return pairs
    own = CLASSES.index(variant) + 1
    masks = [pair.mask for pair in pairs]
    shown = present_ids.holds(root, masks, image_files.read_ids, "ids")[:, own]
    return [pair for pair, shows in zip(pairs, shown) if shows]


def parse(record: Labelled, root: Path) -> Example:
    return {
        "image": image_files.read(root / record.image),
        "segmentation": image_files.read_ids(root / record.mask),
        "id": Path(record.image).stem,
    }
