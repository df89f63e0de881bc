"""Makes numbered items ahead of the caller, in threads (grain) or in processes."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import process
from typing import Any

import grain

from jaxseg.core import errors

ENDLESS = 2**48  # examples; sys.maxsize overflows inside grain


def ahead(
    make: Callable[[int], Any],
    start: int,
    what: str,
    *,
    threads: int,
    workers: int,
    prefetch: int,
) -> Iterator[Any]:
    """make(start), make(start + 1), ... of `what`, in order, ahead of the caller."""
    if workers:
        return _in_processes(make, start, what, workers, prefetch)
    numbers = grain.MapDataset.range(ENDLESS)[start:]
    return in_threads(numbers.map(make), threads, prefetch)


def _in_processes(
    make: Callable[[int], Any], start: int, what: str, workers: int, prefetch: int
) -> Iterator[Any]:
    """As `in_threads`; grain's own processes need command-line flags to be parsed."""
    pool = futures.ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context(
            "spawn"
        ),  # a fork of a process with threads may hang
        initializer=_keep,
        initargs=(make,),
    )
    pending: list[futures.Future] = []
    try:
        for number in itertools.count(start):
            later = range(number + len(pending), number + workers + prefetch + 1)
            pending += [pool.submit(_make, other) for other in later]
            yield pending.pop(0).result()
    except process.BrokenProcessPool as error:
        raise errors.UserError(
            f"{what}: a process that made batches, now number {number} and on, ended: "
            "most likely killed by the system, out of memory. Fix: fewer run/workers "
            f"(found {workers}; 0: threads), a smaller batch_size or size; the same "
            "command goes on from the last checkpoint."
        ) from error
    finally:  # the caller may stop anywhere
        pool.shutdown(cancel_futures=True)


_kept: list[
    Callable[[int], Any]
] = []  # in a worker process: the function it was started for


def _keep(make: Callable[[int], Any]) -> None:
    _kept[:] = [make]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent saves first
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends a worker when its parent is killed, which cannot stop its workers."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _make(number: int) -> Any:
    return _kept[0](number)


def in_threads(batches: grain.MapDataset, threads: int, prefetch: int) -> Iterator[Any]:
    """The batches in order, made ahead of the caller by `threads` threads."""
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    iterator = iter(batches.to_iter_dataset(options))
    mistake = errors.UserError  # modules may be gone when the interpreter ends this
    try:
        yield from iterator
    except mistake as error:  # without grain's additions to the traceback
        raise mistake(str(error)) from error.__cause__
    finally:  # the caller may stop anywhere
        iterator.close()
