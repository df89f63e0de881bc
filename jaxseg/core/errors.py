"""The exceptions that commands print as a message instead of a traceback."""

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
TRACEBACK = "JAXSEG_TRACEBACK"  # 1 in the environment shows where a UserError arose


class UserError(Exception):
    """A mistake the user can mend: file, field, found, allowed and fix in its text.

    exit_code: of a command that it ends.
    """

    exit_code = 2


class Damaged(UserError):
    """A stored file whose bytes are not those that were written."""

    exit_code = 1


class DamagedPicture(Damaged):
    """One that no number comes from."""


class Busy(UserError):
    """Another process is at work on the same thing."""

    exit_code = 3


class Diverged(UserError):
    """A training whose loss or weights are no longer finite: its spec does it again."""


@contextlib.contextmanager
def reading(where: object, allowed: str = "") -> Iterator[None]:
    """Within, what is raised comes out as a UserError that begins with `where`.

    Errors of ours pass as they are. Of others the text has the type and the line of
    our code that did not expect them, and the exception itself is the cause. A lack of
    memory is no fault of a file, and passes.
    allowed: what the format asks for, such as "are four numbers".
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


def traced() -> bool:
    """Whether the user wants the traceback of errors that have a message."""
    return os.environ.get(TRACEBACK) == "1"


def _line(error: Exception) -> str:
    """file:line, the innermost of this package."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if PACKAGE in Path(each.filename).parents]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
