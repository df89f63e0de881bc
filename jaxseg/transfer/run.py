"""A config from beginning to end: plan, run what is missing, report."""

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import compiled, errors, outcomes, signals, user_cache
from jaxseg.train import hooks
from jaxseg.transfer import chain
from jaxseg.transfer import store as stores
from jaxseg.transfer.running import (
    demand,
    dropping,
    making,
    status,
    unchanged,
    workers,
)
from jaxseg.transfer.stage import Stage, kind


@dataclasses.dataclass
class Outcome:
    """How each stage of a run ended: {stage name: a state of `core.outcomes`}.

    errors: {stage name: text} of what failed, and of what diverged unless others stood
    in for it everywhere. left_out: texts of what the report could not use.
    """

    states: dict[str, str]
    errors: dict[str, str]
    left_out: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether all is there."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """As `outcomes.exit_code` has it."""
        return outcomes.exit_code(
            self.states, failed=bool(self.errors or self.left_out)
        )


def run(
    config: Any,
    workdir: Path | str,
    *,
    only: str = ".*",
    stage: str | None = None,
    max_hours: float | None = None,
    jobs: int | None = 1,
    config_file: str = "",
    argument: str = "",
) -> Outcome:
    """What `python -m jaxseg.main` does: every stage of `config` that is not done yet,
    then the report. The same call continues what a kill or an interruption left.

    config: a ConfigDict, plain dicts, or what `overrides.override` returns. only: regex
    of the stages to run; what they descend from runs as well, candidates of a search
    only as it asks for them. stage: the key of one stage whose parents are done, for
    workers: no report, and no lock but the stage's; a candidate that no search of the
    plan asks for (yet) is not begun. jobs: stages to make side by side, see
    `workers.count`.
    """
    user_cache.check()
    compiled.use_cache()
    plan = chain.plan(chain.bind(config), config_file, argument)
    stages = plan.needed(only) if stage is None else plan.with_key(stage)
    store = stores.Store(workdir)
    lock = store.lock("main", "a run") if stage is None else contextlib.nullcontext()
    with lock, signals.interruptible(max_hours) as interrupted:
        with stores.writable(store.workdir):
            chain.write(plan, store.workdir)  # before any lock of a stage: see `gc`
        with status.Status(stages, store) as watcher:
            outcome = run_stages(
                stages,
                store,
                watcher=watcher,
                interrupted=interrupted,
                asking=None if stage is None else plan.stages,
                study=plan.stages,
                jobs=1 if stage else workers.count(jobs, plan.stages),
            )
    if stage is None:
        report = build_report(store.workdir)
        show(report)
        outcome.left_out = report.left_out
    return outcome


def build_report(workdir: Path) -> Any:
    """WORKDIR/report from what is there."""
    from jaxseg.report import build  # draws: slow to import, and a plan needs none

    with stores.writable(workdir):
        return build.build(workdir)


def show(report: Any) -> None:
    """The gain table, and where the report is."""
    print(report.text(shutil.get_terminal_size((100, 24)).columns))
    print(f"Report: {report.files['index.html']}")


def run_stages(
    stages: Sequence[Stage],
    store: stores.Store,
    *,
    watcher: status.Watcher,
    interrupted: Callable[[], bool] = lambda: False,
    asking: Sequence[Stage] | None = None,
    study: Sequence[Stage] | None = None,
    jobs: int = 1,
) -> Outcome:
    """Runs what is asked for and not there yet; a failed stage blocks only what
    descends from it.

    asking: the stages that do the asking, see `demand`; None: those given. study: those
    whose needs keep weights, see `dropping`; None: those given.
    """
    asking = stages if asking is None else asking
    wanted = demand.Demand(asking, store)
    weights = dropping.Dropping(study or stages, asking, store, wanted)
    names = {one.name: one for one in stages}
    given = stages, making.attempt, store, watcher, interrupted
    with workers.makers(jobs, *given) as makers:
        run = _Run(names, store, wanted, weights, watcher, interrupted, makers)
        run.make()
    for one in stages:
        if one.name not in run.outcome.states:
            run.leave(one)
    for name in _stood_in_for(stages, run.outcome.states):
        del run.outcome.errors[name]
    return run.outcome


@dataclasses.dataclass
class _Run:
    """The stages of one run, and how they ended so far."""

    stages: Mapping[str, Stage]
    store: stores.Store
    demand: demand.Demand
    weights: dropping.Dropping
    watcher: status.Watcher
    interrupted: Callable[[], bool]
    makers: workers.Here | workers.Workers
    outcome: Outcome = dataclasses.field(default_factory=lambda: Outcome({}, {}))
    first: dict[str, str] = dataclasses.field(  # {key: name it was made under}
        default_factory=dict
    )
    digests: unchanged.Known = dataclasses.field(default_factory=dict)

    def make(self) -> None:
        """All that is wanted, and what it asks for, as its parents end."""
        stopped = ""
        while True:
            one = None if stopped else self.makers.pick(self._ready())
            if one is not None:
                self._begin(one)
            elif self.makers.running:
                for ended in self.makers.ended():
                    stopped = self._take(*ended) or stopped
            elif stopped:
                raise hooks.Interrupted(stopped)
            else:
                return

    def _ready(self) -> Iterator[Stage]:
        """Stages that may begin now, in the order of the plan, but after those parents
        that only they ask for, one after another.
        """
        running = set(self.makers.running)
        for one in self.stages.values():
            if one.name in self.outcome.states or not self.demand.wanted(one):
                continue
            while parent := self._missing(one):
                one = parent
            if one.key not in running:
                yield one

    def _begin(self, one: Stage) -> None:
        """Begins a stage, or ends one that has no need or no chance to run."""
        state, text = self._known(one)
        if state:
            self._take(one, state, text)
            return
        if self.interrupted():
            if self.makers.running:
                return  # they are told to save
            raise hooks.Interrupted(f"before stage {one.name}")
        self.watcher.begin(one)
        lacking = self.weights.lacking.get(one.key, "")
        if lacking:
            self.watcher.note(one, lacking)
        self.makers.begin(one, again=bool(lacking))

    def _take(self, one: Stage, state: str, text: str) -> str:
        """Notes how a stage ended; where it was interrupted: how far it came."""
        if state == "interrupted":
            return text
        self._end(one, state, text)
        self.first.setdefault(one.key, one.name)
        return ""

    def leave(self, one: Stage) -> None:
        """A stage that nothing has asked for."""
        if self.store.done(one.key) or one.key in self.first:
            self._end(one, *self._known(one))
        elif self.demand.never(one):
            self._end(one, "skipped", "")
        else:
            text = "no search asks for it yet. Run this again once others are done."
            self._end(one, "early", text)

    def _missing(self, one: Stage) -> Stage | None:
        """The next parent that a stage asks for and that this run has not come to."""
        names = (one.parent_names[role] for role in self.demand.asked(one))
        missing = (name for name in names if name not in self.outcome.states)
        return next((self.stages[n] for n in missing if n in self.stages), None)

    def _end(self, one: Stage, state: str, text: str) -> None:
        """Notes how a stage ended; parents that nothing can ask for now end as well."""
        self.outcome.states[one.name] = state
        if state in ("failed", "diverged"):
            self.outcome.errors[one.name] = text
        self.watcher.end(one, state, text)
        if state in (*outcomes.THERE, "diverged", "skipped"):
            self.weights.made(one)
        for name in one.parent_names.values():
            if name in self.stages and name not in self.outcome.states:
                children = self.demand.children[name]
                if all(child.name in self.outcome.states for child, _ in children):
                    self.leave(self.stages[name])

    def _known(self, one: Stage) -> tuple[str, str]:
        """(state, text) of a stage that has no need or no chance to run, else
        ("", "").
        """
        store, states = self.store, self.outcome.states
        parents = {
            one.parent_names[role]: states.get(one.parent_names[role])
            or self._elsewhere(one.parent_keys[role])
            for role in self.demand.asked(one)
        }
        blocked = outcomes.blocked(parents, kind(one.kind).DOES_WITHOUT)
        if blocked:
            return "blocked", blocked
        if one.key in self.first:
            state = states[self.first[one.key]]
            if state in outcomes.THERE:
                return "cached", ""
            return state, f"is the same as {self.first[one.key]}"
        if store.done(one.key) and one.key not in self.weights.lacking:
            return making.checked(one, store, self.digests)
        reason = store.diverged(one.key)
        if reason is None:
            return _held_up(parents)
        again = f"remove {one.short} --workdir={store.workdir}"
        again = f"To try it again: `python -m jaxseg.artifacts {again}`"
        return "diverged", f"in an earlier run, {reason} {again}"

    def _elsewhere(self, key: str) -> str:
        """The state of a parent that this run does not make; "": it is not done."""
        if key in self.weights.lacking:
            return ""
        if not self.store.done(key):
            return (self.store.failure(key) or {"state": ""})["state"]
        try:
            self.store.verify(key)
        except errors.UserError as error:
            logging.error("%s", error)
            return "failed"
        return "done"


def _held_up(parents: Mapping[str, str]) -> tuple[str, str]:
    """("early" or "waiting", why) by {parent: state}, else ("", "")."""
    for name, state in parents.items():
        if not state:
            return "early", f"parent {name} is not done. Run this again once it is."
    if any(state in outcomes.HELD for state in parents.values()):
        return "waiting", "another process makes a parent"
    return "", ""


def _stood_in_for(stages: Sequence[Stage], states: Mapping[str, str]) -> list[str]:
    """Names of stages that diverged, and all of whose children are there without."""
    children: dict[str, list[str]] = {}
    for one in stages:
        for parent in one.parent_names.values():
            children.setdefault(parent, []).append(states[one.name])
    return [
        name
        for name, own in children.items()
        if states.get(name) == "diverged"
        and all(state in outcomes.THERE for state in own)
    ]
