"""Figs. 2 to 7 of the decoder study."""

from collections.abc import Sequence

import numpy as np

from jaxseg.report import curves, figures, matrix, pictures, scatter, sheets
from jaxseg.report import view as views
from jaxseg.report.figures import StudyFigure
from jaxseg.report.studies import _decoder_cells as cells
from jaxseg.report.studies import _decoder_claims as measures
from jaxseg.report.view import View

COLOURS = {  # of pretexts; without the decoder a line is dashed
    cells.RANDOM: "#8793a1",
    "SimCLR": "#d08a2e",
    "Classification": "#7a4fb5",
    "Reconstruction": "#1f6fc4",
    "Segmentation": "#c23b32",
    "ConRec": "#1b7f46",
}
FIGURE_4 = {"5 %": "a", "cars": "b"}
FIGURE_6 = ("dogs", "cat")
CONREC = ("input", "(b) whole", "(c) colours", "(d) mask", "(e) black")
LINES = 4  # of a contact sheet


def figures_of(view: View) -> list[StudyFigure]:
    """Those for which something was measured."""
    made = [_2(view), _3(view), *(_4(view, s) for s in FIGURE_4), _5(view), _6(view)]
    made += [_7(view), _gains(view)]
    return [figure for figure in made if figure.panels or figure.sheets]


def _2(view: View) -> StudyFigure:
    named = {}
    for cell in cells.cells(view):
        if cell[2] == cells.RANDOM:
            for row in cells.runs(view, cell)[:1]:
                sheet = pictures.sheet([("", row["stage"].result)], predictions=False)
                name = f"{cell[1]}: {row['target_dataset']}"
                named |= {name: sheet} if sheet and name not in named else {}
    return StudyFigure(
        "Fig. 2: the targets",
        "Test images with their masks; none was chosen by hand.",
        sheets=list(named.items()),
    )


def _3(view: View) -> StudyFigure:
    found = {}
    for row in views.where(view.measurements, analysis="reconstructions"):
        source, name = cells.row_of(row)
        if (source, name) not in found:
            found[source, name] = view.arrays(row)["images"], row["stage"].artifact.key
    made = [
        (f"{source}, {name}", _rebuilt(images, key))
        for (source, name), (images, key) in found.items()
    ]
    return StudyFigure(
        "Fig. 3: blocks painted over, targets, and what the models make of them",
        "Of each image the targets of ConRec, and below them what the model makes of "
        "them. Of Reconstruction the only target is the whole image.",
        sheets=made,
    )


