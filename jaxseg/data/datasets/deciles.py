"""Pseudo labels of labelled images: ranks of saliency, 0 to 9 (PSSL: "end-to-end pre-
training on pseudo semantic segmentation labels", Machine Learning 112, 2023).

Of the variant `images`: images/SPLIT/CLASS/NAME.jpg and, of the same size,
deciles/SPLIT/CLASS/NAME.png with 8 bits a pixel, or both without SPLIT; splits are
those of the deciles, as image_folder names them. The pixels of the highest decile have
the class of the image, the others are background (section 4.1). Classes are the folders
in classes.txt, one per line, or else all, sorted, which is the order of ILSVRC. `write`
makes such PNG files.

Of the variant `shards`: files as `shards` has them, whose records hold `image`, the
bytes of an image file, `deciles`, those of a PNG, and `label`, the number of a class
from 0 on, in the order of classes.txt. The kind `pseudo` makes them.
"""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import subsets
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.datasets import image_folder, shards, table
from jaxseg.data.readers import class_names, labelled_images, mask_files

DATASETS = {
    "images": Dataset(
        fields=("image", "segmentation"),
        domain="own",
        splits={},
        version=1,
        size=(256, 256),
        background=0,
        obtain="Your own images in folders named by class, and deciles of their "
        "saliency; root is the folder that holds images/ and deciles/.",
    )
}
DATASETS["shards"] = dataclasses.replace(
    DATASETS["images"],
    obtain="Your own shards of images, their deciles and classes; root is the folder "
    "that holds them.",
)
PLACES = ("images",)
BACKGROUND = "background"
TOP = 9


class Ranked(NamedTuple):
    """One record: an image and its deciles, below the root."""

    image: str
    deciles: str
    classes: tuple[int, ...]  # of each decile


class Records(Sequence):
    """Records of labelled images, whose deciles have the same names."""

    def __init__(
        self,
        labelled: labelled_images.Images,
        folders: tuple[str, str],
        foreground: Sequence[int],
        ignored: Sequence[int],
    ):
        self._labelled, self._folders = labelled, folders
        self._foreground, self._ignored = tuple(foreground), tuple(ignored)

    def __len__(self) -> int:
        return len(self._labelled)

    def __getitem__(self, index: int) -> Ranked:
        name, label = self._labelled[index]
        names = zip(self._folders, (name, _png(name)))
        paths = [(PurePosixPath(folder) / file).as_posix() for folder, file in names]
        return Ranked(*paths, _each(label, self._foreground, self._ignored))


class Packed(NamedTuple):
    """One record of the variant `shards`."""

    record: shards.Record
    classes: tuple[int, ...]  # of each decile


class PackedRecords(Sequence):
    """Records of shards."""

    def __init__(
        self, found: shards.Shards, foreground: Sequence[int], ignored: Sequence[int]
    ):
        self._found = found
        self._foreground, self._ignored = tuple(foreground), tuple(ignored)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, index: int) -> Packed:
        record = self._found[index]
        label = shards.label_of(record) + 1
        return Packed(record, _each(label, self._foreground, self._ignored))


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    images: str = "images",
    deciles: str = "deciles",
    foreground: Sequence[int] = (TOP,),
    ignored: Sequence[int] = (),
) -> Sequence[Ranked] | Sequence[Packed]:
    """The images of a split, by class and name; of shards as they lie there.

    images, deciles: their folders, below root or, with outside=True, anywhere: "." and
    an absolute path add deciles to an existing tree of images. foreground: deciles of
    the image's class; ignored: deciles that are neither that nor background.
    """
    _check_deciles(foreground, ignored)
    if variant == "shards":
        found = shards.Shards(root, shards.find_shards(root)[split])
        return PackedRecords(found, foreground, ignored)
    labelled = _splits(root / images, root / deciles, root)[split]
    return Records(labelled, (images, deciles), foreground, ignored)


def parse(record: Ranked | Packed, root: Path, variant: str) -> Example:
    if isinstance(record, Packed):
        image, own = shards.image_of(record.record), record.record.id
        ranks, where = shards.ids_of(record.record, "deciles"), own
        if ranks.shape != image.shape[:2]:
            raise errors.UserError(
                f"{own}: found deciles of {list(ranks.shape)}, allowed is "
                f"{list(image.shape[:2])}, the size of the image. Fix: write it anew."
            )
    else:
        mask_files.check_size(root, record.image, record.deciles, "deciles")
        where = root / record.deciles
        ranks, image = (
            image_files.read_ids(where),
            image_files.read(root / record.image),
        )
        own = "/".join(PurePosixPath(record.image).parts[-2:])
    if ranks.min() < 0 or ranks.max() > TOP:
        raise errors.UserError(
            f"{where}: found the values {ranks.min()} to {ranks.max()}; allowed are 0 "
            f"to {TOP}, the decile of each pixel. Fix: write the deciles anew."
        )
    segmentation = np.array(record.classes, np.int32)[ranks]
    return {"image": image, "segmentation": segmentation, "id": own}


