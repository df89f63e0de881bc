"""What C1 to C5 and C9 of `studies/chairs.py` measured, and their verdicts.

Differences are of IoU in per cent, between runs of the same seed.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from jaxseg.report import claims, curves
from jaxseg.report.studies import _chairs_cells as cells
from jaxseg.report.view import View

# Of IoU, and of distances and steps: an interval that covers 0 and ends below this
# excludes any difference that matters.
POINT, RATIO = 1.0, 1.05
FASTER = "steps of the random start over those of the pretrained"
Values = Callable[[View, Mapping], cells.Seeds]  # `cells.values` or `cells.learned`


def c1(view: View) -> claims.Result:
    """The U-Net minus each FCN; they share the U-Net, so that each is judged alone."""
    every, kept = _over(view, cells.values), _over(view, cells.learned)
    words = cells.left_out(claims.size(every), claims.size(kept))
    if not kept:
        return claims.nothing(words or "no U-Net beside an FCN at 64 px")
    parts = {f"over {model}": {"": some} for model, some in kept.items()}
    text, count, verdict = _parts(parts, partly=True)
    return claims.joined(text, words), count, verdict


def _over(view: View, values: Values) -> claims.Groups:
    """{FCN: the U-Net's IoU minus its own} at 64 px."""
    at = {model: values(view, cells.composites(model, 64)) for model in cells.MODELS}
    ours = at[cells.UNET]
    return cells.filled({model: cells.paired(ours, at[model]) for model in cells.FCNS})


def c2(view: View) -> claims.Result:
    """Differences of neighbouring sizes, and differences of these. Neighbours share a
    run, which enters them with opposite signs: the interval is of the mean by seed.
    """
    every, kept = _sized(view, cells.values), _sized(view, cells.learned)
    if len(every) < 3:
        return claims.nothing("fewer than three resolutions of the U-Net")
    words = cells.left_out(*(len(next(iter(some.values()))) for some in (every, kept)))
    if not all(kept.values()):
        return claims.nothing(words or "no seed with all resolutions of the U-Net")
    sizes = list(kept)
    grows = {
        (small, large): [b - a for a, b in zip(kept[small], kept[large])]
        for small, large in itertools.pairwise(sizes)
    }
    less = {
        (small, middle, large): [
            a - b for a, b in zip(grows[small, middle], grows[middle, large])
        ]
        for small, middle, large in zip(sizes, sizes[1:], sizes[2:])
    }
    parts = {"grows": grows, "by less": less}
    text, count, verdict = _parts(parts, partly=True, sample=_by_seed)
    falls = claims.above(grows, POINT, _by_seed(grows)) == claims.NOT
    return claims.joined(text, words), count, claims.NOT if falls else verdict


def _sized(view: View, values: Values) -> dict[int, list[cells.Number]]:
    """{size: IoU of the U-Net} on the seeds that have a value at all measured sizes."""
    place = lambda size: cells.composites(cells.UNET, size)
    sizes = [size for size in cells.SIZES if cells.values(view, place(size))]
    at = {size: values(view, place(size)) for size in sizes}
    seeds = sorted(set.intersection(*map(set, at.values()))) if at else []
    return {size: [some[seed] for seed in seeds] for size, some in at.items()}


def _by_seed(groups: claims.Groups) -> list[cells.Number]:
    """The mean over groups of each seed, which all of them have."""
    return [sum(some) / len(some) for some in zip(*groups.values(), strict=True)]


def c3(view: View) -> claims.Result:
    """Pairs of models at each size, against the order of their means at 64 px."""
    groups = _ordered(view, cells.learned)
    words = cells.left_out(
        claims.size(_ordered(view, cells.values)), claims.size(groups)
    )
    if not groups:
        none = "no two models at 64 px and another resolution"
        return claims.nothing(words or none)
    text, verdict = _kept(groups)
    return claims.joined(text, words), claims.size(groups), verdict


def _kept(groups: claims.Groups) -> tuple[str, str]:
    """How many of the pairs of `_ordered` keep their order, and the verdict."""
    each, _ = claims.means(groups)
    kept = sum(one.mean > 0 for one in each.values())
    text = f"{kept} of {len(each)} pairs of models keep the order of 64 px"
    if any(one.low is None for one in each.values()):
        some = claims.WEAKLY if 2 * kept > len(each) else claims.NOT
        verdict = claims.HELD if kept == len(each) else some
        return text, verdict
    surely = sum(one.low > 0 for one in each.values())
    turned = [place for place, one in each.items() if one.high < 0]
    text += f", {surely} surely"
    text += "".join(f"; {b} is ahead of {a} at {size} px" for a, b, size in turned)
    verdict = claims.HELD if kept == len(each) else claims.WEAKLY
    if 2 * surely < len(each):
        verdict = claims.UNDECIDED
    return text, claims.NOT if turned else verdict


def _ordered(view: View, values: Values) -> claims.Groups:
    """{(better, worse, size): differences} of models that differ in mean at 64 px."""
    at = {
        (model, size): values(view, cells.composites(model, size))
        for model in cells.MODELS
        for size in cells.SIZES
    }
    return cells.filled(
        {
            (one, other, size): cells.paired(at[one, size], at[other, size])
            for one, other in itertools.permutations(cells.MODELS, 2)
            if sum(cells.paired(at[one, 64], at[other, 64])) > 0
            for size in cells.SIZES
            if size != 64
        }
    )


def c4(view: View) -> claims.Result:
    """Chairs minus scene chairs, and scene chairs minus random weights, of each set."""
    every, kept = _steps(view, cells.values), _steps(view, cells.learned)
    words = cells.left_out(
        *(sum(map(claims.size, some.values())) for some in (every, kept))
    )
    text, count, verdict = _parts(kept, partly=True)
    return claims.joined(text, words), count, verdict


def _steps(view: View, values: Values) -> dict[str, claims.Groups]:
    """{a source over the next: {set: differences}} of the U-Net."""
    at = lambda *place: values(view, cells.objects(cells.UNET, *place))
    return {
        f"{better} over {worse}": cells.filled(
            {t: cells.paired(at(t, better), at(t, worse)) for t in cells.targets(view)}
        )
        for better, worse in itertools.pairwise(("chairs", "scene_chairs", "random"))
    }


def c5(view: View) -> claims.Result:
    """Final IoU, and logarithms of the ratio of steps to one bar, of each set."""
    at = functools.partial(cells.objects, cells.UNET)
    pairs: dict[cells.Place, tuple] = {}
    for target in cells.targets(view):
        pretrained, scratch = (
            {row["seed"]: row for row in cells.runs(view, at(target, source))}
            for source in ("chairs", "random")
        )
        for seed in sorted(set(pretrained) & set(scratch)):
            pairs[target, (seed,)] = pretrained[seed], scratch[seed]
    kept, words = cells.kept(view, pairs)
    if pairs and not kept:
        return claims.nothing(words)
    higher: dict[str, list[cells.Number]] = {}
    faster: dict[str, list[cells.Number]] = {}
    late = 0
    for place in kept:
        pair = pairs[place]
        difference = 100 * (pair[0]["value"] - pair[1]["value"])
        higher.setdefault(place[0], []).append(difference)
        pretrained, scratch = lines = [view.curve(row, cells.IOU) for row in pair]
        if all(lines):
            upward = pair[0]["higher_is_better"]
            faster.setdefault(place[0], []).append(curves.head_start(*lines, upward))
            bar = curves.close(scratch, upward)
            late += curves.reached(pretrained, bar, upward) is None
    of = claims.size(faster)
    never = f"{late} of {of} pretrained never get there" if late else ""
    text, count, verdict = _parts({"ends higher": higher, FASTER: faster})
    return claims.joined(text, never, words), count, verdict


def c9(view: View) -> claims.Result:
    """Chairs minus random weights in each cell of an FCN that learned chairs."""
    lost = {m: cells.unlearned(view, m, "chairs") for m in cells.FCNS}
    words = claims.joined(*lost.values())
    models = [model for model in cells.FCNS if not lost[model]]
    every, kept = (_helped(view, models, v) for v in (cells.values, cells.learned))
    left = cells.left_out(claims.size(every), claims.size(kept))
    if not every and words:
        return words, sum(map(bool, lost.values())), claims.UNLEARNED
    if not kept:
        return claims.nothing(
            left or "no FCN from chairs beside one from random weights"
        )
    each, _ = claims.means(kept)
    worse = [f"{model} on {t}" for (model, t), one in each.items() if one.mean <= 0]
    text = f"better in {len(each) - len(worse)} of {len(each)} cells"
    if all(one.low is not None for one in each.values()):
        text += f", {sum(one.low > 0 for one in each.values())} surely"
    text += f", not {', '.join(worse)}" * bool(worse)
    verdict = _most(each, len(each) - len(worse))
    return claims.joined(text, left, words), claims.size(kept), verdict


def _helped(view: View, models: Sequence[str], values: Values) -> claims.Groups:
    """{(FCN, set): chairs minus random weights}."""
    at = lambda *place: values(view, cells.objects(*place))
    return cells.filled(
        {
            (model, t): cells.paired(at(model, t, "chairs"), at(model, t, "random"))
            for model in models
            for t in cells.targets(view)
        }
    )


def _most(each: Mapping[tuple, claims.Interval], better: int) -> str:
    """The verdict on `most of these are above 0`."""
    half = len(each) / 2
    if any(one.low is None for one in each.values()):
        return claims.HELD if better > half else claims.NOT
    up = sum(one.low > 0 for one in each.values())
    down = sum(one.high < 0 for one in each.values())
    if better > half:
        weaker = claims.WEAKLY if up > down else claims.UNDECIDED
        return claims.HELD if up > half else weaker
    return claims.NOT if down >= half else claims.UNDECIDED


def _parts(
    parts: Mapping[str, claims.Groups],
    *,
    partly: bool = False,
    sample: Callable[[claims.Groups], Sequence[cells.Number]] = lambda groups: (),
) -> claims.Result:
    """The result of a finding of several parts; the count is of the smallest. sample:
    the independent values of a part's groups, as `claims.above` takes them.
    """
    missing = [name for name, groups in parts.items() if not groups]
    if missing:
        return claims.nothing(f"no two cells for: {', '.join(missing)}")
    words, verdicts = [], []
    for name, groups in parts.items():
        each, mean = claims.means(groups)
        own = sample(groups)
        mean = claims.means({"": own})[1] if own else mean
        text = claims.times(mean) if name == FASTER else claims.shown(mean)
        above = sum(one.mean > 0 for one in each.values())
        text += f" in {above} of {len(each)} cells" * (len(each) > 1)
        words.append(f"{name}: {text}")
        margin = math.log(RATIO) if name == FASTER else POINT
        verdicts.append(claims.above(groups, margin, own))
    count = min(map(claims.size, parts.values()))
    return "; ".join(words), count, claims.joint(verdicts, partly=partly)


def gated(
    sources: tuple[str, ...], measure: Callable[[View], claims.Result]
) -> Callable[[View], claims.Result]:
    """The measure, where the U-Net has learned something on these sources."""

    def result(view: View) -> claims.Result:
        lost = [cells.unlearned(view, cells.UNET, source) for source in sources]
        words = [text for text in lost if text]
        if words:
            return "; ".join(words), len(words), claims.UNLEARNED
        return measure(view)

    return result
