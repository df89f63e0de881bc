"""Subsets of the records of a split: a number, a share, and parts of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxseg.core import errors

PARTS = ("all", "train", "holdout", "rest")
UNITS = ("batch", "example")  # what is drawn at once from one of several sources
T = TypeVar("T")
DRAW = ("only", "count", "fraction", "seed")  # of a data section, before `part`


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


def take_part(drawn: np.ndarray, part: str, seed: int, total: int) -> np.ndarray:
    """Sorted: all that are drawn, their held-out fifth or the "train"ing others, or the
    "rest" of the `total` records of the split, which were not drawn.
    """
    if not part_size(len(drawn), part, total):
        reason = "the draw takes every record" if part == "rest" else "it is held out"
        raise errors.UserError(
            f"part: found {part!r} of {len(drawn)} of {total} records, which is none: "
            f"{reason}. Fix: part='all' and evaluations of other images, or another "
            "count or fraction."
        )
    if part == "all":
        return drawn
    if part == "rest":
        return np.setdiff1d(np.arange(total), drawn, assume_unique=True)
    shuffled = np.random.default_rng([seed, len(drawn), 1]).permutation(drawn)
    border = part_size(len(drawn), "holdout", total)
    return np.sort(shuffled[:border] if part == "holdout" else shuffled[border:])


def part_size(drawn: int, part: str, total: int) -> int:
    """The number of records in a part, of `drawn` from `total` records."""
    holdout = max(1, drawn // 5)
    sizes = {"all": drawn, "holdout": holdout, "train": drawn - holdout}
    return (sizes | {"rest": total - drawn})[part]


def apart(one: str, other: str) -> bool:
    """Whether two parts of one draw share no record.

    >>> apart("rest", "holdout"), apart("rest", "rest"), apart("all", "train")
    (True, False, False)
    """
    parts = {one, other}
    return parts == {"train", "holdout"} or (len(parts) == 2 and "rest" in parts)


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
