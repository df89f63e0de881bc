"""Requests to stop: signals and a time limit, remembered until work can be saved."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def interruptible(max_hours: float | None) -> Iterator[Callable[[], bool]]:
    """Gives a function that is true once the process should stop.

    SIGTERM, the first Ctrl-C and the end of `max_hours` (None: no limit) only set it,
    so that the caller can save. A second Ctrl-C raises KeyboardInterrupt. Outside the
    main thread no signal can be caught, and the function follows the time alone.
    """
    asked = False
    end = float("inf") if max_hours is None else time.monotonic() + 3600 * max_hours

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    try:
        before = {n: signal.signal(n, ask) for n in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread, as in some notebooks
        before = {}
    try:
        yield lambda: asked or time.monotonic() > end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
