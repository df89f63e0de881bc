"""Processes that run one command together, each with devices of its own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIVE = ROOT / "tests" / "hosts" / "five.py"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start(arguments, devices, processes=1, module="jaxseg.main"):
    """The processes; each prints into a pipe of its own."""
    flag = f"--xla_force_host_platform_device_count={devices}"
    own = {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    join = f"--coordinator=127.0.0.1:{free_port()} --processes={processes}".split()
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return [
        subprocess.Popen(
            command + ([*join, f"--process={place}"] if processes > 1 else []),
            env=os.environ | own,
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for place in range(processes)
    ]


def ended(started, timeout=300):
    """[(exit code, output)] of all; those that do not end are killed."""
    try:
        texts = [one.communicate(timeout=timeout)[0] for one in started]
    finally:
        for one in started:
            one.kill()
    return [(one.returncode, text) for one, text in zip(started, texts)]
