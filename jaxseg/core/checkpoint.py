"""Trees of arrays on disk through Orbax, with a checksum beside every file.

Orbax writes while the caller goes on. Of several processes that work together each
writes and reads what its devices have of an array, and the sums of its own files; they
share the folder that process 0 names. A tree saved on some devices loads on others.

Orbax restores a flipped byte without an error: callers compare sums first. Its
CheckpointManager would delete older checkpoints before there are sums of the new one,
and would not fall back to them: `Checkpoints` does both.
"""

import copy
import errno
import functools
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxseg.core import durable, errors, hashing, jsonl

META = "meta.json"  # written last: without it a checkpoint is not complete
STATE = "state"  # folder of its arrays
BESIDE = 2**20  # bytes that Orbax needs in addition to the arrays
SHARED = 2**20  # bytes: from here on processes that have equal arrays write parts each


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


class Writing(NamedTuple):
    """Arrays on their way to `folder`; see `begin` and `finish`."""

    folder: Path
    checkpointer: Any


def save_tree(folder: Path, tree: Mapping[str, Any]) -> None:
    """Writes a nested dict of arrays, in place of what a killed try left.

    Of several processes that work together each writes its parts; it returns on all
    once the whole is there.
    """
    finish(begin(folder, tree))


def begin(folder: Path, tree: Mapping[str, Any]) -> Writing:
    """`save_tree` up to the point where the arrays of `tree` may change; each of
    several processes calls it. Its folder is that of process 0.
    """
    import orbax.checkpoint as ocp  # takes half a second to import

    tree = _hosts().fetched(tree)
    folder = Path(_hosts().first(lambda: _cleared(folder, tree)))
    given = _processes(folder)
    writer = ocp.AsyncCheckpointer(_handler(given), multiprocessing_options=given)
    writer.save(folder, args=ocp.args.PyTreeSave(tree))
    return Writing(folder, writer)


def finish(writing: Writing) -> None:
    """Returns once what `begin` started is on disk, by all processes."""
    try:
        writing.checkpointer.close()
    except ValueError as error:  # so Orbax reports errors of the disk
        number = re.search(r"os_error_code='(\d+)'", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), str(error), str(writing.folder)) from error


