"""Calls in another process end with this one."""

import subprocess
import sys
import time

FORKED = """
import os, time
from jaxseg.core import isolated
assert isolated.call("os:getpid") != os.getpid()
if os.fork() == 0:  # holds the input of the other process open
    os.close(1), os.close(2)
    time.sleep(30)
    os._exit(0)
"""


def test_a_fork_does_not_hold_up_the_end():
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=25)
    assert time.monotonic() - start < 15
