"""Artifacts on disk by key: whole or not there, locked while made, summed for good."""

import contextlib
import datetime
import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxseg.core import checkpoint, durable, errors, hashing, records

MANIFEST = "manifest.json"  # written last: a folder without it is not an artifact
ERROR = "error.json"


class Store:
    """`WORKDIR/artifacts/<key[:20]>/` once done, `WORKDIR/running/...` before."""

    def __init__(self, workdir: Path | str):
        self.workdir = Path(workdir)

    def folder(self, key: str) -> Path:
        """Where the artifact is, or will be."""
        return self.workdir / "artifacts" / key[:20]

    def running(self, key: str) -> Path:
        """Where it is made: checkpoints, and `artifact/`, which is moved when whole."""
        return self.workdir / "running" / key[:20]

    def done(self, key: str) -> bool:
        """Whether the artifact is there."""
        return (self.folder(key) / MANIFEST).is_file()

    def stored(self) -> list[str]:
        """The short keys of all artifacts."""
        return sorted(
            p.parent.name for p in self.workdir.glob(f"artifacts/*/{MANIFEST}")
        )

    def manifest(self, key: str) -> dict[str, Any]:
        """What made it; Damaged where its bytes are not those written."""
        return read_manifest(self.folder(key))

    def verify(self, key: str, weights: bool = True) -> None:
        """Damaged naming the file if a byte of the artifact has changed."""
        verify(self.folder(key), weights=weights)

    def start(self, key: str) -> Path:
        """The `artifact/` folder to fill; may hold what an interrupted try left."""
        folder = self.running(key) / "artifact"
        folder.mkdir(parents=True, exist_ok=True)
        (self.running(key) / ERROR).unlink(missing_ok=True)
        return folder

    def finish(self, key: str, manifest: dict[str, Any]) -> None:
        """From here on the artifact exists."""
        publish(self.running(key) / "artifact", self.folder(key), manifest)
        shutil.rmtree(self.running(key), ignore_errors=True)

    def fail(self, key: str, error: str, state: str = "failed") -> None:
        """Leaves the reason beside what was done so far; state: failed or diverged.

        Of a finished artifact: why it may not be used.
        """
        value = {"error": error, "state": state, "when": now()}
        records.write_json(self.running(key) / ERROR, value)

    def accept(self, key: str) -> None:
        """The artifact is there and right: what an earlier run held against it goes,
        and what one killed just after the rename left.
        """
        shutil.rmtree(self.running(key), ignore_errors=True)

    def failure(self, key: str) -> dict[str, str] | None:
        """{error, state} of the last try of this stage, if it failed."""
        path = self.running(key) / ERROR
        if not path.is_file():
            return None
        return {"state": "failed"} | records.read_json(path)

    def diverged(self, key: str) -> str | None:
        """Why this stage diverged, if it did: the same again would do so again."""
        failure = self.failure(key) or {"state": "", "error": None}
        return failure["error"] if failure["state"] == "diverged" else None

    def unfinished(self) -> list[str]:
        """The short keys of all that was begun and is no artifact."""
        folders = (p.name for p in self.workdir.glob("running/*") if p.is_dir())
        return sorted(set(folders) - set(self.stored()))

    def remove(self, key: str) -> None:
        """Deletes an artifact and what may be left of its making."""
        folder = self.folder(key)
        (folder / MANIFEST).unlink(missing_ok=True)  # no longer an artifact from here
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.running(key), ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, name: str, doing: str) -> Iterator[None]:
        """Exclusive among processes; Busy naming the holder if it is taken."""
        path = self.workdir / "locks" / f"{name}.lock"
        with writable(self.workdir):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+")  # noqa: SIM115 (closed below)
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise errors.Busy(
                    f"{self.workdir}: {doing} is already under way ({holder}). Fix: "
                    "wait for it, stop it, or use another --workdir."
                ) from None
            file.truncate(0)
            file.write(
                f"process {os.getpid()} on {socket.gethostname()}, since {now()}"
            )
            file.flush()
            yield


def publish(folder: Path, final: Path, manifest: dict[str, Any]) -> None:
    """Sums, manifest, one rename: `folder` becomes the artifact `final`.

    Each is on the disk before the next is written, so that after a power cut a manifest
    speaks of files that are there.
    """
    (folder / MANIFEST).unlink(missing_ok=True)  # of a try killed before the rename
    for scratch in folder.rglob(records.SCRATCH):  # or in the middle of a file
        scratch.unlink()
    sums = hashing.folder_sums(folder)
    durable.sync_folder(folder)
    records.write_sealed(folder / MANIFEST, manifest | {"files": sums})
    durable.sync(folder)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():  # without a manifest: what a crashed copy left
        shutil.rmtree(final)
    os.rename(folder, final)
    for holder in (final.parent, final.parent.parent):
        durable.sync(holder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact folder; UserError where there is none."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise errors.UserError(
            f"{folder}: not an artifact, it has no {MANIFEST}. Artifacts are the "
            "folders in WORKDIR/artifacts; `python -m jaxseg.artifacts list "
            "--workdir=WORKDIR` shows them."
        )
    manifest = records.read_sealed(path, fix=remedy(folder))
    if manifest.get("schema") != 1:
        raise errors.UserError(
            f"{path}: schema {manifest.get('schema')}, this version reads 1"
        )
    return manifest


def verify(folder: Path, weights: bool = True) -> None:
    """Damaged naming the first file whose bytes changed; `weights` may be left out."""
    sums = read_manifest(folder)["files"]
    if not weights:
        sums = {n: s for n, s in sums.items() if not n.startswith("weights/")}
    checkpoint.check_sums(folder, sums, fix=remedy(folder))


def remedy(folder: Path) -> str:
    """What to do about a damaged artifact."""
    folder = Path(folder)
    return (
        f"Fix: `python -m jaxseg.artifacts remove {folder.name} "
        f"--workdir={folder.parent.parent}`, then run the same command again."
    )


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into one message."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full. Fix: free space; finished stages are safe",
            errno.EDQUOT: "the disk quota is used up. Fix: free space",
            errno.EFBIG: "a file grew over the allowed size. Fix: raise `ulimit -f`",
            errno.EROFS: "the file system is read-only. Fix: another --workdir",
            errno.EACCES: "no permission to write. Fix: another --workdir",
            errno.EPERM: "no permission to write. Fix: another --workdir",
            errno.ENOTDIR: "a part of this path is a file. Fix: another --workdir",
            errno.EEXIST: "a file is in the way. Fix: another --workdir",
        }
        if error.errno not in reasons:
            raise
        where, own = Path(error.filename or path).absolute(), Path(path).absolute()
        if not where.is_relative_to(own) and not own.is_relative_to(where):
            raise errors.UserError(f"{where}: {error.strerror}.") from error
        raise errors.UserError(f"{where}: {reasons[error.errno]} ({error}).") from error


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def size(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
