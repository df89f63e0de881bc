"""Calls library functions, which damaged files can crash, in another process.

One server process answers all calls of this process. It ends when its input is closed,
so at the latest with this process. A crash, a hang or a lack of memory in it raises
`Failed` here.
"""

import atexit
import contextlib
import importlib
import os
import pickle
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

SECONDS = 300.0  # for one call
GRACE = 1.0  # seconds for the server to end with this process
BYTES = 4 << 30  # of memory, in addition to what the server has at its start
SERVE = "from jaxseg.core import isolated; isolated.serve()"
_lock = threading.Lock()
_servers: dict[int, subprocess.Popen] = {}  # by process: a fork starts its own


class Failed(Exception):
    """The call raised an exception, or the server ended during it."""


def call(name: str, *arguments: Any, **options: Any) -> Any:
    """What the function "module:name" returns; Failed where it raises or crashes."""
    with _lock:
        server = _server()
        limit = threading.Timer(SECONDS, server.kill)
        limit.start()
        try:
            pickle.dump((name, arguments, options), server.stdin)
            server.stdin.flush()
            failed, value = pickle.load(server.stdout)
        except BaseException as error:  # also Ctrl-C: its answer would be next
            server.kill()
            _servers.pop(os.getpid())
            if isinstance(error, EOFError | OSError | pickle.UnpicklingError):
                ended = f"its reader ended with code {server.wait()}"
                raise Failed(ended) from None
            raise
        finally:
            limit.cancel()
    if failed:
        raise Failed(value)
    return value


def serve() -> None:
    """Answers calls until the input ends; output of libraries goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limited = False
    while True:
        try:
            name, arguments, options = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        module, _, function = name.partition(":")
        wanted = getattr(importlib.import_module(module), function)
        if not limited:
            limited = _limit_memory()
        try:
            _answer(answers, (False, wanted(*arguments, **options)))
        except BaseException as error:
            _answer(answers, (True, f"{type(error).__name__}: {error}"))


def _answer(answers: BinaryIO, value: tuple[bool, Any]) -> None:
    answers.write(pickle.dumps(value))
    answers.flush()


def _limit_memory() -> bool:
    """Limits the memory of the server, on Linux; returns True."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return True
    used = int(statm.read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = used + BYTES
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    return True


def _server() -> subprocess.Popen:
    known = _servers.get(os.getpid())
    if known is not None and known.poll() is None:
        return known
    _servers.clear()
    path = os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH")]))
    server = _servers[os.getpid()] = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for this process
    )
    atexit.register(_end, server, os.getpid())
    return server


def _end(server: subprocess.Popen, owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            server.stdin.close()
        try:  # a fork may keep its input open
            server.wait(GRACE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
