"""Decoded examples on disk: read once, then loaded as plain arrays.

There is one uncompressed .npz file for each example. Its name is a key of the content
and the stamps of the files that the example was made of; each data set with its
options has a folder. The format holds a checksum of every array: a damaged file is not
used, and the example is decoded again. Files are written under another name and then
renamed.
"""

import logging
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import hashing, user_cache
from jaxseg.core.types import Example

VERSION = 4  # increases when the same files are decoded into other examples
LIMIT_BYTES = 50 * 2**30  # of one folder; further examples are decoded every time
BYTES_A_PIXEL = 11  # image, segmentation, depth
IN_MEMORY_BYTES = 2**30
_log = logging.getLogger(__name__)


class DiskCache:
    """Examples by key in `folder`, up to `limit` bytes of them."""

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES):
        self.folder, self.limit = folder, limit
        self.used = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.used = sum(entry.stat().st_size for entry in os.scandir(folder))
        except OSError as error:
            self._give_up(error)

    def get(self, key: str) -> Example | None:
        """The example, or None if it is missing or its file is damaged."""
        path = self._path(key)
        try:
            with open(path, "rb") as file, np.load(file) as arrays:
                example = {name: arrays[name] for name in arrays.files}
                return example | {"id": str(example["id"])}
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            _log.warning("%s is damaged (%s): decoded again", path, error)
            return None

    def put(self, key: str, example: Example) -> None:
        """Writes the example if there is room."""
        size = sum(np.asarray(value).nbytes for value in example.values())
        if self.used + size > self.limit:
            return
        unique = f"{os.getpid()}-{threading.get_ident()}"
        partial = self.folder / f"{key}.{unique}.partial"
        try:
            with open(partial, "wb") as file:
                np.savez(file, **example)
            os.replace(partial, self._path(key))
        except OSError as error:
            partial.unlink(missing_ok=True)
            self._give_up(error)
        self.used += size

    def _give_up(self, error: OSError) -> None:
        """Stops caching: a full or read-only disk must not end a training."""
        _log.warning("%s: %s; nothing more is kept there", self.folder, error)
        self.limit = 0

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def of(reader: Any) -> DiskCache:
    """The cache of one reader; `reader`: everything that its examples depend on."""
    key = hashing.key([VERSION, reader])
    return DiskCache(user_cache.folder() / "decoded" / key[:16])


def fits(size: tuple[int, int] | None, count: int) -> bool:
    """Whether `count` decoded examples of `size` (height, width) may stay in memory."""
    height, width = size or (0, 0)
    return count * height * width * BYTES_A_PIXEL <= IN_MEMORY_BYTES
