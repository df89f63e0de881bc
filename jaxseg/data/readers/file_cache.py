"""Keeps what is read from a file until the file changes."""

import functools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jaxseg.core import errors

T = TypeVar("T")


def of_file(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorates a reader of one file, given by its stamp: it reads once per stamp.

    An exception of the reader becomes a UserError that names the file.
    """

    def decorate(read: Callable[..., T]) -> Callable[..., T]:
        @functools.lru_cache(maxsize)
        @functools.wraps(read)
        def once(file: tuple[str, int, int], *more: Any) -> T:
            with errors.reading(file[0]):
                return read(file, *more)

        return once

    return decorate


def stamp(path: Path | str) -> tuple[str, int, int]:
    """(path, size, ctime): the key of a file in caches; it changes with the file.

    `cp -p` and archives set mtime back, but not ctime.
    """
    try:
        facts = os.stat(path)
    except OSError:  # its reader raises the error
        return str(path), -1, -1
    known = stat.S_ISREG(facts.st_mode)
    both = (facts.st_size, facts.st_ctime_ns) if known else (-1, -1)
    return str(path), *both
