"""Trees of arrays on disk through Orbax, with a checksum beside every file.

Orbax restores a flipped byte without an error: callers compare sums first.
Arrays are written as NumPy: a tree saved on eight devices loads on one, and back.
"""

import copy
import errno
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import durable, errors, hashing, jsonl

META = "meta.json"  # written last: without it a checkpoint is not complete
BESIDE = 2**20  # bytes that Orbax needs in addition to the arrays


def check_sums(folder: Path, sums: Mapping[str, str], fix: str = "") -> None:
    """Raises Damaged with the first file of `sums` that is missing or changed."""
    for name, expected in sums.items():
        path = Path(folder) / name
        try:
            found = hashing.file_sum(path) if path.is_file() else "no such file"
        except OSError as error:  # a bad sector, or no permission
            found = error.strerror
        if found != expected:
            found = f"{found[:16]}..." if len(found) == len(expected) else found
            raise errors.Damaged(
                f"{path}: damaged. SHA-256 expected {expected[:16]}..., found {found}. "
                f"{fix}".rstrip()
            )


def save_tree(folder: Path, tree: Mapping[str, Any]) -> None:
    """Writes a nested dict of arrays with Orbax, in place of what a killed try left.

    Of several processes, which have equal arrays, process 0 alone writes.
    """
    if not _hosts().leads():
        return
    for left in folder.parent.glob(f"{folder.name}*"):  # Orbax's unfinished ones too
        shutil.rmtree(left)
    tree = _numpy(tree)
    _reserve(folder.parent, _num_bytes(tree) + BESIDE)
    try:
        _orbax().save(folder.absolute(), tree)
    except ValueError as error:  # so Orbax reports errors of the disk
        number = re.search(r"os_error_code='(\d+)'", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error), str(folder)) from error


def restore_tree(folder: Path) -> dict[str, Any]:
    """The nested dict of NumPy arrays that `save_tree` wrote; it checks no sums."""
    return _orbax().restore(folder.absolute())


def shapes(folder: Path) -> dict[str, Any]:
    """The nested dict that `save_tree` wrote, with leaves that have only `shape` and
    `dtype`.
    """
    return _orbax().metadata(folder.absolute()).item_metadata.tree


class Checkpoints:
    """Checkpoints of one running stage: a thread writes, the newest `keep` stay.

    Each is a folder `step_00000123/` with `state/` (Orbax) and `meta.json` (the values
    of the caller, and checksums), which is written last.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self.folder, self.keep = folder, keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, step: int, tree: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Starts to write a copy of `tree` and `meta`, after the last save ended.

        As `save_tree`, on process 0 alone.
        """
        if not _hosts().leads():
            return
        self.wait()
        # The caller changes its lists while the thread still writes.
        arguments = (step, _numpy(tree), copy.deepcopy(dict(meta)))
        self._thread = threading.Thread(target=self._write, args=arguments)
        self._thread.start()

    def wait(self) -> None:
        """Returns when the last save is on disk; raises the error that it had."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def restore(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """(tree, meta) of the newest undamaged checkpoint; None where there is none."""
        for path in reversed(self._finished()):
            try:
                meta = jsonl.read_sealed(path / META)
                check_sums(path, meta["files"])
            except errors.Damaged as error:
                logging.warning("%s Falling back to the checkpoint before it.", error)
                continue
            return restore_tree(path / "state"), meta
        return None

    def forget(self, after: int) -> None:
        """Deletes checkpoints of later steps: damaged, or of an earlier try."""
        for path in self.folder.glob("step_*"):
            if int(path.name.removeprefix("step_")) > after:
                shutil.rmtree(path)

    def _write(self, step: int, tree: Mapping[str, Any], meta: dict[str, Any]) -> None:
        try:
            path = self.folder / f"step_{step:08d}"
            shutil.rmtree(path, ignore_errors=True)
            save_tree(path / "state", tree)
            sums = hashing.folder_sums(path)
            durable.sync_folder(path)
            jsonl.write_sealed(path / META, meta | {"step": step, "files": sums})
            for holder in (path, self.folder):  # before older ones are deleted
                durable.sync(holder)
            for old in self._finished()[: -self.keep]:
                shutil.rmtree(old)
        except BaseException as error:  # handed to the caller by `wait`
            self._error = error

    def _finished(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob(f"step_*/{META}"))


def _reserve(folder: Path, count: int) -> None:
    """OSError where `count` bytes do not fit; Orbax would print ten tracebacks."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, count)
        elif shutil.disk_usage(folder).free < count:  # macOS
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _num_bytes(tree: Mapping[str, Any]) -> int:
    return sum(
        _num_bytes(value) if isinstance(value, Mapping) else value.nbytes
        for value in tree.values()
    )


def _numpy(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _numpy(value) if isinstance(value, Mapping) else np.asarray(value)
        for key, value in tree.items()
    }


def _orbax() -> Any:
    import orbax.checkpoint as ocp  # takes a second to import

    if _hosts().count() == 1:
        return ocp.PyTreeCheckpointer()
    own = _hosts().place()  # it would wait for the other processes
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"own{own}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _hosts() -> Any:
    from jaxseg.core import hosts  # loads JAX: a report does without

    return hosts
