"""`python -m jaxseg.main`, killed at a named point; for tests alone.

KILL_AT=jsonl.os.replace:before:3 ends the process just before the third time that
`jaxseg.core.jsonl` replaces a file; `after` the call, or `half` way through a
deletion. SLOW=0.3 is a disk on which a checkpoint takes that much longer. The calls of
all points are written to the file that COUNT names.
"""

import collections
import json
import os
import signal
import sys
import time
from pathlib import Path

from jaxseg import main
from jaxseg.core import checkpoint, hashing, jsonl
from jaxseg.transfer import store

MODULES = {m.__name__.split(".")[-1]: m for m in (checkpoint, hashing, jsonl, store)}
POINTS = {
    "checkpoint.begin": ("before", "after"),  # arrays of a checkpoint, or weights
    "checkpoint.finish": ("before", "after"),  # these are on disk
    "checkpoint.durable.sync_folder": ("before", "after"),  # then its meta.json
    "checkpoint.shutil.rmtree": ("before", "half", "after"),  # old ones
    "jsonl.os.replace": ("before", "after"),  # JSON: flushed, not yet renamed
    "store.durable.sync_folder": ("before", "after"),  # an artifact is whole
    "store.os.rename": ("before", "after"),  # and published
    "store.shutil.rmtree": ("before", "half", "after"),  # what it was made in goes
}
counts = collections.Counter()


class Shim:
    """A module, but for some of its functions."""

    def __init__(self, module, **own):
        self.__dict__.update(vars(module) | own)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def wrapped(point, call, when, number):
    """The function, ending the process at its call of that number."""

    def function(*arguments, **options):
        counts[point] += 1
        hit = counts[point] == number
        if hit and when == "before":
            kill()
        if hit and when == "half":
            files = sorted(p for p in Path(arguments[0]).rglob("*") if p.is_file())
            for path in files[::2]:
                path.unlink()
            kill()
        result = call(*arguments, **options)
        if hit:
            kill()
        return result

    return function


def slowed(call, seconds):
    """The function, with a wait on both sides of it."""

    def function(*arguments, **options):
        time.sleep(seconds / 2)
        result = call(*arguments, **options)
        time.sleep(seconds / 2)
        return result

    return function


def install(kill_at, slow):
    """Counts the calls of all points, and kills at the one asked for."""
    checkpoint.finish = slowed(checkpoint.finish, slow)
    asked, when, number = (kill_at or "::0").split(":")
    for point in POINTS:
        module, *inner, name = point.split(".")
        holder = MODULES[module]
        for part in inner:
            shim = Shim(getattr(holder, part))
            setattr(holder, part, shim)
            holder = shim
        at = int(number) if point == asked else 0
        setattr(holder, name, wrapped(point, getattr(holder, name), when, at))


if __name__ == "__main__":
    install(os.environ.get("KILL_AT"), float(os.environ.get("SLOW", 0)))
    code = main.main(sys.argv[1:])
    if "COUNT" in os.environ:
        Path(os.environ["COUNT"]).write_text(json.dumps(counts))
    sys.exit(code)
