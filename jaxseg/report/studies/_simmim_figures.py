"""Figs. 1 to 3 of the SimMIM study, and their numbers as tables."""

import itertools

import numpy as np

from jaxseg.report import claims, curves, figures, gains, pictures, rows, sheets
from jaxseg.report import view as views
from jaxseg.report.absolute import Column, Table
from jaxseg.report.figures import StudyFigure
from jaxseg.report.studies import _simmim_cells as cells
from jaxseg.report.studies._by_seed import Seeds, paired
from jaxseg.report.view import View

COLOURS = ("#8793a1", "#d08a2e", "#1f6fc4", "#1b7f46", "#7a4fb5", "#c23b32")
HEADS = ("original", "masked")
LINES = 4  # of a contact sheet, as in Fig. 1
# {images of the pretraining: accuracy on Intel's scenes, per cent} (section 4).
SCENES = {45_000: 85.50, 100_000: 87.16, 200_000: 87.77}
EMBEDDED = "Measured on images that jaxseg draws; the paper's are photographs."


def tables(view: View) -> list[Table]:
    """Those with a measured value."""
    made = [
        _grid(view, cells.MIOU, "Fig. 2 in numbers: mIoU"),
        _grid(view, cells.ACCURACY, "Pixel accuracy"),
        _pretrainings(view),
    ]
    return [table for table in made if table.measured]


def _grid(view: View, metric: str, title: str) -> Table:
    """A metric by start and labelled images."""
    runs = cells.runs(view, metric)
    column = lambda n: f"{n} images"
    notes = ["In per cent."] + [EMBEDDED] * any(
        rows.embedded(row["target_dataset"]) for row in view.cells
    )
    if metric == cells.MIOU:
        notes.insert(0, "Mean over pet, background and border.")
    lost = [cells.not_learned(view, images) for images in cells.pretrainings(view)]
    return Table(
        view.study.name,
        title,
        ("pretrained on", "scenes"),
        [_labels(one) for one in cells.starts(view)],
        [Column(column(n), "{:.1f}") for n in cells.sizes(view)],
        {
            (_labels(one.start), column(one.images)): [100 * r["value"] for r in found]
            for one, found in runs.items()
        },
        notes=[*notes, *(f"Not learned: {why}." for why in lost if why)],
        marked={
            (_labels(one.start), column(one.images))
            for one, found in runs.items()
            if any(map(gains.learned_nothing, found))
        },
    )


def _labels(start: cells.Start) -> tuple[str, str]:
    images = f"{start.images} images" if start.images else "nothing"
    return images, "yes" if start.classified else "no"


def _pretrainings(view: View) -> Table:
    """What pretrainings learned, and the accuracy of the scenes after them."""
    values, paper, lines = {}, {}, []
    names = {
        over: (f"below {short}, %", f"{short}: lower end")
        for over, short in (
            (cells.MEAN, "mean colour"),
            (cells.OWN_MEAN, "own mean colour"),
        )
    }
    top1 = "accuracy on scenes, %"
    for images in cells.pretrainings(view):
        line = (f"{images} images", "no" if cells.not_learned(view, images) else "yes")
        lines.append(line)
        for over, (mean, low) in names.items():
            found = cells.lead(view, images, over)
            values[line, mean] = [] if found is None else [found.mean]
            ends = [] if found is None or found.low is None else [found.low]
            values[line, low] = ends
        own = views.where(view.results, role="source", target=f"scenes, {images}")
        values[line, top1] = [100 * row["value"] for row in own]
        if images in SCENES:
            paper[line, top1] = SCENES[images]
    columns = [Column(name, "{:+.1f}") for both in names.values() for name in both]
    return Table(
        view.study.name,
        "What pretrainings learned, and scenes after them",
        ("pretrained on", "learned"),
        lines,
        [*columns, Column(top1, "{:.1f}")],
        values,
        paper,
        notes=(
            "By how much the squared error on masked patches of held-out images is "
            "below that of one colour: the mean of all images, and that of what is "
            "visible of the image itself. Lower ends are of 95 % intervals over "
            "images; a pretraining counts as learned where the first is above 0. Where "
            "the second is not, it has learned colours and little of shapes.",
        ),
        over="trainings",
    )


