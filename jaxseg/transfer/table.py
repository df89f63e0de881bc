"""The plan as a table: what would run, what is there, what it costs."""

from collections.abc import Sequence
from pathlib import Path

from jaxseg.transfer import store as stores
from jaxseg.transfer.stage import Stage, kind

COLUMNS = ("stage", "kind", "state", "parameters", "steps", "examples")
COLUMNS += ("evaluated", "key")


def show(study: str, stages: Sequence[Stage], workdir: Path) -> None:
    """Prints the stages that a run would look at, and what they add up to."""
    store = stores.Store(workdir)
    costs = {one.key: _cost(one) for one in stages}
    rows = [COLUMNS]
    for one in stages:
        cost = costs[one.key]
        numbers = [f"{cost[k]:,}" if k in cost else "" for k in COLUMNS[3:-1]]
        rows.append((one.name, one.kind, _state(one, store), *numbers, one.short))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"{study} in {workdir}")
    for row in rows:
        cells = [
            text.rjust(width) if 3 <= place < len(row) - 1 else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    missing = {
        one.key: costs[one.key]
        for one in stages
        if not store.done(one.key) and not store.diverged(one.key)
    }
    totals = {
        name: sum(cost.get(name, 0) for cost in missing.values())
        for name in ("steps", "examples", "evaluated", "bytes")
    }
    count = sum(row.get("role") == "target" for one in stages for row in one.columns)
    print(
        f"{_many(len(stages), 'stage')}, {_many(count, 'table cell')}; "
        f"{_many(len(costs), 'artifact')}, {sum(map(store.done, costs))} cached. "
        f"To run: {_many(totals['steps'], 'step')}, "
        f"{_many(totals['examples'], 'example')}, "
        f"{_many(totals['evaluated'], 'image')} evaluated, "
        f"{totals['bytes'] / 2**20:,.1f} MiB of weights."
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _state(one: Stage, store: stores.Store) -> str:
    if store.done(one.key):
        return "cached"
    failure = store.failure(one.key)
    return f"{failure['state']} before" if failure else "to run"


def _cost(one: Stage) -> dict[str, int]:
    return kind(one.kind).describe(one.spec, one.parents)
