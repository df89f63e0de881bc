"""A report as one HTML page that opens offline: what index.html shows, and its text."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from jaxseg.core import text
from jaxseg.report import (
    claims,
    figures,
    gains,
    pictures,
    rows,
    shares,
    tables,
    workdir,
)

TIMES = {  # parts of a stage's seconds, in the order in which a bar shows them
    "steps": "#3f7fbf",
    "data_wait": "#c23b32",
    "evaluation": "#7cc08f",
    "compile": "#e0b34a",
    "other": "#c5ccd4",
}


def render(report) -> str:
    """The page. Only what is stored is shown: the same files give the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "signed": lambda value: "" if value is None else figures.signed(value),
        "interval": figures.interval,
        "metric": tables.shown,
        "percent": lambda value: _shown(value, "{:.0f} %"),
        "decimal": lambda value: _shown(value, "{:.4f}"),
        "whole": lambda value: _shown(value, "{:,.0f}"),
        "seconds": _duration,
        "day": lambda text: str(text)[:16].replace("T", " "),
    }
    colours = figures.DOMAIN_COLOURS
    page = environment.get_template("index.html").render(
        studies=[_study(report, study) for study in report.studies if not study.error],
        unread=[study for study in report.studies if study.error],
        colour=lambda domain: colours.get(domain, figures.OTHER),
        made=_provenance(report.studies),
        licences=_licences(report.studies),
        times=TIMES,
        curves=figures.CURVES,
        verdicts={
            claims.HELD: "good",
            claims.WEAKLY: "weak",
            claims.NOT: "bad",
            claims.UNDECIDED: "open",
            claims.UNMEASURED: "none",
        },
    )
    return text.visible(page)


