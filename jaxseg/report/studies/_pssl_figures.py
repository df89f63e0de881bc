"""Tables 1 to 4 of the PSSL study with the paper's numbers, what the pseudo labels are
worth, and Figs. 2 and 3.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxseg.report import claims, gains, pictures, rows, sheets
from jaxseg.report import view as views
from jaxseg.report.absolute import Column, Table
from jaxseg.report.figures import StudyFigure
from jaxseg.report.studies import _pssl_cells as cells
from jaxseg.report.view import View

TABLE_1 = {50_000: (72.7, 73.9, 74.1, 73.7), 500_000: (75.4, 76.1, 76.7, 74.3)}
WEIGHTS = ("0.001", "0.01", "0.1", "1")
TABLE_2 = {50_000: 74.1, 200_000: 75.4, 500_000: 76.7, 1_000_000: 77.8}
CLASSIFIER = 76.2  # mIoU of Table 2 after ImageNet
TABLE_3 = {  # from ImageNet, from PSSL: PSPNet, DeepLabV3, OCRNet
    "CamVid": (65.9, 68.1, 66.6, 69.1, 59.2, 62.8),
    "VOC-A": (79.4, 80.3, 79.1, 80.1, 76.4, 77.1),
    "VOC-C": (47.0, 48.5, 48.8, 49.4, 44.5, 45.7),
    "ADE20K": (42.9, 43.8, 45.2, 45.8, 40.0, 40.9),
    "Cityscapes": (78.7, 78.9, 79.0, 79.7, 79.6, 79.8),
}
MODELS = ("PSPNet", "DeepLabV3", "OCRNet")
BOTH = (cells.IMAGENET, cells.PSSL)
TABLE_4 = {  # top-1 and mIoU on VOC-A
    cells.PSSL: (77.6, 80.3),
    cells.TWICE: (78.6, 80.0),
    cells.IMAGENET: (78.7, 79.4),
}
EMBEDDED = "Measured on images that jaxseg draws; the paper's are photographs."
WORTH = "What the pseudo labels are worth"


def tables(view: View) -> list[Table]:
    """Those with a measured value."""
    made = [_1(view), _2(view), _3(view), _4(view), _ablations(view), _worth(view)]
    return [table for table in made if table.measured]


def _1(view: View) -> Table:
    """mIoU by samples and the weight of the background."""
    found, values, paper = cells.compared(view), {}, {}
    for one, seeds in found.items():
        if one and one.what.startswith(cells.WEIGHT):
            weight = one.what.removeprefix(cells.WEIGHT)
            values[(_thousands(one.samples),), weight] = list(seeds.values())
    several = _several(row for row, _ in values)
    for samples, numbers in TABLE_1.items():
        if (_thousands(samples),) in several:
            for weight, number in zip(WEIGHTS, numbers):
                paper[(_thousands(samples),), weight] = number
    kept = {place: some for place, some in values.items() if place[0] in several}
    lost = {
        ((_thousands(one.samples),), one.what.removeprefix(cells.WEIGHT))
        for one in cells.unlearned(view)
        if one
    }
    columns = sorted({weight for _, weight in kept}, key=float)
    return Table(
        view.study.name,
        "Table 1: the weight of the background",
        ("samples",),
        several,
        [Column(weight, "{:.1f}") for weight in columns],
        kept,
        paper,
        notes=_notes(view),
        marked=lost & set(kept),
    )


def _several(lines: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those that come more than once."""
    lines = list(lines)
    return [one for one in dict.fromkeys(lines) if lines.count(one) > 1]


def _2(view: View) -> Table:
    """mIoU by samples, beside that after the classifier."""
    values, paper = {}, {}
    for one, seeds in cells.compared(view).items():
        if one is None:
            values[("classifier's backbone",), "mIoU"] = list(seeds.values())
        elif one.what == cells.USUAL:
            values[(f"{_thousands(one.samples)} samples",), "mIoU"] = list(
                seeds.values()
            )
            if one.samples in TABLE_2:
                line = (f"{_thousands(one.samples)} samples",)
                paper[line, "mIoU"] = TABLE_2[one.samples]
    if paper:
        paper[("classifier's backbone",), "mIoU"] = CLASSIFIER
    return Table(
        view.study.name,
        "Table 2: images with pseudo labels",
        ("pretrained on",),
        [line for line, _ in values],
        [Column("mIoU", "{:.1f}")],
        values,
        paper,
        notes=_notes(view),
        marked={(line, "mIoU") for line in _lost(view)},
    )


