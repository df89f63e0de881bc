"""Labelled images as arrays: a million of them take 60 MB and no Python objects."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example


class Labelled(NamedTuple):
    """One record: an image below the root and the class of all of it."""

    image: str
    label: int


class Images(Sequence):
    """Records of labelled images: their names in one array, encoded, and labels."""

    def __init__(
        self, names: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray
    ):
        if not isinstance(names, np.ndarray):
            names = np.array([os.fsencode(name) for name in names], np.bytes_)
        self._names = names
        self._labels = np.asarray(labels, np.int32)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Labelled:
        name = os.fsdecode(bytes(self._names[index]))
        return Labelled(name, int(self._labels[index]))

    def take(self, rows: np.ndarray) -> "Images":
        """The records at `rows`, in that order."""
        return Images(self._names[rows], self._labels[rows])


def parse(record: Labelled, root: Path) -> Example:
    return {
        "image": image_files.read(root / record.image),
        "label": np.array(record.label, np.int32),
        "id": record.image,
    }


def folders(root: Path) -> list[str]:
    """Sorted names of the folders in `root`, hidden ones left out."""
    if not root.is_dir():
        raise errors.UserError(
            f"{root}: folder not found; allowed is one with a folder per class. Fix: "
            "correct root=DIR."
        )
    names = [name for name in os.listdir(root) if os.path.isdir(root / name)]
    return sorted(name for name in names if not name.startswith((".", "__MACOSX")))


def files(folder: Path) -> list[str]:
    """Sorted names of the images in `folder`, by their endings: nothing is opened."""
    names = os.listdir(folder)
    return sorted(
        name
        for name in names
        if name.lower().endswith(image_files.SUFFIXES) and not name.startswith(".")
    )


def listed(root: Path, folder: str, classes: Mapping[str, int]) -> Images:
    """The images in `folder`/CLASS/ below root, by class and name.

    UserError for a folder that is no class, since its images would be missing.
    """
    present = folders(root / folder)
    unknown = [name for name in present if name not in classes]
    if unknown or not present:
        raise errors.UserError(
            f"{root / folder}: found {len(present)} folders, {len(unknown)} of them "
            f"are no class{', for example ' + unknown[0] if unknown else ''}; allowed "
            f"are {_some(classes)}. Fix: correct root=DIR or the folders' names."
        )
    names, labels = [], []
    for name in present:
        mine = files(root / folder / name)
        prefix = name if folder == "." else f"{folder}/{name}"
        names += [f"{prefix}/{file}" for file in mine]
        labels.append(np.full(len(mine), classes[name], np.int32))
    return Images(names, np.concatenate(labels))


def under(root: Path, folders: Iterable[str]) -> list[str]:
    """The images in these folders below root."""
    return [f"{folder}/{name}" for folder in folders for name in files(root / folder)]


def _some(names: Mapping[str, int]) -> str:
    return ", ".join([*names][:8]) + (", ..." if len(names) > 8 else "")
