"""Best of several: candidates in, the winner's key and all scores out.

Children of a `select` stage start from the winner. The factors paper takes the best of
three learning rates (5.1); which images decide is the candidates' evaluation's name.
"""

from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, records
from jaxseg.transfer import store, work

VERSION = 1  # goes up when the same candidates would give another winner


def arguments(*, evaluation: str = "held_out") -> None:
    """evaluation: of the candidates, the one whose headline metric decides."""


def bind(bound: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Nothing is nested."""
    return dict(bound)


def resolve(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Nothing depends on data."""
    return dict(spec)


def keyed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All of it."""
    return dict(spec)


def versions(spec: Mapping[str, Any]) -> dict[str, int]:
    """None beside the kind's own."""
    return {}


def check_parents(
    spec: Mapping[str, Any], parents: Mapping[str, str], where: str
) -> None:
    """UserError where there is nothing to choose from."""
    if not parents:
        raise errors.UserError(
            f"{where}: select needs candidates as parents, found none"
        )


def describe(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Costs nothing."""
    return {}


def run(job: work.Work) -> dict[str, Any]:
    """rows.jsonl with all scores; the manifest names the winner and has its metrics."""
    evaluation = job.stage.spec["evaluation"]
    parents = sorted(job.parents.items())  # the first of equals wins, everywhere
    manifests = {role: store.read_manifest(folder) for role, folder in parents}
    scores = {role: _score(m, evaluation) for role, m in manifests.items()}
    better = max if next(iter(scores.values()))["higher_is_better"] else min
    winner = better(scores, key=lambda role: scores[role]["value"])
    rows = [
        {
            "candidate": manifests[role]["name"],
            "key": manifests[role]["key"],
            "lr": manifests[role]["spec"].get("lr"),
            "metric": score["name"],
            "evaluation": evaluation,
            "value": score["value"],
            "winner": role == winner,
        }
        for role, score in scores.items()
    ]
    records.write(job.folder / "rows.jsonl", rows)
    best = manifests[winner]
    copied = {"metrics", "classes", "palette", "heads", "outputs"}
    copied |= {"data", "preprocessing"}
    return {name: best[name] for name in copied & best.keys()} | {
        "winner": best["key"],
        "steps": best.get("steps", 0),
        "seconds": 0.0,  # the candidates' own stages count theirs
    }


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
