"""Refusals: files of a data set that cannot be right.

`refuse` raises, so that training stops before it begins. Within `setting_aside` it
collects the error instead and the reader continues without the file, so that one run of
`check` names every file. `note` logs what a format permits a file to omit.
"""

import contextlib
import contextvars
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors, image_files, paths

NAMED = 8  # files in one message
_log = logging.getLogger(__name__)
notes: dict[
    str, None
] = {}  # all texts of `note` so far, in order: `check` reports them
_aside: contextvars.ContextVar[dict[str, errors.UserError] | None]
_aside = contextvars.ContextVar("aside", default=None)


class Unpaired(errors.UserError):
    """Images without labels or labels without an image; `files` are all of them.

    Where a format asks for both, this is refused when the data are opened, and
    `python -m jaxseg.data check` lists every file. What a format permits (a box without
    an area, an image that no list names) is left out and counted in a `note`.
    """

    def __init__(
        self, where: Path | str, parts: Mapping[str, Sequence[str]], more: str = ""
    ):
        """parts: {what is wrong: files}, such as {"images without mask": [...]}.

        more: text that is added to the fix.
        """
        counts = [f"{what}: {len(f)}, for example {f[0]}" for what, f in parts.items()]
        self.fix = "restore what is missing under the same name, or remove the other"
        self.fix += more
        super().__init__(
            f"{where}: found {'; '.join(counts)}. Allowed is each with the other. Fix: "
            f"{self.fix}."
        )
        self.files = {file: what for what, all_ in parts.items() for file in all_}

    def __reduce__(self) -> tuple[Any, ...]:  # from a worker process
        return errors.UserError, (str(self),)


@contextlib.contextmanager
def setting_aside() -> Iterator[dict[str, errors.UserError]]:
    """Collects the errors of `refuse` in a dict, by text, instead of raising them."""
    collected: dict[str, errors.UserError] = {}
    before = _aside.set(collected)
    try:
        yield collected
    finally:
        _aside.reset(before)


def sets_aside() -> bool:
    """Whether `refuse` collects errors: results may then lack files, so no cache may
    keep them.
    """
    return _aside.get() is not None


def refuse(*problems: errors.UserError) -> None:
    """Raises these errors as one; within `setting_aside` collects them and returns, and
    the caller continues without the files that they name.
    """
    collected = _aside.get()
    if collected is not None:
        collected.update({str(error): error for error in problems})
    elif len(problems) == 1:
        raise problems[0]
    elif problems:
        raise joined(problems)


def joined(problems: Sequence[errors.UserError]) -> errors.UserError:
    """One error with a line for each of the first NAMED."""
    more = f"\nand {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    return errors.UserError("\n".join(map(str, problems[:NAMED])) + more)


def note(text: str) -> None:
    """Logs a warning, each text once: a folder is opened many times in a run.

    `check`, which sets files aside, prints it as a note.
    """
    if text not in notes:
        notes[text] = None
        _log.log(logging.INFO if sets_aside() else logging.WARNING, text)


def opens(root: Path, name: str) -> bool:
    """Whether a name below the root leads to a file or folder; refuses it otherwise."""
    try:
        if paths.look(root, name) is None:
            image_files.num_bytes(root / name)  # raises the reason
    except errors.UserError as error:
        refuse(error)
        return False
    return True


def is_file(folder: Path, name: str) -> bool:
    """Whether a file lies below; refuses a name that leads outside and returns True."""
    try:
        return (folder / name).is_file()
    except errors.UserError as error:
        refuse(error)
        return True
