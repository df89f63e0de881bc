"""Artifacts on disk by key: whole or not there, locked while made, with checksums."""

import contextlib
import datetime
import errno
import fcntl
import functools
import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import durable, errors, hashing, jsonl, outcomes
from jaxseg.core import manifest as manifests

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


class Store:
    """`WORKDIR/artifacts/<key[:20]>/` once done, `WORKDIR/running/...` before."""

    def __init__(self, workdir: Path | str):
        self.workdir = Path(workdir)

    def folder(self, key: str) -> Path:
        """Where the artifact is, or will be."""
        return self.workdir / manifests.FOLDER / key[:20]

    def running(self, key: str) -> Path:
        """Where it is made: checkpoints, and `artifact/`, which is moved when whole."""
        return self.workdir / "running" / key[:20]

    def done(self, key: str) -> bool:
        """Whether the artifact is there."""
        return manifests.exists(self.folder(key))

    def stored(self) -> list[str]:
        """The short keys of all artifacts."""
        return [name for name in self.folders() if self.done(name)]

    def folders(self) -> list[str]:
        """The names of all artifact folders, with a manifest or without."""
        folders = self.workdir.glob(f"{manifests.FOLDER}/*")
        return sorted(path.name for path in folders if path.is_dir())

    def manifest(self, key: str) -> dict[str, Any]:
        """What made it; Damaged where its bytes are not those written."""
        return manifests.read(self.folder(key))

    def verify(self, key: str, weights: bool = True) -> dict[str, Any]:
        """The manifest; Damaged naming the file if a byte of the artifact changed."""
        return manifests.check(self.folder(key), weights=weights)

    def start(self, key: str) -> Path:
        """The `artifact/` folder to fill; may hold what an interrupted try left."""
        folder = self.running(key) / "artifact"
        folder.mkdir(parents=True, exist_ok=True)
        (self.running(key) / outcomes.ERROR).unlink(missing_ok=True)
        return folder

    def finish(self, key: str, manifest: dict[str, Any]) -> None:
        """Publishes the artifact: it exists once this returns."""
        publish(self.running(key) / "artifact", self.folder(key), manifest)
        shutil.rmtree(self.running(key), ignore_errors=True)

    def fail(self, key: str, error: str, state: str = "failed") -> None:
        """Leaves the reason beside what was done so far; state: failed or diverged.

        Of a finished artifact: why it may not be used.
        """
        outcomes.note(self.running(key), error, state, now())

    def accept(self, key: str) -> None:
        """Deletes the error that an earlier run noted, and what a kill just after the
        rename left: the artifact is there and sound.
        """
        shutil.rmtree(self.running(key), ignore_errors=True)

    def failure(self, key: str) -> dict[str, str] | None:
        """{error, state} of the last try of this stage, if it failed."""
        try:
            return outcomes.noted(self.running(key))
        except errors.Damaged as error:  # the next try writes it anew
            return {"error": str(error), "state": "failed"}

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
        manifests.remove(folder)  # no longer an artifact from here
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.running(key), ignore_errors=True)

    def dropped(self, key: str) -> bool:
        """Whether the artifact is there without its weights; a damaged one is not."""
        try:
            return self.done(key) and manifests.dropped(self.manifest(key))
        except errors.Damaged:
            return False

    def drop(self, key: str) -> None:
        """Deletes the weights of an artifact.

        The manifest says so first: after a kill in between the artifact is whole, and
        the next call deletes what is left.
        """
        folder, manifest = self.folder(key), self.manifest(key)
        if any(name.startswith(manifests.WEIGHTS) for name in manifest["files"]):
            manifest = manifests.without_weights(manifest)
            manifests.write(folder, manifest)
            durable.sync(folder)
        weights = folder / manifests.WEIGHTS
        if manifests.dropped(manifest) and weights.exists():
            shutil.rmtree(weights)

    @contextlib.contextmanager
    def lock(self, name: str, doing: str) -> Iterator[None]:
        """Exclusive among processes; Busy naming the holder if it is taken."""
        path = self.workdir / "locks" / f"{name}.lock"
        with writable(self.workdir):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+", errors="replace")  # noqa: SIM115 (closed below)
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
            holder = f"process {os.getpid()} on {socket.gethostname()}, since {now()}"
            with writable(self.workdir):
                file.truncate(0)
                os.write(file.fileno(), holder.encode())  # a refusal leaves nothing
            yield


def publish(folder: Path, final: Path, manifest: dict[str, Any]) -> None:
    """Sums, manifest, one rename: `folder` becomes the artifact `final`.

    Each is on the disk before the next is written, so that after a power cut a manifest
    speaks of files that are there.
    """
    manifests.remove(folder)  # of a try killed before the rename
    for scratch in folder.rglob(jsonl.SCRATCH):  # or in the middle of a file
        scratch.unlink()
    sums = hashing.folder_sums(folder)
    durable.sync_folder(folder)
    manifests.write(folder, manifest | {"files": sums})
    durable.sync(folder)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():  # without its weights, or what a crashed copy left
        manifests.remove(final)
        shutil.rmtree(final)
    os.rename(folder, final)
    for holder in (final.parent, final.parent.parent):
        durable.sync(holder)


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


@functools.cache
def packages() -> dict[str, str]:
    """{package: version} of all that can move a number, and Python's."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return versions | {
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def environment(devices: str) -> dict[str, Any]:
    """What decides the last digits of a training: cores in use, devices, packages."""
    affinity = getattr(os, "sched_getaffinity", None)  # none on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return {"cores": cores, "devices": devices, **packages()}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How an environment differs from one before, in words; "" where it does not."""
    names = {**before, **now}
    return ", ".join(
        f"{name} {now.get(name)} (was {before.get(name)})"
        for name in names
        if now.get(name) != before.get(name)
    )


@functools.cache
def code() -> dict[str, Any]:
    """Git revision of the checkout, and whether it differs; None outside one."""
    here = Path(__file__).parent
    revision = _git(here, "rev-parse", "HEAD")
    changes = _git(here, "status", "--porcelain", "--", ".")
    return {"revision": revision, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
