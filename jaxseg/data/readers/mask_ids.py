"""The ids in the masks of a folder, and which of them may be mistakes."""

import collections
import functools
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.data import refusals
from jaxseg.data.dataset import IGNORE
from jaxseg.data.readers import class_names, file_cache, present_ids

SHOWN = 6  # values in one line
STRAY = 20  # one mask in this many may hold an id by mistake


def ids_in(masks: Sequence[str], root: Path) -> list[frozenset[int]]:
    """The ids that each mask below root holds; refuses what cannot be read."""

    def find(path: Path) -> np.ndarray:
        return np.array([*_ids_in(file_cache.stamp(path))], np.int64)

    return present_ids.each([root / mask for mask in masks], find)


@functools.lru_cache(maxsize=1 << 18)
def _ids_in(file: tuple[str, int, int]) -> frozenset[int]:
    """The ids in the mask with this stamp."""
    return frozenset(present_ids.values(image_files.read_ids(Path(file[0]))))


def named(
    root: Path,
    masks: Sequence[str],
    held: Sequence[Collection[int]],
    names: class_names.Names,
    value: int | None,
) -> list[str]:
    """The classes by their ids; refuses masks that hold others.

    value: the only one beside 0, if masks are binary.
    """
    classes = names.classes
    if 0 not in names.names or (value is not None and len(classes) < 2):
        classes = ["background", *classes]
    if value is not None and len(classes) <= 2:
        return classes
    allowed = {*range(len(classes)), 255 if len(classes) <= 255 else 65535}
    wrong = [
        errors.UserError(
            f"{root / mask}: holds the ids {listed({*ids} - allowed)}; "
            f"{root / names.file} names {len(classes)} classes, 0 to "
            f"{len(classes) - 1}. Fix: correct the mask, or name all classes there, "
            "that of id 0 (often background) first."
        )
        for mask, ids in zip(masks, held)
        if not {*ids} <= allowed
    ]
    seen = {id_ for ids in held for id_ in ids} & {*range(len(classes))}
    if not wrong and len(seen) < 2:
        wrong = [
            errors.UserError(
                f"{root / names.file}: names {len(classes)} classes, but the masks "
                f"hold {listed({id_ for ids in held for id_ in ids})} alone (255 is "
                "ignore). Fix: name the two classes of these masks, or binary=True for "
                "masks of 0 and 255."
            )
        ]
    refusals.refuse(*wrong)
    return classes


def listed(ids: Collection[int]) -> str:
    """The first of these ids, sorted."""
    shown = sorted(ids)
    return ", ".join(map(str, shown[:SHOWN])) + ", ..." * (len(shown) > SHOWN)


def few(masks: int) -> int:
    """How many of so many masks may be mistakes."""
    return max(1, masks // STRAY)


def strays(held: Sequence[Collection[int]]) -> dict[int, int]:
    """{id: place of the first mask that holds it} of rare ids far above all others.

    As classes they would add more empty classes than there are other classes.
    """
    counts = collections.Counter(id_ for ids in held for id_ in ids)
    known = sorted(set(counts) - {255, IGNORE})
    rare: dict[int, int] = {}
    while len(known) > 1 and len(held) > 3:
        top, below = known[-1], known[-2]
        if counts[top] > few(len(held)) or top - below - 1 < len(known):
            break
        rare[known.pop()] = next(i for i, ids in enumerate(held) if top in ids)
    return rare
