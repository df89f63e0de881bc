"""Best of several: candidates in, the winner and all scores out.

Children of a `select` stage start from the winner. The factors paper takes the best of
three learning rates (5.1); which images decide is the candidates' evaluation's name.
Candidates that diverged are listed and lose. A winner that was trained on a part of its
images is trained again on all of them: the result is that training.

A search asks for candidates one after another, and those it never asks for are not
trained: `kinds._peak.walk`.
"""

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from jaxseg.core import (
    binding,
    errors,
    hashing,
    hosts,
    jsonl,
    lookup,
    manifest,
    nested,
    rules,
)
from jaxseg.data import spec as data_spec
from jaxseg.transfer import stage as stages
from jaxseg.transfer.kinds import _peak as peak
from jaxseg.transfer.spec import EvalSpec, PartSpec, TrainSpec
from jaxseg.transfer.training import choosing


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectSpec(binding.Spec):
    """A choice among its parents, the candidates.

    evaluation: of the candidates, the one whose headline metric decides.
    refit: a winner that was trained on part="train" is trained again on all of its
    images: for as many steps as it was best after, with the schedule over these, and
    the last weights are kept. Without it the winner stands as it is.
    search: None trains all candidates. "peak" asks for one after another: `_peak.walk`
    over their learning rates, the lowest first in its list.
    start: the role of the candidate that a search begins with.
    """

    evaluation: str = "holdout"
    refit: bool = True
    search: Annotated[str | None, rules.one_of("peak")] = None
    start: str | None = None


class Select(stages.Kind):
    """Takes the best candidate."""

    Spec = SelectSpec
    VERSION = 3
    DOES_WITHOUT = True  # candidates that diverged
    TOGETHER = True  # a refit is a training

    def key_parts(self, spec: SelectSpec) -> Any:
        """Without a search as before there were any."""
        parts = super().key_parts(spec)
        names = ("search", "start") if spec.search is None else ()
        return {name: value for name, value in parts.items() if name not in names}

    def check_parents(
        self, spec: SelectSpec, parents: Mapping[str, stages.Stage], where: str
    ) -> None:
        """UserError where there is nothing to choose from, or nothing to choose by."""
        if not parents:
            raise errors.UserError(
                f"{where}: select needs candidates as parents, found none. Fix: "
                "parents={role: stage, ...} of the trainings to choose from"
            )
        for candidate in parents.values():
            known = getattr(candidate.spec, "evaluations", {spec.evaluation: None})
            if spec.evaluation not in known:
                kind = f"evaluation of {candidate.name}"
                place = f"{where}/evaluation"
                raise lookup.unknown(spec.evaluation, known, kind=kind, where=place)
            if getattr(candidate.spec, "headline", "") is None:
                raise errors.UserError(
                    f"{where}: {candidate.name} has no headline, whose metric decides. "
                    "Fix: headline='NAME' of an evaluation there."
                )
            if refits(spec, candidate) and candidate.spec.headline not in unseen(
                candidate.spec
            ):
                raise errors.UserError(
                    f"{where}: the headline of {candidate.name}, evaluation "
                    f"{candidate.spec.headline!r}, is of images that the refit trains "
                    "on. Fix: another `headline` there, or refit=False here."
                )
        peak.check(spec, parents, where)

    def asks(
        self,
        stage: stages.Stage,
        ended: Callable[[str], Mapping[str, Any] | None],
    ) -> Sequence[str]:
        """All candidates, or the walk of the search so far."""
        if stage.spec.search is None:
            return tuple(stage.parents)

        def worth(role: str) -> float | None:
            found = ended(role)
            return None if found is None else _worth(found, stage.spec.evaluation)

        return peak.walk(_order(stage.parents), stage.spec.start, worth)

    def uses(self, stage: stages.Stage) -> Sequence[stages.Stage]:
        """What candidates start from, and so does the winner's second training."""
        again = (c for c in stage.parents.values() if refits(stage.spec, c))
        return [used for c in again for used in stages.kind(c.kind).uses(c)]

    def lends(self, stage: stages.Stage) -> Sequence[stages.Stage]:
        """Candidates that stand as they are if they win."""
        every = stage.parents.values()
        return [one for one in every if not refits(stage.spec, one)]

    def training(self, stage: stages.Stage) -> stages.Stage | None:
        """That of the first candidate, as it is once it is trained on all images."""
        first = next(iter(stage.parents.values()))
        first = stages.kind(first.kind).training(first)
        if first is None or not refits(stage.spec, first):
            return first
        return dataclasses.replace(first, spec=on_all_images(first.spec))

    def modelled(self, stage: stages.Stage) -> stages.Stage | None:
        """One that stands for all candidates, if their networks are the same."""
        every = [stages.kind(c.kind).modelled(c) for c in stage.parents.values()]
        if None in every:
            return None
        kinds = [stages.kind(one.kind).weights(one.spec) for one in every]
        models = {hashing.canonical(one.spec.model) for one in every}
        return every[0] if len(models) == len(set(kinds)) == 1 else None

    def selected(self, spec: SelectSpec) -> str:
        """The evaluation that it chooses by."""
        return spec.evaluation

    def describe(
        self, spec: SelectSpec, parents: Mapping[str, stages.Stage]
    ) -> dict[str, int]:
        """What a refit costs at most."""
        costs = [
            stages.kind(one.kind).describe(one.spec, one.parents)
            for one in parents.values()
            if refits(spec, one)
        ]
        names = {name for cost in costs for name in cost}
        return {name: max(cost.get(name, 0) for cost in costs) for name in names}

    def run(self, context: stages.StageContext) -> dict[str, Any]:
        """rows.jsonl with all scores; the manifest has the winner's metrics, or those
        of its refit, whose weights, log and samples are then here.
        """
        return _run(context)


