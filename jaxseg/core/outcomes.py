"""How stages end, and what that means for those that descend from them."""

from collections.abc import Mapping

THERE = ("cached", "done")
LOST = ("failed", "blocked")  # blocked: what it descends from failed or diverged
HELD = ("busy", "waiting")  # busy: another process makes it; waiting: or a parent of it


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
