"""The DAG of a config's stages: planned whole, run one by one, done work skipped."""

import dataclasses
import logging
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors, jsonl, licences, lookup, outcomes
from jaxseg.core import manifest as manifests
from jaxseg.data import contents
from jaxseg.train import hooks
from jaxseg.transfer import labels, provenance, reuse, stage, store, work


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
        names = [s.name for s in self.stages]
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
            wanted += [
                p for p in self.by_name[name].parents.values() if p not in chosen
            ]
        return [s for s in self.stages if s.name in chosen]

    def with_key(self, key: str) -> list[stage.Stage]:
        """The one stage whose key begins so."""
        found = [s for s in self.stages if key and s.key.startswith(key)]
        if len({s.key for s in found}) != 1:
            raise errors.UserError(
                f"--stage={key}: {len(found)} stages of this config have such a key"
            )
        return found[:1]


def bind(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with every section of every stage bound to its signature."""
    unknown = set(config) - {"study", "stages"}
    if unknown:
        raise lookup.unknown(
            min(unknown), ("study", "stages"), kind="key", where="the config"
        )
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
    return {"study": study, "stages": stages}


@contents.settled()
def plan(bound: Mapping[str, Any], config: str = "", argument: str = "") -> Plan:
    """Stages with keys, in an order in which each comes after its parents."""
    sections = bound["stages"]
    planned: dict[str, stage.Stage] = {}
    for name in _sorted(sections):
        section = sections[name]
        parents = {role: planned[p] for role, p in section["parents"].items()}
        planned[name] = stage.resolve(name, section, parents)
    done = []
    for one in planned.values():
        own = [labels.complete(label, one, planned) for label in one.labels]
        own = [{"study": bound["study"], "cell": one.name} | label for label in own]
        done.append(dataclasses.replace(one, labels=tuple(own)))
    return Plan(bound["study"], tuple(done), config, argument)


def write(plan: Plan, workdir: Path) -> None:
    """WORKDIR/studies/<study>/plan.json, which the report starts from."""
    rows = [
        {
            "name": s.name,
            "key": s.key,
            "kind": s.kind,
            "parents": s.parent_keys,
            "parent_names": s.parents,
            "does_without": _does_without(s),
            "labels": list(s.labels),
        }
        for s in plan.stages
    ]
    value = {"schema": 1, "study": plan.study, "config": plan.config}
    value |= {"argument": plan.argument, "created": store.now(), "stages": rows}
    jsonl.write_sealed(workdir / "studies" / plan.study / "plan.json", value)


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


class Watcher:
    """Hears of every stage as it goes; the status table is one."""

    def begin(self, one: stage.Stage) -> None:
        """A stage starts to run."""

    def progress(self, one: stage.Stage, done: int, of: int, text: str) -> None:
        """`done` of `of` steps."""

    def note(self, one: stage.Stage, text: str) -> None:
        """Something a reader of the log should know of the stage that runs."""

    def end(self, one: stage.Stage, state: str, text: str = "") -> None:
        """A stage has ended in one of the states of an Outcome."""


def run(
    stages: Sequence[stage.Stage],
    box: store.Store,
    *,
    watcher: Watcher,
    interrupted: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Runs what is not there yet; a failed stage blocks only what descends from it."""
    outcome = Outcome({}, {})
    first: dict[str, str] = {}  # {key: name it ended under}; two names may share one
    digests: reuse.Known = {}
    for one in stages:
        state, text = _known(one, box, outcome.states, first, digests)
        if not state:
            if interrupted():
                raise hooks.Interrupted(f"before stage {one.name}")
            watcher.begin(one)
            state, text = _run_one(one, box, watcher, interrupted)
        outcome.states[one.name] = state
        if state in ("failed", "diverged"):
            outcome.errors[one.name] = text
        watcher.end(one, state, text)
        first.setdefault(one.key, one.name)
    for name in _stood_in_for(stages, outcome.states):
        del outcome.errors[name]
    return outcome


def _known(
    one: stage.Stage,
    box: store.Store,
    states: Mapping[str, str],
    first: Mapping[str, str],
    digests: reuse.Known,
) -> tuple[str, str]:
    """(state, text) of a stage that has no need or no chance to run, else ("", "")."""
    parents = {
        name: states.get(name) or _elsewhere(one.parent_keys[role], box)
        for role, name in one.parents.items()
    }
    blocked = outcomes.blocked(parents, _does_without(one))
    if blocked:
        return "blocked", blocked
    if one.key in first:
        state = states[first[one.key]]
        if state in outcomes.THERE:
            return "cached", ""
        return state, f"is the same as {first[one.key]}"
    if box.done(one.key):
        try:
            box.verify(one.key)
            reuse.check(one, box.manifest(one.key), digests)
        except errors.DamagedPicture as error:  # the report has its numbers
            return "failed", str(error)
        except errors.UserError as error:
            with store.writable(box.workdir):
                box.fail(one.key, str(error))  # the report leaves it out, and says why
            return "failed", str(error)
        box.accept(one.key)
        return "cached", ""
    reason = box.diverged(one.key)
    if reason is None:
        return _held_up(parents)
    again = f"`python -m jaxseg.artifacts remove {one.short} --workdir={box.workdir}`"
    return "diverged", f"in an earlier run, {reason} To try it again: {again}"


def _elsewhere(key: str, box: store.Store) -> str:
    """The state of a parent that this run does not make, or "" where it is not done."""
    if not box.done(key):
        return (box.failure(key) or {"state": ""})["state"]
    try:
        box.verify(key)
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


def _does_without(one: stage.Stage) -> bool:
    """Whether some of its parents may have diverged."""
    return getattr(lookup.load(stage.KINDS, one.kind), "DOES_WITHOUT", False)


def _stood_in_for(
    stages: Sequence[stage.Stage], states: Mapping[str, str]
) -> list[str]:
    """Names of stages that diverged, and all of whose children are there without."""
    children: dict[str, list[str]] = {}
    for one in stages:
        for parent in one.parents.values():
            children.setdefault(parent, []).append(states[one.name])
    return [
        name
        for name, own in children.items()
        if states.get(name) == "diverged"
        and all(state in outcomes.THERE for state in own)
    ]


def _run_one(
    one: stage.Stage,
    box: store.Store,
    watcher: Watcher,
    interrupted: Callable[[], bool],
) -> tuple[str, str]:
    """(state, text) of a stage after a try to make it."""
    try:
        run_stage(one, box, watcher=watcher, interrupted=interrupted)
    except hooks.Interrupted:
        raise
    except errors.Busy as error:
        return "busy", str(error)
    except Exception as error:  # one branch; the others go on, and the exit code is 1
        if errors.traced() or not isinstance(error, errors.UserError):
            logging.error("%s", traceback.format_exc())
        text = str(error) if isinstance(error, errors.UserError) else repr(error)
        state = "diverged" if isinstance(error, errors.Diverged) else "failed"
        with store.writable(box.workdir):
            box.fail(one.key, text, state)
        return state, text
    return "done", ""


def run_stage(
    one: stage.Stage,
    box: store.Store,
    *,
    watcher: Watcher,
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Makes one artifact whose parents are there; nobody else makes it meanwhile."""
    with box.lock(one.short, f"stage {one.name}"), store.writable(box.workdir):
        if box.done(one.key):
            return
        lost = {r: box.diverged(k) for r, k in one.parent_keys.items()}
        lost = {r: why for r, why in lost.items() if why} if _does_without(one) else {}
        job = work.Work(
            stage=one,
            parents={
                role: box.folder(key)
                for role, key in one.parent_keys.items()
                if role not in lost
            },
            lost=lost,
            folder=box.start(one.key),
            scratch=box.running(one.key),
            progress=lambda done, of, text: watcher.progress(one, done, of, text),
            note=lambda text: watcher.note(one, text),
            interrupted=interrupted,
        )
        parents = {role: manifests.read(f) for role, f in job.parents.items()}
        facts = lookup.load(stage.KINDS, one.kind).run(job)
        box.finish(one.key, manifest(one, facts, parents))


def manifest(
    one: stage.Stage, facts: Mapping[str, Any], parents: Mapping[str, Any]
) -> dict[str, Any]:
    """What an artifact says of itself: what made it, and what came of it.

    parents: {role: manifest}. The sums of their weights tell a parent that is made
    again from the one that was used; their licences bind what comes of them.
    """
    inherited = [parent.get("licences", ()) for parent in parents.values()]
    return {
        "schema": manifests.SCHEMA,
        "key": one.key,
        "name": one.name,
        "kind": one.kind,
        "spec": one.spec,
        "parents": one.parent_keys,
        "versions": one.versions,
        "packages": provenance.packages(),
        "code": provenance.code(),
        "created": store.now(),
        "parent_weights": {role: p.get("weights") for role, p in parents.items()},
        **facts,
        "licences": licences.merge(facts.get("licences", ()), *inherited),
    }


def _sorted(sections: Mapping[str, Any]) -> list[str]:
    """Names in the order of the config, but parents first."""
    for name, section in sections.items():
        for parent in section["parents"].values():
            if parent not in sections:
                raise lookup.unknown(
                    parent, sections, kind="parent", where=f"stages/{name}"
                )
    order: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join((*path[path.index(name) :], name))
            raise errors.UserError(f"stages descend from themselves: {circle}")
        for parent in sections[name]["parents"].values():
            if parent not in order:
                visit(parent, (*path, name))
        order[name] = None

    for name in sections:
        visit(name, ())
    return list(order)
