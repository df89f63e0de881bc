"""The plan as a table: what would run, what is there, what it costs."""

from pathlib import Path

from jaxseg.core import lookup
from jaxseg.transfer import chain, stage, store

COLUMNS = ("stage", "kind", "state", "parameters", "steps", "examples")
COLUMNS += ("evaluated", "key")


def show(plan: chain.Plan, only: str, workdir: Path) -> None:
    """Prints the stages that a run would look at, and what they add up to."""
    box, stages = store.Store(workdir), plan.needed(only)
    costs = {one.key: _cost(one) for one in stages}
    rows = [COLUMNS]
    for one in stages:
        cost = costs[one.key]
        numbers = [f"{cost[k]:,}" if k in cost else "" for k in COLUMNS[3:-1]]
        rows.append((one.name, one.kind, _state(one, box), *numbers, one.short))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"{plan.study} in {workdir}")
    for row in rows:
        cells = [
            text.rjust(width) if 3 <= place < len(row) - 1 else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    missing = {
        one.key: costs[one.key]
        for one in stages
        if not box.done(one.key) and not box.diverged(one.key)
    }
    totals = {
        name: sum(cost.get(name, 0) for cost in missing.values())
        for name in ("steps", "examples", "evaluated", "bytes")
    }
    count = sum(label.get("role") == "target" for one in stages for label in one.labels)
    print(
        f"{_many(len(stages), 'stage')}, {_many(count, 'table cell')}; "
        f"{_many(len(costs), 'artifact')}, {sum(map(box.done, costs))} cached. To run: "
        f"{_many(totals['steps'], 'step')}, {_many(totals['examples'], 'example')}, "
        f"{_many(totals['evaluated'], 'image')} evaluated, "
        f"{totals['bytes'] >> 20:,} MiB of weights."
    )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _state(one: stage.Stage, box: store.Store) -> str:
    if box.done(one.key):
        return "cached"
    failure = box.failure(one.key)
    return f"{failure['state']} before" if failure else "to run"


def _cost(one: stage.Stage) -> dict[str, int]:
    return lookup.load(stage.KINDS, one.kind).describe(one.spec, one.made_from)
