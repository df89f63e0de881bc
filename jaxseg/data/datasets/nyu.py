"""NYU Depth v2, Kinect pictures of rooms (Silberman et al., ECCV 2012).

nyu_depth_v2_labeled.mat holds images, depth in metres with its holes filled, and 894
classes, which classMapping40.mat reduces to the 40 of Gupta et al., CVPR 2013;
splits.mat holds the official splits. Depth may instead lie in files, as for
mmsegmentation: images/ and annotations/ with 16-bit PNG in millimetres, both with
folders train/ and test/, or with all pictures directly in them as split train.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import depth_maps, file_cache, listing, mat_files

CLASSES = {
    "wall": (174, 199, 232),
    "floor": (152, 223, 138),
    "cabinet": (31, 119, 180),
    "bed": (255, 187, 120),
    "chair": (188, 189, 34),
    "sofa": (140, 86, 75),
    "table": (255, 152, 150),
    "door": (214, 39, 40),
    "window": (197, 176, 213),
    "bookshelf": (148, 103, 189),
    "picture": (196, 156, 148),
    "counter": (23, 190, 207),
    "blinds": (178, 76, 76),
    "desk": (247, 182, 210),
    "shelves": (66, 188, 102),
    "curtain": (219, 219, 141),
    "dresser": (140, 57, 197),
    "pillow": (202, 185, 52),
    "mirror": (51, 176, 203),
    "floor mat": (200, 54, 131),
    "clothes": (92, 193, 61),
    "ceiling": (78, 71, 183),
    "books": (172, 114, 82),
    "refrigerator": (255, 127, 14),
    "television": (91, 163, 138),
    "paper": (153, 98, 156),
    "towel": (140, 153, 101),
    "shower curtain": (158, 218, 229),
    "box": (100, 125, 154),
    "whiteboard": (178, 127, 135),
    "person": (120, 185, 128),
    "night stand": (146, 111, 194),
    "toilet": (44, 160, 44),
    "sink": (112, 128, 144),
    "lamp": (96, 207, 209),
    "bathtub": (227, 119, 194),
    "bag": (213, 92, 176),
    "other structure": (94, 106, 211),
    "other furniture": (82, 84, 163),
    "other prop": (100, 85, 144),
}
# Ids in the files count from 1; 0 is unlabelled.
IDS = {0: IGNORE} | {raw: raw - 1 for raw in range(1, len(CLASSES) + 1)}
COMMON = dict(
    domain="indoor",
    splits={"train": 795, "test": 654},
    version=2,  # since all of the .mat file is in the digest
    size=(480, 640),
    licence="not stated; research use",
)
GET = (
    "Get nyu_depth_v2_labeled.mat and splits.mat from the page of NYU Depth v2 at "
    "cs.nyu.edu/~silberman/datasets; root is their folder."
)
DATASETS = {
    "depth": Dataset(fields=("image", "depth"), obtain=GET, **COMMON),
    "segmentation": Dataset(
        fields=("image", "segmentation"),
        classes=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        ids=IDS,
        obtain=f"{GET} Add classMapping40.mat of github.com/ankurhanda/"
        "nyuv2-meta-data.",
        **COMMON,
    ),
}
LABELED, SPLITS, MAPPING = (
    "nyu_depth_v2_labeled.mat",
    "splits.mat",
    "classMapping40.mat",
)
INDICES = {"train": "trainNdxs", "test": "testNdxs"}
IMAGES, MAPS, MILLIMETRES = "images", "annotations", 0.001


class Pair(NamedTuple):
    """A picture and its depth map in files."""

    image: str
    depth: str


def records(variant: str, split: str, root: Path) -> Sequence[int | Pair]:
    """Indices in the .mat file, from 0, ordered as in splits.mat; or pairs of files."""
    if variant == "depth" and not (root / LABELED).is_file():
        return find_files(root)[split]
    name = INDICES[split]
    numbers = mat_files.read(root / SPLITS, (name,))[name]
    return [int(number) - 1 for number in np.ravel(numbers)]


def parse(record: int | Pair, root: Path, variant: str) -> Example:
    if isinstance(record, Pair):
        depth = depth_maps.read(root / record.depth, MILLIMETRES)
        image = image_files.read(root / record.image)
        return {"image": image, "depth": depth, "id": Path(record.image).stem}
    example = {"image": _row(root, "images", record), "id": f"{record + 1:04d}"}
    if variant == "depth":
        return example | {"depth": _row(root, "depths", record).astype(np.float32)}
    table = _classes_of_894(file_cache.stamp(root / MAPPING))
    raw = _row(root, "labels", record)
    if raw.max() >= len(table):
        raise errors.UserError(
            f"{root / LABELED}: labels of picture {record + 1} hold {raw.max()}; "
            f"allowed are 0 to {len(table) - 1}. Fix: get the official files again."
        )
    return example | {"segmentation": table[raw]}


def describe(variant: str, root: Path) -> Dataset:
    """The variant's facts; if depth lies in files, with the splits that exist."""
    facts = DATASETS[variant]
    if (root / LABELED).is_file() or "depth" not in facts.fields:
        return facts
    splits = {split: len(pairs) for split, pairs in find_files(root).items()}
    return dataclasses.replace(facts, splits=splits)


def reads(
    record: int | Pair, root: Path, variant: str
) -> tuple[Sequence[str], Sequence[str]]:
    """The two files of a pair; or the files with all pictures and labels, which
    are read whole once after each change.
    """
    if isinstance(record, Pair):
        return [record.image], [record.depth]
    return [], [LABELED, *[MAPPING] * (variant == "segmentation")]


def find_files(root: Path) -> dict[str, list[Pair]]:
    """{split: pairs} of depth in files."""
    if not (root / IMAGES).is_dir() or not (root / MAPS).is_dir():
        raise errors.UserError(
            f"{root}: found neither {LABELED} nor {IMAGES}/ and {MAPS}/. Fix: point "
            "root at the folder that holds them."
        )
    splits = [split for split in INDICES if (root / IMAGES / split).is_dir()]
    if not splits:
        return {"train": _pairs(root, "")}
    return {split: _pairs(root, f"/{split}") for split in splits}


def _pairs(root: Path, folder: str) -> list[Pair]:
    images, maps = (listing.below(root, f"{home}{folder}") for home in (IMAGES, MAPS))
    return [Pair(*both) for both in listing.matched(root, images, maps, "depth map")]


def _row(root: Path, name: str, index: int) -> np.ndarray:
    """Picture `index` of a variable as [H, W] or [H, W, 3]: HDF5 has axes reversed."""
    file = _opened(file_cache.stamp(root / LABELED))
    if name not in file:
        raise errors.UserError(
            f"{root / LABELED}: the variable {name} is missing; found {sorted(file)}. "
            "Fix: get the official file again."
        )
    if index >= len(file[name]):
        raise errors.UserError(
            f"{root / SPLITS}: names picture {index + 1}, {LABELED} holds "
            f"{len(file[name])}. Fix: get both files from the same place."
        )
    return np.ascontiguousarray(np.asarray(file[name][index]).T)


@file_cache.of_file(maxsize=4)
def _opened(file: tuple[str, int, int]) -> Any:
    return mat_files.open_73(Path(file[0]))


@file_cache.of_file(maxsize=4)
def _classes_of_894(file: tuple[str, int, int]) -> np.ndarray:
    """int32 [895], the class from 1 to 40 of each id of the .mat file."""
    mapped = mat_files.read(Path(file[0]), ("mapClass",))["mapClass"]
    return np.concatenate([[0], np.ravel(mapped)]).astype(np.int32)
