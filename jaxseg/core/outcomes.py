"""How stages end, and what that means for those that descend from them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import jsonl

THERE = ("cached", "done")
LOST = ("failed", "blocked")  # blocked: what it descends from failed or diverged
# busy: another process makes it; waiting: or a parent of it; early: a parent is not
# there, and this process is not to make it.
HELD = ("busy", "waiting", "early")
ERROR = "error.json"


def blocked(parents: Mapping[str, str], does_without: bool) -> str:
    """Which parent, {name: state}, keeps a stage from being made, in words; or ''.

    does_without: whether it can be made while some of its parents have diverged.
    """
    lost = [name for name, state in parents.items() if state in LOST]
    diverged = [name for name, state in parents.items() if state == "diverged"]
    if does_without and len(diverged) < len(parents):
        diverged = []  # others stand in for them
    for name in [*lost, *diverged]:
        did = "is blocked" if parents[name] == "blocked" else parents[name]
        return f"needs {name}, which {did}{' as did all others' * (len(diverged) > 1)}"
    return ""


def exit_code(states: Mapping[str, str], failed: bool) -> int:
    """Of a run that ended so, {stage: state}, as `python -m jaxseg.main --help` says.

    failed: whether something failed or diverged that nothing stood in for.
    """
    found = set(states.values())
    if failed or "blocked" in found:
        return 1
    if "early" in found:
        return 4
    return 3 if found & set(HELD) else 0


def note(running: Path, error: str, state: str, when: str) -> None:
    """Leaves beside unfinished work why a stage did not end as an artifact."""
    value = {"error": error, "state": state, "when": when}
    jsonl.write_sealed(running / ERROR, value)


def noted(running: Path) -> dict[str, Any] | None:
    """{error, state} as `note` left it, None where it left nothing; or Damaged."""
    path = running / ERROR
    fix = "Fix: run the same command again, which tries this stage again."
    return jsonl.read_sealed(path, fix=fix) if path.is_file() else None
