"""The studies, stages and artifacts of a workdir, every file checked."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import arrays, checkpoint, errors, jsonl, manifest, outcomes

SCHEMA = 1  # of plan.json
BROKEN = ("failed", "diverged", "blocked")  # a run with no change does not mend these


@dataclasses.dataclass(frozen=True)
class Artifact:
    """One finished folder. Each file is compared with the manifest before it is read.

    lost: {name: what is wrong with it} of pictures; no number depends on them.
    """

    folder: Path
    manifest: Mapping[str, Any]
    lost: Mapping[str, str]

    @property
    def key(self) -> str:
        """The name of the folder, which is the head of the key."""
        return self.folder.name

    def path(self, name: str) -> Path | None:
        """The path of a file; None where the artifact has none; Damaged if changed."""
        expected = self.manifest["files"].get(name)
        if expected is None or name in self.lost:
            return None
        fix = manifest.remedy(self.folder)
        checkpoint.check_sums(self.folder, {name: expected}, fix=fix)
        return self.folder / name

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None where the artifact has none."""
        path = self.path(name)
        return None if path is None else path.read_bytes()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The rows of a JSON-lines file, [] where the artifact has none."""
        path = self.path(name)
        return [] if path is None else jsonl.read(path)

    def value(self, name: str) -> Any:
        """The value of a JSON file, None where the artifact has none."""
        path = self.path(name)
        return None if path is None else jsonl.read_json(path)

    def arrays(self) -> dict[str, np.ndarray]:
        """What an analysis returned beside its rows; {} where it has no arrays."""
        path = self.path(arrays.FILE)
        return {} if path is None else arrays.read(path)

    @property
    def headline(self) -> Mapping[str, Any] | None:
        """The metric that stands for this artifact; None where it measured none."""
        return manifest.headline(self.manifest)

    @property
    def analysis(self) -> str:
        """The name of the analysis that a measurement ran."""
        return self.manifest["spec"]["analysis"]["name"]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One node of a plan. status: done, skipped (no search needed it), pending or one
    of BROKEN.

    columns: for each row of the tables, where the result stands.
    """

    name: str
    key: str
    kind: str
    parents: Mapping[str, str]  # {role: key}
    columns: Sequence[Mapping[str, Any]]
    status: str
    error: str  # why it failed, or which parent blocks it
    artifact: Artifact | None
    winner: Artifact | None = None  # of a `select` stage that trained nothing itself
    refused: bool = False  # it exists and is not used: damaged, or made of other data
    flops: int | None = None  # of its training, estimated by the plan

    @property
    def result(self) -> Artifact | None:
        """The artifact that holds the metrics of this stage."""
        return self.winner or self.artifact


Look = Callable[[str], tuple[Artifact | None, str]]  # key -> the result of `_look`


@dataclasses.dataclass(frozen=True)
class Study:
    """One plan.json and the state of its stages."""

    name: str
    config: str
    argument: str
    created: str
    stages: Sequence[Stage]
    error: str = ""  # why plan.json cannot be read; all else is empty then

    @property
    def not_needed(self) -> Sequence[Stage]:
        """Stages that diverged, and whose children are all done without them."""
        children = collections.defaultdict(list)
        for stage in self.stages:
            for parent in stage.parents.values():
                children[parent].append(stage.status)
        lost = [stage for stage in self.stages if stage.status == "diverged"]
        return [stage for stage in lost if set(children[stage.key]) == {"done"}]

    @property
    def broken(self) -> Sequence[Stage]:
        """Stages in a status of BROKEN, without those of `not_needed`."""
        not_needed = {stage.key for stage in self.not_needed}
        stages = [stage for stage in self.stages if stage.status in BROKEN]
        return [stage for stage in stages if stage.key not in not_needed]

    @property
    def lost(self) -> Sequence[tuple[Stage, str]]:
        """(stage, what is wrong) for each damaged picture of an artifact."""
        made = {stage.key: stage for stage in self.stages if stage.artifact}
        return [(s, text) for s in made.values() for text in s.artifact.lost.values()]

    @property
    def left_out(self) -> int:
        """Number of stages that have an artifact which is not used."""
        return len({stage.key for stage in self.stages if stage.refused})

    def counts(self) -> dict[str, int]:
        """Number of stages by status: done, skipped, those of BROKEN, pending."""
        counts = collections.Counter(stage.status for stage in self.stages)
        return {name: counts[name] for name in ("done", "skipped", *BROKEN, "pending")}


def load(workdir: Path) -> list[Study]:
    """Every study of a workdir, sorted by name; UserError where there is none."""
    plans = sorted(workdir.glob("studies/*/plan.json"))
    if not plans:
        raise errors.UserError(
            f"{workdir}: nothing to report, there is no studies/*/plan.json. Run "
            f"`python -m jaxseg.main --config=configs/factors.py --workdir={workdir}` "
            f"first, or give the workdir of a run."
        )
    look = functools.cache(functools.partial(_look, workdir))
    return [_study(path, workdir, look) for path in plans]


