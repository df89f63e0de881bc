"""Subsets of the records of a split: a number, a share, the holdout, the train part."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxseg.core import errors

PARTS = ("all", "train", "holdout")
UNITS = ("batch", "example")  # what is drawn at once from one of several sources
T = TypeVar("T")
DRAW = (
    "count",
    "fraction",
    "seed",
)  # keys of a data section, before `part`


def share(
    total: int, count: int | None, fraction: float | None, *, what: str
) -> int | None:
    """The number of records that `count` or `fraction` selects; None: all."""
    if fraction is None:
        return count
    if count is not None or not 0 < fraction <= 1:
        raise errors.UserError(
            f"{what}: found fraction={fraction} and count={count}; allowed is one of "
            "them, a fraction above 0 and up to 1. Fix: drop the other."
        )
    return max(1, round(fraction * total))


def subset(total: int, count: int | None, seed: int, *, what: str) -> np.ndarray:
    """Sorted indices of `count` of `total` records; smaller counts are subsets."""
    if count is None:
        return np.arange(total)
    if not 0 < count <= total:
        raise errors.UserError(
            f"{what}: count={count}; allowed are 1 to {total}, the number of records."
        )
    return np.sort(np.random.default_rng([seed, total]).permutation(total)[:count])


def take_part(indices: np.ndarray, part: str, seed: int) -> np.ndarray:
    """The held-out fifth of `indices`, the rest, or all of them; sorted."""
    if part == "all":
        return indices
    shuffled = np.random.default_rng([seed, len(indices), 1]).permutation(indices)
    border = part_size(len(indices), "holdout")
    if part == "train" and border == len(indices):
        raise errors.UserError(
            f"part: found 'train' of {len(indices)} record, all of which is held out. "
            "Fix: part='all' and evaluations of other images, or more images."
        )
    return np.sort(shuffled[:border] if part == "holdout" else shuffled[border:])


def part_size(total: int, part: str) -> int:
    """The number of records in a part of `total` records."""
    holdout = max(1, total // 5)
    return {"all": total, "holdout": holdout, "train": total - holdout}[part]


def drawn_splits(items: Sequence[T], where: Path) -> dict[str, list[T]]:
    """A fifth for validation, drawn with seed 0, the rest for training; both sorted."""
    rows = drawn_rows(len(items), where)
    return {split: [items[i] for i in chosen] for split, chosen in rows.items()}


def drawn_rows(count: int, where: Path) -> dict[str, np.ndarray]:
    """`drawn_splits` of `count` items: int [N], the indices of each split."""
    if count < 2:
        raise errors.UserError(
            f"{where}: found {'one image' if count else 'no images'}; allowed are two "
            "or more, to train on some and validate on others. Fix: add images, or say "
            "which are for what where the format has lists or folders of splits."
        )
    order = np.random.default_rng(0).permutation(count)
    border = max(1, count // 5)
    return {"train": np.sort(order[border:]), "validation": np.sort(order[:border])}
