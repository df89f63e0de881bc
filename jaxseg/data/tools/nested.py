"""Finds the data set inside a folder that was named one level too high.

Readers search below a folder for images and masks, but lists of splits and of classes
only in the folder itself: from above, those of a folder within are never read.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors
from jaxseg.data import refusals
from jaxseg.data.readers import folder_pairs
from jaxseg.data.tools import guess

USUAL = re.compile(
    f"{folder_pairs.IMAGE_FOLDER}|{folder_pairs.MASK_FOLDER}|{guess.SPLIT_FOLDER}",
    re.IGNORECASE,
)
LOOKED_AT = 8  # folders within one that no reader can read
_log = logging.getLogger(__name__)


def problems(
    folder: Path, reading: guess.Guess, given: Mapping[str, Any]
) -> Iterator[errors.UserError]:
    """An error for each folder in `folder` whose lists or classes `reading` misses.

    given: options of the reader, as for `guess.readings`. Only a folder with lists of
    splits, or the only one there, is read on its own and compared.
    """
    every = _folders(folder)
    chosen = [x for x in every if len(every) == 1 or folder_pairs.lists(x)]
    for inner, own in _read(chosen, given):
        if _facts(own) != _facts(reading):
            yield errors.UserError(
                f"{folder}: read from here it is {_text(reading)}; {inner.name}/ on "
                f"its own is {_text(own)}. Fix: name {inner}, if that is the data set, "
                "or move its lists of splits and classes up"
            )


def hint(folder: Path, given: Mapping[str, Any]) -> str:
    """Text on a folder within one that cannot be read, if it can be read itself."""
    for inner, own in _read(_folders(folder)[:LOOKED_AT], given):
        return f"\n{inner} can be read, as {own.name}. Fix: name that folder."
    return ""


def _read(
    folders: Sequence[Path], given: Mapping[str, Any]
) -> Iterator[tuple[Path, guess.Guess]]:
    """Those that are data sets on their own, with their likeliest reading."""
    for folder in folders:
        if USUAL.fullmatch(folder.name):
            continue  # a part of one
        notes = dict(refusals.notes)
        try:
            own = guess.readings(folder, given)[0]
        except errors.UserError as error:
            _log.info("%s", error)  # no data set
            continue
        finally:
            refusals.notes.clear()  # what a reader of that folder left out
            refusals.notes.update(notes)
        yield folder, own


def _folders(folder: Path) -> list[Path]:
    """Visible folders within, without links and leftovers of archives."""
    folders = (p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
    return sorted(p for p in folders if not p.name.startswith((".", "__MACOSX")))


def _facts(reading: guess.Guess) -> tuple[Any, ...]:
    return reading.name, dict(reading.facts.splits), reading.facts.classes


def _text(reading: guess.Guess) -> str:
    """'folder/segmentation with train 8, validation 2 and 2 classes'."""
    splits = ", ".join(f"{name} {n}" for name, n in reading.facts.splits.items())
    return f"{reading.name} with {splits} and {len(reading.facts.classes)} classes"