def restore_tree(folder: Path, like: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The nested dict of arrays that `save_tree` wrote; it checks no sums.

    like: the same dict of jax.ShapeDtypeStruct: arrays on the devices that their
    shardings name; of several processes that work together each calls it, and reads
    what its devices need. None: NumPy.
    """
    import jax
    import orbax.checkpoint as ocp

    shared = like is not None and _hosts().shard()[1] > 1
    given = _processes(folder if shared else None)
    reader = ocp.Checkpointer(_handler(given), multiprocessing_options=given)
    if shared:
        wanted = ocp.checkpoint_utils.construct_restore_args(like)
        arguments = ocp.args.PyTreeRestore(like, restore_args=wanted)
        return reader.restore(folder.absolute(), args=arguments)
    tree = reader.restore(folder.absolute(), args=ocp.args.PyTreeRestore())
    if like is None:
        return tree
    return jax.device_put(tree, jax.tree.map(lambda leaf: leaf.sharding, like))


def shapes(folder: Path) -> dict[str, Any]:
    """The nested dict that `save_tree` wrote, with leaves that have only `shape` and
    `dtype`.
    """
    import orbax.checkpoint as ocp

    given = _processes(None)
    reader = ocp.Checkpointer(_handler(given), multiprocessing_options=given)
    return reader.metadata(folder.absolute()).item_metadata.tree


class Checkpoints:
    """Checkpoints of one running stage: a thread writes, the newest `keep` stay.

    Each is a folder `step_00000123/` with `state/` (Orbax) and `meta.json` (the values
    of the caller, and checksums), which is written last. Of several processes that work
    together all call the same methods; the folder is that of process 0.
    """

    def __init__(self, folder: Path, keep: int = 2):
        self.folder, self.keep = folder, keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, step: int, tree: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Starts to write `tree` and `meta`, after the last save ended; both may change
        once it returns.
        """
        self.wait()
        path = self.folder / f"step_{step:08d}"
        shutil.rmtree(path, ignore_errors=True)
        meta = copy.deepcopy(dict(meta)) | {"step": step}
        arguments = (begin(path / STATE, tree), meta)
        self._thread = threading.Thread(target=self._write, args=arguments)
        self._thread.start()

    def wait(self) -> None:
        """Returns when the last save is on disk, as far as this process writes it;
        raises the error that it had.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def restore(
        self, like: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """(tree, meta) of the newest undamaged checkpoint; None where there is none.

        like: as for `restore_tree`.
        """
        hosts = _hosts()
        for path in map(Path, hosts.first(self._newest)):
            meta, damage = _examined(path)
            damage = next(filter(None, hosts.every(damage)), None)
            if damage is None:
                return restore_tree(path / STATE, like), meta
            logging.warning("%s Falling back to the checkpoint before it.", damage)
        return None

    def forget(self, after: int) -> None:
        """Deletes checkpoints of later steps: damaged, or of an earlier try."""
        for path in self.folder.glob("step_*"):
            if int(path.name.removeprefix("step_")) > after:
                shutil.rmtree(path)

    def _write(self, writing: Writing, meta: dict[str, Any]) -> None:
        try:
            hosts, path = _hosts(), writing.folder.parent
            finish(writing)
            sums = hashing.folder_sums(path, own=_is_own)
            durable.sync_folder(path)
            parts = hosts.collected(f"sums/{path}", sums)
            if not hosts.leads():
                return
            files = {name: digest for part in parts for name, digest in part.items()}
            jsonl.write_sealed(path / META, meta | {"files": files})
            for holder in (path, self.folder):  # before older ones are deleted
                durable.sync(holder)
            for old in self._finished()[: -self.keep]:
                shutil.rmtree(old)
        except BaseException as error:  # handed to the caller by `wait`
            self._error = error

    def _newest(self) -> list[str]:
        return [str(path.absolute()) for path in reversed(self._finished())]

    def _finished(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob(f"step_*/{META}"))


def _examined(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """(meta, damage) of a checkpoint; each process reads a share of the files."""
    try:
        meta = jsonl.read_sealed(path / META)
        names = _hosts().own_share(sorted(meta["files"]))
        check_sums(path, {name: meta["files"][name] for name in names})
    except errors.Damaged as error:
        return None, str(error)
    return meta, None


def _is_own(name: str) -> bool:
    """Whether this process sums a file: its own ones; process 0 those of nobody."""
    number = re.search(r"process_(\d+)/", name)
    place, total = _hosts().shard()
    return total == 1 or place == (int(number[1]) if number else 0)


def _cleared(folder: Path, tree: Mapping[str, Any]) -> str:
    """The absolute path, where nothing is now and the arrays have room."""
    unfinished = folder.parent.glob(f"{folder.name}.orbax-checkpoint-tmp*")
    for left in filter(Path.exists, [folder, *unfinished]):
        shutil.rmtree(left)
    _reserve(folder.parent, _num_bytes(tree) + BESIDE)
    return str(folder.absolute())


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


def _processes(shared: Path | None) -> Any:
    """Who takes part, as Orbax wants it: those that work together on the folder
    `shared`, or this process alone, which then waits for no other.

    With processes named Orbax's barriers are those of the coordination service: on
    devices they would come between the operations of a training step.
    """
    from orbax.checkpoint import options

    place, total = _hosts().place(), _hosts().shard()[1]
    if shared is None or total == 1:
        first, every, name = place, {place}, f"own{place}"
    else:
        first, every, name = 0, set(range(total)), str(shared)
    return options.MultiprocessingOptions(
        primary_host=first, active_processes=every, barrier_sync_key_prefix=name
    )


def _handler(processes: Any) -> Any:
    import orbax.checkpoint as ocp

    return ocp.PyTreeCheckpointHandler(
        multiprocessing_options=processes, type_handler_registry=_types()
    )


@functools.cache
def _types() -> Any:
    """How Orbax writes arrays: the same files whether NumPy or parts on devices, so
    that whoever reads them need not know how many processes wrote.
    """
    import jax
    import numpy as np
    from orbax.checkpoint import type_handlers

    class Parts(type_handlers.ArrayHandler):
        def typestr(self) -> str:
            return numbers.typestr()

    numbers = type_handlers.NumpyHandler(deepcopy_host_arrays=False)
    parts = Parts(
        enable_write_sharding_file=False,
        use_replica_parallel=True,
        min_slice_bytes_for_replica_parallel=SHARED,
    )
    return type_handlers.create_type_handler_registry(
        (jax.Array, parts), (np.ndarray, numbers)
    )


def _hosts() -> Any:
    from jaxseg.core import hosts  # loads JAX: a report does without

    return hosts
