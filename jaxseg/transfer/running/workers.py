"""Who makes the stages of a run: this process, or several side by side.

A small network gains little from a second core. Trainings side by side, each on a core
of its own, end sooner than one after another on all cores.
"""

import collections
import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any

import jax

from jaxseg.core import command, compiled, errors, hosts
from jaxseg.train import hooks
from jaxseg.transfer import store as stores
from jaxseg.transfer.running import status
from jaxseg.transfer.stage import Stage, kind

MOST = 4  # by default: each worker has a network, its data and its programs in memory
POLL = 0.2  # seconds between looks at whether to stop, and between moves of a bar
LOOKED_AT = 64  # stages that may begin, among which a worker chooses
# XLA allocates a program's temporary memory anew at each call. In pages of 2 MiB a
# worker takes a tenth less processor time; glibc reads this when a process begins.
HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
DEAD = EOFError, BrokenPipeError, ConnectionResetError  # of the other end of a pipe
STOPS = signal.SIGINT, signal.SIGTERM
Ended = tuple[Stage, str, str]  # state and text; the state "interrupted" as well
Make = Callable[..., tuple[str, str]]


class Here:
    """This process, with all cores: one stage at a time."""

    def __init__(self, make: Make):
        """make(stage, again) gives (state, text)."""
        self.make, self._last = make, list[Ended]()

    @property
    def running(self) -> Collection[str]:
        """Keys of what has begun and is not in `ended` yet."""
        return [one.key for one, *_ in self._last]

    def pick(self, ready: Iterable[Stage]) -> Stage | None:
        """The one of those that may begin that should; None: there is none, or no hand
        is free.
        """
        return None if self._last else next(iter(ready), None)

    def begin(self, one: Stage, again: bool) -> None:
        """Begins the stage that was picked."""
        self._last.append((one, *self.make(one, again)))

    def ended(self) -> Iterator[Ended]:
        """Those that have ended since, one at least."""
        yield self._last.pop()


class Workers:
    """Processes, each with a share of the cores and one stage at a time.

    They end with this process, however it ends; a request to stop is passed on.
    """

    def __init__(
        self,
        count: int,
        stages: Sequence[Stage],
        make: Make,
        store: stores.Store,
        watcher: status.Watcher,
        interrupted: Callable[[], bool],
    ):
        """make(stage, store, watcher, interrupted, again) gives (state, text); it is
        sent to the processes, so it has to be a function of a module.
        """
        self.given = list(stages), make, store.workdir
        self.names = {one.name: one for one in stages}
        self.store, self.watcher, self.interrupted = store, watcher, interrupted
        cores = sorted(os.sched_getaffinity(0))
        self.workers = [_Worker(cores[i::count], self.given) for i in range(count)]
        self.next = self.workers[0]  # that `pick` has chosen a stage for
        self.stopping = False

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: Any) -> None:
        for worker in self.workers:
            worker.pipe.close()
            worker.process.join(POLL)
            worker.process.kill()  # one still busy: after an error, or a second Ctrl-C

    @property
    def running(self) -> Collection[str]:
        """As of `Here`."""
        return [one.key for worker in self.workers for one in worker.makes]

    def pick(self, ready: Iterable[Stage]) -> Stage | None:
        """One whose program a free worker has; else one whose program no other worker
        has or compiles; else the first.
        """
        free = [worker for worker in self.workers if not worker.makes]
        if self.running and self.interrupted():
            return None
        found = list(itertools.islice(ready, LOOKED_AT)) if free else []
        if not found:
            return None
        has = lambda worker, one: _program(one) in worker.programs
        chosen = [(w, one) for w in free for one in found if has(w, one)]
        chosen += [
            (free[0], one)
            for one in found
            if not any(has(worker, one) for worker in self.workers)
        ]
        self.next, one = [*chosen, (free[0], found[0])][0]
        return one

    def begin(self, one: Stage, again: bool) -> None:
        """Sends the stage to the worker that it was picked for."""
        if not self.next.process.is_alive():
            self.next = self._replaced(self.next)
        self.next.programs.add(_program(one))
        self.next.makes.append(one)
        with contextlib.suppress(*DEAD):  # seen in `ended`
            self.next.pipe.send((one.name, again))

    def ended(self) -> Iterator[Ended]:
        """Passes on what workers show until a stage has ended."""
        busy = {worker.pipe: worker for worker in self.workers if worker.makes}
        while True:
            if self.interrupted() and not self.stopping:
                self.stopping = True
                for pipe in busy:
                    with contextlib.suppress(*DEAD):  # seen below
                        pipe.send(None)
            for pipe in connection.wait(list(busy), POLL):
                worker = busy[pipe]
                try:
                    what, name, *more = pipe.recv()
                except DEAD:
                    yield self._lost(worker)
                    return
                one = self.names[name]
                if what == "ended":
                    worker.makes.clear()
                    yield (one, *more)
                    return
                getattr(self.watcher, what)(one, *more)

    def _lost(self, worker: "_Worker") -> Ended:
        """The stage of a process that has died, which another one replaces."""
        worker.process.join()
        [one] = worker.makes
        code = worker.process.exitcode
        why = "as where the memory is full" if code == -signal.SIGKILL else "see above"
        text = (
            f"{one.name}: its process ended with code {code}, {why}. Fix: --jobs=1, or "
            "smaller batches"
        )
        with stores.writable(self.store.workdir):
            self.store.fail(one.key, text)
        if not self.stopping:
            self._replaced(worker)
        return one, "failed", text

    def _replaced(self, worker: "_Worker") -> "_Worker":
        """A new process in place of one that has ended."""
        place = self.workers.index(worker)
        self.workers[place] = _Worker(worker.cores, self.given)
        return self.workers[place]


