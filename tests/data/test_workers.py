"""Worker processes: they end with what started them, and are missed when killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jaxseg.core import errors
from tests.data import test_pipeline

PATIENCE = 300  # s, for three interpreters and what they import on a busy machine
# A training's place: two workers, a batch for each line that it is sent.
READER = """
import multiprocessing, signal, sys
from jaxseg.data import pipeline
from tests.data import test_pipeline as tests

signal.signal(signal.SIGINT, lambda *_: None)  # it would save first
stream = pipeline.train_batches(tests.source(), transforms=tests.STEPS, batch_size=4,
                                seed=0, fields=tests.FIELDS, workers=2, prefetch=1)
for _ in stream:
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def reader():
    """A process with workers in a session of its own, and their numbers."""
    process = subprocess.Popen(
        [sys.executable, "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    patience = threading.Timer(PATIENCE, process.kill)
    patience.start()
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert workers, f"three interpreters have not started within {PATIENCE} s"
    yield process, workers
    patience.cancel()
    process.kill()
    process.communicate()
    for pid in filter(alive, workers):
        os.kill(pid, signal.SIGKILL)


def alive(pid):
    """Whether it runs; one that ended and that nobody has asked after does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True)
    return bool(done.stdout.strip()) and not done.stdout.startswith(b"Z")


def test_workers_end_with_a_parent_that_is_killed(reader):
    process, workers = reader
    assert len(workers) == 2 and all(map(alive, workers))
    process.kill()
    process.wait()
    end = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in workers if alive(pid)]


def test_ctrl_c_leaves_the_workers_to_their_parent(reader):
    process, workers = reader
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    for _ in range(9):  # more than were made before
        process.stdin.write("\n")
        process.stdin.flush()
        assert [int(pid) for pid in process.stdout.readline().split()] == workers


def test_a_worker_that_was_killed_is_named_with_its_data():
    stream = test_pipeline.stream(workers=2)
    next(stream)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(errors.UserError) as caught:
        for _ in range(
            2000
        ):  # until the pool notices; what was read before comes first
            next(stream)
    text = str(caught.value)
    assert "tests/memory: " in text and "batches" in text, text
    assert "out of memory" in text and "Fix: fewer run/workers (found 2;" in text
    assert not multiprocessing.active_children()
