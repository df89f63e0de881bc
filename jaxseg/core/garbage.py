"""Long work that makes much and drops little, without garbage collection."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Within it Python does not look for garbage among all that there is.

    A plan, and a program while it is traced, keep nearly all of the millions of objects
    they make: looking at them again and again takes a fifth to a third of their time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