@contextlib.contextmanager
def makers(
    count: int, stages: Sequence[Stage], make: Make, *given: Any
) -> Iterator[Here | Workers]:
    """`Here` for one at a time, else `Workers`; arguments as those of `Workers`."""
    if count == 1:
        yield Here(lambda one, again: make(one, *given, again))
        return
    with Workers(count, stages, make, *given) as workers:
        yield workers


class _Worker:
    """A process, what it makes now, and the programs that it has in memory."""

    def __init__(self, cores: Sequence[int], given: tuple[Any, ...]):
        self.cores, self.makes, self.programs = cores, list[Stage](), set[Any]()
        context = multiprocessing.get_context("spawn")  # JAX has threads: no fork
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, *given))
        before = os.sched_getaffinity(0)
        os.environ.setdefault(*HUGE_PAGES)
        # Inherited: libraries count cores when loaded; a Ctrl-C, which a terminal gives
        # to all, waits until `_work` lets it pass.
        os.sched_setaffinity(0, cores)
        resource_tracker.ensure_running()  # which else unblocks them within `start`
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            self.process.start()
        finally:
            os.sched_setaffinity(0, before)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        other.close()


class _Relay(status.Watcher):
    """Passes on what is shown to the process that shows it."""

    def __init__(self, pipe: connection.Connection):
        self.pipe, self.moved = pipe, 0.0

    def progress(self, one: Stage, done: int, of: int, text: str) -> None:
        if time.monotonic() - self.moved > POLL:
            self.moved = time.monotonic()
            self.pipe.send(("progress", one.name, done, of, text))

    def note(self, one: Stage, text: str) -> None:
        self.pipe.send(("note", one.name, text))


def _work(
    pipe: connection.Connection, stages: Sequence[Stage], make: Make, workdir: Path
) -> None:
    """Makes what it is sent, until it is sent None or nobody is left to send."""
    for number in STOPS:  # the process that shows passes them on
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format=command.LOGGED)
    compiled.use_cache()
    names, store = {one.name: one for one in stages}, stores.Store(workdir)
    while order := _received(pipe):
        name, again = order
        try:
            stop = pipe.poll  # whatever comes before the stage has ended
            state, text = make(names[name], store, _Relay(pipe), stop, again)
        except hooks.Interrupted as stopped:
            state, text = "interrupted", str(stopped)
        pipe.send(("ended", name, state, text))


def _received(pipe: connection.Connection) -> Any:
    try:
        return pipe.recv()
    except DEAD:
        return None


def _end_with_parent() -> None:
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _program(one: Stage) -> Any:
    """Equal for stages that share compiled programs, as far as a plan can know."""
    return kind(one.kind).weights(one.spec)


def count(asked: int | None, plan: Sequence[Stage]) -> int:
    """How many processes make the stages of a plan; asked: `--jobs`, None: by default.

    By default one where there is an accelerator, where cores cannot be shared out, or
    where no two stages can run at once; else one for each core, up to MOST. What is
    done already does not count: a stage that goes on finds as many cores as before, and
    so the same digits.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else 1
    if hosts.count() > 1 or jax.default_backend() != "cpu" or jax.device_count() > 1:
        cores = 1
    if asked is not None and not 1 <= asked <= cores:
        raise errors.UserError(
            f"--jobs: found {asked}, allowed: 1 to {cores}, a core of a CPU for each; "
            "1 with an accelerator, several devices or several hosts. Fix: leave it, "
            "and JAXSEG_JOBS, out"
        )
    return asked or min(cores, MOST, _width(plan))


def _width(plan: Sequence[Stage]) -> int:
    """The most stages that are as far from the first."""
    level: dict[str, int] = {}
    for one in plan:  # parents first
        own = [level[name] for name in one.parent_names.values()]
        level[one.name] = max(own, default=-1) + 1
    return max(collections.Counter(level.values()).values())
