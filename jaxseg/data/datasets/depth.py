"""A folder of images and depth maps: anyone's own, found as by folder/segmentation.

Images lie in a folder called like images/ or rgb/, 16-bit PNG files of the same names
in depth/. Splits are train.txt, val.txt, test.txt; or else folders train/, val/, test/
below both; or else a fixed fifth for validation.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxseg.core import errors
from jaxseg.core import images as images_lib
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import _depth, _labels, folder

DATASETS = {
    "folder": Dataset(
        fields=("image", "depth"),
        domain="own",
        splits={},
        version=1,
        size=(192, 256),
        obtain="Your own folder of images and 16-bit depth maps; root is that folder.",
    )
}


class Pair(NamedTuple):
    """One record: two files below the root, and how to read the depth."""

    image: str
    depth: str
    scale: float
    maximum: float | None


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    images: str | None = None,
    depth: str = "depth",
    scale: float = 0.001,
    maximum: float | None = None,
) -> Sequence[Pair]:
    """The pairs of a split, sorted or in the order of its list.

    images, depth: folder or glob below root. scale: metres per unit of the files.
    maximum: metres beyond which depth counts as unknown.
    """
    for name, value in (("scale", scale), ("maximum", maximum)):
        if value is not None and not value > 0:
            raise errors.UserError(
                f"{root}: option {name} is {value}; allowed are numbers above 0."
            )
    found = find_pairs(root, images, depth)[split]
    return [Pair(image, file, scale, maximum) for image, file in found]


def parse(record: Pair, root: Path, variant: str) -> Example:
    path = root / record.depth
    return {
        "image": images_lib.read(root / record.image),
        "depth": _depth.read(path, record.scale, maximum=record.maximum),
        "id": record.image,
    }


def describe(facts: Dataset, root: Path, **options: Any) -> Dataset:
    """`facts` with the splits that this folder has."""
    found = find_pairs(root, options["images"], options["depth"])
    splits = {split: len(pairs) for split, pairs in found.items()}
    return dataclasses.replace(facts, splits=splits)


def digest(root: Path, *, images: str | None, depth: str, **_: Any) -> str:
    """SHA-256 of the depth maps and lists, and of names and sizes of the images."""
    found = find_pairs(root, images, depth)
    pairs = [pair for pairs in found.values() for pair in pairs]
    lists = [path.name for path in root.glob("*.txt")]
    return _labels.digest(root, [i for i, _ in pairs], [d for _, d in pairs] + lists)


def find_pairs(
    root: Path, images: str | None, depth: str
) -> dict[str, list[tuple[str, str]]]:
    """{split: [(image, depth map)]}, paths below root."""
    if "*" not in depth and not (root / depth).is_dir():
        raise errors.UserError(
            f"{root / depth}: folder not found; allowed is one of 16-bit depth maps "
            "with the names of the images. Fix: name it with depth=FOLDER, or use a "
            "glob such as depth='*_depth.png'."
        )
    found = folder.find_pairs(root, images, depth)
    lost = [image for pairs in found.values() for image, file in pairs if file is None]
    if lost:
        raise errors.UserError(
            f"{root}: {len(lost)} images have no depth map in {depth}, for example "
            f"{lost[0]}. Fix: add one of the same name to each or remove the image."
        )
    return found
