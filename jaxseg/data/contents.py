"""Digests of files. Only the content decides a digest; a stamp decides whether the file
is read again.

The digest of a label file is of its size and all of its bytes; that of an image is of
its size and of the first and last 64 KiB. Digests are kept in <cache>/digests, an
SQLite file for each root, with the stamps (size, mtime and ctime in ns) of the files.
As in git, a file that changed within two seconds before it was read is read again next
time, since it may change once more without a new stamp.
"""

import contextlib
import contextvars
import functools
import hashlib
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import errors, hashing, paths, user_cache
from jaxseg.data import refusals

END = 1 << 16  # bytes at each end of an image
RACY = 2 * 10**9  # ns, the coarsest clock of a file system in use
MISSING = bytes(16)  # in place of a digest; the reader of the file raises the error
THREADS = 8  # they mostly wait for the disk
CHUNK = 64  # files that a thread takes at a time
FEW = 64  # up to so many files are looked up singly, not with all of their root
BUSY = 10.0  # seconds to wait for other processes that write
WHERE = "where"  # field of a record that only messages use
_log = logging.getLogger(__name__)
TABLE = (
    "CREATE TABLE IF NOT EXISTS sums (name BLOB, whole INTEGER, size INTEGER, "
    "mtime INTEGER, ctime INTEGER, sum BLOB, PRIMARY KEY (name, whole)) WITHOUT ROWID"
)
_settled: contextvars.ContextVar[dict[Any, Any] | None]
_settled = contextvars.ContextVar("settled", default=None)
Stamp = tuple[int, int, int]  # size, mtime, ctime: changes with the file
File = tuple[bytes, bool]  # name below the root, whether all bytes count


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """Context that takes each digest once: a plan sees one state of the data, and
    keeps what follows from it.
    """
    before = _settled.set({})
    try:
        yield
    finally:
        _settled.reset(before)


def once(key: Any, make: Callable[[], Any]) -> Any:
    """The result of `make`; within `settled` an earlier one for a key not None."""
    known = _settled.get()
    if known is None or key is None:
        return make()
    if key not in known:
        known[key] = make()
    return known[key]


def digest(root: Path, images: Iterable[str], labels: Iterable[str]) -> str:
    """SHA-256 of the names and contents of files below root, 64 hex digits.

    Refuses a link that leads nowhere, or outside of a `paths.Root`.
    """
    whole = set(labels)
    names = sorted({*images} | whole)
    total = hashlib.sha256()
    for name, checksum in zip(names, sums(root, [(n, n in whole) for n in names])):
        if checksum == MISSING and os.path.islink(os.path.join(root, name)):
            refusals.opens(root, name)  # raises the error
        total.update(os.fsencode(name) + b"\0" + checksum)
    return total.hexdigest()


def sums(root: Path, names: Sequence[tuple[str, bool]]) -> list[bytes]:
    """The digest of each file, 16 bytes; MISSING if it is no file.

    names: (name below root, whether all bytes count or only the ends).
    """
    below, path = os.fsencode(root), _home(str(root))
    stamps = [_stamp(root, name) for name, _ in names]
    files = [(os.fsencode(name), whole) for name, whole in names]
    known = _kept(path, files)
    digests = [
        MISSING if now is None else kept[1] if kept and kept[0] == now else None
        for now, kept in zip(stamps, map(known.get, files))
    ]
    missing = [place for place, each in enumerate(digests) if each is None]
    fresh = _read_all(below, [files[place] for place in missing])
    for place, (_, each, _) in zip(missing, fresh):
        digests[place] = each
    trusted = [
        (*files[place], *now, each)
        for place, (now, each, taken) in zip(missing, fresh)
        if now is not None and max(now[1:]) + RACY < taken
    ]
    if trusted:
        _keep(path, trusted)
    return digests


def stamps(root: Path, names: Iterable[str]) -> list[Stamp | None]:
    """A value for each file that changes with any edit; None if it is no file."""
    return [_stamp(root, name) for name in names]


def files_in(record: Any) -> list[str]:
    """The strings of a record, which name its files, without its id and `where`."""
    if isinstance(record, str):
        return [record]
    if not isinstance(record, tuple):
        return []
    names = getattr(record, "_fields", None) or [""] * len(record)
    both = zip(names, record)
    return [x for name, x in both if isinstance(x, str) and name not in ("id", WHERE)]


