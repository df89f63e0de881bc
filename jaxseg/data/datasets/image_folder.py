"""A user's own labelled images, a folder per class: SPLIT/CLASS/*.jpg or CLASS/*.jpg.

Splits are the folders train, validation (or val, valid) and test. Without them a fifth
is the validation split, drawn with seed 0 from the sorted names. Classes are the
folders' names, sorted, of all splits together.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data import subsets
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import class_names, labelled_images

DATASETS = {
    "classes": Dataset(
        fields=("image", "label"),
        domain="own",
        splits={},
        version=1,
        size=(224, 224),
        obtain="Your own images in folders named by class; root is the folder that "
        "holds them, or that holds train/, validation/ and test/ with them.",
    )
}
CLASSES_FROM = {"classes": "names"}
SPLITS = {"train": "train", "validation": "validation", "val": "validation"}
SPLITS |= {"valid": "validation", "test": "test"}


def records(
    variant: str, split: str, root: Path, *, classes: Sequence[str] = ()
) -> Sequence[labelled_images.Labelled]:
    """The images of a split, by class and name.

    classes: names in the order of their ids; (): the names of the folders, sorted.
    """
    return _splits(root, _classes(root, tuple(classes)), _stamps(root))[split]


def parse(record: labelled_images.Labelled, root: Path, variant: str) -> Example:
    return labelled_images.parse(record, root)


def describe(variant: str, root: Path, *, classes: Sequence[str]) -> Dataset:
    """The variant's facts with the splits and classes of this folder."""
    facts = DATASETS[variant]
    names = _classes(root, tuple(classes))
    splits = _splits(root, names, _stamps(root))
    return dataclasses.replace(
        facts,
        splits={split: len(images) for split, images in splits.items()},
        classes=names,
    )


def files(root: Path, **_: Any) -> tuple[list[str], list[str]]:
    """The images, whose names are the labels."""
    both = [name for names in _class_folders(root).values() for name in names]
    return labelled_images.under(root, both), []


def split_folders(root: Path) -> dict[str, str]:
    """{split: folder}; {} if the folders in root are classes."""
    names = labelled_images.folders(root)
    folders: dict[str, str] = {}
    for name in names:
        split = SPLITS.get(name.lower())
        if split in folders:
            raise errors.UserError(
                f"{root}: {folders[split]} and {name} both hold the split {split!r}; "
                "allowed is one folder for each. Fix: join or remove one."
            )
        if split:
            folders[split] = name
    if folders and len(folders) < len(names):
        other = next(name for name in names if name not in folders.values())
        raise errors.UserError(
            f"{root}: found the split {', '.join(folders.values())} and {other}; "
            f"allowed are splits alone ({', '.join(SPLITS)}) or classes alone. Fix: "
            f"move {other} elsewhere."
        )
    order = ("train", "validation", "test")
    return {split: folders[split] for split in order if split in folders}


def _class_folders(root: Path) -> dict[str, list[str]]:
    """{split: class folders below root}; the split is "" if there are none."""
    folders = split_folders(root)
    if not folders:
        return {"": labelled_images.folders(root)}
    return {
        split: [f"{folder}/{name}" for name in labelled_images.folders(root / folder)]
        for split, folder in folders.items()
    }


def _classes(root: Path, given: tuple[str, ...]) -> tuple[str, ...]:
    present = {Path(f).name for names in _class_folders(root).values() for f in names}
    if not present:
        raise errors.UserError(
            f"{root}: found no folders; allowed is one per class, or train/, "
            "validation/ and test/ with them. Fix: sort the images into folders."
        )
    names = given or tuple(sorted(present))
    return class_names.check_names({name: name for name in names}, f"{root}: classes")


def _stamps(root: Path) -> tuple[int, ...]:
    """Stamps that change when an image comes or goes: the key of the cached listing."""
    both = [name for names in _class_folders(root).values() for name in names]
    return tuple((root / name).stat().st_mtime_ns for name in both)


@functools.lru_cache(maxsize=8)
def _splits(
    root: Path, classes: tuple[str, ...], _stamp: tuple[int, ...]
) -> dict[str, labelled_images.Images]:
    places = {name: place for place, name in enumerate(classes)}
    folders = split_folders(root)
    if folders:
        return {s: labelled_images.listed(root, f, places) for s, f in folders.items()}
    every = labelled_images.listed(root, ".", places)
    drawn = subsets.drawn_rows(len(every), root)
    return {split: every.take(rows) for split, rows in drawn.items()}
