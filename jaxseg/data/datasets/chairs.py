"""Chair Segments, cut-out chairs on random backgrounds (Pinto-Alva et al. 2020).

`folder` composites a user's own files, foregrounds/*.png with transparency and
backgrounds/*; `32` to `256` composite rendered chairs in rendered surroundings, not the
paper's photographs. See data/compositor.py.
"""

import dataclasses
import functools
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import errors, image_files, user_cache
from jaxseg.core.types import Example
from jaxseg.data import compositor
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import worlds
from jaxseg.data.readers import file_cache
from jaxseg.data.render import chairs, store

VERSION = 1
CLASSES = ("background", "chair")
NUM_FOREGROUNDS, NUM_BACKGROUNDS = 900, 10_000  # as in the paper
# Rooms and outdoor scenes; the examples used here are in no split of the worlds.
SURROUNDINGS = ("indoor_home", "consumer_travel", "indoor_office", "consumer_everyday")
FOLDERS = {"foregrounds": "foregrounds", "backgrounds": "backgrounds"}
DRAWN = f"v{VERSION}-worlds{worlds.VERSION}"
SIZE = 64  # what the paper recommends
MEAN, STD = (108.1, 108.8, 102.3), (53.4, 53.7, 53.9)  # of 150 images at 64 pixels


def _facts(**more: Any) -> Dataset:
    return Dataset(
        fields=("image", "segmentation"),
        classes=CLASSES,
        palette=((70, 70, 70), (220, 60, 40)),
        **more,
    )


def _rendered(size: int) -> Dataset:
    return _facts(
        domain="synthetic",
        version=100 * VERSION + worlds.VERSION,  # backgrounds change with the worlds
        splits=compositor.lengths(NUM_FOREGROUNDS, NUM_BACKGROUNDS),
        size=(size, size),
        mean=MEAN,
        std=STD,
        licence=worlds.LICENCE,
        obtain=worlds.OBTAIN,
        on_disk=False,
    )


DATASETS = {
    **{str(size): _rendered(size) for size in compositor.PADDING},
    "folder": _facts(
        domain="own",
        version=VERSION,
        splits={},
        obtain="Your own folder of foregrounds/*.png with transparency and of "
        "backgrounds/*; root is that folder.",
    ),
}


def records(
    variant: str,
    split: str,
    root: Path | None,
    *,
    foregrounds: str | None = None,
    backgrounds: str | None = None,
    size: int | None = None,
    seed: int = 0,
) -> Sequence[compositor.Pair]:
    """The composites of a split.

    foregrounds, backgrounds: folders below root, if they have other names.
    size: of the composites of `folder`, 32, 64, 128 or 256. seed: of splits and pairs.
    """
    if root is None:
        size = DATASETS[variant].size[0]
        names = range(NUM_FOREGROUNDS), range(NUM_BACKGROUNDS)
    else:
        size = SIZE if size is None else size
        names = _files(root, foregrounds=foregrounds, backgrounds=backgrounds)
    return compositor.Pairs(*names, split, size=size, seed=seed)


def parse(record: compositor.Pair, root: Path | None, variant: str) -> Example:
    if root is None:
        foreground = _foreground(record.foreground, record.size, user_cache.folder())
        background = _background(record.background, record.size, user_cache.folder())
        name = f"{variant}/{record.foreground:03d}-{record.background:05d}"
    else:
        file, room = (file_cache.stamp(root / name) for name in record[:2])
        foreground = compositor.foreground_file(file, record.size)
        background = compositor.background_file(room, record.size)
        name = f"{record.foreground}+{record.background}"
    return compositor.compose(foreground, background) | {"id": name}


def describe(
    variant: str,
    root: Path | None,
    *,
    foregrounds: str | None,
    backgrounds: str | None,
    size: int | None,
    seed: int,
) -> Dataset:
    """The variant's facts with the number of composites of a folder and their size."""
    facts = DATASETS[variant]
    if root is None:
        given = {"foregrounds": foregrounds, "backgrounds": backgrounds, "size": size}
        _refuse({name: value for name, value in given.items() if value is not None})
        return facts
    size = SIZE if size is None else size
    compositor.padding(size)  # UserError for other sizes
    files = _files(root, foregrounds=foregrounds, backgrounds=backgrounds)
    splits = compositor.lengths(*map(len, files))
    return dataclasses.replace(facts, splits=splits, size=(size, size))


def reads(
    record: compositor.Pair, root: Path, variant: str
) -> tuple[Sequence[str], Sequence[str]]:
    """The background; the foreground, whose alpha is the label."""
    return [str(record.background)], [str(record.foreground)]


def files(
    root: Path, *, foregrounds: str | None, backgrounds: str | None, **_: Any
) -> tuple[Sequence[str], Sequence[str]]:
    """Backgrounds, and foregrounds, whose alpha is the label."""
    cut_out, behind = _files(root, foregrounds=foregrounds, backgrounds=backgrounds)
    return behind, cut_out


def render_foreground(index: int, side: int) -> np.ndarray:
    """uint8 [side, side, 4]: chair `index`, rendered larger and resized like a file."""
    rng = np.random.default_rng([zlib.crc32(b"chairs/foreground"), index])
    return compositor.fit(chairs.chair(rng, max(2 * side, 128)), side)


def render_background(index: int, size: int) -> np.ndarray:
    """uint8 [S, S, 3]: surroundings `index`."""
    world = SURROUNDINGS[index % len(SURROUNDINGS)]
    return worlds.render(world, "backgrounds", index, size)["image"]


@functools.lru_cache(maxsize=1024)
def _foreground(index: int, size: int, folder: Path) -> np.ndarray:
    return _store("foregrounds", size, folder)[index]["image"]


@functools.lru_cache(maxsize=4096)
def _background(index: int, size: int, folder: Path) -> np.ndarray:
    return _store("backgrounds", size, folder)[index]["image"]


@functools.lru_cache(maxsize=16)
def _store(kind: str, size: int, folder: Path) -> store.Store:
    path = folder / "chairs" / f"{kind}-{size}-{DRAWN}.slots"
    if kind == "foregrounds":
        side = size - compositor.padding(size)
        slot = store.picture(side, 4)
        return store.Store(path, slot, lambda i: {"image": render_foreground(i, side)})
    slot = store.picture(size, 3)
    return store.Store(path, slot, lambda i: {"image": render_background(i, size)})


def _files(root: Path, **folders: str | None) -> tuple[tuple[str, ...], ...]:
    """Paths below root of all foregrounds and of all backgrounds, sorted."""
    result = []
    for option, given in folders.items():
        folder = given or FOLDERS[option]
        if not (root / folder).is_dir():
            raise errors.UserError(
                f"{root / folder}: folder not found; allowed is one with images. Fix: "
                f"name it with {option}=FOLDER, below root."
            )
        files = sorted(path.name for path in (root / folder).iterdir())
        names = tuple(f"{folder}/{file}" for file in files if _is_image(file))
        if len(names) < 3:
            raise errors.UserError(
                f"{root / folder}: found {len(names)} images; allowed are three or "
                "more, one to train, one to validate and one to test on. Fix: add "
                f"images, or name another folder with {option}=FOLDER."
            )
        result.append(names)
    return tuple(result)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(image_files.SUFFIXES)


def _refuse(given: dict[str, Any]) -> None:
    if given:
        raise errors.UserError(
            f"chairs: found the options {given}; allowed for rendered chairs is seed: "
            "the variant says the size. Fix: drop them, or use chairs/folder."
        )