KIND = Select()


def _run(context: stages.StageContext) -> dict[str, Any]:
    spec = context.stage.spec
    manifests = hosts.first(
        lambda: {role: manifest.read(f) for role, f in context.parents.items()}
    )
    scores = {role: _score(m, spec.evaluation) for role, m in manifests.items()}
    best = max if next(iter(scores.values()))["higher_is_better"] else min
    values = {role: score["value"] for role, score in scores.items()}
    finite = [role for role in sorted(values) if math.isfinite(values[role])]
    if not finite:
        raise errors.Diverged(f"no candidate has a finite score; they have {values}")
    winner = best(finite, key=values.__getitem__)  # of equals the first, everywhere
    candidate = context.stage.parents[winner]
    if refits(spec, candidate):
        facts = _refit(context, candidate, context.parents[winner], manifests[winner])
    else:
        chosen = manifests[winner]
        facts = manifest.of_weights(chosen) | {
            "metrics": [_chosen(context, candidate, row) for row in chosen["metrics"]],
            "winner": chosen["key"],
            "steps": chosen.get("steps", 0),
            "seconds": 0.0,  # the candidates' own stages count theirs
        }
    asked = KIND.asks(context.stage, lambda role: manifests.get(role, {}))
    rows = list(_rows(context, manifests, scores, winner, asked))
    jsonl.write(context.folder / "rows.jsonl", rows)
    skipped = [role for role in context.stage.parents if role not in asked]
    return facts | ({"skipped": skipped} if spec.search else {})


def _order(candidates: Mapping[str, stages.Stage]) -> list[str]:
    """The list that a search walks over: roles by learning rate, the lowest first."""
    return sorted(candidates, key=lambda role: candidates[role].spec.lr)


def _worth(manifest: Mapping[str, Any], evaluation: str) -> float:
    """The score of a candidate, higher is better; -inf of one that diverged, {}, and
    where it is not finite.
    """
    score = _score(manifest, evaluation) if manifest else {"value": math.nan}
    if not math.isfinite(score["value"]):
        return -math.inf
    return score["value"] if score["higher_is_better"] else -score["value"]


def refits(spec: SelectSpec, candidate: stages.Stage) -> bool:
    """Whether this candidate, if it wins, is trained again."""
    if not spec.refit or not isinstance(candidate.spec, TrainSpec):
        return False
    return any(one.part == "train" for one in candidate.spec.trained_on)


def unseen(spec: TrainSpec) -> dict[str, EvalSpec]:
    """The evaluations that a training on all images leaves: those on the images that
    were held out are none any more.
    """

    def seen(evaluation: EvalSpec) -> bool:
        holdout = evaluation.part == "holdout"
        return holdout and any(evaluation.same_split(one) for one in spec.trained_on)

    return {n: own for n, own in spec.evaluations.items() if not seen(own)}