def describe(record: Any) -> str:
    """A record as text for people: its files, or its value."""
    if isinstance(record, tuple) and record and isinstance(record[0], str):
        return "(" + ", ".join(item for item in record if isinstance(item, str)) + ")"
    return f"({record})" if isinstance(record, str | int) else ""


def of_value(value: Any, files: Iterable[bytes] = ()) -> str:
    """SHA-256 of a record's values and of the digests of its files, 64 hex digits."""
    total = hashlib.sha256(b"".join(files))
    _feed(total, value)
    return total.hexdigest()


def _feed(total: Any, value: Any) -> None:
    """Adds nested plain values and arrays; a field called `where` is left out."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        total.update(f"{value.dtype.str}{value.shape}".encode())
        total.update(np.ascontiguousarray(value))
    elif isinstance(value, np.ndarray | list | tuple):
        total.update(f"({len(value)}".encode())
        names = getattr(value, "_fields", None) or [""] * len(value)
        for name, item in zip(names, value):
            if name != WHERE:
                _feed(total, item)
    elif isinstance(value, Mapping):
        _feed(total, sorted(value.items()))
    else:
        total.update(f"{value!r}\0".encode(errors="surrogatepass"))


def _stamp(root: Path, name: str) -> Stamp | None:
    """None if it is no file or is refused: `check` continues without it."""
    try:
        facts = paths.look(root, name)
    except errors.UserError as error:
        refusals.refuse(error)
        return None
    return _stamp_of(facts) if facts else None


def _stamp_of(facts: os.stat_result) -> Stamp | None:
    if not stat.S_ISREG(facts.st_mode):
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _read_all(below: bytes, files: list[File]) -> list[tuple[Stamp | None, bytes, int]]:
    """Stamp, digest and time before reading of each file."""
    chunks = [files[first : first + CHUNK] for first in range(0, len(files), CHUNK)]

    def read(chunk: list[File]) -> list[tuple[Stamp | None, bytes, int]]:
        return [_read(os.path.join(below, name), whole) for name, whole in chunk]

    if len(chunks) <= 1:
        return [each for chunk in chunks for each in read(chunk)]
    with futures.ThreadPoolExecutor(THREADS) as pool:
        return [each for chunk in pool.map(read, chunks) for each in chunk]


def _read(path: bytes, whole: bool) -> tuple[Stamp | None, bytes, int]:
    taken = time.time_ns()
    try:
        with open(path, "rb", buffering=0) as file:
            now = _stamp_of(os.fstat(file.fileno()))
            total = hashlib.sha256(b"%d\0" % (now[0] if now else -1))
            if now is None:
                return None, MISSING, taken
            if whole or now[0] <= 2 * END:
                while block := file.read(1 << 20):
                    total.update(block)
            else:
                total.update(file.read(END))
                file.seek(-END, os.SEEK_END)
                total.update(file.read(END))
            return now, total.digest()[:16], taken
    except OSError:
        return None, MISSING, taken


@functools.lru_cache(maxsize=256)
def _home_of(root: str, cache: str) -> Path:
    key = hashing.key(os.path.realpath(root))
    return Path(cache) / "digests" / f"{key[:20]}.sqlite"


def _home(root: str) -> Path:
    return _home_of(root, str(user_cache.folder()))


def _kept(path: Path, files: Collection[File]) -> dict[File, tuple[Stamp, bytes]]:
    """{file: (stamp, digest) when it was read}, of all kept files or of a few."""
    if not path.is_file():
        return {}
    wanted = "SELECT name, whole, size, mtime, ctime, sum FROM sums"
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY)) as base:
            if len(files) > FEW:
                rows = base.execute(wanted).fetchall()
            else:
                one = f"{wanted} WHERE name = ? AND whole = ?"
                rows = [row for f in files for row in base.execute(one, f)]
    except sqlite3.Error as error:
        _log.warning("%s: cannot be read (%s): files are read again", path, error)
        return {}
    return {(row[0], bool(row[1])): (row[2:5], row[5]) for row in rows}


def _keep(path: Path, rows: list[tuple]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY)) as base, base:
            base.execute("PRAGMA synchronous = OFF")  # the file can be rebuilt
            base.execute(TABLE)
            base.executemany("REPLACE INTO sums VALUES (?, ?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        _log.warning("%s: cannot be written (%s): files are read again", path, error)
