"""The exceptions that commands print as a message instead of a traceback."""

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
TRACEBACK = "JAXSEG_TRACEBACK"  # set to 1: commands print tracebacks


class UserError(Exception):
    """A mistake that the user can fix. The text has the place, what it holds, what is
    allowed, and the fix.

    exit_code: that of a command which ends with this error.
    """

    exit_code = 2


class Damaged(UserError):
    """A stored file differs from what was written."""

    exit_code = 1


class DamagedPicture(Damaged):
    """A damaged picture; no number depends on it."""


class Busy(UserError):
    """Another process holds the lock."""

    exit_code = 3


class Diverged(UserError):
    """Loss or weights of a training are not finite; a repetition would end alike."""


@contextlib.contextmanager
def reading(where: object, allowed: str = "") -> Iterator[None]:
    """Turns exceptions raised inside it into a UserError that begins with `where`.

    The text has the type of the exception and the line of this package that raised it;
    the exception is the cause. A UserError passes as it is, and so does a MemoryError,
    which is no fault of a file.
    allowed: what the format requires, such as "are four numbers".
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        found = f"{type(error).__name__}: {str(error)[:200]}; {_line(error)}"
        asked = f"; allowed {allowed}" if allowed else ""
        raise UserError(
            f"{where}: cannot be read ({found}){asked}. Fix: correct the file or get "
            f"it again; if it is right, report this line ({TRACEBACK}=1 shows more)."
        ) from error


@contextlib.contextmanager
def located(where: str) -> Iterator[None]:
    """Puts `where`, a place in a config, before a UserError raised inside it.

    A message that begins with this place, or one below, stays; one that begins with
    the last part of it, such as "optimizer/lr: ..." in ".../optimizer", goes on there.
    """
    try:
        yield
    except UserError as error:
        text, (front, _, last) = str(error), where.rpartition("/")
        if not text.startswith(where):
            joined = front and text.startswith((f"{last}/", f"{last}:"))
            error.args = (f"{front}/{text}" if joined else f"{where}: {text}",)
        raise


def traced() -> bool:
    """Whether commands print the traceback of a UserError as well."""
    return os.environ.get(TRACEBACK) == "1"


def _line(error: Exception) -> str:
    """file:line of the innermost frame in this package."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if PACKAGE in Path(each.filename).parents]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
