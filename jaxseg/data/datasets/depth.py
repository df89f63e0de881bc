"""A user's own folder of images and depth maps, paired as by folder/segmentation.

Images lie in a folder called like images/ or rgb/, depth maps of the same names in
depth/: 16-bit PNG, NumPy (.npy) or OpenEXR (.exr). Splits are train.txt, val.txt,
test.txt; or else folders train/, val/, test/ below both; or else a fixed fifth for
validation.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import refusals
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import depth_maps, folder_pairs, mask_files

DATASETS = {
    "folder": Dataset(
        fields=("image", "depth"),
        domain="own",
        splits={},
        version=1,
        size=(192, 256),
        obtain="Your own folder of images and 16-bit, NPY or EXR depth maps; root is "
        "that folder.",
    )
}
PLACES = ("images", "depth")


class Pair(NamedTuple):
    """One record: two files below the root, and how to read the depth."""

    image: str
    depth: str
    scale: float | None
    invalid: tuple[float, ...]
    maximum: float | None


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    images: str | None = None,
    depth: str = "depth",
    scale: float | None = None,
    invalid: Sequence[float] = (),
    maximum: float | None = None,
) -> Sequence[Pair]:
    """The pairs of a split, sorted or in the order of its list.

    images, depth: folder or glob below root. scale: metres per unit of the files;
    None: 0.001 for integers, 1 for floating point. invalid: values of the files that
    mean unknown, as 0 and NaN do. maximum: metres beyond which depth is unknown.
    """
    for name, value in (("scale", scale), ("maximum", maximum)):
        if value is not None and not value > 0:
            raise errors.UserError(
                f"{root}: option {name} is {value}; allowed are numbers above 0."
            )
    pairs = find_pairs(root, images, depth)[split]
    return [Pair(*pair, scale, tuple(invalid), maximum) for pair in pairs]


def parse(record: Pair, root: Path, variant: str) -> Example:
    mask_files.check_size(root, record.image, record.depth, "depth")
    metres = depth_maps.read(
        root / record.depth,
        record.scale,
        invalid=record.invalid,
        maximum=record.maximum,
    )
    image = image_files.read(root / record.image)
    return {"image": image, "depth": metres, "id": record.image}


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits that this folder has."""
    facts = DATASETS[variant]
    by_split = find_pairs(root, options["images"], options["depth"])
    splits = {split: len(pairs) for split, pairs in by_split.items()}
    return dataclasses.replace(facts, splits=splits)


def files(
    root: Path, *, images: str | None, depth: str, **_: Any
) -> tuple[list[str], list[str]]:
    """The images, and the depth maps and lists."""
    splits = find_pairs(root, images, depth)
    pairs = [pair for pairs in splits.values() for pair in pairs]
    lists = [path.name for path in root.glob("*.txt")]
    return [image for image, _ in pairs], [*(d for _, d in pairs), *lists]


def find_pairs(
    root: Path, images: str | None, depth: str
) -> dict[str, list[tuple[str, str]]]:
    """{split: [(image, depth map)]}, paths below root."""
    if "*" not in depth and not (root / depth).is_dir():
        raise errors.UserError(
            f"{root / depth}: folder not found; allowed is one of 16-bit, NPY or EXR "
            "depth maps with the names of the images. Fix: name it with depth=FOLDER, "
            "or use a glob such as depth='*_depth.png'."
        )
    by_split, arrays = (
        folder_pairs.find_pairs(root, images, depth),
        _find_arrays(root, depth),
    )
    pairs = {
        split: [(image, file or arrays.get(_key(image, images))) for image, file in had]
        for split, had in by_split.items()
    }
    lost = [image for had in pairs.values() for image, file in had if file is None]
    used = {file for had in pairs.values() for _, file in had}
    listed = folder_pairs.lists(root)  # lists need not name all files
    alone = [file for file in arrays.values() if file not in used and not listed]
    parts = {"images without depth map": lost, "depth maps without image": alone}
    parts = {what: files for what, files in parts.items() if files}
    if parts:
        refusals.refuse(refusals.Unpaired(root, parts))
    return {
        split: [(image, file) for image, file in had if file is not None]
        for split, had in pairs.items()
    }


def _find_arrays(root: Path, depth: str) -> dict[str, str]:
    """{key: file} of the depth maps that are not images, which `folder_pairs` skips."""
    glob = depth if "*" in depth else f"{depth.rstrip('/')}/**/*"
    arrays = {}
    for path in sorted(root.glob(glob)):
        name = path.relative_to(root).as_posix()
        if path.suffix.lower() in depth_maps.ARRAYS:
            key = _named(
                name.removesuffix(path.suffix), depth.removesuffix(path.suffix)
            )
            if key in arrays:
                raise errors.UserError(
                    f"{root}: {arrays[key]} and {name} would be the depth of the same "
                    "image. Fix: remove one, or narrow depth=..."
                )
            arrays[key] = name
    return arrays


def _key(image: str, images: str | None) -> str:
    """The key of an image and its depth map: the path without its part for image and
    without suffix."""
    name = image.rpartition(".")[0]
    if images is not None:
        suffix = Path(image).suffix
        return _named(name, images.removesuffix(suffix))
    *folders, file = name.split("/")
    places = [re.fullmatch(folder_pairs.IMAGE_FOLDER, part.lower()) for part in folders]
    first = next((n for n, place in enumerate(places) if place), len(folders))
    return "/".join([*folders[:first], *folders[first + 1 :], file])


def _named(name: str, pattern: str) -> str:
    """The parts of a name that match the stars of a glob, or the path in a folder."""
    glob = pattern if "*" in pattern else f"{pattern.rstrip('/')}/**"
    regex = re.escape(glob).replace(r"\*\*", "(.*)").replace(r"\*", "([^/]*)")
    match = re.fullmatch(regex, name)
    return "/".join(match.groups()) if match else name
