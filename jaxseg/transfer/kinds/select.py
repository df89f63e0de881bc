"""Best of several: candidates in, the winner and all scores out.

Children of a `select` stage start from the winner. The factors paper takes the best of
three learning rates (5.1); which images decide is the candidates' evaluation's name.
Candidates that diverged are listed and lose. A winner that was trained on a part of its
images is trained again on all of them: the result is that training.
"""

import dataclasses
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import errors, jsonl, lookup, manifest
from jaxseg.transfer import choosing, work
from jaxseg.transfer import stage as stages

VERSION = 3  # goes up when the same candidates would give another result
DOES_WITHOUT = True  # candidates that diverged
COPIED = {"metrics", "classes", "palette", "heads", "outputs", "data", "preprocessing"}
COPIED |= {"weights"}


def arguments(*, evaluation: str = "holdout", refit: bool = True) -> None:
    """What a `select` section may hold.

    evaluation: of the candidates, the one whose headline metric decides.
    refit: a winner that was trained on part="train" is trained again on all of its
    images: for as many steps as it was best after, with the schedule over these, and
    the last weights are kept. Without it the winner stands as it is.
    """


def bind(bound: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Nothing is nested."""
    return dict(bound)


def resolve(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Nothing depends on data."""
    return dict(spec)


def keyed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All of it."""
    return dict(spec)


def reads(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What its candidates read is looked at with them."""
    return {}


def versions(spec: Mapping[str, Any]) -> dict[str, int]:
    """None beside the kind's own; the candidates' keys have those of a training."""
    return {}


def check_parents(
    spec: Mapping[str, Any], parents: Mapping[str, Any], where: str
) -> None:
    """UserError where there is nothing to choose from, or nothing to choose by."""
    if not parents:
        raise errors.UserError(
            f"{where}: select needs candidates as parents, found none"
        )
    for candidate in filter(None, parents.values()):
        known = candidate.spec.get("evaluations", {spec["evaluation"]: None})
        if spec["evaluation"] not in known:
            raise lookup.unknown(
                spec["evaluation"], known, kind="evaluation", where=candidate.name
            )
        if not refits(spec, candidate):
            continue
        headline = candidate.spec["headline"]
        if headline not in on_all_images(candidate.spec)["evaluations"]:
            raise errors.UserError(
                f"{where}: the headline of {candidate.name}, evaluation {headline!r}, "
                "is of images that the refit trains on. Fix: another `headline` there, "
                "or refit=False here."
            )


def describe(
    spec: Mapping[str, Any], parents: Mapping[str, stages.Stage]
) -> dict[str, Any]:
    """What a refit costs at most."""
    costs = [
        lookup.load(stages.KINDS, one.kind).describe(one.spec, one.made_from)
        for one in parents.values()
        if refits(spec, one)
    ]
    names = {name for cost in costs for name in cost}
    return {name: max(cost.get(name, 0) for cost in costs) for name in names}


def run(job: work.Work) -> dict[str, Any]:
    """rows.jsonl with all scores; the manifest has the winner's metrics, or those of
    its refit, whose weights, log and samples are then here.
    """
    spec = job.stage.spec
    manifests = {role: manifest.read(f) for role, f in job.parents.items()}
    scores = {role: _score(m, spec["evaluation"]) for role, m in manifests.items()}
    best = max if next(iter(scores.values()))["higher_is_better"] else min
    values = {role: score["value"] for role, score in scores.items()}
    finite = [role for role in sorted(values) if math.isfinite(values[role])]
    if not finite:
        raise errors.Diverged(f"no candidate has a finite score; they have {values}")
    winner = best(finite, key=values.__getitem__)  # of equals the first, everywhere
    candidate = job.stage.made_from.get(winner)
    if candidate is not None and refits(spec, candidate):
        facts = _refit(job, candidate, job.parents[winner], manifests[winner])
    else:
        found = manifests[winner]
        facts = {name: found[name] for name in COPIED & found.keys()} | {
            "metrics": [_chosen(job, found["spec"], row) for row in found["metrics"]],
            "winner": found["key"],
            "steps": found.get("steps", 0),
            "seconds": 0.0,  # the candidates' own stages count theirs
        }
    rows = list(_rows(job, manifests, scores, winner))
    jsonl.write(job.folder / "rows.jsonl", rows)
    return facts


def refits(spec: Mapping[str, Any], candidate: stages.Stage) -> bool:
    """Whether this candidate, if it wins, is trained again."""
    if not spec["refit"] or candidate.kind != "train":
        return False
    data = candidate.spec["data"]
    return any(one["part"] == "train" for one in (data, *data["mix"]))


def on_all_images(spec: Mapping[str, Any], steps: int | None = None) -> dict[str, Any]:
    """The spec of a training without a held-out part, for `steps` or as it was.

    Evaluations on the images that were held out are no longer any, and are left out.
    """
    data, steps = spec["data"], steps or spec["steps"]
    read = [data, *data["mix"]]
    whole = [one | {"part": "all"} if one["part"] == "train" else one for one in read]

    def seen(evaluation: Mapping[str, Any]) -> bool:
        holdout = evaluation["part"] == "holdout"
        return holdout and any(choosing.same_split(evaluation, one) for one in read)

    schedule = dict(spec["schedule"])
    schedule["warmup_steps"] = min(schedule["warmup_steps"], steps)
    return dict(spec) | {
        "data": whole[0] | {"mix": whole[1:]},
        "evaluations": {n: e for n, e in spec["evaluations"].items() if not seen(e)},
        "steps": steps,
        "schedule": schedule,
        "patience": None,
        "keep": "last",
        "choose_by": None,
    }


def _refit(
    job: work.Work, candidate: stages.Stage, folder: Path, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Trains the winner on all of its images into `job.folder`; facts of the manifest.

    A kill in between is resumed, unless another candidate has won since.
    """
    from jaxseg.transfer import training  # loads grain: a plan does without

    spec = on_all_images(candidate.spec, manifest["best_step"] or manifest["steps"])
    scratch = job.scratch / f"refit_{candidate.short}"
    for other in job.scratch.glob("refit_*"):
        if other != scratch:
            shutil.rmtree(other)
    keys = candidate.parent_keys
    inner = dataclasses.replace(
        job,
        stage=dataclasses.replace(job.stage, spec=spec),
        parents={role: folder.parent / key[:20] for role, key in keys.items()},
        scratch=scratch,
        said={
            name: choosing.words(candidate.spec, name)  # which set its steps
            + _said(job, candidate.spec, name)
            for name in spec["evaluations"]
        },
    )
    facts = training.Training(inner).run()
    return facts | {"spec": job.stage.spec | spec, "refit_of": manifest["key"]}


def _said(job: work.Work, spec: Mapping[str, Any], evaluation: str) -> str:
    """What the protocol of an evaluation of the winner adds by the choice made here."""
    count = len(job.parents) + len(job.lost)
    decided = job.stage.spec["evaluation"]
    return choosing.candidates(spec, evaluation, decided, count)


def _chosen(
    job: work.Work, spec: Mapping[str, Any], row: Mapping[str, Any]
) -> dict[str, Any]:
    """A metric of the winner, whose protocol says that its images made it one."""
    said = _said(job, spec, row["evaluation"])
    more = {name: row.get(name, "") + said for name in ("protocol", "chosen")}
    return dict(row) | more


def _rows(
    job: work.Work,
    manifests: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
    winner: str,
) -> Iterator[dict[str, Any]]:
    """One of each candidate; of one that diverged without a value, with the reason."""
    for role in sorted([*scores, *job.lost]):
        if role in job.lost:
            lost = job.stage.made_from[role]
            name, key, lr = lost.name, lost.key, lost.spec.get("lr")
            metric = value = None
        else:
            found, metric = manifests[role], scores[role]["name"]
            name, key, value = found["name"], found["key"], scores[role]["value"]
            lr = found["spec"].get("lr")
        yield {
            "candidate": name,
            "key": key,
            "lr": lr,
            "metric": metric,
            "evaluation": job.stage.spec["evaluation"],
            "value": value,
            "winner": role == winner,
            "diverged": job.lost.get(role) or _not_finite(value),
        }


def _not_finite(value: float) -> str | None:
    return None if math.isfinite(value) else f"its score is {value}"


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
