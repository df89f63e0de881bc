"""What the PSSL study measured, by cell: `studies/pssl.py` has the columns."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxseg.report import claims, gains, view
from jaxseg.report.studies._by_seed import Seeds

IMAGENET, PSSL, TWICE = "ImageNet", "PSSL", "PSSL, twice the epochs"
ABLATED = "DeepLabV3-ResNet"  # the setting of Tables 1 and 2
MIOU = "miou"
WEIGHT, SAMPLES = "background ", " samples, "
USUAL = WEIGHT + "0.1"
CONSENSUS = "consensus"


class Cell(NamedTuple):
    """Fine-tunings of a model on a target from one start."""

    model: str
    target: str
    start: str


class Pretraining(NamedTuple):
    """On so many images with pseudo labels; what: `background 0.01` or an ablation."""

    samples: int
    what: str


def cell(row: Mapping) -> Cell:
    """Of a row of fine-tuning."""
    return Cell(row["setting"], row["target"], row["source"])


def cells(own: view.View) -> list[Cell]:
    """The planned cells in the order of the plan."""
    return list(dict.fromkeys(map(cell, own.cells)))


def runs(own: view.View) -> dict[Cell, view.Rows]:
    """{cell: the rows of mIoU, by seed}."""
    found: dict[Cell, list] = {}
    for row in view.where(own.metrics, role="target", reported=True, metric=MIOU):
        found.setdefault(cell(row), []).append(row)
    return {c: sorted(some, key=lambda row: row["seed"]) for c, some in found.items()}


def values(own: view.View) -> dict[Cell, Seeds]:
    """{cell: {seed: mIoU in per cent}}."""
    return {
        one: {row["seed"]: 100 * row["value"] for row in some}
        for one, some in runs(own).items()
    }


def pretraining(start: str) -> Pretraining | None:
    """Of a start of Tables 1 and 2; None of a classifier."""
    samples, found, what = start.partition(SAMPLES)
    return Pretraining(int(samples), what) if found else None


def compared(own: view.View) -> dict[Pretraining | None, Seeds]:
    """{what Tables 1 and 2 start from, None the classifier: {seed: per cent}}, of those
    planned; {} of one that was not measured.
    """
    known = values(own)
    return {
        pretraining(one.start): known.get(one, {})
        for one in cells(own)
        if one.model == ABLATED
    }


def unlearned(own: view.View) -> set[Pretraining | None]:
    """What Tables 1 and 2 start from where a fine-tuning learned nothing."""
    return {
        pretraining(one.start)
        for one, some in runs(own).items()
        if one.model == ABLATED and any(map(gains.learned_nothing, some))
    }


def images(own: view.View) -> dict[str, int]:
    """{target: images it is trained on}, in the order of the plan."""
    return {row["target"]: row["target_images"] for row in own.cells}


def overlaps(own: view.View) -> dict[str, Sequence[tuple[float, float]]]:
    """{map: [(IoU of the top decile with the object, that of the disc)]} by image, of
    images where no map lacks one; the mean of the maps is called CONSENSUS.
    """
    by_image: dict[int, dict] = {}
    for row in view.where(own.measurements, analysis=CONSENSUS):
        by_image.setdefault(row["image"], {})[row["map"]] = row["iou"], row["disc"]
    whole = [maps for maps in by_image.values() if None not in sum(maps.values(), ())]
    names = next(iter(by_image.values()), {})
    return {name: [maps[name] for maps in whole] for name in names}


def lead(own: view.View) -> claims.Interval | None:
    """By how much the consensus finds objects better than a disc in the middle, in
    points of IoU over images; None where it was not measured.
    """
    found = overlaps(own).get(CONSENSUS, ())
    if not found:
        return None
    return claims.means({"": [100 * (iou - disc) for iou, disc in found]})[1]


def not_found(own: view.View) -> str:
    """Why pseudo labels do not count; '' where they do, or where nothing in the plan
    says so, for want of masks.
    """
    planned = any(
        stage.kind == "measure" and stage.name == CONSENSUS
        for stage in own.study.stages
    )
    found = lead(own)
    if not planned:
        return ""
    if found is None:
        return "whether saliency finds objects was not measured"
    if (found.mean if found.low is None else found.low) > 0:
        return ""
    return (
        "saliency finds no objects: the IoU of the top decile minus that of a disc in "
        f"the middle is {claims.shown(found)} points"
    )
