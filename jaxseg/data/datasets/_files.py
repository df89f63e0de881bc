"""What readers of one file share: it is read once, and named when it cannot be."""

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

from jaxseg.core import errors

T = TypeVar("T")


def of_file(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Decorates what reads one file, told by its stamp: read once until it changes.

    What is raised comes out as a UserError that names the file.
    """

    def decorate(read: Callable[..., T]) -> Callable[..., T]:
        @functools.lru_cache(maxsize)
        @functools.wraps(read)
        def once(file: tuple[str, int, int], *more: Any) -> T:
            with errors.reading(file[0]):
                return read(file, *more)

        return once

    return decorate


def whole(text: str) -> int | None:
    """The number that digits 0 to 9 say, up to 18 of them; None for other text.

    Python's `isdigit` takes a superscript two for a digit, and `int` does not.
    """
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None
