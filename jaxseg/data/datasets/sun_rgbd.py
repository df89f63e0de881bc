"""SUN RGB-D, pictures of rooms by four depth cameras (Song et al., CVPR 2015).

image/{train,test}/img-000001.jpg, label37/{train,test}/00000001.png (or label38/, or
names that end in -000001.png) and depth/{train,test}/00000001.png, as sorted by
github.com/chrischoy/SUN_RGBD and used by MSeg. Depth may also lie as published:
SUNRGBD/.../image and depth, listed by SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat.
The validation split, of 425 pictures as in the factors paper, is drawn from the test
split with seed 0: the paper does not list its own. Depth ends at 8 metres.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.datasets import nyu
from jaxseg.data.readers import listing, mat_files

CLASSES = dict(list(nyu.CLASSES.items())[:37])
SPLITS = {"train": 5285, "validation": 425, "test": 5050}
COMMON = dict(
    domain="indoor",
    splits=SPLITS,
    version=1,
    size=(713, 713),
    licence="not stated; research use",
    obtain="Get SUNRGBD.zip and SUNRGBDtoolbox.zip from rgbd.cs.princeton.edu, or, "
    "with the labels of 37 classes, run github.com/chrischoy/SUN_RGBD; root is the "
    "folder that holds image/ or SUNRGBD/.",
)
DATASETS = {
    "segmentation": Dataset(
        fields=("image", "segmentation"),
        classes=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        ids={0: IGNORE} | {raw: raw - 1 for raw in range(1, 38)},
        **COMMON,
    ),
    "depth": Dataset(fields=("image", "depth"), **COMMON),
}
LABEL_FOLDERS = {
    "segmentation": ("label37", "label38"),
    "depth": ("depth",),
}
ALL_SPLITS = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
VARIABLES = {"train": "alltrain", "test": "alltest"}
PREFIX = "/n/fs/sun3d/data/"  # of the machine on which the lists were made
MILLIMETRES, FARTHEST = 0.001, 8.0


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, label or depth map) below root, in the order of the official lists."""
    official = "train" if split == "train" else "test"
    if variant == "depth" and (root / ALL_SPLITS).is_file():
        pairs = _published(root, official)
    else:
        pairs = _sorted_layout(variant, root, official)
    return _drawn(pairs) if split == "validation" else pairs


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image, label = record
    name = "segmentation" if variant == "segmentation" else "depth"
    read = image_files.read_ids if variant == "segmentation" else read_depth
    return {
        "image": image_files.read(root / image),
        name: read(root / label),
        "id": str(Path(image).with_suffix("")),
    }


def read_depth(path: Path) -> np.ndarray:
    """float32 [H, W] metres: the files hold millimetres, rotated left by three bits."""
    raw = image_files.read_ids(path)
    if raw.min() < 0 or raw.max() > 0xFFFF:
        raise errors.UserError(
            f"{path}: found {raw.min()} to {raw.max()}; allowed are 16-bit depth maps. "
            "Fix: get the official files again."
        )
    turned = ((raw >> 3) | (raw << 13)) & 0xFFFF
    metres = turned.astype(np.float32) * np.float32(MILLIMETRES)
    return np.minimum(metres, np.float32(FARTHEST))


def _drawn(items: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """425 of 5050 pairs, drawn with seed 0, in the order of the list."""
    count = max(1, len(items) * SPLITS["validation"] // SPLITS["test"])
    order = np.random.default_rng(0).permutation(len(items))
    return [items[i] for i in sorted(order[:count])]


def _sorted_layout(variant: str, root: Path, split: str) -> list[tuple[str, str]]:
    images = _numbered(root, f"image/{split}")
    names = [f"{name}/{split}" for name in LABEL_FOLDERS[variant]]
    folder = next((name for name in names if (root / name).is_dir()), None)
    if folder is None:
        raise errors.UserError(
            f"{root}: found none of {', '.join(names)}; the {variant} of the pictures "
            "is there. Fix: unpack it, or point root at the folder that holds image/."
        )
    labels = _numbered(root, folder)
    if images.keys() != labels.keys():
        alone = sorted(images.keys() ^ labels.keys())
        raise errors.UserError(
            f"{root}: {len(alone)} numbers are in only one of image/{split} and "
            f"{folder}, for example {alone[0]}. Fix: unpack both archives again."
        )
    return [(images[number], labels[number]) for number in sorted(images)]


def _numbered(root: Path, folder: str) -> dict[int, str]:
    """{number at the end of the name: file below root}."""
    files = {}
    for name, file in listing.image_names(root / folder).items():
        number = re.search(r"(\d+)$", name)
        if number is None:
            raise errors.UserError(
                f"{root / folder / file}: the name has no number at its end; allowed "
                "are names such as img-000001.jpg. Fix: remove the file."
            )
        files[int(number[1])] = f"{folder}/{file}"
    return files


def _published(root: Path, split: str) -> list[tuple[str, str]]:
    """The pairs that allsplit.mat lists by their folder."""
    name = VARIABLES[split]
    listed = np.atleast_1d(mat_files.read(root / ALL_SPLITS, (name,))[name])
    folders = [str(folder).strip().removeprefix(PREFIX) for folder in listed]
    return [
        (_only(root, f"{folder}/image"), _only(root, f"{folder}/depth"))
        for folder in folders
    ]


def _only(root: Path, folder: str) -> str:
    """The one image of a folder."""
    files = list(listing.image_names(root / folder).values())
    if len(files) != 1:
        raise errors.UserError(
            f"{root / folder}: found {len(files)} images; allowed is one. Fix: unpack "
            "SUNRGBD.zip again."
        )
    return f"{folder}/{files[0]}"
