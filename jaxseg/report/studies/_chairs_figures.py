"""Figs. 3 to 7 of the chairs study."""

from collections.abc import Mapping
from typing import Any

from jaxseg.report import curves, figures, pictures
from jaxseg.report import view as views
from jaxseg.report.figures import StudyFigure
from jaxseg.report.studies import _chairs_cells as cells
from jaxseg.report.view import View

SOURCES = {  # Fig. 6
    "random": ("#d08a2e", "random weights"),
    "scene_chairs": ("#5f6b7a", "pretrained on chairs in scenes"),
    "chairs": ("#1b7f46", "pretrained on chairs"),
}
KINDS = {  # Fig. 7
    "Ft-Ft": ("#1b7f46", "between two fine-tuned models"),
    "Ri-Ri": ("#d08a2e", "between two random starts"),
}
PAIRS = KINDS | {  # of Table 5
    "Ft-P": ("#5f6b7a", "between a fine-tuned model and the pretrained one"),
    "Ri-P": ("#7a4fb5", "between a random start and the pretrained model"),
}
FIGURE_4 = ("FCN-ResNet-50", "FCN-ResNet-101", "FCN-VGG-16", "U-Net")
SHOWN = ("U-Net", "FCN-ResNet-101")  # Fig. 5, both pretrained on chairs


def figures_of(view: View) -> list[StudyFigure]:
    """Figs. 3 to 7 and Table 5 by layer: those for which something was measured."""
    made = [figure(view) for figure in (_3, _4, _5, _6, _7, _layers)]
    return [figure for figure in made if figure.panels or figure.sheets]


def _3(view: View) -> StudyFigure:
    chairs = _first(view, cells.composites(cells.UNET, 64))
    scenes = views.where(view.results, role="source", target="scene_chairs")
    both = [("chairs", chairs), ("chairs in scenes", scenes[:1])]
    return StudyFigure(
        "Fig. 3: chairs, and chairs in scenes",
        "Test images with their masks; none was chosen by hand.",
        sheets=_sheets(both, predictions=False),
    )


def _4(view: View) -> StudyFigure:
    named = [
        (model, row["stage"].result)
        for model in FIGURE_4
        for row in _first(view, cells.composites(model, 64))
    ]
    return StudyFigure(
        "Fig. 4: the models on chairs at 64 px",
        "In the order of the paper's rows; seed 0, the first test images.",
        sheets=_known([("chairs/64", pictures.sheet(named))]),
    )


def _5(view: View) -> StudyFigure:
    sheets = []
    for target in cells.targets(view):
        named = [
            (model, row["stage"].result)
            for model in SHOWN
            for row in _first(view, cells.objects(model, target, "chairs"))
        ]
        sheets.append((target, pictures.sheet(named)))
    return StudyFigure(
        "Fig. 5: objects, from models pretrained on chairs",
        "Seed 0, the first test images. The paper's hand-crafted column is not "
        "reproduced.",
        sheets=_known(sheets),
    )


def _6(view: View) -> StudyFigure:
    panels = []
    for target in cells.targets(view):
        lines = []
        for source, (colour, _) in SOURCES.items():
            found = cells.runs(view, cells.objects(cells.UNET, target, source))
            curve = [view.curve(run, cells.IOU) for run in found]
            if kept := [points for points in curve if len(points) > 1]:
                lines.append((colour, False, curves.average(kept)))
        if lines:
            runs = "/".join(str(band.runs) for *_, band in lines)
            title = f"{target}: validation IoU, {runs} runs"
            panels.append((target, figures.bands(lines, title)))
    return StudyFigure(
        "Fig. 6: fine-tuning of the U-Net against training from random weights",
        "Mean over runs, in a band from the smallest to the largest. A run that "
        "stopped early keeps its last value. The paper averages two runs.",
        panels=panels,
        legend=list(SOURCES.values()),
    )


def _7(view: View) -> StudyFigure:
    found = {kind: cells.paths(view, kind) for kind in KINDS}
    targets = dict.fromkeys(target for ways in found.values() for target, _ in ways)
    panels = []
    for target in targets:
        lines = [
            (KINDS[kind][0], statistics == cells.RAW, curves.average(runs))
            for kind, ways in found.items()
            for statistics in (cells.REESTIMATED, cells.RAW)
            if (runs := _values(ways, target, statistics))
        ]
        panels.append((target, figures.bands(lines, f"{target}: IoU", x="t")))
    return StudyFigure(
        "Fig. 7: on the straight line between two models",
        "Test IoU of the U-Net with weights (1 - t) a + t b. Full lines: batch "
        "statistics re-estimated; dashed: interpolated like the weights. Mean over "
        "pairs of models, in a band from the smallest to the largest.",
        panels=panels,
        legend=list(KINDS.values()),
    )


def _layers(view: View) -> StudyFigure:
    found = by_layer(view)
    lines = [(PAIRS[kind][0], False, band) for kind, band in found.items()]
    svg = [("", figures.bands(lines, "L2 distance", x="layer"))] if lines else []
    return StudyFigure(
        "Table 5 by layer, drawn",
        f"Layers in the sequence of the table: {', '.join(cells.layers(view))}. Mean "
        "over pairs of models, in a band from the smallest to the largest.",
        panels=svg,
        legend=[PAIRS[kind] for kind in found],
    )


def by_layer(view: View) -> dict[str, curves.Band]:
    """{kind of pair: L2 distance over the number of the layer, from 1}; {} for fewer
    than two layers.
    """
    found = [cells.distances(view, layer) for layer in cells.layers(view)]
    if len(found) < 2:
        return {}
    lines = {
        kind: [
            [(n, own[kind][place]) for n, own in enumerate(found, start=1)]
            for place in found[0][kind]
        ]
        for kind in PAIRS
    }
    return {kind: curves.average(several) for kind, several in lines.items() if several}


def _values(ways: cells.Paths, target: str, statistics: str) -> list[curves.Points]:
    """[(t, IoU)] of each pair of models of a target."""
    return [
        [(row["t"], row["value"]) for row in by[statistics]]
        for (name, _), by in ways.items()
        if name == target and statistics in by
    ]


def _first(view: View, columns: Mapping[str, Any]) -> views.Rows:
    """[the run of the smallest seed of a cell], [] without a run."""
    return cells.runs(view, columns)[:1]


def _sheets(named: list[tuple[str, views.Rows]], *, predictions: bool) -> list:
    return _known(
        [
            (
                name,
                pictures.sheet([(name, row["stage"].result)], predictions=predictions),
            )
            for name, found in named
            for row in found
        ]
    )


def _known(sheets: list[tuple[str, Mapping | None]]) -> list[tuple[str, Mapping]]:
    """The sheets that have pictures."""
    return [(name, sheet) for name, sheet in sheets if sheet]