def _rebuilt(images: np.ndarray, key: str):
    """A sheet of uint8 [N, 1 + 2 T, H, W, 3]: input, T targets, T outputs; of several
    targets the outputs are below them.
    """
    if images.shape[1] == 3:
        heads = [*CONREC[:2], "output"]
        return sheets.sheet([list(line) for line in images[:LINES]], heads, key)
    count = len(CONREC)
    lines = []
    for line in images[: LINES // 2]:
        lines += [list(line[:count]), [None, *line[count:]]]
    return sheets.sheet(lines, CONREC, key)


def _4(view: View, setting: str) -> StudyFigure:
    panels, seen = [], set()
    for place in cells.places(view, (setting,)):
        lines = []
        for cell in cells.cells(view):
            if cell[:2] == place:
                every = [view.curve(r, cells.DICE) for r in cells.runs(view, cell)]
                kept = [points for points in every if len(points) > 1]
                alone = cell[2].endswith(cells.ENCODER_ONLY)
                if kept:
                    colour = COLOURS[cells.pretext(cell[2])]
                    lines.append((colour, alone, curves.average(kept)))
                    seen.add(cells.pretext(cell[2]))
        if lines:
            runs = "/".join(sorted({str(band.runs) for *_, band in lines}))
            title = f"{place[1]}: Dice, {runs} runs"
            panels.append((place[1], figures.bands(lines, title)))
    return StudyFigure(
        f"Fig. 4{FIGURE_4[setting]}: Dice over the steps, {setting}",
        "Full lines: with the pretext's decoder, if it has one; dashed: with a random "
        "one. Mean over runs, in a band from the smallest to the largest, on the few "
        "images of the evaluation `curve`, which not all are test images.",
        panels=panels,
        legend=[(colour, name) for name, colour in COLOURS.items() if name in seen],
    )


def _5(view: View) -> StudyFigure:
    rows = views.where(view.measurements, analysis="grad_cam")
    made = []
    if rows:
        arrays, key = view.arrays(rows[0]), rows[0]["stage"].artifact.key
        lines = [
            [image, sheets.overlaid(image, heat)]
            for image, heat in zip(arrays["images"], arrays["maps"])
        ]
        classes = _classes(view, cells.row_of(rows[0])[0])
        words = [_word(row, classes) for row in rows[: len(lines)]]
        half = len(lines) // 2
        flat = [_flat(lines[:half]), _flat(lines[half : 2 * half])]
        heads = [text for word in words[:half] for text in (word, "")]
        made = [(cells.row_of(rows[0])[0], sheets.sheet(flat, heads, key))]
    inside = [row for row in rows if row.get("inside") is not None and row["chance"]]
    note = "Patches, and Grad-CAM of the class that the classifier gives them."
    if inside:
        mean = lambda name: 100 * float(np.mean([row[name] for row in inside]))
        note += f" Of the maps' mass {mean('inside'):.0f} % lies on cars, which are "
        note += (
            f"{mean('chance'):.0f} % of the pixels ({len(inside)} patches with one)."
        )
    return StudyFigure(
        "Fig. 5: cars and no cars, and where the classifier looks", note, sheets=made
    )


def _classes(view: View, source: str) -> Sequence[str]:
    """Those that the classifier of a source tells apart; none where it is not there."""
    for stage in view.study.stages:
        if stage.name == f"pretext/{source}/Classification" and stage.result:
            return stage.result.manifest["classes"]
    return ()


def _word(row, classes: Sequence[str]) -> str:
    label, predicted = (
        classes[row[key]] if row[key] in range(len(classes)) else f"class {row[key]}"
        for key in ("label", "predicted")
    )
    return f"{label}, taken for {predicted}"


def _flat(lines: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    return [picture for line in lines for picture in line]


def _6(view: View) -> StudyFigure:
    named = [
        (cell[2], row["stage"].result)
        for cell in cells.cells(view)
        if cell[:2] == FIGURE_6
        for row in cells.runs(view, cell)[:1]
    ]
    sheet = pictures.sheet(named)
    return StudyFigure(
        "Fig. 6: predictions on cats after fine-tuning",
        "Seed 0, the first test images.",
        sheets=[("cat", sheet)] if sheet else [],
    )


def _7(view: View) -> StudyFigure:
    panels = []
    for key, title in (("value", "CKA"), ("biased", "CKA, biased")):
        alike = measures.similarities(view, key)
        names = list(dict.fromkeys(name for name, _ in alike))
        if names:
            numbers = [[alike[a, b] for b in names] for a in names]
            panels.append(("", matrix.matrix(np.array(numbers), names, title)))
    return StudyFigure(
        "Fig. 7: similarity of encoders",
        "Linear CKA of the deepest maps, flattened, on the same images: estimated "
        "without bias over minibatches, and by the usual estimate.",
        panels=panels,
    )


def _gains(view: View) -> StudyFigure:
    panels, seen = [], set()
    for target, points in measures.explained(view)[0].items():
        pretexts = {name: cells.pretext(name) for name in points}
        groups = [
            (COLOURS[pretexts[n]], np.array([pair])) for n, pair in points.items()
        ]
        title = f"{target}: gain, points"
        panels.append(
            (target, scatter.points(groups, title, "CKA to the best encoder"))
        )
        seen |= set(pretexts.values())
    return StudyFigure(
        "Similarity and gain (D7)",
        "Each encoder but the best, by its similarity to the best.",
        panels=panels,
        legend=[(colour, name) for name, colour in COLOURS.items() if name in seen],
    )
