"""ScanNet, video of rooms with labels from 3D meshes (Dai et al., CVPR 2017).

scannet_frames_25k/SCENE/{color,depth,label}: every hundredth frame, labels as ids of
the 40 classes of NYU. If SCENE/label-filt/ exists instead, as extracted from whole
scans, scannetv2-labels.combined.tsv maps its ids to the 40. The splits are the scenes
of scannetv2_train.txt and scannetv2_val.txt. Colour, depth and labels may differ in
size: the picture is brought to the size of its depth or label map.
"""

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core import images as images_lib
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.datasets import nyu
from jaxseg.data.readers import depth_maps, file_cache, listing, text_files

CLASSES_41 = {"unlabeled": (0, 0, 0)} | nyu.CLASSES
# The ids of the ScanNet benchmark.
BENCHMARK = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
CLASSES_20 = {
    list(CLASSES_41)[raw]: list(CLASSES_41.values())[raw] for raw in BENCHMARK
}
IDS_20 = dict.fromkeys(range(41), IGNORE) | {raw: i for i, raw in enumerate(BENCHMARK)}
COMMON = dict(
    domain="indoor",
    splits={"train": 19466, "validation": 5436},
    version=1,
    size=(480, 640),
    licence="ScanNet terms of use, non-commercial research",
    obtain="Ask for ScanNet at scan-net.org, get scannet_frames_25k and, from "
    "github.com/ScanNet/ScanNet, scannetv2_train.txt and scannetv2_val.txt of "
    "Tasks/Benchmark; root is the folder that holds them.",
)


def _segmentation(classes, ids=None, background=None) -> Dataset:
    return Dataset(
        fields=("image", "segmentation"),
        classes=tuple(classes),
        palette=tuple(classes.values()),
        ids=ids,
        background=background,
        **COMMON,
    )


DATASETS = {
    "segmentation": _segmentation(CLASSES_41, background=0),  # as the factors paper
    "40": _segmentation(nyu.CLASSES, nyu.IDS),
    "20": _segmentation(CLASSES_20, IDS_20),
    "depth": Dataset(fields=("image", "depth"), **COMMON),
}
LISTS = {"train": "scannetv2_train.txt", "validation": "scannetv2_val.txt"}
FRAMES, COLOUR, DEPTH = "scannet_frames_25k", "color", "depth"
LABEL, RAW_LABEL = "label", "label-filt"
TABLE = "scannetv2-labels.combined.tsv"
MILLIMETRES = 0.001


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, label or depth map) below root, scenes in the order of the list."""
    frames = FRAMES if (root / FRAMES).is_dir() else "."
    kinds = (DEPTH,) if variant == "depth" else (LABEL, RAW_LABEL)
    result = []
    for scene in text_files.read_lines(root / LISTS[split]):
        folder = (Path(frames) / scene).as_posix()
        if not (root / folder).is_dir():
            raise errors.UserError(
                f"{root / LISTS[split]}: {scene!r} is not in {root / frames}. Fix: "
                "unpack the scene or remove the line."
            )
        result += _frames(root, folder, kinds)
    return result


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image_name, label_name = record
    path = root / label_name
    if variant == "depth":
        name, label = "depth", depth_maps.read(path, MILLIMETRES)
    else:
        name, label = "segmentation", image_files.read_ids(path)
        if path.parent.name == RAW_LABEL:
            label = _to_nyu(label, path, root)
    image = image_files.read(root / image_name)
    _check_shape(image.shape, label.shape, path)
    return {
        "image": images_lib.resize(image, label.shape),
        name: label,
        "id": "/".join([path.parent.parent.name, path.stem]),
    }


def reads(
    record: tuple[str, str], root: Path, variant: str
) -> tuple[Sequence[str], Sequence[str]]:
    """The picture; its label, and the table if labels are ScanNet's own."""
    picture, label = record
    raw = PurePosixPath(label).parent.name == RAW_LABEL and variant != "depth"
    return [picture], [label, *[TABLE] * raw]


def _frames(root: Path, folder: str, kinds: Sequence[str]) -> list[tuple[str, str]]:
    kind = next((kind for kind in kinds if (root / folder / kind).is_dir()), None)
    if kind is None:
        raise errors.UserError(
            f"{root / folder}: found none of {', '.join(kinds)}. Fix: unpack them."
        )
    both = [f"{folder}/{each}" for each in (COLOUR, kind)]
    return listing.matched(root, *(listing.below(root, each) for each in both), kind)


def _check_shape(image: Sequence[int], label: Sequence[int], path: Path) -> None:
    """Refuses a map of another aspect ratio; the cameras' own differ by 0.4 %."""
    if abs(label[0] * image[1] / image[0] - label[1]) > 1 + 0.02 * label[1]:
        raise errors.UserError(
            f"{path}: the map is {label[0]} x {label[1]} (height x width), its picture "
            f"{image[0]} x {image[1]}, another aspect ratio. Fix: replace one of them."
        )


def _to_nyu(raw: np.ndarray, path: Path, root: Path) -> np.ndarray:
    """int32 [H, W] of NYU's ids, 0 to 40."""
    table = _nyu_ids(file_cache.stamp(root / TABLE))
    unknown = raw[(raw < 0) | (raw >= len(table))]
    ids = table[raw] if not unknown.size else None
    if ids is None or (ids < 0).any():
        first = unknown[0] if unknown.size else raw[ids < 0][0]
        raise errors.UserError(
            f"{path}: found the id {first}, which {root / TABLE} does not list. Fix: "
            "get the table that belongs to the labels."
        )
    return ids


@file_cache.of_file(maxsize=4)
def _nyu_ids(file: tuple[str, int, int]) -> np.ndarray:
    """int32 [N], NYU's id of each id of ScanNet, -1 for unlisted ids."""
    path = Path(file[0])
    lines = list(
        csv.DictReader(text_files.read_text(path).splitlines(), delimiter="\t")
    )
    with errors.reading(path, "are whole numbers in the columns id and nyu40id"):
        pairs = {int(line["id"]): int(line["nyu40id"]) for line in lines}
    table = np.full(max(pairs, default=0) + 1, -1, np.int32)
    table[0] = 0  # unlabelled, in no line of the table
    for raw, mapped in pairs.items():
        table[raw] = mapped
    return table
