"""A config from beginning to end: plan, run what is missing, report."""

import contextlib
import dataclasses
import logging
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import compiled, errors, outcomes, signals, user_cache
from jaxseg.core import manifest as manifests
from jaxseg.data import spec as data_spec
from jaxseg.train import hooks
from jaxseg.transfer import chain
from jaxseg.transfer import store as stores
from jaxseg.transfer.running import (
    demand,
    dropping,
    everywhere,
    record,
    status,
    unchanged,
)
from jaxseg.transfer.stage import Stage, StageContext, kind


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
    config_file: str = "",
    argument: str = "",
) -> Outcome:
    """What `python -m jaxseg.main` does: every stage of `config` that is not done yet,
    then the report. The same call continues what a kill or an interruption left.

    config: a ConfigDict, plain dicts, or what `overrides.override` returns. only: regex
    of the stages to run; what they descend from runs as well, candidates of a search
    only as it asks for them. stage: the key of one stage whose parents are done, for
    workers: no report, and no lock but the stage's; a candidate that no search of the
    plan asks for (yet) is not begun.
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
                plan=None if stage is None else plan.stages,
                study=plan.stages,
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
    plan: Sequence[Stage] | None = None,
    study: Sequence[Stage] | None = None,
) -> Outcome:
    """Runs what is asked for and not there yet; a failed stage blocks only what
    descends from it.

    plan: the stages that do the asking, see `demand`; None: those given. study: those
    whose needs keep weights, see `dropping`; None: those given.
    """
    asking = demand.Demand(stages if plan is None else plan, store)
    weights = dropping.Dropping(study or stages, plan or stages, store, asking)
    names = {one.name: one for one in stages}
    run = _Run(names, store, asking, weights, watcher, interrupted)
    for one in stages:
        if one.name not in run.outcome.states and asking.wanted(one):
            run.make(one)
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
    outcome: Outcome = dataclasses.field(default_factory=lambda: Outcome({}, {}))
    first: dict[str, str] = dataclasses.field(  # {key: name it was made under}
        default_factory=dict
    )
    digests: unchanged.Known = dataclasses.field(default_factory=dict)

    def make(self, one: Stage) -> None:
        """A stage, after those parents that only it asks for, one after another."""
        while parent := self._missing(one):
            self.make(parent)
        state, text = self._known(one)
        if not state:
            if self.interrupted():
                raise hooks.Interrupted(f"before stage {one.name}")
            self.watcher.begin(one)
            lacking = self.weights.lacking.get(one.key, "")
            if lacking:
                self.watcher.note(one, lacking)
            state, text = _run_one(
                one, self.store, self.watcher, self.interrupted, again=bool(lacking)
            )
        self._end(one, state, text)
        self.first.setdefault(one.key, one.name)

    def leave(self, one: Stage) -> None:
        """A stage that nothing has asked for."""
        if self.store.done(one.key):
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
            return _checked(one, store, self.digests)
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


def _checked(
    one: Stage, store: stores.Store, digests: unchanged.Known
) -> tuple[str, str]:
    """(state, text) of a stage that is there: cached, or failed where it is wrong."""
    try:
        store.verify(one.key)
        unchanged.check(one, store.manifest(one.key), digests)
    except errors.DamagedPicture as error:  # the report has its numbers
        return "failed", str(error)
    except errors.UserError as error:
        with stores.writable(store.workdir):
            store.fail(one.key, str(error))  # the report leaves it out, and says why
        return "failed", str(error)
    store.accept(one.key)
    return "cached", ""


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


def _run_one(
    one: Stage,
    store: stores.Store,
    watcher: status.Watcher,
    interrupted: Callable[[], bool],
    again: bool,
) -> tuple[str, str]:
    """(state, text) of a stage after a try to make it."""
    try:
        run_stage(one, store, watcher=watcher, interrupted=interrupted, again=again)
    except hooks.Interrupted:
        raise
    except errors.Busy as error:
        return "busy", str(error)
    except Exception as error:  # one branch; the others go on, and the exit code is 1
        if errors.traced() or not isinstance(error, errors.UserError):
            logging.error("%s", traceback.format_exc())
        text = str(error) if isinstance(error, errors.UserError) else repr(error)
        state = "diverged" if isinstance(error, errors.Diverged) else "failed"
        with stores.writable(store.workdir):
            store.fail(one.key, text, state)
        return state, text
    return "done", ""


def run_stage(
    one: Stage,
    store: stores.Store,
    *,
    watcher: status.Watcher,
    interrupted: Callable[[], bool] = lambda: False,
    again: bool = False,
) -> None:
    """Makes one artifact whose parents are there; nobody else makes it meanwhile.

    again: also where it is there; the new one takes its place once it is whole.
    """
    with store.lock(one.short, f"stage {one.name}"), stores.writable(store.workdir):
        if store.done(one.key) and not (again and store.dropped(one.key)):
            return
        keys = {r: one.parent_keys[r] for r in demand.Demand([one], store).asked(one)}
        lost = {r: why for r, k in keys.items() if (why := store.diverged(k))}
        lost = lost if kind(one.kind).DOES_WITHOUT else {}
        folders = {r: store.folder(k) for r, k in keys.items() if r not in lost}
        context = StageContext(
            stage=dataclasses.replace(one, spec=data_spec.placed(one.spec, folders)),
            parents=folders,
            lost=lost,
            folder=store.start(one.key),
            scratch=store.running(one.key),
            progress=lambda done, of, text: watcher.progress(one, done, of, text),
            note=lambda text: watcher.note(one, text),
            interrupted=interrupted,
        )
        parents = {role: manifests.read(f) for role, f in context.parents.items()}
        facts = everywhere.run(one, context)
        store.finish(one.key, record.manifest(one, facts, parents))
