"""The DAG of a config's stages: bound, planned whole, parents first."""

import dataclasses
import graphlib
import heapq
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import binding, errors, garbage, jsonl, lookup
from jaxseg.data import contents
from jaxseg.transfer import columns, smoke, stage, store

KEYS = ("study", "stages", "smoke")  # of a config


@dataclasses.dataclass(frozen=True)
class Config:
    """A config with every default; parents are names that are not looked up yet."""

    study: str
    stages: Mapping[str, stage.Bound]

    def plain(self) -> dict[str, Any]:
        """As a file writes it."""
        stages = {name: bound.plain() for name, bound in self.stages.items()}
        return {"study": self.study, "stages": stages}


@dataclasses.dataclass(frozen=True)
class Plan:
    """All stages of a study, parents first."""

    study: str
    stages: tuple[stage.Stage, ...]
    config: str = ""  # file the config came from
    argument: str = ""  # what followed it after the colon

    @property
    def by_name(self) -> dict[str, stage.Stage]:
        """{stage name: stage}."""
        return {s.name: s for s in self.stages}

    def needed(self, pattern: str) -> list[stage.Stage]:
        """Stages whose name matches the regex in full, and all they descend from."""
        names = self.by_name
        try:
            wanted = [name for name in names if re.fullmatch(pattern, name)]
        except re.error as error:
            raise errors.UserError(
                f"--only={pattern!r} is not a regex: {error}"
            ) from None
        if not wanted:
            hint = lookup.did_you_mean(pattern, names)
            raise errors.UserError(f"--only={pattern!r} matches no stage.{hint}")
        chosen: set[str] = set()
        while wanted:
            name = wanted.pop()
            chosen.add(name)
            parents = names[name].parent_names.values()
            wanted += [parent for parent in parents if parent not in chosen]
        return [s for s in self.stages if s.name in chosen]

    def with_key(self, key: str) -> list[stage.Stage]:
        """The one stage whose key begins so."""
        matching = [s for s in self.stages if key and s.key.startswith(key)]
        if len({s.key for s in matching}) != 1:
            raise errors.UserError(
                f"--stage={key}: {len(matching)} stages of this config have such a "
                "key. Fix: one of the keys that --plan lists"
            )
        return matching[:1]


@garbage.uncollected()
def bind(config: Any) -> Config:
    """Every section of every stage bound. config: a ConfigDict or dicts; one that is
    bound already stays. With the key `smoke`, at its smoke size.
    """
    if isinstance(config, Config):
        return config
    try:
        config = plain(config)
    except RecursionError:
        raise errors.UserError(
            "the config: found lists or sections in each other without end, allowed: "
            "a few hundred levels. Fix: no section that contains itself."
        ) from None
    unknown = set(config) - set(KEYS)
    if unknown:
        raise lookup.unknown(min(unknown), KEYS, kind="key", where="the config")
    if not isinstance(config.get("stages"), Mapping) or not config["stages"]:
        raise errors.UserError(
            f"stages: found {config.get('stages')!r}, allowed: {{name: section}}"
        )
    study = config.get("study", "study")
    if not isinstance(study, str) or not re.fullmatch(r"\w[\w.-]*", study):
        raise errors.UserError(  # a folder has this name
            f"study: found {study!r}, allowed: letters, digits, '_', '-' and '.'"
        )
    stages = {
        name: stage.bind(name, section) for name, section in config["stages"].items()
    }
    bound = Config(study, stages)
    if not config.get("smoke"):
        return bound
    return bind({"study": study, "stages": smoke.small(bound.plain()["stages"])})


def plain(value: Any, keep_order: int = 2) -> Any:
    """Dicts and lists all the way down, also of a ConfigDict or a Config.

    keep_order: levels whose order stays, those of the config and of its stages. Below
    them keys are sorted: a stage's hash ignores their order, so its result must too.
    """
    if type(value) in binding.SCALARS:  # most of a config
        return value
    if isinstance(value, Config):
        value = value.plain()
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        keys = value if keep_order > 0 else sorted(value, key=str)
        return {key: plain(value[key], keep_order - 1) for key in keys}
    if isinstance(value, list | tuple):
        return [plain(item, keep_order - 1) for item in value]
    return value


@garbage.uncollected()
@contents.settled()
def plan(bound: Config, config: str = "", argument: str = "") -> Plan:
    """Stages with keys, each after its parents, else in the order of the config."""
    planned: dict[str, stage.Stage] = {}
    for name in _ordered({n: one.parents.values() for n, one in bound.stages.items()}):
        section = bound.stages[name]
        parents = {role: planned[p] for role, p in section.parents.items()}
        planned[name] = stage.resolve(name, section, parents)
    done = []
    for one in planned.values():
        rows = [{"study": bound.study, "cell": one.name}] * len(one.columns)
        rows = [row | columns.complete(own, one) for row, own in zip(rows, one.columns)]
        done.append(dataclasses.replace(one, columns=tuple(rows)))
    return Plan(bound.study, tuple(done), config, argument)


def write(plan: Plan, workdir: Path) -> None:
    """WORKDIR/studies/<study>/plan.json, which the report starts from."""
    rows = [
        {
            "name": s.name,
            "key": s.key,
            "kind": s.kind,
            "parents": s.parent_keys,
            "parent_names": s.parent_names,
            "does_without": stage.kind(s.kind).DOES_WITHOUT,
            "columns": list(s.columns),
            "flops": stage.kind(s.kind).describe(s.spec, s.parents).get("flops"),
        }
        for s in plan.stages
    ]
    value = {"schema": 1, "study": plan.study, "config": plan.config}
    value |= {"argument": plan.argument, "created": store.now(), "stages": rows}
    jsonl.write_sealed(workdir / "studies" / plan.study / "plan.json", value)


def _ordered(parents: Mapping[str, Collection[str]]) -> list[str]:
    """Names as in the config, but parents before the first that needs them."""
    place = {name: number for number, name in enumerate(parents)}
    for name, own in parents.items():
        for parent in own:
            if parent not in parents:
                where = f"stages/{name}"
                others = [one for one in parents if one != name]
                raise lookup.unknown(parent, others, kind="parent", where=where)
    sorter = graphlib.TopologicalSorter(parents)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        raise _circle(error.args[1][:0:-1], place) from None
    due = dict(place)  # where the first of its descendants stands
    for name in reversed(list(graphlib.TopologicalSorter(parents).static_order())):
        for parent in parents[name]:
            due[parent] = min(due[parent], due[name])
    order, ready = [], []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (due[name], place[name], name))
        order.append(heapq.heappop(ready)[-1])
        sorter.done(order[-1])
    return order


def _circle(names: list[str], place: Mapping[str, int]) -> errors.UserError:
    """names: each is followed by a parent of it."""
    first = names.index(min(names, key=place.__getitem__))
    names = [*names[first:], *names[:first], names[first]]
    return errors.UserError(
        f"stages descend from themselves: {' -> '.join(names)}. Fix: drop one of these "
        "from the parents of another"
    )
