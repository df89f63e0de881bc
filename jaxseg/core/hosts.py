"""Processes on one or many hosts that run one command (jax.distributed).

Process 0 leads: it alone decides, locks, writes and reports. It works alone, on its own
devices, but within `together` all processes work on one thing, on all devices.

What they tell each other goes through JAX's coordination service, not through devices:
a wait costs no device time and has no limit. It ends all processes once the heartbeat
of one is missing.
"""

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import serialization
from jax._src import distributed  # only there: the client that has been connected
from jax.experimental import multihost_utils

from jaxseg.core import errors

GRACE = 20  # seconds that a process which failed waits for the others
FOREVER = 10**6  # seconds
AHEAD = 2  # steps, see `Stop`
KNOWN = "known_to_all"  # attribute of an error that all processes raise
_numbers = itertools.count()  # of messages: all processes send and take them in order
_sent: list[str] = []  # names of messages of process 0 that are not deleted yet
_working: list[bool] = []  # not empty within `together`


def place() -> int:
    """The number of this process, from 0; no device is touched."""
    return distributed.global_state.process_id or 0


def count() -> int:
    """How many processes run the command."""
    return distributed.global_state.num_processes or 1


def leads() -> bool:
    """Whether this is process 0, or the only one."""
    return place() == 0


def shard() -> tuple[int, int]:
    """(place, count) of the processes that work together now, else (0, 1)."""
    return (place(), count()) if _working else (0, 1)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """All processes work on one thing inside it. What one raises, all raise.

    One that fails while others wait for its devices cannot tell them: after GRACE it
    ends its process, and so all of them.
    """
    if count() == 1:
        yield
        return
    with agreeing(limit=GRACE):
        _working.append(True)
        try:
            yield
        finally:
            _working.pop()


@contextlib.contextmanager
def agreeing(limit: int = FOREVER) -> Iterator[None]:
    """What one process raises inside it, all raise: their own error if they have one.

    limit: the seconds that a process which failed waits for the others.
    """
    if count() == 1:
        yield
        return
    before, failure = sys.exception(), None
    try:
        yield
    except Exception as error:
        if _is_known(error, before):
            raise
        failure = error
    _round(None, failure, limit)


def first(make: Callable[[], Any]) -> Any:
    """What `make()` returns or raises on process 0, on all that work together.

    It returns dicts, lists, text, numbers, None and arrays. All that depends on files
    is decided so, and all that may differ in the last digit from host to host.
    """
    if shard()[1] == 1:
        return make()
    value = failure = None
    try:
        value = make() if leads() else None
    except Exception as error:
        failure = error
    return _round(value, failure)[0]


def every(value: Any) -> list[Any]:
    """The values, as in `first`, of all processes that work together, in order.

    It raises, as `agreeing` does, what another raises instead of coming to it.
    """
    return [value] if shard()[1] == 1 else _round(value)


def gathered(rows: Any) -> Any:
    """{name: array} of all processes that work together, joined along the first axis,
    on process 0; on the others their own. It raises what `every` does.
    """
    if shard()[1] == 1:
        return rows
    own_rows = {name: np.asarray(x) for name, x in rows.items()}
    parts = _round(own_rows, to_all=False)
    return {name: np.concatenate([part[name] for part in parts]) for name in rows}


def call(message: Any) -> None:
    """Sends a message to the processes that wait in `called`."""
    if count() > 1:
        _send(f"message/{next(_numbers)}", message)


def called() -> Any:
    """The next message that process 0 sends with `call`."""
    return _get(f"message/{next(_numbers)}", FOREVER)


def led(work: Callable[[], int]) -> int:
    """The exit code of `work`, which process 0 does; the others get {"code": it}."""
    code = 1
    try:
        code = work()
        return code
    except errors.UserError as error:
        code = error.exit_code
        raise
    finally:
        call({"code": code})


def collected(name: str, value: Any) -> list[Any]:
    """As `every`, on process 0; on the others their own alone.

    It may be called in a thread: `name` is that of one exchange at a time.
    """
    return [value] if shard()[1] == 1 else _gather(name, value, FOREVER)


def own_share(names: Sequence[str]) -> Sequence[str]:
    """Of things that any process can do, those that this one does."""
    number, total = shard()
    return names[number::total]


def own(tree: Any) -> Any:
    """The rows that this process has of arrays with those of all."""
    number, total = shard()

    def rows(array: Any) -> Any:
        size = len(array) // total
        return array[number * size : (number + 1) * size]

    return tree if total == 1 else jax.tree.map(rows, tree)


def fetched(tree: Any) -> Any:
    """Arrays as NumPy where one process works; where several do, as they are: none has
    the whole of them.

    Of a state with 180 small leaves NumPy is saved in two thirds of the CPU time that
    arrays on devices take, and restored in less than half of it.
    """
    if shard()[1] > 1:
        return tree
    return jax.tree.map(np.asarray, jax.device_get(tree))


