"""What P1 to P8 of `studies/pssl.py` measured, and their verdicts, in points of mIoU or
IoU (per cent).
"""

import functools
import itertools
from collections.abc import Callable, Mapping

import numpy as np

from jaxseg.report import claims
from jaxseg.report import view as views
from jaxseg.report.studies import _pssl_cells as cells
from jaxseg.report.studies._by_seed import Seeds, averaged, paired
from jaxseg.report.studies._pssl_cells import Pretraining
from jaxseg.report.view import View

POINT = 1.0  # of mIoU: the smallest difference that matters
AWAITED = "not all fine-tunings of these starts have ended"


def _of_labels(measure: Callable[[View], claims.Result]):
    """A finding on pseudo labels, which is measured only if these show objects."""

    @functools.wraps(measure)
    def measured(view: View) -> claims.Result:
        why = cells.not_found(view)
        return claims.nothing(why) if why else measure(view)

    return measured


@_of_labels
def p1(view: View) -> claims.Result:
    """Interior weights of the background against the smallest and the largest."""
    found: dict[int, dict[float, Seeds]] = {}
    for one, seeds in cells.compared(view).items():
        if one and one.what.startswith(cells.WEIGHT):
            weight = float(one.what.removeprefix(cells.WEIGHT))
            found.setdefault(one.samples, {})[weight] = seeds
    found = {n: weights for n, weights in found.items() if len(weights) > 2}
    ends: dict[str, dict[int, Seeds]] = {"smallest": {}, "largest": {}}
    for samples, weights in found.items():
        first, *inner, last = (weights[weight] for weight in sorted(weights))
        for name, end in zip(ends, (first, last)):
            ends[name][samples] = paired(averaged(inner), end)
    return _joint(ends)


@_of_labels
def p2(view: View) -> claims.Result:
    """Each step up in images with pseudo labels."""
    found = _samples(view)
    steps = {
        f"{a} to {b}": paired(found[b], found[a])
        for a, b in itertools.pairwise(sorted(found))
    }
    return _each(steps, by_seed=True)


@_of_labels
def p3(view: View) -> claims.Result:
    """The classifier as a start against the fewest and the most pseudo labels."""
    found, start = _samples(view), cells.compared(view).get(None, {})
    if len(found) < 2:
        return claims.nothing(AWAITED)
    fewest, *_, most = sorted(found)
    return _joint(
        {
            f"classifier minus {fewest}": {"": paired(start, found[fewest])},
            f"{most} minus classifier": {"": paired(found[most], start)},
        }
    )


@_of_labels
def p4(view: View) -> claims.Result:
    """The whole network against the backbone alone."""
    return _each(
        {f"{model} on {target}": gain for (model, target), gain in _gains(view).items()}
    )


@_of_labels
def p5(view: View) -> claims.Result:
    """The gain on the smallest set against the mean of those on the others."""
    images, found = cells.images(view), _gains(view)
    models = list(dict.fromkeys(model for model, _ in found))
    targets = list(dict.fromkeys(target for _, target in found))
    if len(targets) < 2:
        return claims.nothing("the plan has no two targets")
    smallest = min(targets, key=images.__getitem__)
    others = [target for target in targets if target != smallest]
    return _each(
        {
            model: paired(
                found[model, smallest], averaged(found[model, t] for t in others)
            )
            for model in models
        }
    )


@_of_labels
def p6(view: View) -> claims.Result:
    """Twice the epochs against once: accuracy up, mIoU down."""
    votes = {
        row["source"]: 100 * row["top1"]
        for row in views.where(view.measurements, analysis="pixel_vote")
        if row["top1"] is not None
    }
    known = cells.values(view)
    once, twice = ({}, {})
    for one, seeds in known.items():
        if one.start == cells.TWICE:
            once, twice = known.get(one._replace(start=cells.PSSL), {}), seeds
    better = [votes[cells.TWICE] - votes[cells.PSSL]] if len(votes) > 1 else []
    return _joint(
        {
            "accuracy with twice the epochs minus with once": {
                "": dict(enumerate(better))
            },
            "mIoU with once minus with twice": {"": paired(once, twice)},
        }
    )


def p7(view: View) -> claims.Result:
    """The IoU of the consensus minus the mean of those of single maps, by image."""
    found = {
        name: 100 * np.array(some)[:, 0]
        for name, some in cells.overlaps(view).items()
        if len(some)
    }
    together = found.pop(cells.CONSENSUS, None)
    if together is None or not found:
        return claims.nothing("the overlap of maps and objects was not measured")
    groups = {"": list(together - np.mean(list(found.values()), axis=0))}
    text = f"{claims.shown(claims.means(groups)[1])} points of IoU over images; "
    text += f"consensus {np.mean(together):.1f}, single maps "
    text += ", ".join(f"{np.mean(some):.1f}" for some in found.values())
    lead = claims.shown(cells.lead(view))
    text += f"; consensus minus a disc in the middle {lead}"
    return text, len(groups[""]), claims.above(groups, POINT)


@_of_labels
def p8(view: View) -> claims.Result:
    """The usual labels against each of the three others."""
    found = cells.compared(view)
    lost = {}
    for one, seeds in found.items():
        if one and not one.what.startswith(cells.WEIGHT):
            usual = found.get(Pretraining(one.samples, cells.USUAL), {})
            lost[one.what] = {"": paired(usual, seeds)}
    return _joint(lost)


def _samples(view: View) -> dict[int, Seeds]:
    """{images with the usual pseudo labels: per cent by seed}; {} unless all are
    there.
    """
    every = {
        one.samples: seeds
        for one, seeds in cells.compared(view).items()
        if one and one.what == cells.USUAL
    }
    return every if all(every.values()) else {}


def _gains(view: View) -> dict[tuple[str, str], Seeds]:
    """{(model, target): points of mIoU by seed that the whole network gains}; {} unless
    all of them are there.
    """
    known, found = cells.values(view), {}
    for one in cells.cells(view):
        if one.start == cells.PSSL:
            start = known.get(one._replace(start=cells.IMAGENET), {})
            found[one.model, one.target] = paired(known.get(one, {}), start)
    return found if all(found.values()) else {}


def _each(found: Mapping[str, Seeds], *, by_seed: bool = False) -> claims.Result:
    """A difference that is to be above 0 in every cell, and their mean by an interval
    over cells; with `by_seed` over all values.
    """
    if not found or not all(found.values()):
        return claims.nothing(AWAITED)
    groups = {name: list(some.values()) for name, some in found.items()}
    each, overall = claims.means(groups)
    sample = [] if by_seed else [one.mean for one in each.values()]
    overall = overall if by_seed else claims.means({"": sample})[1]
    above = sum(one.mean > 0 for one in each.values())
    text = f"{claims.shown(overall)} points, above 0 in {above} of {len(each)}: "
    text += ", ".join(f"{name} {one.mean:+.1f}" for name, one in each.items())
    return text, claims.size(groups), claims.above(groups, POINT, sample)


def _joint(parts: Mapping[str, Mapping[int | str, Seeds]]) -> claims.Result:
    """Differences that are all to be above 0."""
    groups = {
        name: {key: list(some.values()) for key, some in cells_.items()}
        for name, cells_ in parts.items()
    }
    every = [some for part in groups.values() for some in part.values()]
    if not every or not all(every) or not all(groups.values()):
        return claims.nothing(AWAITED)
    text = "; ".join(
        f"{name} {claims.shown(claims.means(group)[1])} points"
        for name, group in groups.items()
    )
    verdict = claims.joint(claims.above(group, POINT) for group in groups.values())
    return text, min(map(claims.size, groups.values())), verdict
