"""Tables 7 to 11 of the factors study beside the paper's numbers, and what its sources
are worth.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import costs, gains, shares
from jaxseg.report import tables as grids
from jaxseg.report.absolute import Column, Place, Table
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.studies import _factors_distances as distances
from jaxseg.report.view import View, where

SETTINGS = {"small": "small target set", "full": "full target set"}
FILTERS = {  # rows of Tables 7 and 8
    ("all", "all"): ("all", "all"),
    **{(d, t): (d, t) for d in ("within", "cross") for t in ("within", "cross")},
}
LEVELS = ("P", "VP", "N")
SHARES = [Column(f"{level}, %", "{:.0f}") for level in LEVELS]
COUNT = Column("number", "{:.0f}")
TABLE_7 = {  # P, VP, N, #
    "small": (
        *((21, 11, 56, 509), (69, 44, 17, 64), (43, 22, 37, 49)),
        *((14, 5, 55, 242), (5, 2, 79, 154)),
    ),
    "full": (
        *((14, 3, 41, 382), (33, 9, 22, 78), (22, 6, 39, 18)),
        *((8, 1, 43, 242), (7, 2, 64, 44)),
    ),
}
TABLE_8 = {
    "small": (
        *((85, 67, 4, 27), (73, 64, 14, 22), (65, 35, 18, 17)),
        *((56, 30, 26, 27), (32, 11, 53, 19)),
    ),
    "full": (
        *((56, 19, 7, 27), (50, 15, 12, 26), (33, 17, 0, 6)),
        *((30, 4, 19, 27), (29, 14, 14, 7)),
    ),
}
SHORT = {
    "segmentation": "seg",
    "detection": "obj det",
    "keypoints": "kp det",
    "depth": "depth",
}
TABLE_11 = {  # P, N, # of the same data set; P, N, # of the same domain
    ("segmentation", "detection"): (100, 0, 2, 63, 25, 8),
    ("segmentation", "keypoints"): (0, 100, 1, 0, 100, 2),
    ("segmentation", "depth"): (33, 0, 3, 33, 33, 3),
    ("detection", "segmentation"): (0, 0, 1, 30, 50, 10),
    ("detection", "keypoints"): (100, 0, 1, 100, 0, 2),
    ("keypoints", "segmentation"): (0, 100, 1, 0, 100, 3),
    ("keypoints", "detection"): (100, 0, 1, 0, 33, 3),
    ("depth", "segmentation"): (100, 0, 1, 100, 0, 1),
}
BLOCKS = {"same data set": True, "same domain": False}
PICTURES = (
    "Which pairs of different task types the paper tried, its Tables 4b to 4e show as "
    "pictures: 49 + 154 small ones and 18 + 44 full ones. Ours are those of the plan."
)
SIDES = "By the mean gain: P above 2 %, with VP above 10 %; N below -2 %."
HOURS = {"ilsvrc": 364, "coco": 92, "mapillary": 352, "multi": 228}  # appendix D
BEFORE = ("pretraining", "source")  # what comes before targets
MULTI = "A multi-source model is of the domains of all its sets."


def tables(view: View) -> list[Table]:
    """Those with a measured value."""
    made = [_7(view), _8(view), _9(view), _10(view), _correlations(view), _11(view)]
    made += [_sources(view), _hours(view)]
    return [table for table in made if table.measured]


def _7(view: View) -> Table:
    title = "Table 7: shares of positive and negative gains"
    return _shares(view, title, TABLE_7, lambda rows: rows)


def _8(view: View) -> Table:
    title = "Table 8: gains of the best source of each target"
    return _shares(view, title, TABLE_8, shares.best)


def _shares(view: View, title: str, printed: Mapping, kept) -> Table:
    values: dict[Place, list] = {}
    paper: dict[Place, float] = {}
    for setting, name in SETTINGS.items():
        rows = view.at(setting).gains
        for which, numbers in zip(FILTERS, printed[setting]):
            line = (name, *which)
            values |= _line(line, kept(shares.select(rows, *which)))
            paper |= {(line, c.name): n for c, n in zip([*SHARES, COUNT], numbers)}
    lines = [(name, *which) for name in SETTINGS.values() for which in FILTERS]
    heads, notes = ("target set", "domain", "task type"), (SIDES, MULTI, PICTURES)
    columns = [*SHARES, COUNT]
    return _table(view, title, heads, lines, columns, values, paper, notes)


def _line(line: tuple[str, ...], rows: cells.Rows, levels=LEVELS, of: str = "") -> dict:
    """{place: [share]} of the levels, and of their number; {} without a row."""
    if not rows:
        return {}
    found = {(line, f"{level}, %{of}"): [cells.share(rows, level)] for level in levels}
    return found | {(line, f"number{of}"): [len(rows)]}


def _9(view: View) -> Table:
    """Distances between the sets of targets and of sources."""
    table, domains = distances.tables(view)[distances.NEAREST], cells.domains(view)
    place = lambda name: (*_order(domains[name]), name)
    sides = [
        sorted(
            {cell[f"{side}_dataset"] for cell in view.cells}
            & {pair[index] for pair in table}
            & set(domains),
            key=place,
        )
        for index, side in enumerate(("target", "source"))
    ]
    line = lambda name: (str(domains[name]), name)
    values = {(line(t), s): [table[t, s]] for t in sides[0] for s in sides[1]}
    title = "Table 9: distances between sets of images (Eq. 1)"
    model = "the multi-source model" if _multi(view) else "the pretrained model"
    notes = (
        f"Targets down, sources across, in features of {model}; the paper's are of "
        "its multi-source model of segmentation.",
    )
    columns = [Column(name) for name in sides[1]]
    heads, lines = ("domain", "target"), [line(name) for name in sides[0]]
    return _table(view, title, heads, lines, columns, values, {}, notes)


def _order(domain: str) -> tuple[int, str]:
    known = domain in grids.DOMAINS
    return grids.DOMAINS.index(domain) if known else len(grids.DOMAINS), str(domain)


def _multi(view: View) -> bool:
    """Whether distances were measured in a model of several sets."""
    stages = {stage.key: stage.name for stage in view.study.stages}
    rows = where(view.measurements, analysis="domain_distance")
    parents = {key for row in rows[:1] for key in row["stage"].parents.values()}
    return any(stages.get(key, "").startswith("sources/multi") for key in parents)


def _10(view: View) -> Table:
    here = view.at("small_source")
    found = {name: distances.taus(here, name) for name in distances.PAPER}
    title = "Table 10: rank correlation of gains and distances, by assignment"
    note = "Small sources and small targets; the paper's are of segmentation alone."
    return _taus(view, title, ("assignment",), found, distances.PAPER, note)


def _correlations(view: View) -> Table:
    here = view.at("small")
    near, size = distances.taus(here, distances.NEAREST), distances.of_size(here)
    found = dict(zip(distances.SMALL, (near, size)))
    title = "Rank correlation of gains with distance and source size (section 6, A3)"
    note = "Small targets, within the task type, sources of one set."
    return _taus(view, title, ("of",), found, distances.SMALL, note)


def _taus(view: View, title: str, heads, found, printed, note: str) -> Table:
    values: dict[Place, Sequence[float]] = {}
    for name, taus in found.items():
        if np.isfinite(taus.all):
            values[(name,), "tau"] = [taus.all]
            values[(name,), "pairs"] = [taus.count]
            values[(name,), "within a target"] = list(taus.each.values())
    columns = [Column("tau"), Column("within a target"), Column("pairs", "{:.0f}")]
    paper = {((name,), "tau"): number for name, number in printed.items()}
    lines = [(name,) for name in found]
    note += " Kendall's tau of minus the distance: above 0 where closer is better."
    table = _table(view, title, heads, lines, columns, values, paper, (note,))
    return dataclasses.replace(table, over="targets")


def _11(view: View) -> Table:
    rows = shares.select(view.at("small").gains, "within", "cross")
    values: dict[Place, list] = {}
    paper: dict[Place, float] = {}
    names = [
        f"{what}, {block}" for block in BLOCKS for what in ("P, %", "N, %", "number")
    ]
    for tasks, numbers in TABLE_11.items():
        line = (" → ".join(SHORT[task] for task in tasks),)
        pair = where(rows, source_task=tasks[0], target_task=tasks[1])
        for block, same in BLOCKS.items():
            kept = [row for row in pair if cells.same_images(row) == same]
            values |= _line(line, kept, ("P", "N"), f", {block}")
        paper |= {(line, name): number for name, number in zip(names, numbers)}
    notes = (
        SIDES,
        "Same domain: of other data sets. The paper's numbers of pairs sum up to 43; "
        "its Table 7 has 49 of these. " + PICTURES,
    )
    title = "Table 11: transfer across task types within a domain, small target set"
    lines = [(" → ".join(SHORT[task] for task in tasks),) for tasks in TABLE_11]
    columns = [Column(name, "{:.0f}") for name in names]
    return _table(view, title, ("from → to",), lines, columns, values, paper, notes)


def _sources(view: View) -> Table:
    """Sources against trainings of the same data from random weights."""
    rows = where(view.results, role="source")
    values: dict[Place, list] = {}
    weak, lost = [], []
    for row in where(rows, source=gains.RANDOM):
        alike = {name: row[name] for name in ("target", "setting", "metric", "seed")}
        for own in where(rows, **alike):
            if own["source"] == gains.RANDOM:
                continue
            line = (row["target_task"], row["target"], row["metric"])
            better = gains.gain(own["value"], row["value"], row["higher_is_better"])
            for name, one in (("pretrained", own), ("random", row)):
                values.setdefault((line, name), []).append(one["value"])
            if gains.learned_nothing(row):
                lost.append(row["target"])
            elif better is not None:
                values.setdefault((line, "better by, %"), []).append(better)
    for line in dict.fromkeys(place for place, _ in values):
        margin = values.get((line, "better by, %"), [])
        weak += [line[1]] if margin and np.mean(margin) <= 2 else []
    notes = [
        "A source is good enough to speak of its task type if it is better than its "
        "own random start by more than 2 %."
    ]
    notes += [f"Not good enough: {', '.join(weak)}."] if weak else []
    if lost:
        names = ", ".join(dict.fromkeys(lost))
        notes.append(f"Random starts that learned nothing, beaten by any: {names}.")
    columns = [Column("pretrained", "{:.3f}"), Column("random", "{:.3f}")]
    columns.append(Column("better by, %", "{:+.1f}"))
    lines = sorted({place for place, _ in values})
    title = "Sources against their own random starts"
    heads = ("task type", "source", "metric")
    return _table(view, title, heads, lines, columns, values, {}, notes)


def _hours(view: View) -> Table:
    """What pretraining, sources and multi-source models cost, one training of each."""
    values: dict[Place, list] = {}
    paper: dict[Place, float] = {}
    costly = {stage.key: stage.flops or 0 for stage in view.study.stages}
    for stage in view.study.stages:
        of = [
            row
            for row in stage.columns
            if row.get("role") in BEFORE and row.get("setting") != "small_source"
        ]
        if not of:
            continue
        start = of[0].get("source") or gains.RANDOM
        line = (of[0]["role"], of[0]["target"], start)
        ran = stage.result and costs.measured_hours(stage.result.manifest)
        if ran is not None:
            values.setdefault((line, "measured"), []).append(ran)
        candidates = [costly.get(key, 0) for key in stage.parents.values()]
        flops = stage.flops or max(candidates, default=0)
        if flops:
            place = line, "TPU-v3, estimate"
            values.setdefault(place, []).append(costs.tpu_hours(flops))
            if line[1] in HOURS and line[::2] != ("source", gains.RANDOM):
                paper[place] = HOURS[line[1]]
    lines = list(dict.fromkeys(line for line, _ in values))
    columns = [Column("measured", "{:.3g}"), Column("TPU-v3, estimate", "{:.3g}")]
    notes = (
        "Measured: devices x hours of the steps of one training, without compilation, "
        "evaluation and waiting for data. Estimate: FLOPs of the steps at "
        f"{costs.UTILISATION:.0%} of {costs.PEAK / 1e12:.0f} TFLOP/s, which is what "
        "the paper's hours of ILSVRC amount to.",
    )
    title, heads = "Hours of training (appendix D)", ("role", "of", "from")
    return _table(view, title, heads, lines, columns, values, paper, notes)


def _table(view: View, title: str, *parts: Any) -> Table:
    return Table(view.study.name, title, *parts)