def on_all_images(spec: TrainSpec, steps: int | None = None) -> TrainSpec:
    """A training without a held-out part, for `steps` or as it was."""
    steps = steps or spec.steps

    def whole(name: str, part: PartSpec) -> PartSpec:
        return dataclasses.replace(part, data=part.data.whole)

    warmup = min(spec.schedule["warmup_steps"], steps)
    return spec.with_parts(
        whole,
        evaluations=unseen(spec),
        steps=steps,
        schedule={**spec.schedule, "warmup_steps": warmup},
        patience=None,
        keep="last",
        choose_by=None,
    )


def _refit(
    context: stages.StageContext,
    candidate: stages.Stage,
    folder: Path,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Trains the winner on all of its images into the folder; facts of its manifest.

    A kill in between is resumed, unless another candidate has won since.
    """
    from jaxseg.transfer.training import training  # loads grain: a plan does without

    spec = on_all_images(candidate.spec, manifest["best_step"] or manifest["steps"])
    scratch = context.scratch / f"refit_{candidate.short}"
    for other in context.scratch.glob("refit_*"):
        if other != scratch:
            shutil.rmtree(other)
    keys = candidate.parent_keys.items()
    folders = {role: folder.parent / key[:20] for role, key in keys}
    inner = dataclasses.replace(
        context,
        parents=folders,
        scratch=scratch,
        chosen={
            name: choosing.words(candidate.spec, name)  # which set its steps
            + _words(context, candidate, name)
            for name in spec.evaluations
        },
    )
    facts = training.run(inner, data_spec.placed(spec, folders))
    both = nested.plain(context.stage.spec) | nested.plain(spec)
    return facts | {"spec": both, "refit_of": manifest["key"]}


def _words(
    context: stages.StageContext, candidate: stages.Stage, evaluation: str
) -> str:
    """What the protocol of an evaluation of the winner adds by the choice made here."""
    spec, count = context.stage.spec, len(context.stage.parents)
    at_most = "up to " if spec.search else ""
    known = getattr(candidate.spec, "evaluations", {})  # a selection has none
    return choosing.candidates(known, evaluation, spec.evaluation, count, at_most)


def _chosen(
    context: stages.StageContext, candidate: stages.Stage, row: Mapping[str, Any]
) -> dict[str, Any]:
    """A metric of the winner, whose protocol says that its images made it one."""
    words = _words(context, candidate, row["evaluation"])
    more = {name: row.get(name, "") + words for name in ("protocol", "chosen")}
    return dict(row) | more


def _rows(
    context: stages.StageContext,
    manifests: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    winner: str,
    asked: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """One of each candidate; of one that diverged without a value, with the reason.

    Of a search in the order of its list, with the place, from 1, at which each was
    asked for; those that never were have none.
    """
    spec, candidates = context.stage.spec, context.stage.parents
    for role in _order(candidates) if spec.search else sorted(candidates):
        score = scores.get(role, {"name": None, "value": None})
        row = {
            "candidate": manifests.get(role, {}).get("name") or candidates[role].name,
            "key": candidates[role].key,
            "lr": getattr(candidates[role].spec, "lr", None),
            "metric": score["name"],
            "evaluation": spec.evaluation,
            "value": score["value"],
            "winner": role == winner,
            "diverged": context.lost.get(role) or _not_finite(score["value"]),
        }
        if spec.search:
            row["skipped"] = role not in asked
            row["asked"] = None if row["skipped"] else asked.index(role) + 1
        yield row


def _not_finite(value: float | None) -> str | None:
    finite = value is None or math.isfinite(value)
    return None if finite else f"its score is {value}"


def _score(manifest: Mapping[str, Any], evaluation: str) -> dict[str, Any]:
    """The headline metric of a candidate under that evaluation."""
    headline = next(m["name"] for m in manifest["metrics"] if m["headline"])
    for metric in manifest["metrics"]:
        if metric["evaluation"] == evaluation and metric["name"] == headline:
            return metric
    known = sorted({metric["evaluation"] for metric in manifest["metrics"]})
    raise errors.UserError(
        f"{manifest['name']}: no evaluation {evaluation!r} to select by; it has "
        f"{', '.join(known)}. Fix: evaluations={{..., {evaluation!r}: {{...}}}}"
    )
