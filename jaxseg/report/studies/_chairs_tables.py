"""Tables 1 to 5 of the chairs study, with the paper's numbers."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

from jaxseg.report import curves, gains, rows
from jaxseg.report import view as views
from jaxseg.report.absolute import Column, Place, Table
from jaxseg.report.studies import _chairs_cells as cells
from jaxseg.report.view import View

METRICS = {  # of the paper, whose IoU and Dice can only be means over images
    "precision": cells.PRECISION,
    "IoU per image": cells.IOU,
    "Dice per image": cells.DICE,
}
PRECISION = "Precision is pixel accuracy."
MEANS = (
    "IoU and Dice per image: the mean over the images, as in the paper; pooled: of all "
    "pixels of the set together."
)
SOURCES = {"random": "-", "scene_chairs": "chairs in scenes", "chairs": "chairs"}
PRETRAINING = (
    "Pretraining in the paper: on COCO Chairs (here chairs in scenes) and on Chair "
    "Segments (here chairs)."
)
STARTS = [  # rows of Table 3
    *((model, "random") for model in (*cells.FCNS, cells.UNET)),
    *((model, "chairs") for model in cells.FCNS),
    *((cells.UNET, source) for source in ("scene_chairs", "chairs")),
]
EARLY = "stopped early, %"
PAIRS = "pairs of models of one set of objects, of all sets"
TABLE_1 = {  # (hours, IoU) at 32, 64, 128, 256 px
    "U-Net": ((0.4, 77.59), (0.5, 85.08), (1, 89.79), (6.4, 91.68)),
    "FCN-VGG-16": ((2.1, 60.75), (2.7, 61.09), (3.6, 74.55), (9.1, 68.38)),
    "FCN-ResNet-50": ((5.5, 53.59), (19.3, 60.19), (10.1, 70.94), (33, 82.38)),
}
TABLE_2 = {  # precision, IoU, Dice at 64 px
    "U-Net": (97.18, 85.08, 91.25),
    "FCN-VGG-16": (91.73, 61.09, 74.09),
    "FCN-ResNet-50": (92.04, 60.19, 72.58),
    "FCN-ResNet-101": (92.19, 61.62, 73.96),
    "all background": (78.01,),
}
TABLE_3 = (  # rows of STARTS: precision, IoU, Dice on car, horse and airplane
    (78.70, 46.47, 62.27, 80.54, 36.19, 51.57, 81.31, 36.38, 52.23),
    (79.97, 35.03, 45.13, 86.46, 26.44, 36.79, 88.48, 20.84, 28.72),
    (94.57, 82.73, 88.99, 91.44, 57.68, 70.03, 93.12, 60.64, 73.08),
    (95.70, 86.16, 91.72, 93.52, 66.41, 74.99, 94.57, 64.93, 73.99),
    (83.80, 51.08, 64.14, 85.69, 33.33, 46.37, 87.27, 33.89, 47.30),
    (85.59, 53.61, 63.44, 89.26, 41.08, 53.61, 90.79, 38.82, 50.93),
    (93.05, 81.34, 87.77, 90.38, 57.73, 70.28, 91.60, 51.54, 51.54),
    (95.96, 87.17, 91.51, 94.20, 68.61, 77.43, 94.19, 68.05, 77.53),
    (96.43, 88.22, 92.23, 94.46, 70.47, 78.47, 94.49, 71.59, 80.42),
)
TABLE_4 = {  # precision in per cent, IoU from 0 to 1, on car, horse and airplane
    "Rubinstein et al.": (85.4, 0.64, 82.8, 0.52, 88.0, 0.56),
    "Quan et al.": (88.5, 0.67, 89.3, 0.58, 91.0, 0.56),
    "Jerripothula et al.": (88.0, 0.71, 88.3, 0.61, 90.5, 0.61),
    "Yuan et al.": (90.4, 0.72, 90.2, 0.65, 92.6, 0.66),
    "U-Net": (95.7, 0.86, 93.5, 0.66, 94.6, 0.65),
    "U-Net (w/ pretraining)": (96.4, 0.88, 94.5, 0.71, 94.5, 0.72),
}
TABLE_5 = {  # of KINDS in cells
    "classification, Neyshabur et al.": (193.45, 815.08, 164.83, 796.80),
    "segmentation": (373.94, 637.05, 313.06, 549.94),
}


def tables(view: View) -> list[Table]:
    """Tables 1 to 5, distances per layer and barriers: those with a measured value."""
    made = [(table(view), "composites") for table in (_1, _2)]
    made += [
        (table(view), "objects")
        for table in (_3, _3_pooled, _4, _5, _layers, _barriers)
    ]
    return [
        dataclasses.replace(table, notes=(*table.notes, *_drawn(view, setting)))
        for table, setting in made
        if table.measured
    ]


def _drawn(view: View, setting: str) -> list[str]:
    """[a note] where jaxseg draws a set of this setting itself."""
    planned = views.where(view.cells, setting=setting)
    if not any(rows.embedded(row["target_dataset"]) for row in planned):
        return []
    return ["Measured on images that jaxseg draws; the paper's are photographs."]


def _1(view: View) -> Table:
    at = {
        (model, f"{size} px"): cells.runs(view, cells.composites(model, size))
        for model in cells.MODELS
        for size in cells.SIZES
    }
    values = {}
    for place, found in at.items():
        values[place, "IoU per image"] = [100 * run["value"] for run in found]
        of = cells.composites(place[0], int(place[1].split()[0]))
        pooled = cells.values(view, of, cells.POOLED["IoU pooled"])
        values[place, "IoU pooled"] = list(pooled.values())
        values[place, "minutes"] = _per_run(view, found, _minutes)
        values[place, "epochs"] = _per_run(view, found, _epochs)
        values[place, EARLY] = _stopped(view, found)
    paper = {
        ((model, f"{size} px"), name): number
        for model, line in TABLE_1.items()
        for size, numbers in zip(cells.SIZES, line)
        for name, number in zip(("hours", "IoU per image"), numbers)
    }
    early = any(any(values[place, EARLY]) for place in at)
    columns = [Column("IoU per image"), Column("IoU pooled"), Column("minutes")]
    columns += [Column("hours", "{:.3g}", measured=False), Column("epochs", "{:.1f}")]
    columns += [Column(EARLY, "{:.0f}")] * early
    notes = (
        MEANS,
        "Minutes and epochs: up to the first evaluation within 1 % of the run's best "
        "validation IoU, as a share of the run's time and epochs; the time includes "
        "compiling, and other stages may have run beside.",
        "Stopped early: the share of runs that ended before their last planned step."
        if early
        else "No run ended before its last planned step.",
    )
    planned = {(row["variant"], row["target"]) for row in view.cells}
    lines = [p for p in at if (p[0], f"chairs/{p[1].split()[0]}") in planned]
    return _table(
        view,
        "Table 1: resolutions, chairs",
        ("model", "resolution"),
        lines,
        columns,
        values,
        paper,
        notes,
        marked=_marked(at),
    )


def _marked(found: Mapping[tuple[str, ...], views.Rows]) -> set[Place]:
    """The rows of a table, of these runs, with a seed that learned nothing."""
    return {
        (line, "IoU per image")
        for line, runs in found.items()
        if any(map(gains.learned_nothing, runs))
    }


def _per_run(view: View, found: views.Rows, measure: Callable) -> list[cells.Number]:
    """A measure of each run that has a curve, at the step of its convergence."""
    lines = [view.curve(run, cells.IOU) for run in found]
    measured = [
        measure(run, view.manifest(run), _converged(line, run["higher_is_better"]))
        for run, line in zip(found, lines)
        if line
    ]
    return [value for value in measured if value is not None]


def _converged(line: curves.Points, higher_is_better: bool) -> cells.Number:
    return curves.reached(line, curves.close(line, higher_is_better), higher_is_better)


def _minutes(run: Mapping, manifest: Mapping, step: cells.Number) -> float:
    return manifest["seconds"] / 60 * step / manifest["steps"]


def _epochs(run: Mapping, manifest: Mapping, step: cells.Number) -> float | None:
    images = run.get("target_images")
    return step * manifest["spec"]["batch_size"] / images if images else None


def _stopped(view: View, found: views.Rows) -> list[cells.Number]:
    """[share of the runs that ended early, in per cent]; [] without a run."""
    manifests = [view.manifest(run) for run in found]
    early = sum(one["steps"] < one["spec"]["steps"] for one in manifests)
    return [100 * early / len(found)] if found else []


def _2(view: View) -> Table:
    metrics = METRICS | cells.POOLED
    at = {(m,): cells.runs(view, cells.composites(m, 64)) for m in cells.MODELS}
    values = {
        ((model,), name): list(
            cells.values(view, cells.composites(model, 64), metric).values()
        )
        for model in cells.MODELS
        for name, metric in metrics.items()
    }
    constant = {"analysis": "constant_predictor", "target": "chairs/64"}
    for name, metric in metrics.items():
        answers = views.where(view.measurements, metric=metric, **constant)
        values[("all background",), name] = [100 * row["value"] for row in answers]
    paper = {
        ((model,), name): number
        for model, numbers in TABLE_2.items()
        for name, number in zip(METRICS, numbers)
    }
    lines = [(model,) for model in TABLE_2]
    columns = [Column(name) for name in metrics]
    title = "Table 2: models on chairs at 64 px"
    ground = values[("all background",), "IoU per image"]
    notes = (PRECISION, MEANS, *_constant(itertools.chain(*at.values()), ground))
    parts = lines, columns, values, paper, notes
    return _table(view, title, ("model",), *parts, marked=_marked(at))


def _constant(runs: Iterable[Mapping], ground: Sequence[cells.Number]) -> list[str]:
    """[a note] where background everywhere is not the best of the two constants."""
    floors = {100 * run["floor"] for run in runs if run["floor"] is not None}
    if len(floors) != 1 or not ground or max(floors) <= ground[0]:
        return []
    return [
        "The best constant answer is all foreground: IoU per image "
        f"{max(floors):.2f}; a model that is no better has learned nothing."
    ]


def _3(view: View) -> Table:
    places = [f"{target}: {name}" for target in cells.OBJECTS for name in METRICS]
    paper = {
        ((model, SOURCES[source]), place): number
        for (model, source), numbers in zip(STARTS, TABLE_3)
        for place, number in zip(places, numbers)
    }
    misprint = "The paper's 51.54 of ResNet-101 on airplane stands twice: a misprint."
    title = "Table 3: fine-tuning on objects"
    return _of_objects(
        view, title, METRICS, paper, (PRECISION, MEANS, PRETRAINING, misprint)
    )


def _3_pooled(view: View) -> Table:
    title = "Table 3, pooled: IoU and Dice of all pixels of a set together"
    return _of_objects(view, title, cells.POOLED, {}, (MEANS, PRETRAINING))


def _of_objects(view: View, title: str, metrics: Mapping[str, str], *parts) -> Table:
    """Models and starts by sets of objects and metrics; parts: paper, notes."""
    targets = cells.targets(view)
    values = {
        ((model, SOURCES[source]), f"{target}: {name}"): list(
            cells.values(view, cells.objects(model, target, source), metric).values()
        )
        for model, source in STARTS
        for target in targets
        for name, metric in metrics.items()
    }
    columns = [Column(f"{target}: {name}") for target in targets for name in metrics]
    lines = [(model, SOURCES[source]) for model, source in STARTS]
    heads = ("model", "pretraining")
    return _table(view, title, heads, lines, columns, values, *parts)


def _4(view: View) -> Table:
    ours = {"U-Net": "random", "U-Net (w/ pretraining)": "chairs"}
    scales = {"precision": (cells.PRECISION, 1.0), "IoU": (cells.IOU, 0.01)}
    targets = cells.targets(view)
    values = {
        ((method,), f"{target}: {name}"): [
            scale * value
            for value in cells.values(
                view, cells.objects(cells.UNET, target, source), metric
            ).values()
        ]
        for method, source in ours.items()
        for target in targets
        for name, (metric, scale) in scales.items()
    }
    places = [f"{target}: {name}" for target in cells.OBJECTS for name in scales]
    paper = {
        ((method,), place): number
        for method, numbers in TABLE_4.items()
        for place, number in zip(places, numbers)
    }
    form = {"precision": "{:.1f}", "IoU": "{:.2f}"}
    columns = [Column(f"{t}: {name}", form[name]) for t in targets for name in scales]
    notes = ("Methods of the literature as the paper quotes them: constants.",)
    notes += ("IoU of ours: the mean over the images.",)
    title, lines = "Table 4: the literature", [(method,) for method in TABLE_4]
    return _table(view, title, ("method",), lines, columns, values, paper, notes)


def _5(view: View) -> Table:
    found = cells.distances(view)
    place = ("segmentation",)
    values = {(place, kind): list(found[kind].values()) for kind in cells.KINDS}
    paper = {
        ((name,), kind): number
        for name, numbers in TABLE_5.items()
        for kind, number in zip(cells.KINDS, numbers)
    }
    lines = [(name,) for name in TABLE_5]
    columns = [Column(kind) for kind in cells.KINDS]
    notes = (
        "Ft: fine-tuned from P; Ri: from random weights; P: the model pretrained on "
        "chairs.",
    )
    title = "Table 5: L2 distances of parameters (U-Net)"
    return _table(
        view, title, ("task",), lines, columns, values, paper, notes, over=PAIRS
    )


def _layers(view: View) -> Table:
    layers = cells.layers(view)
    values = {
        ((layer,), kind): list(found.values())
        for layer in layers
        for kind, found in cells.distances(view, layer).items()
    }
    columns = [Column(kind, "{:.3g}") for kind in cells.KINDS]
    title, lines = "Table 5 by layer", [(layer,) for layer in layers]
    return _table(view, title, ("layer",), lines, columns, values, {}, over=PAIRS)


def _barriers(view: View) -> Table:
    values: dict[tuple, list[cells.Number]] = {}
    for kind in ("Ft-Ft", "Ri-Ri"):
        for ways in cells.paths(view, kind).values():
            for statistics, path in ways.items():
                place = (kind, statistics)
                values.setdefault((place, "loss"), []).append(path[0]["barrier"])
                falls = values.setdefault((place, "fall of IoU, %"), [])
                falls.append(cells.drop(path))
    lines = sorted({place for place, _ in values})
    columns = [Column("loss", "{:.3g}"), Column("fall of IoU, %", "{:.1f}")]
    notes = (
        "Barrier: the maximum over the path minus the straight line between its ends.",
    )
    title, heads = "Barriers of Fig. 7", ("pair", "batch statistics")
    return _table(view, title, heads, lines, columns, values, {}, notes, over=PAIRS)


def _table(view: View, title: str, *parts, **more) -> Table:
    return Table(view.study.name, title, *parts, **more)
