"""What S1 to S6 of `studies/simmim.py` measured, and their verdicts, in points of mIoU
(per cent).
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from jaxseg.report import claims
from jaxseg.report.studies import _simmim_cells as cells
from jaxseg.report.studies._by_seed import Seeds, averaged, paired
from jaxseg.report.view import View

POINT = 1.0  # of mIoU: the smallest difference that matters
TENTH = 0.1  # of a doubling of images
CLOSE = 0.95  # of the best mIoU: a start that has reached its plateau


def s1(view: View) -> claims.Result:
    """Gain over random weights, by labelled images."""
    return _everywhere(view, cells.differences(view, classified=False))


def s2(view: View) -> claims.Result:
    """The gain with the fewest images against the others; its fall."""
    found = cells.differences(view, classified=False)
    if len(found) < 2:
        return _none(view, "not all fine-tunings with two numbers of images have ended")
    fewest, *more = sorted(found)
    doublings = math.log2(more[-1] / fewest)
    falls = {
        seed: -doublings * _slope([(math.log2(n), found[n][seed]) for n in found])
        for seed in found[fewest]
    }
    mean = averaged(found[n] for n in more)
    return _joint(
        view,
        {
            f"with {fewest} images minus with more": paired(found[fewest], mean),
            f"fall from {fewest} to {more[-1]}": falls,
        },
    )


def s3(view: View) -> claims.Result:
    """Each step up in images of the pretraining, minus the next."""
    every = [0, *cells.pretrainings(view)]
    found = cells.by_start(view, *(cells.Start(n, False) for n in every))
    if len(every) < 3 or not found:
        return _none(view, "not all fine-tunings after two pretrainings have ended")
    means = [averaged(by_size.values()) for by_size in found.values()]
    steps = [paired(b, a) for a, b in itertools.pairwise(means)]
    names = [f"{a} to {b}" for a, b in itertools.pairwise(every)]
    return _joint(
        view,
        {
            f"step from {name} minus that from {other}": paired(step, following)
            for (name, step), (other, following) in itertools.pairwise(
                zip(names, steps)
            )
        },
    )


def s4(view: View) -> claims.Result:
    """The last rise, and how soon the plateau is reached."""
    learned = cells.learned(view)
    found = cells.by_start(view, *(cells.Start(n, False) for n in (0, *learned)))
    if len(cells.sizes(view)) < 2 or not learned or not found:
        return _none(view, "not all fine-tunings with two numbers of images have ended")
    *_, before, most = cells.sizes(view)
    last = averaged(paired(of[most], of[before]) for of in found.values())
    first, *_, best = found.values()
    early = list(paired(_reached(first), _reached(best)).values())
    rise = claims.means({"": list(last.values())})[1]
    text = f"last rise {claims.shown(rise)} points; plateau sooner by "
    text += f"{claims.shown(claims.means({'': early})[1], '{:+.2f}')} doublings"
    verdict = claims.joint([_below(rise), claims.above({"": early}, TENTH)])
    return claims.joined(text, cells.left_out(view)), len(early), verdict


def s5(view: View) -> claims.Result:
    """What scenes in between cost, by labelled images."""
    return _everywhere(view, _losses(view))


def s6(view: View) -> claims.Result:
    """What they cost with the fewest images, minus with the most."""
    losses = _losses(view)
    if len(losses) < 2:
        return _none(view, "not all fine-tunings with two numbers of images have ended")
    fewest, *_, most = sorted(losses)
    text = f"with {fewest} images minus with {most}"
    return _joint(view, {text: paired(losses[fewest], losses[most])})


def _losses(view: View) -> dict[int, Seeds]:
    found = cells.differences(view, classified=True)
    return {n: {s: -x for s, x in some.items()} for n, some in found.items()}


def _everywhere(view: View, found: Mapping[int, Seeds]) -> claims.Result:
    """A difference that is to be above 0 at each number of labelled images. Those of
    one seed share draws and fresh weights, so the interval is of their means.
    """
    if not found:
        return _none(view, "not all fine-tunings of these starts have ended")
    groups = {n: list(some.values()) for n, some in found.items()}
    sample = list(averaged(found.values()).values())
    each, _ = claims.means(groups)
    above = sum(one.mean > 0 for one in each.values())
    text = f"{claims.shown(claims.means({'': sample})[1])} points, "
    text += f"above 0 at {above} of {len(each)}: "
    text += ", ".join(f"{one.mean:+.1f} at {n}" for n, one in each.items())
    verdict = claims.above(groups, POINT, sample)
    return claims.joined(text, cells.left_out(view)), claims.size(groups), verdict


def _joint(view: View, parts: Mapping[str, Seeds]) -> claims.Result:
    """Differences by seed that are all to be above 0."""
    groups = {name: {"": list(some.values())} for name, some in parts.items()}
    text = "; ".join(
        f"{name} {claims.shown(claims.means(group)[1])} points"
        for name, group in groups.items()
    )
    verdict = claims.joint(claims.above(group, POINT) for group in groups.values())
    count = min(map(claims.size, groups.values()))
    return claims.joined(text, cells.left_out(view)), count, verdict


def _none(view: View, why: str) -> claims.Result:
    """The result where nothing is left to compare."""
    lost = cells.left_out(view)
    return (lost, 0, claims.UNLEARNED) if lost else claims.nothing(why)


def _below(rise: claims.Interval) -> str:
    """The verdict on `less than a point`."""
    low, high = (rise.mean, rise.mean) if rise.low is None else rise[1:]
    if high < POINT:
        return claims.HELD
    return claims.NOT if low > POINT else claims.UNDECIDED


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of a straight line through points by least squares."""
    x, y = np.array(points).T
    return float(np.polyfit(x, y, 1)[0])


def _reached(by_size: Mapping[int, Seeds]) -> Seeds:
    """{seed: log2 of the number of images at which mIoU first is CLOSE to its best}, on
    straight lines over the logarithm between sizes.
    """
    found, logs = {}, np.log2(list(by_size))
    for seed in averaged(by_size.values()):
        values = [some[seed] for some in by_size.values()]
        goal = CLOSE * max(values)
        at = next(i for i, value in enumerate(values) if value >= goal)
        found[seed] = float(logs[at])
        if at:
            share = (values[at] - goal) / (values[at] - values[at - 1])
            found[seed] -= float(share * (logs[at] - logs[at - 1]))
    return found
