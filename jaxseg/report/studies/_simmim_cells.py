"""What the SimMIM study measured, by cell: `studies/simmim.py` has the columns."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxseg.report import claims, view
from jaxseg.report.studies._by_seed import Seeds, averaged, paired

RANDOM, CLASSIFIED = "random", " + scenes"
MIOU, ACCURACY = "miou", "pixel_accuracy"
# What a filling has to beat, and in which key of a row its squared error is.
# Keys of measurements: one colour in place of the filling. The first is the gate.
MEAN, OWN_MEAN = "filled_masked", "visible_masked"


class Start(NamedTuple):
    """What a fine-tuning starts from: images of the pretraining, 0 of random weights;
    whether scenes were classified in between.
    """

    images: int
    classified: bool

    @property
    def name(self) -> str:
        """As in the column `source`."""
        return f"{self.images or RANDOM}{CLASSIFIED if self.classified else ''}"


class Cell(NamedTuple):
    """Fine-tunings on so many images from one start."""

    images: int
    start: Start


def start(source: str) -> Start:
    """Of a column `source`."""
    images = source.removesuffix(CLASSIFIED)
    return Start(0 if images == RANDOM else int(images), source != images)


def cell(row: Mapping) -> Cell:
    """Of a row of fine-tuning."""
    return Cell(int(row["setting"].split()[0]), start(row["source"]))


def cells(own: view.View) -> list[Cell]:
    """The planned cells, fewest images first."""
    return sorted({cell(row) for row in own.cells})


def starts(own: view.View) -> list[Start]:
    """The planned starts: without scenes, then with; fewest images first."""
    found = {one.start for one in cells(own)}
    return sorted(found, key=lambda one: (one.classified, one.images))


def sizes(own: view.View) -> list[int]:
    """The planned numbers of images of fine-tuning."""
    return sorted({one.images for one in cells(own)})


def runs(own: view.View, metric: str = MIOU) -> dict[Cell, view.Rows]:
    """{cell: the rows of a metric, by seed}."""
    found: dict[Cell, list] = {}
    for row in view.where(own.metrics, role="target", reported=True, metric=metric):
        found.setdefault(cell(row), []).append(row)
    return {c: sorted(some, key=lambda row: row["seed"]) for c, some in found.items()}


def values(own: view.View) -> dict[Cell, Seeds]:
    """{cell: {seed: mIoU in per cent}} of the cells whose pretraining counts as
    learned.
    """
    kept = {0, *learned(own)}
    return {
        one: {row["seed"]: 100 * row["value"] for row in some}
        for one, some in runs(own).items()
        if one.start.images in kept
    }


def pretrainings(own: view.View) -> list[int]:
    """Numbers of images of the planned pretrainings."""
    return sorted({one.images for one in starts(own)} - {0})


def lead(own: view.View, images: int, over: str) -> claims.Interval | None:
    """By how much a pretraining fills masked patches with a smaller squared error than
    one colour does, in per cent of that of the colour over all held-out images; None
    where it was not measured. over: MEAN, or OWN_MEAN, of what is visible of each.
    """
    rows = view.where(own.measurements, analysis="reconstructions")
    rows = [r for r in rows if r["stage"].columns[0]["source"] == str(images)]
    if not rows:
        return None
    errors, colour = ([r[key] for r in rows] for key in ("error_masked", over))
    mean = sum(colour) / len(rows)
    less = [100 * (one - error) / mean for one, error in zip(colour, errors)]
    return claims.means({"": less})[1]


def not_learned(own: view.View, images: int) -> str:
    """Why a pretraining does not count as learned; '' if it does: the interval of its
    lead over the mean colour lies above 0; of one image the lead does.
    """
    found = lead(own, images, MEAN)
    if found is None:
        return f"the filling after {images} images was not measured"
    if (found.mean if found.low is None else found.low) > 0:
        return ""
    return (
        f"after {images} images the squared error of the filling is below that of the "
        f"mean colour of all images by {claims.shown(found)} %"
    )


def left_out(own: view.View) -> str:
    """Which pretrainings were not learned, in words."""
    why = [not_learned(own, images) for images in pretrainings(own)]
    return claims.joined(*(f"left out: {one}" for one in why if one))


def by_start(own: view.View, *wanted: Start) -> dict[Start, dict[int, Seeds]]:
    """{start: {images of fine-tuning: points of mIoU by seed}} of these starts, on the
    seeds that all their cells have; {} unless there is such a seed, in every planned
    cell.
    """
    known = values(own)
    every = [[known.get(Cell(n, one), {}) for n in sizes(own)] for one in wanted]
    shared = averaged([seeds for some in every for seeds in some])
    if not shared:
        return {}
    return {
        start: {
            n: {seed: seeds[seed] for seed in shared}
            for n, seeds in zip(sizes(own), some)
        }
        for start, some in zip(wanted, every)
    }


def learned(own: view.View) -> list[int]:
    """The pretrainings that count as learned."""
    return [images for images in pretrainings(own) if not not_learned(own, images)]


def differences(own: view.View, *, classified: bool) -> dict[int, Seeds]:
    """{images of fine-tuning: points of mIoU by seed, averaged over pretrainings, which
    share the runs they differ from}: with pretraining minus without, or with scenes
    minus without. {} unless all cells of all pretrainings that were learned are there.
    """
    pairs = [
        (Start(n, classified), Start(n if classified else 0, False))
        for n in learned(own)
    ]
    found = by_start(own, *dict.fromkeys(one for pair in pairs for one in pair))
    return found and {
        n: averaged(paired(found[one][n], found[other][n]) for one, other in pairs)
        for n in sizes(own)
    }