def whole(tree: Any) -> Any:
    """Arrays on the devices of all processes as NumPy on each of them."""

    def value(array: Any) -> Any:
        if array.is_fully_addressable or array.is_fully_replicated:
            return np.asarray(array)
        return multihost_utils.process_allgather(array, tiled=True)

    return tree if shard()[1] == 1 else jax.tree.map(value, tree)


def copied(tree: Any) -> Any:
    """The arrays of process 0, bit for bit, on all that work together, as NumPy."""
    if shard()[1] == 1:
        return tree
    tree = jax.tree.map(np.asarray, tree)
    bits = jax.tree.map(lambda x: x.view(f"u{x.itemsize}"), tree)  # a sum keeps no -0.0
    bits = multihost_utils.broadcast_one_to_all(bits)
    return jax.tree.map(lambda x, like: np.asarray(x).view(like.dtype), bits, tree)


class Stop:
    """Whether to stop after a step: on all processes after the same one.

    asked: whether this process is asked to. The first that is says after which step.
    Since a step begins on no process before the step before it has ended, which needs
    all of them, none is further than AHEAD - 1 steps.
    """

    def __init__(self, asked: Callable[[], bool]):
        self.asked, self.at = asked, None
        self.name = f"stop/{next(_numbers)}" if shard()[1] > 1 else None

    def __call__(self, step: int) -> bool:
        if self.name is None:
            return self.asked()
        client = distributed.global_state.client
        if self.at is None and self.asked():
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # another was first
                client.key_value_set(self.name, str(step + AHEAD))
        if self.at is None:
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # none was asked
                self.at = int(client.key_value_try_get(self.name))
        return self.at is not None and step >= self.at


def _round(
    value: Any,
    failure: Exception | None = None,
    limit: int = FOREVER,
    to_all: bool = True,
) -> list[Any]:
    """The values of all, in order; where not `to_all`, on the others their own alone.

    All raise if one brings a failure. `first`, `every`, `gathered` and the end of
    `agreeing` are the same round: one that fails on its way to any of the first three
    comes to the end of `agreeing`, and meets the others there.
    """
    limit = FOREVER if failure is None else limit
    number, own_entry = next(_numbers), [_packed(failure), value]
    entries = _gather(f"gather/{number}", own_entry, limit, failure)
    if leads():
        for old in _sent:  # all have come to this point, so they have taken them
            distributed.global_state.client.key_value_delete(old)
        _sent.clear()
        reports = [[report, value if to_all else None] for report, value in entries]
        _send(f"reply/{number}", reports)
    else:
        reports = _get(f"reply/{number}", limit, failure)
        entries = reports if to_all else entries
    for place_of, (report, _) in enumerate(reports):
        if report is not None:
            name, text = report
            failure = failure or _unpacked([name, f"process {place_of}: {text}"])
    if failure is not None:
        vars(failure)[KNOWN] = True
        raise failure
    return [value for _, value in entries]


def _is_known(error: BaseException | None, before: BaseException | None) -> bool:
    """Whether all processes raise `error`, or what it was raised in the handling of;
    before: the error whose handling had begun earlier.
    """
    while error is not None and error is not before:
        if KNOWN in vars(error):
            return True
        error = error.__context__
    return False


def _gather(
    name: str, value: Any, limit: int, failure: BaseException | None = None
) -> list[Any]:
    """The values of all processes on process 0; on the others their own alone."""
    client = distributed.global_state.client
    if not leads():
        with _connected(failure):
            data = serialization.msgpack_serialize(value)
            client.key_value_set_bytes(f"{name}/{place()}", data)
        return [value]
    values = [value]
    for number in range(1, count()):
        values.append(_get(f"{name}/{number}", limit, failure))
        client.key_value_delete(f"{name}/{number}")
    return values


def _send(name: str, value: Any) -> None:
    data = serialization.msgpack_serialize(value)
    with _connected():
        distributed.global_state.client.key_value_set_bytes(name, data)
    _sent.append(name)


def _get(name: str, limit: int, failure: BaseException | None = None) -> Any:
    with _connected(failure):
        client = distributed.global_state.client
        data = client.blocking_key_value_get_bytes(name, 1000 * limit)
    return serialization.msgpack_restore(data)


@contextlib.contextmanager
def _connected(failure: BaseException | None = None) -> Iterator[None]:
    """Ends this process where the others cannot be reached any more: it holds devices
    that no other process can use without it.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        why = error if failure is None else failure
        print(
            f"jaxseg: process {place()} of {count()} ends, the others do not answer: "
            f"{type(why).__name__}: {why}\nThe same command, started again on all, "
            "continues.",
            file=sys.stderr,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _packed(failure: BaseException | None) -> list[str] | None:
    return None if failure is None else [type(failure).__name__, str(failure)]


def _unpacked(failure: list[str]) -> Exception:
    """The error of another process: of a type in `core.errors`, else RuntimeError."""
    name, text = failure
    kind = getattr(errors, name, None)
    if kind is None:
        return RuntimeError(f"{name}: {text}")
    return kind(text)
