"""Paths below the folder of a data set, safe for names that come from the data.

Names in tables, lists, JSON and XML files and links may have been written by anyone.
`root / name` of a `Root` is a path below it after links are followed, else a UserError;
named pipes and devices, which would block, are refused as well.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Any

from jaxseg.core import errors

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM)
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Top:
    """The folder that paths may not leave. It may be a link and is resolved once."""

    def __init__(self, path: str, outside: bool):
        self.path, self.outside = os.path.abspath(path), outside
        self.real = os.path.realpath(path)
        self._inside: dict[str, bool] = {}  # {folder: result of `holds`}

    def leaves(self, path: str) -> bool:
        """Whether the text of a path leads outside: absolute, or with too many `..`."""
        whole = os.path.abspath(path)
        return not any(_within(whole, top) for top in (self.path, self.real))

    def holds(self, path: str) -> bool:
        """Whether a path is below the folder after links are followed."""
        return _within(os.path.realpath(path), self.real)

    def holds_folder(self, path: str) -> bool:
        """`holds`, evaluated once for each folder."""
        if path not in self._inside:
            self._inside[path] = self.holds(path)
        return self._inside[path]


class Root(type(Path())):
    """A folder for which `root / name` is a `Root` below it, or a UserError.

    `root` makes it. Paths that methods such as `glob` return are ordinary paths.
    """

    top: Top | None = None

    def __truediv__(self, name: str | os.PathLike) -> "Root":
        if self.top is None:
            return super().__truediv__(name)
        look(self, os.fspath(name))
        return _below(self.top, os.path.join(self, name))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.top is None:
            return Path, (str(self),)
        return _again, (str(self), self.top.path, self.top.outside)


def root(path: str | os.PathLike, *, outside: bool = False) -> Root:
    """A `Root`; with `outside` names may also lead to other folders."""
    return _below(Top(os.fspath(path), outside), path)


def look(folder: Path, name: str | bytes) -> os.stat_result | None:
    """The status of a file or folder after links are followed; None where none exists.

    UserError for what is neither file nor folder, and below a `Root` for what lies
    outside of it. A name costs one call of the system, a link more, a folder once.
    """
    name = os.fsdecode(name)
    path = os.path.join(folder, name)
    top = getattr(folder, "top", None)
    try:
        facts = _status(path, name, None if top is None or top.outside else top)
    except ValueError:  # a NUL, or half of a surrogate pair
        raise errors.UserError(
            f"{folder}: {name!r} cannot be the name of a file. Fix: correct it where "
            "the data name it."
        ) from None
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise errors.UserError(
            f"{folder}: {name[:200]!r} cannot be opened ({error.strerror}). Fix: "
            "correct the name, or the link."
        ) from None
    check_kind(path, facts)
    return facts


def check_kind(path: str | os.PathLike, facts: os.stat_result | None = None) -> None:
    """UserError for what exists and is neither a file nor a folder.

    facts: the status, where it is known.
    """
    if facts is None and not os.path.exists(path):
        return
    mode = (facts or os.stat(path)).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise errors.UserError(
            f"{path}: found {KINDS.get(stat.S_IFMT(mode), 'something else')}; allowed "
            "are files and folders. Fix: replace it with the file itself."
        )


def _status(path: str, name: str, top: Top | None) -> os.stat_result:
    """The status; UserError for what lies outside of `top`; errors of `os.stat`."""
    odd = top and (".." in name or os.path.isabs(name))
    if odd and top.leaves(path):
        raise _outside(top, path, os.path.abspath(path))
    if top and not top.holds_folder(os.path.dirname(path)):
        raise _outside(top, path, os.path.realpath(path))
    facts = os.lstat(path)
    if not stat.S_ISLNK(facts.st_mode):
        return facts
    if top and not top.holds(path):
        raise _outside(top, path, os.path.realpath(path))
    return os.stat(path)


def _outside(top: Top, path: str, target: str) -> errors.UserError:
    return errors.UserError(
        f"{path}: a name in the data, or a link, that leads to {target}, outside of "
        f"the folder {top.path}; allowed are files below it. Fix: correct the name or "
        "the link, or copy the file there; if you trust these data, give the reader "
        "the option outside=True, a command --options '{\"outside\": true}'."
    )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _below(top: Top, path: str | os.PathLike) -> Root:
    made = Root(path)
    made.top = top
    return made


def _again(path: str, top: str, outside: bool) -> Root:
    return _below(Top(top, outside), path)
