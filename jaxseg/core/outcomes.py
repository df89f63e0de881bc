"""The states of stages, and which of them block their descendants."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import jsonl

THERE = ("cached", "done")
LOST = ("failed", "blocked")  # blocked: an ancestor failed or diverged
# skipped: no search asked for it, and none will; nothing is missing.
# busy: another process runs it; waiting: another process runs a parent; early: a parent
# is missing, and this process may not run it, or no search asks for it yet.
HELD = ("busy", "waiting", "early")
ERROR = "error.json"


def blocked(parents: Mapping[str, str], does_without: bool) -> str:
    """The message on the parent of {name: state} that blocks a stage, or ''.

    does_without: whether the stage can run although some of its parents diverged.

    >>> blocked({"a": "done", "b": "failed"}, does_without=False)
    'needs b, which failed'
    """
    lost = [name for name, state in parents.items() if state in LOST]
    diverged = [name for name, state in parents.items() if state == "diverged"]
    if does_without and len(diverged) < len(parents):
        diverged = []  # the others are enough
    for name in [*lost, *diverged]:
        did = "is blocked" if parents[name] == "blocked" else parents[name]
        return f"needs {name}, which {did}{' as did all others' * (len(diverged) > 1)}"
    return ""


def exit_code(states: Mapping[str, str], failed: bool) -> int:
    """The exit code of a run with these {stage: state}; see `jaxseg.main --help`.

    failed: whether a stage failed, or diverged and was needed.
    """
    present = set(states.values())
    if failed or "blocked" in present:
        return 1
    if present & {"busy", "waiting"}:
        return 3
    return 4 if "early" in present else 0


def note(running: Path, error: str, state: str, when: str) -> None:
    """Writes why a stage did not end as an artifact, next to its unfinished work."""
    value = {"error": error, "state": state, "when": when}
    jsonl.write_sealed(running / ERROR, value)


def noted(running: Path) -> dict[str, Any] | None:
    """{error, state} that `note` wrote, None where it wrote nothing; or Damaged."""
    path = running / ERROR
    fix = "Fix: run the same command again, which tries this stage again."
    return jsonl.read_sealed(path, fix=fix) if path.is_file() else None