def _study(path: Path, workdir: Path, look: Look) -> Study:
    """The study of a plan.json; with only an error where it cannot be read."""
    try:
        return _planned(path, workdir, look)
    except errors.UserError as error:
        return Study(path.parent.name, "", "", "", (), str(error))


def _planned(path: Path, workdir: Path, look: Look) -> Study:
    plan = jsonl.read_sealed(path, fix=manifest.PLAN_FIX)
    _check_schema(path, plan)
    try:
        stages = _stages(plan["stages"], workdir, look)
        return Study(
            plan["study"], plan["config"], plan["argument"], plan["created"], stages
        )
    except (KeyError, TypeError) as error:
        raise errors.UserError(
            f"{path}: not a plan of this version, {type(error).__name__} {error}. Run "
            f"`python -m jaxseg.main` again to write it anew."
        ) from error


def _check_schema(path: Path, value: Any) -> None:
    """UserError where the file has another schema than this version reads."""
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise errors.UserError(
            f"{path}: field 'schema' is {schema!r}, this version reads {SCHEMA}. "
            f"Use the version of jaxseg that wrote it, or run the study again."
        )


def _stages(planned: Sequence[Mapping], workdir: Path, look: Look) -> list[Stage]:
    """A stage for each entry of a plan, which lists parents before their children.

    Entries with the same key share an artifact; each has its own name and columns.
    """
    stages, by_key = [], {}
    for entry in planned:
        artifact, damage = look(entry["key"])
        skipped = artifact.manifest.get("skipped", ()) if artifact else ()
        needed = [key for role, key in entry["parents"].items() if role not in skipped]
        status, error = _status(entry, needed, workdir, by_key, damage)
        there = artifact is not None or damage
        artifact = None if status in BROKEN else artifact
        winner = artifact.manifest.get("winner") if artifact else None
        stage = Stage(
            name=entry["name"],
            key=entry["key"],
            kind=entry["kind"],
            parents=entry["parents"],
            columns=entry["columns"],
            status="done" if artifact else status,
            error=error,
            artifact=artifact,
            winner=look(winner)[0] if winner else None,
            refused=bool(there) and status == "failed",
            flops=entry.get("flops"),
        )
        stages.append(stage)
        by_key.setdefault(stage.key, stage)
    return _skipped(planned, stages)


def _skipped(planned: Sequence[Mapping], stages: Sequence[Stage]) -> list[Stage]:
    """The same stages; a pending one whose children all did without it is skipped."""
    needed: dict[str, bool] = {}  # {name: whether a child needs it or may yet do so}
    found = []
    for entry, stage in zip(reversed(planned), reversed(stages), strict=True):
        if stage.status == "pending" and not needed.get(stage.name, True):
            stage = dataclasses.replace(stage, status="skipped")
        without = stage.artifact.manifest.get("skipped", ()) if stage.artifact else ()
        for role, name in entry["parent_names"].items():
            needs = stage.status != "skipped" and role not in without
            needed[name] = needed.get(name, False) or needs
        found.append(stage)
    return found[::-1]


def _status(
    entry: Mapping,
    needed: Sequence[str],
    workdir: Path,
    before: Mapping[str, Stage],
    damage: str,
) -> tuple[str, str]:
    """(status in BROKEN, why) as a run would have it, or ("pending", "").

    needed: keys of parents, without those that a search skipped.

    An artifact that a run refuses, damaged or made of other data, is failed: nothing is
    read from it, nor from its descendants.
    """
    parents = [before[key] for key in needed if key in before]
    states = {parent.name: parent.status for parent in parents}
    blocked = outcomes.blocked(states, entry["does_without"])
    if blocked:
        return "blocked", blocked
    if damage:
        return "failed", damage
    failure = outcomes.noted(workdir / "running" / entry["key"][:20])
    return (failure["state"], failure["error"]) if failure else ("pending", "")


def _look(workdir: Path, key: str) -> tuple[Artifact | None, str]:
    """(artifact, ""), (None, the damage), or (None, "") where there is no artifact.

    A damaged picture is left out and is no damage. Of weights only the existence is
    checked: a report reads none, and a run compares their bytes.
    """
    folder = workdir / manifest.FOLDER / key[:20]
    try:
        outcomes.noted(workdir / "running" / key[:20])  # Damaged where that file is
        if not folder.is_dir():
            return None, ""
        sealed = manifest.check(folder, weights=False, pictures=False)
        return Artifact(folder, sealed, manifest.lost_pictures(folder, sealed)), ""
    except errors.UserError as error:
        return None, str(error)