def _lost(view: View) -> list[tuple[str, ...]]:
    """The lines of Table 2 where a fine-tuning learned nothing."""
    usual = [one for one in cells.unlearned(view) if one and one.what == cells.USUAL]
    return [(f"{_thousands(one.samples)} samples",) for one in usual]


def _3(view: View) -> Table:
    """mIoU by target, model and start."""
    found, lines = {}, []
    for one, seeds in cells.values(view).items():
        if one.start in BOTH and one.model != cells.ABLATED:
            found[(one.target,), f"{one.model}, {one.start}"] = list(seeds.values())
    for one in cells.cells(view):
        if one.model != cells.ABLATED and (one.target,) not in lines:
            lines.append((one.target,))
    printed = {
        ((target,), f"{model}, {start}"): numbers[2 * i + j]
        for target, numbers in TABLE_3.items()
        for i, model in enumerate(MODELS)
        for j, start in enumerate(BOTH)
    }
    planned = {f"{one.model}, {one.start}" for one in cells.cells(view)}
    columns = [f"{model}, {start}" for model in MODELS for start in BOTH]
    return Table(
        view.study.name,
        "Table 3: a classifier's backbone against the whole network",
        ("target",),
        lines,
        [Column(name, "{:.1f}") for name in columns if name in planned],
        found,
        {place: n for place, n in printed.items() if place[0] in lines},
        notes=[*_notes(view), "Each training at the peak rate of its own walk."],
        marked={
            ((one.target,), f"{one.model}, {one.start}")
            for one, some in cells.runs(view).items()
            if one.start in BOTH and any(map(gains.learned_nothing, some))
        },
    )


def _4(view: View) -> Table:
    """Accuracy and mIoU by the length of the pretraining."""
    lines = {start: (start,) for start in (*BOTH[::-1], cells.TWICE)}
    long = [one for one in cells.cells(view) if one.start == cells.TWICE]
    known, values = cells.values(view), {}
    for one in long:
        for start, line in lines.items():
            seeds = known.get(one._replace(start=start), {})
            values[line, "mIoU"] = list(seeds.values())
    top1 = "accuracy, %"
    for row in views.where(view.measurements, analysis="pixel_vote"):
        if row["top1"] is not None and row["source"] in lines:
            values[lines[row["source"]], top1] = [100 * row["top1"]]
    for row in views.where(view.results, role="source", source="resnet"):
        values[lines[cells.IMAGENET], top1] = [100 * row["value"]]
    paper = {
        (lines[start], column): number
        for start, numbers in TABLE_4.items()
        for column, number in zip((top1, "mIoU"), numbers)
    }
    return Table(
        view.study.name,
        "Table 4: longer pretraining",
        ("PSPNet from",),
        list(lines.values()) if long else [],
        [Column(top1, "{:.1f}"), Column("mIoU", "{:.1f}")],
        values if long else {},
        paper if long else {},
        notes=[
            "Accuracy: of networks that segment the class with the highest mean "
            "probability over pixels, without the background; mIoU on "
            f"{long[0].target if long else ''}.",
        ],
    )


def _ablations(view: View) -> Table:
    """mIoU with other uses of the deciles."""
    found, values = cells.compared(view), {}
    others = [o for o in found if o and not o.what.startswith(cells.WEIGHT)]
    for samples in dict.fromkeys(one.samples for one in others):
        usual = cells.Pretraining(samples, cells.USUAL)
        for one in (usual, *(one for one in others if one.samples == samples)):
            name = "D9, the rest background" if one == usual else one.what
            values[(_thousands(samples), name), "mIoU"] = list(found[one].values())
    return Table(
        view.study.name,
        "Ablations: other uses of the deciles (4.1)",
        ("samples", "labels"),
        [line for line, _ in values],
        [Column("mIoU", "{:.1f}")],
        values,
        notes=["The paper has no numbers, and says that each is worse."],
    )


