"""The ids in each label file: all files are read once, the result is cached.

Data sets of one class are the images that show it. Reading the 3475 masks of Cityscapes
takes about a minute; <cache>/present keeps the result until a file changes.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import Path

import numpy as np

from jaxseg.core import errors, hashing, user_cache
from jaxseg.data import contents, refusals

IDS = 256
THREADS = min(os.cpu_count() or 1, 8)  # Pillow decodes in parallel
_log = logging.getLogger(__name__)


def holds(
    root: Path,
    files: Sequence[str],
    find: Callable[[Path], np.ndarray],
    rule: str,
) -> np.ndarray:
    """bool [files, 256], true if `find` returns the id for the file below the root.

    rule: names `find`, and changes when it does. UserError for all unreadable files.
    """
    sums = contents.sums(root, [(file, True) for file in files])
    key = hashing.key([rule, list(files), [each.hex() for each in sums]])

    def read() -> np.ndarray:
        table = np.zeros((len(files), IDS), bool)
        for row, ids in zip(table, each([root / file for file in files], find)):
            row[[id_ for id_ in ids if 0 <= id_ < IDS]] = True
        return table

    return kept(key, read, IDS)


def kept(key: str, read: Callable[[], np.ndarray], columns: int) -> np.ndarray:
    """The bool table [files, columns] that `read` returns, from the cache if it is
    there.

    key: of all that the table depends on.
    """
    path = user_cache.folder() / "present" / f"{key}.npy"
    if path.is_file():
        return np.unpackbits(np.load(path), axis=1, count=columns).astype(bool)
    table = read()
    draft = path.with_name(f".{key}.{os.getpid()}.npy")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(draft, np.packbits(table, axis=1))
        os.replace(draft, path)
    except OSError as error:  # read again next time
        _log.warning("%s: cannot be written: %s", path, error)
    return table


def each(
    paths: Sequence[Path], find: Callable[[Path], np.ndarray]
) -> list[frozenset[int]]:
    """The ids that `find` returns for each file; refuses unreadable files."""

    def attempt(path: Path) -> frozenset[int] | errors.UserError:
        try:
            return frozenset(values(find(path)))
        except errors.UserError as error:
            return error

    with futures.ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(attempt, paths))
    problems = [each for each in results if isinstance(each, errors.UserError)]
    if problems and len(problems) == len(results):
        more = f"\nNone of {len(problems)} such files can be read."
        raise errors.UserError(f"{problems[0]}{more * (len(problems) > 1)}")
    refusals.refuse(*problems)
    return [each if isinstance(each, frozenset) else frozenset() for each in results]


def values(ids: np.ndarray) -> list[int]:
    """The different ids, sorted; counting is much faster than sorting the pixels."""
    if ids.size and ids.min() >= 0 and ids.max() < 1 << 16:
        return np.flatnonzero(np.bincount(ids.ravel())).tolist()
    return np.unique(ids).tolist()