def describe(
    variant: str, root: Path, *, images: str, deciles: str, **_: Any
) -> Dataset:
    """The variant's facts with the splits and classes of these folders."""
    facts = DATASETS[variant]
    if variant == "shards":
        packed = shards.describe("classification", root, classes=(), ids=None)
        names = (BACKGROUND, *packed.classes)
        return dataclasses.replace(facts, splits=packed.splits, classes=names)
    names = (BACKGROUND, *_classes(root / images, root / deciles, root))
    splits = _splits(root / images, root / deciles, root)
    return dataclasses.replace(
        facts,
        splits={split: len(labelled) for split, labelled in splits.items()},
        classes=class_names.check_names(dict(enumerate(names)), f"{root}: classes"),
    )


def files(
    root: Path, *, images: str, deciles: str, **_: Any
) -> tuple[list[str], list[str]]:
    """The images, and the deciles and classes.txt; of shards all as labels."""
    if not (root / deciles).is_dir() and shards.found_in(root):
        return shards.files(root)
    homes = _homes(root / deciles).values()
    both = []
    for tree in (images, deciles):
        inside = [f"{h}/{n}" for h in homes for n in _inside(root / tree, h)]
        names = labelled_images.under(root / tree, inside)
        both.append([(PurePosixPath(tree) / name).as_posix() for name in names])
    return both[0], [*both[1], table.CLASSES]


def write(path: Path, deciles: np.ndarray) -> None:
    """Writes uint8 [H, W], 0 to 9, as 8-bit PNG, and makes its folder."""
    assert deciles.ndim == 2 and deciles.dtype == np.uint8 and deciles.max() <= TOP
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image_files.encode_png(deciles))


def _each(
    label: int, foreground: Sequence[int], ignored: Sequence[int]
) -> tuple[int, ...]:
    """The class of each decile."""
    classes = [0] * (TOP + 1)
    for deciles, value in ((foreground, label), (ignored, IGNORE)):
        for decile in deciles:
            classes[decile] = value
    return tuple(classes)


def _check_deciles(foreground: Sequence[int], ignored: Sequence[int]) -> None:
    every = [*foreground, *ignored]
    known = all(decile in range(TOP + 1) for decile in every)
    if not known or not foreground or len(set(every)) < len(every):
        raise errors.UserError(
            f"deciles: found foreground={list(foreground)} and ignored={list(ignored)};"
            f" allowed are numbers from 0 to {TOP}, none twice, and a foreground. Fix: "
            "correct the options; the paper has foreground=[9]."
        )


def _homes(deciles: Path) -> dict[str, str]:
    """{split: folder of the classes}, for images and deciles; "" without splits."""
    return image_folder.split_folders(deciles) or {"": "."}


def _inside(tree: Path, home: str) -> list[str]:
    return labelled_images.folders(tree / home)


def _listed_classes(root: Path) -> tuple[str, ...]:
    """The names in classes.txt, or () without that file."""
    there = (root / table.CLASSES).is_file()
    return table.named_classes(root, ()) if there else ()


def _classes(images: Path, deciles: Path, root: Path) -> tuple[str, ...]:
    homes = _homes(deciles).values()
    names = {name for home in homes for name in _inside(images, home)}
    return _listed_classes(root) or tuple(sorted(names))


def _splits(
    images: Path, deciles: Path, root: Path
) -> dict[str, labelled_images.Images]:
    """The images of each split, all of which have deciles."""
    classes, homes = _classes(images, deciles, root), _homes(deciles)
    stamps = tuple(
        (tree / home / name).stat().st_mtime_ns
        for tree in (images, deciles)
        for home in homes.values()
        for name in _inside(tree, home)
    )
    splits = {
        s: _matched(images, deciles, h, classes, stamps) for s, h in homes.items()
    }
    if "" not in splits:
        return splits
    drawn = subsets.drawn_rows(len(splits[""]), images)
    return {split: splits[""].take(rows) for split, rows in drawn.items()}


@functools.lru_cache(maxsize=8)  # a million names take seconds to compare
def _matched(
    images: Path,
    deciles: Path,
    home: str,
    classes: tuple[str, ...],
    _stamps: tuple[int, ...],
) -> labelled_images.Images:
    """The images of a split; UserError unless images and deciles belong together."""
    places = {name: place for place, name in enumerate(classes, 1)}
    labelled = labelled_images.listed(images, home, places)
    ranked = {record.image for record in labelled_images.listed(deciles, home, places)}
    owners: dict[str, str] = {}
    for name, _ in labelled:
        if owners.setdefault(_png(name), name) != name:
            raise errors.UserError(
                f"{images}: {owners[_png(name)]} and {name} share their deciles, "
                f"{_png(name)}; allowed is one image of a name. Fix: rename one."
            )
    missing = [file for file in owners if file not in ranked]
    if missing:
        raise errors.UserError(
            f"{deciles / missing[0]}: file not found, the deciles of "
            f"{images / owners[missing[0]]}; {len(missing)} of {len(owners)} images "
            "have none, allowed is one PNG for each. Fix: write them, or move the "
            "images elsewhere."
        )
    orphans = sorted(ranked - owners.keys())
    if orphans:
        raise errors.UserError(
            f"{deciles / orphans[0]}: found deciles without an image in {images / home}"
            f", {len(orphans)} in all; allowed is one PNG for each image, of its name. "
            "Fix: restore the images, or remove these files."
        )
    return labelled


def _png(name: str) -> str:
    """The file of the deciles of an image, both below their folders."""
    return os.path.splitext(name)[0] + ".png"
