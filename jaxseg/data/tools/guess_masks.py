"""Guesses the meaning of mask values in a user's folder: binary, named or plain ids.

The majority of the masks decides; the few that differ are refused by name.
"""

import collections
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

from jaxseg.core import errors, image_files, images
from jaxseg.data import refusals
from jaxseg.data.datasets import folder
from jaxseg.data.readers import class_names, mask_ids

THREADS = min(os.cpu_count() or 1, 8)  # Pillow reads headers in parallel
FEWEST = 2  # classes
Held = Sequence[Collection[int]]  # the ids of each mask


def options(
    root: Path, pairs: Sequence[tuple[str, str]], held: Held
) -> tuple[dict[str, Any], str]:
    """Options of folder/segmentation, and the reason for them; refuses single files.

    pairs: image and mask of each; held: the ids in these masks.
    """
    masks = [mask for _, mask in pairs]
    values = sorted({id_ for ids in held for id_ in ids})
    reason = "images and masks of the same names; masks hold "
    reason += ", ".join(map(str, values[: mask_ids.SHOWN])) + ", ..." * (
        len(values) > mask_ids.SHOWN
    )
    names = class_names.find(root)
    value = foreground(held)
    chosen: dict[str, Any] = {}
    if value is not None and (names is None or len(names.names) <= FEWEST):
        _refuse_others(root, masks, held, value)
        chosen["binary"] = True
    if names is not None:
        chosen["classes"] = mask_ids.named(root, masks, held, names, value)
        reason += f"; {len(names.names)} classes are named in {names.file}"
    if _other_sizes(root, pairs):
        chosen["mask_size"] = "resize"
    return chosen, reason


def foreground(held: Held) -> int | None:
    """The one value beside 0 that all masks but a few hold; None if there is none."""
    counts = collections.Counter(id_ for ids in held for id_ in ids if id_)
    if not counts or not any(0 in ids for ids in held):
        return None
    value = counts.most_common(1)[0][0]
    rest = {*counts} - {value}
    if not rest:
        return value
    odd = [ids for ids in held if rest & {*ids}]
    if len(odd) > mask_ids.few(len(held)) or 255 in rest:
        return None
    # 0, 1 and 2 are three classes, one of them rare; 0, 255 and 2 are not.
    return value if value > FEWEST or rest <= {*mask_ids.strays(held)} else None


def _refuse_others(root: Path, masks: Sequence[str], held: Held, value: int) -> None:
    """Refuses the masks that hold more than 0 and `value`."""
    problems = [
        errors.UserError(
            f"{root / mask}: holds the ids {mask_ids.listed(ids)}; the other masks "
            f"hold 0 and {value} alone. Fix: correct the mask; if there are more "
            "than two classes, name them in a file classes.txt, one a line."
        )
        for mask, ids in zip(masks, held)
        if not {*ids} <= {0, value}
    ]
    refusals.refuse(*problems)


def _other_sizes(root: Path, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether many masks have another size than their images; refuses them if only few
    have.
    """

    def sizes(pair: tuple[str, str]) -> list[images.Size] | errors.UserError:
        try:
            return [image_files.size(root / name) for name in pair]
        except errors.UserError as error:
            return error

    with futures.ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(sizes, pairs))
    refusals.refuse(*[each for each in results if isinstance(each, errors.UserError)])
    odd = {
        pair: each
        for pair, each in zip(pairs, results)
        if isinstance(each, list) and each[0] != each[1]
    }
    if len(odd) > mask_ids.few(len(pairs)):
        return True
    refusals.refuse(*_size_errors(root, odd))
    return False


def _size_errors(
    root: Path, odd: Mapping[tuple[str, str], list[images.Size]]
) -> Iterator[errors.UserError]:
    for pair, (image, mask) in odd.items():
        record = folder.Pair(*pair, False, False, None, None)
        try:
            folder.check_size(mask, image, record, root)
        except errors.UserError as error:  # reading it raises the same error
            yield error
