"""The plan as a table: what would run, what is there, what it costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxseg.report import costs as costs_lib
from jaxseg.transfer import store as stores
from jaxseg.transfer.running import demand
from jaxseg.transfer.stage import Stage, kind

COLUMNS = ("stage", "kind", "state", "parameters", "steps", "examples")
COLUMNS += ("evaluated", "key")


def show(study: str, stages: Sequence[Stage], workdir: Path) -> None:
    """Prints the stages that a run would look at, and what they add up to."""
    store = stores.Store(workdir)
    costs = {one.key: _cost(one) for one in stages}
    asking = demand.Demand(stages, store)
    states = {one.name: _state(one, store, asking) for one in stages}
    rows = [COLUMNS]
    for one in stages:
        cost = costs[one.key]
        numbers = [f"{cost[k]:,}" if k in cost else "" for k in COLUMNS[3:-1]]
        rows.append((one.name, one.kind, states[one.name], *numbers, one.short))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"{study} in {workdir}")
    for row in rows:
        cells = [
            text.rjust(width) if 3 <= place < len(row) - 1 else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    print(_sum(stages, states, costs))


def _sum(
    stages: Sequence[Stage],
    states: Mapping[str, str],
    costs: Mapping[str, Mapping[str, int]],
) -> str:
    """The last line. {stage name: state}, {key: cost}; a key counts once."""
    keys = lambda *of: {one.key for one in stages if states[one.name] in of}
    sure = keys("to run", "failed before")
    open_ = keys("if asked") - sure
    totals = {
        name: sum(costs[key].get(name, 0) for key in sure | open_)
        for name in ("steps", "examples", "evaluated", "bytes", "flops")
    }
    count = sum(row.get("role") == "target" for one in stages for row in one.columns)
    searched = (
        f" At most: searches ask for 0 to {_many(len(open_), 'stage')} of these."
        if open_
        else ""
    )
    return (
        f"{_many(len(stages), 'stage')}, {_many(count, 'table cell')}; "
        f"{_many(len(costs), 'artifact')}, {len(keys('cached'))} cached. "
        f"To run: {_many(totals['steps'], 'step')}, "
        f"{_many(totals['examples'], 'example')}, "
        f"{_many(totals['evaluated'], 'image')} evaluated, "
        f"{_size(totals['bytes'])} of weights, "
        f"about {_hours(costs_lib.tpu_hours(totals['flops']))} TPU-v3 hours "
        f"({costs_lib.UTILISATION:.0%} of the peak).{searched}"
    )


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _size(count: int) -> str:
    """
    >>> _size(3 * 2**29), _size(3 * 2**39)
    ('1.5 GiB', '1.5 TiB')
    """
    units = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20}
    unit = next((unit for unit, size in units.items() if count >= size), "MiB")
    return f"{count / units[unit]:.1f} {unit}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _state(one: Stage, store: stores.Store, asking: demand.Demand) -> str:
    """Cached, to run, failed or diverged before; of candidates of a search that it has
    not asked for: skipped where it is over, "if asked" where it is not.
    """
    if store.done(one.key):
        return "cached"
    failure = store.failure(one.key) or {"state": ""}
    if failure["state"] == "diverged" or asking.wanted(one):
        return f"{failure['state']} before" if failure["state"] else "to run"
    return "skipped" if asking.never(one) else "if asked"


def _cost(one: Stage) -> dict[str, int]:
    return kind(one.kind).describe(one.spec, one.parents)
