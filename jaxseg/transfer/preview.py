"""The plan as a table: what would run, what is there, what it costs."""

from pathlib import Path

from rich import console, table

from jaxseg.core import lookup
from jaxseg.transfer import chain, stage, store

COLUMNS = ("stage", "kind", "state", "parameters", "steps", "examples", "key")


def show(plan: chain.Plan, only: str, workdir: Path) -> None:
    """Prints the stages that a run would look at, and what they add up to."""
    box, stages = store.Store(workdir), plan.needed(only)
    costs = {one.key: _cost(one) for one in stages}
    grid = table.Table(*COLUMNS, title=f"{plan.study} in {workdir}", box=None)
    for one in stages:
        cost = costs[one.key]
        numbers = [f"{cost[k]:,}" if k in cost else "" for k in COLUMNS[3:6]]
        grid.add_row(one.name, one.kind, _state(one, box), *numbers, one.short)
    console.Console(soft_wrap=True).print(grid)
    missing = {one.key: costs[one.key] for one in stages if not box.done(one.key)}
    totals = {
        name: sum(cost.get(name, 0) for cost in missing.values())
        for name in ("steps", "examples", "bytes")
    }
    cells = sum(label.get("role") == "target" for one in stages for label in one.labels)
    print(
        f"{len(stages)} stages, {cells} table cells; {len(costs)} artifacts, "
        f"{len(costs) - len(missing)} cached. To run: {totals['steps']:,} steps, "
        f"{totals['examples']:,} examples, {totals['bytes'] / 2**20:,.0f} MiB of weights."
    )


def _state(one: stage.Stage, box: store.Store) -> str:
    if box.done(one.key):
        return "cached"
    return "failed before" if box.failure(one.key) else "to run"


def _cost(one: stage.Stage) -> dict[str, int]:
    return lookup.load(stage.KINDS, one.kind).describe(one.spec)
