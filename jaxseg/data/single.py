"""One class of a segmentation set: the images that show it, the rest background."""

import dataclasses
import logging
from collections.abc import Mapping
from concurrent import futures
from typing import TYPE_CHECKING

import numpy as np

from jaxseg.core import errors, hashing, lookup
from jaxseg.data import contents
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import present_ids

if TYPE_CHECKING:
    from jaxseg.data.source import Source

FIELDS = ("image", "segmentation")
BACKGROUND = "background"
TOLD = 500  # masks; reading so many and more is announced, for it takes long
_log = logging.getLogger(__name__)


def facts(
    whole: Dataset, only: str, called: str, shown: Mapping[str, int] | None = None
) -> Dataset:
    """The facts with the classes ("background", only); ignored pixels stay ignored.

    called: the set, in messages. shown: {split: number of its images that show the
    class}, where it is known; it is 0 for the other splits.

    >>> camvid = Dataset(("image", "segmentation"), "driving", {"train": 367}, 1,
    ...                  classes=("sky", "road", "car"), ids={3: 255})
    >>> car = facts(camvid, "car", "camvid/11")
    >>> car.classes, dict(car.ids), dict(car.splits)
    (('background', 'car'), {0: 0, 1: 0, 2: 1, 255: 255, 3: 255}, {'train': 0})
    """
    _check(whole, only, called)
    own = whole.classes.index(only)
    one = dataclasses.replace(
        whole,
        fields=FIELDS,
        splits=dict.fromkeys(whole.splits, 0) | dict(shown or {}),
        classes=(BACKGROUND, only),
        palette=((0, 0, 0), whole.palette[own]) if own < len(whole.palette) else (),
        background=None,
        keypoints=(),
        flip_pairs=(),
        skeleton=(),
    )
    # An id without an entry in the table of the reader is its own class.
    classes = {n: n for n in range(whole.num_classes)}
    classes |= {whole.file_ignore: IGNORE} | dict(whole.ids or {})
    ignored = (whole.file_ignore, IGNORE)  # tables may hold either
    ids = {
        raw: one.file_ignore if class_ in ignored else int(class_ == own)
        for raw, class_ in classes.items()
    }
    return dataclasses.replace(one, ids=ids)


def showing(source: "Source", only: str) -> np.ndarray:
    """int [N]: the records of a whole split with at least one pixel of a class, sorted.

    All masks are read once; <cache>/present keeps which classes they show until a file
    changes. UserError if no image shows the class.
    """
    known = source.facts
    _check(known, only, source.name)

    def places() -> np.ndarray:
        key = [source.fingerprint, source.split, source.options, known.num_classes]
        key.append(sorted((known.ids or {}).items()))
        if source.root is not None:
            key.append(source.contents(source.indices))
        table = present_ids.kept(
            hashing.key(key), lambda: _table(source), known.num_classes
        )
        return np.flatnonzero(table[:, known.classes.index(only)])

    place = str(source.root), hashing.canonical(source.options)
    settled = ("showing", source.name, *place, source.fingerprint, source.split, only)
    found = contents.once(settled, places)
    if not len(found):
        raise errors.UserError(
            f"{source.name} {source.split}: none of {len(source)} images shows "
            f"{only!r}. Fix: another class or split."
        )
    return found


def _check(whole: Dataset, only: str, called: str) -> None:
    """UserError unless `only` is a class of a segmentation set."""
    if "segmentation" not in whole.fields:
        raise errors.UserError(
            f"{called}: found only={only!r}; allowed is the class of a set with "
            f"segmentation, this one has {', '.join(whole.fields)}. Fix: drop only."
        )
    known = [name for name in whole.classes if name != BACKGROUND]
    if only not in known:
        raise lookup.unknown(only, known, kind="class", where=f"{called}: only")


def _table(source: "Source") -> np.ndarray:
    """bool [records, classes]: whether a pixel of the image is of the class."""
    table = np.zeros((len(source), source.facts.num_classes), bool)
    if len(source) >= TOLD:
        text = "%s %s: the masks of %d images are read once, to find those of a class"
        _log.warning(text, source.name, source.split, len(source))

    def look(index: int) -> None:
        ids = present_ids.values(source[index]["segmentation"])
        table[index, [id_ for id_ in ids if id_ < table.shape[1]]] = True

    with futures.ThreadPoolExecutor(present_ids.THREADS) as pool:
        for _ in pool.map(look, range(len(source))):
            pass  # raises what a reader raised
    return table