def headline(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The findings of one grid in two sentences made from its numbers."""
    measured = shares.measured(found)
    if not measured:
        return ["No source has been compared with a baseline yet."]
    name, metric = measured[0]["baseline_source"], tables.shown(measured[0]["metric"])
    name = "random weights" if name == gains.RANDOM else f"{name} alone"
    within, cross = (shares.select(found, side) for side in ("within", "cross"))
    parts = [
        f"{_average(kept, metric)} when the source shows {what}"
        for kept, what in (
            (within, "the target's own image domain"),
            (cross, "another image domain"),
        )
        if kept
    ]
    if not parts:
        parts = [_average(measured, metric)]
    best = shares.best(measured)
    top = max(best, key=lambda row: row["gain"])
    helped = sum(row["mean_effect"] in ("P", "VP") for row in best)
    sure = sum(row["effect"] in ("P", "VP") for row in best if row["significant"])
    surely = f" ({sure} of them surely)" if top["several"] else ""
    return [
        f"Fine-tuning from a source instead of {name} " + ", and ".join(parts) + ".",
        f"{helped} of {len(best)} targets have a source that brings more than 2 %"
        f"{surely}; {_largest(top)} on {top['target']} from {top['source']} "
        f"({_chosen(top)}).",
    ]


def _largest(top: Mapping[str, Any]) -> str:
    """The best gain of all, which may be a loss."""
    if top["gain"] > 0:
        return f"the largest gain is {figures.signed(top['gain'])} %"
    size = figures.signed(abs(top["gain"])).lstrip("+")
    return f"none gains anything, the smallest loss is {size} %"


def _chosen(top: Mapping[str, Any]) -> str:
    """The interval of a best start in words."""
    if top["undecided"]:
        return "undecided, since the baseline scatters"
    if top["gain_low"] is None:
        return figures.interval(top)
    among = f", as the best of {top['among']}" if top["among"] > 1 else ""
    return f"95 % interval {figures.interval(top)}{among}"


def _alone(scores: Sequence[Mapping[str, Any]], left_out: int) -> list[str]:
    """What was reached where the plan compares nothing."""
    return [
        f"{tables.shown(line['metric'])} {line['shown']} on {line['target']}, "
        f"start: {line['start']}."
        for line in scores[:3]
    ] or [f"{left_out} left out." if left_out else "Nothing has been measured yet."]


def _scores(own: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line for each start of a target: its values by seed, mean and deviation."""
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in own:
        names = ("target", "resolution", "protocol", "start")
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return [_score(group) for group in groups.values()]


def _score(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [row["value"] for row in group]
    several = len(values) > 1
    spread = f" ± {np.std(values, ddof=1):.3f}" if several else ""
    return dict(group[0]) | {
        "shown": f"{np.mean(values):.3f}{spread}",
        "several": several,
        "mean": float(np.mean(values)),
        "seeds": [(row["seed"], row["value"]) for row in group],
        "learned": all(map(gains.learned, group)),
    }


def _average(kept: Sequence[Mapping[str, Any]], metric: str) -> str:
    positive = sum(row["mean_effect"] in ("P", "VP") for row in kept)
    pairs = "pair" if len(kept) == 1 else "pairs"
    mean = float(np.mean([row["gain"] for row in kept]))
    size = figures.signed(abs(mean)).lstrip("+")
    return (
        f"{'improved' if mean >= 0 else 'worsened'} {metric} by {size} % on average "
        f"({positive} of {len(kept)} {pairs} positive)"
    )


def _study(report, study: workdir.Study) -> dict[str, Any]:
    """All that the page shows of one study."""
    results = [row for row in report.results if row["study"] == study.name]
    grids = [grid for grid in report.grids if grid.study == study.name]
    stages = _stages(study)
    return {
        "name": study.name,
        "config": study.config + (f":{study.argument}" if study.argument else ""),
        "created": study.created,
        "counts": study.counts(),
        "datasets": _datasets(results, rows.planned(study)),
        "grids": [_grid(grid, results, study.left_out) for grid in grids],
        "claims": [line for line in report.claims if line["study"] == study.name],
        "results": [_result(row) for row in results],
        "stages": stages,
        "longest": max((stage["seconds"] or 0 for stage in stages), default=0) or 1,
        "seconds": sum(stage["seconds"] or 0 for stage in stages),
        "waiting": _waiting(stages),
        "broken": study.broken,
        "lost": study.lost,
        "spared": study.spared,
    }


def _datasets(results: Sequence[Mapping], cells: Sequence[Mapping]) -> dict[str, list]:
    """{"embedded": names, "real": names} of all sources and targets."""
    names = {row["target_dataset"] for row in cells}
    names |= {row["source_dataset"] for row in (*results, *cells)}
    names = sorted(str(name) for name in names if name)
    return {
        "embedded": [name for name in names if rows.embedded(name)],
        "real": [name for name in names if not rows.embedded(name)],
    }


def _grid(
    grid: tables.Grid, results: Sequence[Mapping], left_out: int
) -> dict[str, Any]:
    """One gain table: its picture, its shares, and what stands behind each number."""
    found = grid.rows()
    casts = [(target, pictures.cast(grid, target, results)) for target in grid.targets]
    own = [row for row in results if tables.place(row) == tables.place_of(grid)]
    own = [row for row in own if row["role"] == "target"]
    return {
        "grid": grid,
        "headline": headline(found)
        if grid.compares
        else _alone(_scores(own), left_out),
        "heatmap": figures.heatmap(grid) if grid.compares and grid.targets else "",
        "scores": [] if grid.compares else _scores(own),
        "summary": _summary(found),
        "best": _summary(found, only_best=True),
        "top": shares.best(shares.measured(found)),
        "gains": [
            _gain(row, target)
            for target in grid.targets
            for source in grid.sources
            if (row := grid.cells.get((target, source)))
        ],
        "selected": sorted({str(row["selected"]) for row in own if row["selected"]}),
        "seeds": sorted({row["seeds"] for row in found if row["gain"] is not None}),
        "several": any(row["several"] for row in found),
        "sure": sum(row["significant"] for row in shares.measured(found)),
        "pairs": len(shares.measured(found)),
        "chance": shares.chance(found),
        "notes": grid.notes(),
        "curves": [
            (target, pictures.curves(cast), [entry[:2] for entry in cast])
            for target, cast in casts
        ],
        "roles": _roles([cast for _, cast in casts]),
        "examples": [(target, pictures.examples(cast)) for target, cast in casts],
        "embedded": {
            cell["target"]: rows.embedded(cell["target_dataset"]) for cell in own
        },
    }


def _roles(casts: Sequence[pictures.Cast]) -> str:
    """'Baseline and best source': who has curves."""
    names = {"baseline": "baseline", "random": "random start", "best": "best source"}
    there = {role for cast in casts for role, *_ in cast}
    *most, last = [name for role, name in names.items() if role in there] or [""]
    return (", ".join(most) + " and " * bool(most) + last).capitalize()


def _summary(found: Sequence[Mapping[str, Any]], only_best: bool = False) -> list[dict]:
    """Lines of Table 7 or 8 that say something: no empty ones, no task if all agree."""
    lines = [
        line for line in shares.summary(found, only_best=only_best) if line["count"]
    ]
    crossing = any(line["task"] == "cross" for line in lines)
    return [line for line in lines if crossing or line["task"] == "all"]


def _gain(row: Mapping[str, Any], target: tables.Axis) -> dict[str, Any]:
    """A gain with the artifacts it came from and what was transplanted into them."""
    sides = {
        name: [(seed, side[seed]["artifact"]) for seed in sorted(side)]
        for name, side in (("source", row["rows"]), ("baseline", row["baseline_rows"]))
    }
    first = row["rows"][min(row["rows"])]["stage"].result
    return dict(row) | {
        "heading": target.heading,
        "floor": gains.floor(row),
        "artifacts": sides,
        "receipt": receipt(first),
        "side": shares.side(row, "domain"),
    }


def receipt(result: workdir.Artifact) -> str:
    """What was transplanted into an artifact, in words."""
    entries = result.value("receipt.json")
    if entries is None:
        return "no receipt"
    if not entries:
        return "nothing: random start"
    return "; ".join(
        f"{entry['copied_parameters']:,} of {entry['total_parameters']:,} "
        f"({', '.join(f'{to} ← {of}' for to, of in sorted(entry['take'].items()))})"
        for entry in entries
    )


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (*rows.COLUMNS, "role")} | {
        "receipt": receipt(row["stage"].result),
        "name": row["stage"].name,
    }


def _stages(study: workdir.Study) -> list[dict[str, Any]]:
    """The cost table. What two entries of a plan share was made, and counts, once."""
    lines, first = [], {}
    for stage in study.stages:
        line = {"name": stage.name, "kind": stage.kind, "status": stage.status}
        line |= {"key": stage.key[:20], "error": stage.error, "seconds": None}
        line |= {"parts": {}, "same": first.setdefault(stage.key, stage.name)}
        line |= dict.fromkeys(("steps", "peak", "parameters", "waiting", "flops"))
        if stage.artifact and line["same"] == stage.name:
            line |= _cost(stage.artifact.manifest)
        lines.append(line)
    return lines


def _cost(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What one artifact took. Parts of the time are disjoint and sum to it."""
    timing = manifest.get("timing") or {}
    busy = timing.get("steps", 0) + timing.get("data_wait", 0)
    return {
        "seconds": manifest.get("seconds"),
        "steps": manifest.get("steps"),
        "peak": (manifest.get("peak_bytes") or 0) / 2**20 or None,
        "parameters": manifest.get("parameters"),
        "flops": manifest.get("flops"),
        "parts": {name: timing.get(name, 0) for name in TIMES},
        "waiting": 100 * timing.get("data_wait", 0) / busy if busy else None,
    }


def _waiting(stages: Sequence[Mapping[str, Any]]) -> float | None:
    """Per cent of all training time that was spent waiting for data."""
    total = lambda name: sum(stage["parts"].get(name, 0) for stage in stages)
    busy = total("steps") + total("data_wait")
    return 100 * total("data_wait") / busy if busy else None


def _licences(studies: Sequence[workdir.Study]) -> list[Mapping[str, Any]]:
    """Each distinct licence of data or imported weights, non-commercial ones first."""
    found = {
        (not entry["noncommercial"], entry["of"], entry["licence"]): entry
        for study in studies
        for stage in study.stages
        if stage.artifact
        for entry in stage.artifact.manifest.get("licences") or ()
    }
    return [found[key] for key in sorted(found)]


def _provenance(studies: Sequence[workdir.Study]) -> dict[str, list[str]]:
    """Every distinct version, revision and device that made an artifact."""
    manifests = {
        stage.key: stage.artifact.manifest
        for study in studies
        for stage in study.stages
        if stage.artifact
    }.values()
    distinct = lambda values: sorted({value for value in values if value})
    joined = lambda table: ", ".join(
        f"{k} {v}" for k, v in sorted((table or {}).items())
    )
    return {
        "devices": distinct(
            f"{m['devices']}, {m.get('cores', '?')} cores"
            for m in manifests
            if m.get("devices")  # a measurement has none
        ),
        "code": distinct(_revision(m.get("code") or {}) for m in manifests),
        "packages": distinct(joined(m.get("packages")) for m in manifests),
        "versions of parts": distinct(joined(m.get("versions")) for m in manifests),
        "artifacts made": _span(distinct(str(m.get("created", "")) for m in manifests)),
    }


def _revision(code: Mapping[str, Any]) -> str:
    changed = ", with uncommitted changes" if code.get("dirty") else ""
    return f"{code['revision'][:12]}{changed}" if code.get("revision") else ""


def _span(times: Sequence[str]) -> list[str]:
    ends = functools.reduce(lambda span, t: [span[0], t], times[1:], [*times[:1]] * 2)
    return [" to ".join(dict.fromkeys(t[:16].replace("T", " ") for t in ends))] * bool(
        times
    )


def _shown(value: int | float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _duration(value: int | float | None) -> str:
    """Seconds for people: '4.2 s', '3 min 10 s', '5.2 h'."""
    if value is None:
        return ""
    if value < 100:
        return f"{value:.1f} s"
    if value < 7200:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value / 3600:.1f} h"
