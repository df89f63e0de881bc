"""Which code and which packages made a result."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


@functools.cache
def packages() -> dict[str, str]:
    """{package: version} of all that can move a number, and Python's."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return found | {"python": platform.python_version(), "machine": platform.machine()}


def environment(devices: str) -> dict[str, Any]:
    """What decides the last digits of a training: cores in use, devices, packages."""
    affinity = getattr(os, "sched_getaffinity", None)  # none on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return {"cores": cores, "devices": devices, **packages()}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How an environment differs from one before, in words; "" where it does not."""
    names = {**before, **now}
    return ", ".join(
        f"{name} {now.get(name)} (was {before.get(name)})"
        for name in names
        if now.get(name) != before.get(name)
    )


@functools.cache
def code() -> dict[str, Any]:
    """Git revision of the checkout, and whether it differs; None outside one."""
    here = Path(__file__).parent
    revision = _git(here, "rev-parse", "HEAD")
    changes = _git(here, "status", "--porcelain", "--", ".")
    return {"revision": revision, "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
