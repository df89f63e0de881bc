"""A report as one HTML page without links to other files: the values of index.html."""

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import jinja2
import numpy as np

from jaxseg.core import text
from jaxseg.report import (
    absolute,
    claims,
    costs,
    figures,
    gains,
    heatmap,
    measured,
    pictures,
    rows,
    shares,
    tables,
    workdir,
)
from jaxseg.report.view import View


def render(report) -> str:
    """The text of the page. It depends on the stored files alone, to the byte."""
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
        studies=[_study(report, view) for view in report.views if not view.study.error],
        unread=[study for study in report.studies if study.error],
        colour=lambda domain: colours.get(domain, figures.OTHER),
        made=costs.provenance(report.studies),
        licences=costs.licences(report.studies),
        times=costs.TIMES,
        curves=figures.CURVES,
        verdicts={
            claims.HELD: "good",
            claims.WEAKLY: "weak",
            claims.NOT: "bad",
            claims.UNDECIDED: "open",
            claims.UNLEARNED: "weak",
            claims.UNMEASURED: "none",
        },
    )
    return text.visible(page)


def headline(gain_rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Two sentences on the mean gains and the best gain of a grid."""
    measured = shares.measured(gain_rows)
    if not measured:
        return ["No source has been compared with a baseline yet."]
    name, metric = measured[0]["baseline_source"], tables.shown(measured[0]["metric"])
    name = "random weights" if name == gains.RANDOM else f"{name} alone"
    within, cross = (shares.select(gain_rows, side) for side in ("within", "cross"))
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
    """The largest gain in words, or the smallest loss."""
    if top["gain"] > 0:
        return f"the largest gain is {figures.signed(top['gain'])} %"
    size = figures.signed(abs(top["gain"])).lstrip("+")
    return f"none gains anything, the smallest loss is {size} %"


def _chosen(top: Mapping[str, Any]) -> str:
    """The interval of the best start, or why it has none."""
    if top["undecided"]:
        return "undecided, since the baseline scatters"
    if top["gain_low"] is None:
        return figures.interval(top)
    among = f", as the best of {top['among']}" if top["among"] > 1 else ""
    return f"95 % interval {figures.interval(top)}{among}"


def _alone(scores: Sequence[Mapping[str, Any]], left_out: int) -> list[str]:
    """Sentences on the first scores of a grid without a comparison."""
    return [
        f"{tables.shown(line['metric'])} {line['shown']} on {line['target']}, "
        f"start: {line['start']}."
        for line in scores[:3]
    ] or [f"{left_out} left out." if left_out else "Nothing has been measured yet."]


def _scores(own: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A line for each start of a target: values by seed, mean, standard deviation."""
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
        "learned_nothing": any(map(gains.learned_nothing, group)),
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


def _command(study) -> str:
    """The config with its argument, without the folders that it lies in."""
    name = "/".join(PurePath(study.config).parts[-2:])
    return name + (f":{study.argument}" if study.argument else "")


def _study(report, view: View) -> dict[str, Any]:
    """What the page shows of one study."""
    study, results = view.study, view.results
    grids = [grid for grid in report.grids if grid.study == study.name]
    stages = costs.stages(study)
    found = [line for line in report.claims if line["study"] == study.name]
    rules, shared = claims.shortened([line["rule"] for line in found])
    return {
        "name": study.name,
        "config": _command(study),
        "created": study.created,
        "counts": study.counts(),
        "datasets": _datasets(results, view.cells),
        "grids": [
            _grid(grid, results, study.left_out) | {"printed": _printed(view, grid)}
            for grid in grids
        ],
        "claims": [line | {"rule": rule} for line, rule in zip(found, rules)],
        "shared": shared,
        "lead": view.own.LEAD if view.own else "gains",
        "paper": view.own.PAPER if view.own else "",
        "tables": [own for own in report.tables if own.study == study.name],
        "figures": view.own.figures(view) if view.own else (),
        "results": [_result(row) for row in results],
        "stages": stages,
        "longest": max((stage["seconds"] or 0 for stage in stages), default=0) or 1,
        "seconds": sum(stage["seconds"] or 0 for stage in stages),
        "waiting": costs.waiting(stages),
        "broken": study.broken,
        "lost": study.lost,
        "not_needed": study.not_needed,
        "searches": _searches(study),
        "measurements": measured.shown(study),
    }


def _printed(view: View, grid: tables.Grid) -> str:
    """The tables of the paper that are laid out as a grid; "": the study names none."""
    printed = getattr(view.own, "PRINTED", {})
    return printed.get((grid.setting, grid.task), "")


def _searches(study: workdir.Study) -> list[dict[str, Any]]:
    """What the page shows of each search: its walk, and where it ended."""
    walks: dict[str, list[Mapping]] = {}
    for row in rows.searches(study):
        walks.setdefault(row["stage"].name, []).append(row)
    return [
        {
            "name": name,
            "walk": sorted(
                (row for row in walk if row["asked"]), key=operator.itemgetter("asked")
            ),
            "skipped": [row["lr"] for row in walk if row["skipped"]],
            "best": next(row for row in walk if row["winner"]),
        }
        for name, walk in walks.items()
    ]


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
    """What the page shows of one grid: figures, shares, gains and their artifacts."""
    gain_rows, place = grid.rows(), tables.place_of(grid)
    own = [row for row in results if row["role"] == "target"]
    own = [row for row in own if tables.place(row) == place]
    shown = [(target, pictures.starts(grid, target, own)) for target in grid.targets]
    return {
        "grid": grid,
        "headline": headline(gain_rows)
        if grid.compares
        else _alone(_scores(own), left_out),
        "heatmap": heatmap.heatmap(grid) if grid.compares and grid.targets else "",
        "scores": [] if grid.compares else _scores(own),
        "summary": _summary(gain_rows),
        "best": _summary(gain_rows, best=True),
        "top": shares.best(shares.measured(gain_rows)),
        "gains": [
            _gain(row, target)
            for target in grid.targets
            for source in grid.sources
            if (row := grid.cells.get((target, source)))
        ],
        "selected": sorted({str(row["selected"]) for row in own if row["selected"]}),
        "seeds": sorted({row["seeds"] for row in gain_rows if row["gain"] is not None}),
        "several": any(row["several"] for row in gain_rows),
        "sure": sum(row["significant"] for row in shares.measured(gain_rows)),
        "pairs": len(shares.measured(gain_rows)),
        "chance": shares.chance(gain_rows),
        "notes": grid.notes(),
        "absolute": absolute.twin(grid) if grid.compares else None,
        "curves": [
            (target, pictures.panels(starts), [entry[:2] for entry in starts])
            for target, starts in shown
        ],
        "roles": _roles([starts for _, starts in shown]),
        "examples": [(target, pictures.examples(starts)) for target, starts in shown],
        "embedded": {
            cell["target"]: rows.embedded(cell["target_dataset"]) for cell in own
        },
    }


def _roles(shown: Sequence[pictures.Starts]) -> str:
    """'Baseline and best source': the starts that have curves."""
    names = {"baseline": "baseline", "random": "random start", "best": "best source"}
    there = {role for starts in shown for role, *_ in starts}
    *most, last = [name for role, name in names.items() if role in there] or [""]
    return (", ".join(most) + " and " * bool(most) + last).capitalize()


def _summary(gain_rows: Sequence[Mapping[str, Any]], best: bool = False) -> list[dict]:
    """The rows of Table 7 (best: 8) that have cells; by task only if tasks differ."""
    lines = shares.summary(gain_rows, only_best=best)
    lines = [line for line in lines if line["count"]]
    crossing = any(line["task"] == "cross" for line in lines)
    return [line for line in lines if crossing or line["task"] == "all"]


def _gain(row: Mapping[str, Any], target: tables.Axis) -> dict[str, Any]:
    """A gain with its artifacts and what was transplanted into them."""
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
    """The text on what was transplanted into an artifact."""
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


def _shown(value: int | float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _duration(value: int | float | None) -> str:
    """Seconds as '4.2 s', '3 min 10 s' or '5.2 h'."""
    if value is None:
        return ""
    if value < 100:
        return f"{value:.1f} s"
    if value < 7200:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value / 3600:.1f} h"