def _worth(view: View) -> Table:
    """Accuracy of the classifiers, IoU of maps with objects, and constant maps."""
    accuracy = {
        row["source"]: [100 * row["value"]]
        for row in views.where(view.results, role="source", target="classification")
    }
    overlap = {
        name: 100 * np.array(some)
        for name, some in cells.overlaps(view).items()
        if len(some)
    }
    values: dict = {}
    for backbone, numbers in accuracy.items():
        values[(f"{backbone} 0",), "accuracy, %"] = numbers
    for name, both in overlap.items():
        line = (_map(name),)
        values[line, "IoU, %"] = [both[:, 0].mean()]
        values[line, "a disc's, %"] = [both[:, 1].mean()]
    notes = [
        "IoU of the pixels of the top decile with the object of an image, and that of "
        "as many pixels in a disc in the middle, over images.",
        *_counted(view),
    ]
    lead, lost = cells.lead(view), cells.not_found(view)
    if lead is not None:
        notes.append(f"Consensus minus disc: {claims.shown(lead)} points.")
    return Table(
        view.study.name,
        WORTH,
        ("map",),
        list(dict.fromkeys(line for line, _ in values)),
        [Column(name, "{:.1f}") for name in ("accuracy, %", "IoU, %", "a disc's, %")],
        values,
        notes=[*notes, *([f"{lost[0].upper()}{lost[1:]}."] if lost else [])],
        over="images",
    )


def _map(role: str) -> str:
    """'resnet 0' of the role classifier_resnet_0."""
    return role.removeprefix("classifier_").replace("_", " ")


def _counted(view: View) -> list[str]:
    """How many maps are constant, and images without a top decile."""
    for stage in view.study.stages:
        if stage.kind == "pseudo" and stage.artifact:
            manifest: Mapping = stage.artifact.manifest
            constant = sum(manifest["constant"].values())
            return [
                f"Constant maps: {constant}; images without a top decile: "
                f"{manifest['without_top']}."
            ]
    return []


def _thousands(number: int) -> str:
    """'50K'; smaller numbers as they are."""
    return f"{number // 1000}K" if number >= 10_000 else str(number)


def _notes(view: View) -> list[str]:
    drawn = any(rows.embedded(row["target_dataset"]) for row in view.cells)
    return ["mIoU in per cent."] + [EMBEDDED] * drawn


def figures_of(view: View) -> list[StudyFigure]:
    """Those for which something was measured."""
    made = [_maps(view), _shown(view), _predictions(view)]
    return [figure for figure in made if figure.sheets]


def _maps(view: View) -> StudyFigure:
    found = views.where(view.measurements, analysis=cells.CONSENSUS)
    made = []
    if found:
        arrays, key = view.arrays(found[0]), found[0]["stage"].artifact.key
        names = dict.fromkeys(row["map"] for row in found)
        heads = ["image", *map(_map, names), "deciles", "top decile"]
        lines = [
            [image, *map(_shade, maps)]
            for image, maps in zip(arrays["images"], arrays["maps"])
        ]
        made = [("held-out images", sheets.sheet(lines, heads, key))]
    return StudyFigure(
        "Fig. 2: what classifiers look at",
        "The first images with masks: SmoothGrad of each classifier, the mean, its "
        "deciles, and the top decile, which has the image's class in the pretraining.",
        sheets=made,
    )


def _shown(view: View) -> StudyFigure:
    """What a network pretrained on pseudo labels makes of a target's images."""
    found, made = views.where(view.measurements, analysis="predictions"), []
    if found:
        pictures_, key = (
            view.arrays(found[0])["pictures"],
            found[0]["stage"].artifact.key,
        )
        lines = [list(line) for line in pictures_]
        sheet = sheets.sheet(lines, ["image", "truth", "pretrained network"], key)
        made = [(found[0]["target"], sheet)]
    words = "; ".join(
        ", ".join(
            f"{name} {100 * share:.0f} %"
            for name, share in zip(row["classes"], row["shares"])
        )
        for row in found
    )
    return StudyFigure(
        "Fig. 3: classes of the pretraining in images of a target",
        "Not fine-tuned: the network paints the classes that it was pretrained on, and "
        "background. The last image is the first one with a person. Of each image the "
        f"most frequent: {words}.",
        sheets=made,
    )


def _shade(heat: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(heat, 0, 1)).astype(np.uint8)


def _predictions(view: View) -> StudyFigure:
    known: dict[str, list] = {}
    for one, some in cells.runs(view).items():
        if one.model != cells.ABLATED and some[0]["seed"] == 0:
            named = f"{one.model}, {one.start}", some[0]["stage"].result
            known.setdefault(one.target, []).append(named)
    found: Sequence = [(target, pictures.sheet(all)) for target, all in known.items()]
    return StudyFigure(
        "Predictions after fine-tuning",
        "The first test images; heads are the model and what it starts from.",
        sheets=[(target, sheet) for target, sheet in found if sheet],
    )