def figures_of(view: View) -> list[StudyFigure]:
    """Those for which something was measured."""
    made = [_filled(view), _curves(view), _predictions(view)]
    return [figure for figure in made if figure.panels or figure.sheets]


def _filled(view: View) -> StudyFigure:
    found = {}
    for row in views.where(view.measurements, analysis="reconstructions"):
        images = int(row["stage"].columns[0]["source"])
        if images not in found:
            key = row["stage"].artifact.key
            found[images] = view.arrays(row)["images"][:LINES], key
    made = []
    if found:
        several = [found[images] for images in sorted(found)]
        first, _ = several[0]
        lines = [
            [original, masked, *(pictures_[i][2] for pictures_, _ in several)]
            for i, (masked, original, _) in enumerate(first)
        ]
        heads = [*HEADS, *(f"after {images}" for images in sorted(found))]
        made = [("held-out images", sheets.sheet(lines, heads, several[0][1]))]
    return StudyFigure(
        "Fig. 1: masked patches, and how they are filled",
        "The first held-out images, drawn as in training, with the same masks; filled "
        "after pretraining on so many images. What is not masked is shown as it is.",
        sheets=made,
    )


def _curves(view: View) -> StudyFigure:
    starts = [one for one in cells.starts(view) if not one.classified]
    colours = dict(zip((one.images for one in starts), itertools.cycle(COLOURS)))
    known, left, right, shown = cells.values(view), [], [], []
    for start in starts:
        own = {n: known.get(cells.Cell(n, start), {}) for n in cells.sizes(view)}
        other = cells.Start(start.images, True)
        lost = {
            n: paired(known.get(cells.Cell(n, other), {}), some)
            for n, some in own.items()
        }
        left += _band(colours[start.images], own)
        right += _band(colours[start.images], lost)
        shown += [start] if any(own.values()) else []
    panels = [
        ("", figures.bands(lines, title, "labelled images", log=True))
        for title, lines in (
            ("mIoU, %", left),
            ("with scenes minus without, points", right),
        )
        if lines
    ]
    note = "Mean over seeds with 95 % intervals, from the scatter around all means."
    note += " Right: what classifying scenes in between changes." if right else ""
    lost = cells.left_out(view)
    return StudyFigure(
        "Fig. 2: mIoU by labelled images and images of the pretraining",
        f"{note} {lost[:1].upper()}{lost[1:]}." if lost else note,
        panels=panels,
        legend=[
            (colours[one.images], f"pretrained on {one.images or 'nothing'}")
            for one in shown
        ],
    )


def _band(colour: str, own: dict[int, Seeds]) -> list:
    """A line over the numbers of images with intervals; none of fewer than two."""
    groups = {n: list(some.values()) for n, some in own.items() if some}
    if len(groups) < 2:
        return []
    each = claims.means(groups)[0]
    ends = [[one.mean if x is None else x for x in one] for one in each.values()]
    mean, low, high = np.array(ends).T
    x = np.array(list(groups), float)
    seeds = max(map(len, groups.values()))
    return [(colour, False, curves.Band(x, mean, low, high, seeds))]


def _predictions(view: View) -> StudyFigure:
    runs, sizes = cells.runs(view), cells.sizes(view)
    every = [(one, runs.get(cells.Cell(sizes[-1], one))) for one in cells.starts(view)]
    named = [(one.name, some[0]["stage"].result) for one, some in every if some]
    sheet = pictures.sheet(named)
    return StudyFigure(
        "Fig. 3: predictions after fine-tuning on the most images",
        "The first seed and test images; heads are what the fine-tuning starts from: "
        "images of the pretraining, and scenes in between.",
        sheets=[("pets", sheet)] if sheet else [],
    )
