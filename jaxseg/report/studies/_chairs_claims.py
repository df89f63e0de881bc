"""What C1 to C9 of `studies/chairs.py` measured, and their verdicts.

Differences are of IoU in per cent, between runs of the same seed.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from jaxseg.report import claims, curves
from jaxseg.report.studies import _chairs_cells as cells
from jaxseg.report.view import View

# Of IoU, and of distances and steps: an interval that covers 0 and ends below this
# excludes any difference that matters.
POINT, RATIO = 1.0, 1.05
BARRIER = 10.0  # per cent of IoU lost on the path, from which there is a barrier
FASTER = "steps of the random start over those of the pretrained"
Place = tuple[str, tuple[int, ...]]  # (target, seeds) of the models compared
Values = Callable[[View, Mapping], cells.Seeds]  # `cells.values` or `cells.learned`


def c1(view: View) -> claims.Result:
    """The U-Net minus each FCN; they share the U-Net, so that each is judged alone."""
    every, kept = _over(view, cells.values), _over(view, cells.learned)
    words = _left_out(claims.size(every), claims.size(kept))
    if not kept:
        return claims.nothing(words or "no U-Net beside an FCN at 64 px")
    parts = {f"over {model}": {"": some} for model, some in kept.items()}
    text, count, verdict = _parts(parts, partly=True)
    return _joined(text, words), count, verdict


def _over(view: View, values: Values) -> claims.Groups:
    """{FCN: the U-Net's IoU minus its own} at 64 px."""
    at = {model: values(view, cells.composites(model, 64)) for model in cells.MODELS}
    ours = at[cells.UNET]
    return cells.filled({model: cells.paired(ours, at[model]) for model in cells.FCNS})


def c2(view: View) -> claims.Result:
    """Differences of neighbouring sizes, and differences of these."""
    at = {s: cells.values(view, cells.composites(cells.UNET, s)) for s in cells.SIZES}
    sizes = [size for size in cells.SIZES if at[size]]
    if len(sizes) < 3:
        return claims.nothing("fewer than three resolutions of the U-Net")
    growth = {
        (small, large): cells.paired(at[large], at[small])
        for small, large in itertools.pairwise(sizes)
    }
    less = {
        (small, middle, large): [
            2 * at[middle][seed] - at[small][seed] - at[large][seed]
            for seed in sorted(set(at[small]) & set(at[middle]) & set(at[large]))
        ]
        for small, middle, large in zip(sizes, sizes[1:], sizes[2:])
    }
    parts = {"grows": cells.filled(growth), "by less": cells.filled(less)}
    text, count, verdict = _parts(parts, partly=True)
    falls = count and claims.above(parts["grows"], POINT) == claims.NOT
    return text, count, claims.NOT if falls else verdict


def c3(view: View) -> claims.Result:
    """Pairs of models at each size, against the order of their means at 64 px."""
    groups = _ordered(view, cells.learned)
    words = _left_out(claims.size(_ordered(view, cells.values)), claims.size(groups))
    if not groups:
        none = "no two models at 64 px and another resolution"
        return claims.nothing(words or none)
    text, verdict = _kept(groups)
    return _joined(text, words), claims.size(groups), verdict


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
    at = lambda *place: cells.values(view, cells.objects(cells.UNET, *place))
    order = ("chairs", "scene_chairs", "random")
    parts = {
        f"{better} over {worse}": cells.filled(
            {t: cells.paired(at(t, better), at(t, worse)) for t in cells.targets(view)}
        )
        for better, worse in itertools.pairwise(order)
    }
    return _parts(parts, partly=True)


def c5(view: View) -> claims.Result:
    """Final IoU, and logarithms of the ratio of steps to one bar, of each set. There is
    no such bar for a start that learned nothing.
    """
    higher: dict[str, list[cells.Number]] = {}
    lines: dict[Place, tuple] = {}
    at = functools.partial(cells.objects, cells.UNET)
    for target in cells.targets(view):
        pretrained, scratch = (
            {row["seed"]: row for row in cells.runs(view, at(target, source))}
            for source in ("chairs", "random")
        )
        for seed in sorted(set(pretrained) & set(scratch)):
            pair = pretrained[seed], scratch[seed]
            difference = 100 * (pair[0]["value"] - pair[1]["value"])
            higher.setdefault(target, []).append(difference)
            drawn = [view.curve(row, cells.IOU) for row in pair]
            if all(drawn):
                lines[target, (seed,)] = *drawn, pair[0]["higher_is_better"]
    kept, words = _learned(view, lines)
    if lines and not kept:
        return claims.nothing(words)
    faster: dict[str, list[cells.Number]] = {}
    late = 0
    for place in kept:
        faster.setdefault(place[0], []).append(head_start(*lines[place]))
        pretrained, scratch, higher_is_better = lines[place]
        bar = curves.close(scratch, higher_is_better)
        late += curves.reached(pretrained, bar, higher_is_better) is None
    never = f"{late} of {len(kept)} pretrained never get there" if late else ""
    text, count, verdict = _parts({"ends higher": higher, FASTER: faster})
    return _joined(text, never, words), count, verdict


def _learned(view: View, places: Iterable[Place]) -> tuple[list[Place], str]:
    """The places whose models, Ft and Ri of each seed, all learned something, and words
    on how many have a model that did not; '' for none.
    """
    failed = cells.failed(view)
    kept, of = [], list(places)
    for target, seeds in of:
        models = {(target, kind, s) for kind in cells.STARTS for s in seeds}
        kept += [(target, seeds)] * (not models & failed)
    return kept, _left_out(len(of), len(kept))


def _left_out(of: int, kept: int) -> str:
    words = f"{of - kept} of {of} left out, where a model learned nothing"
    return words if kept < of else ""


def _joined(*texts: str) -> str:
    return "; ".join(filter(None, texts))


def head_start(
    pretrained: curves.Points, scratch: curves.Points, higher_is_better: bool = True
) -> float:
    """log(steps of the random start / steps of the pretrained one) to within 1 % of the
    best value of the random start. A run that never comes there takes all steps of
    both.

    >>> round(math.exp(head_start([(5, 0.7), (10, 0.8)], [(5, 0.1), (10, 0.7)])), 2)
    2.0
    """
    bar = curves.close(scratch, higher_is_better)
    last = max(pretrained[-1][0], scratch[-1][0])
    steps = [
        curves.reached(points, bar, higher_is_better) or last
        for points in (pretrained, scratch)
    ]
    return math.log(steps[1] / steps[0])


def c6(view: View) -> claims.Result:
    """Pairs of seeds 0 and 1, 2 and 3, ...: no model is in two of them."""
    apart = lambda numbers: numbers[0] % 2 == 0 and numbers[1] == numbers[0] + 1
    return _nearer(view, "Ft-Ft", "Ri-Ri", apart)


def c7(view: View) -> claims.Result:
    """Every fine-tuned model and random start with the model P."""
    return _nearer(view, "Ft-P", "Ri-P", lambda numbers: True)


def _nearer(
    view: View, near: str, far: str, counted: Callable[[tuple[int, ...]], bool]
) -> claims.Result:
    """Whether pairs of one kind are nearer than those of another, by log ratio."""
    found = cells.distances(view)
    shared = [p for p in found[near] if p in found[far] and counted(p[1])]
    if not shared:
        return claims.nothing(f"no distances of {near} beside {far}")
    shared, words = _learned(view, shared)
    if not shared:
        return claims.nothing(words)
    mean = lambda kind: sum(found[kind][place] for place in shared) / len(shared)
    text = f"{near} {mean(near):.4g}, {far} {mean(far):.4g}"
    groups: dict[str, list[cells.Number]] = {}
    for place in shared:
        log = math.log(found[far][place] / found[near][place])
        groups.setdefault(place[0], []).append(log)
    every = list(itertools.chain(*groups.values()))
    text += f"; {far} is {_times(claims.means({'': every})[1])} as far"
    verdict = claims.above(groups, math.log(RATIO), one_sample=True)
    return _joined(text, words), len(shared), verdict


def c8(view: View) -> claims.Result:
    """The largest fall of IoU on each path, against BARRIER."""
    found = {kind: cells.paths(view, kind) for kind in ("Ft-Ft", "Ri-Ri")}
    paths = sorted(set(found["Ft-Ft"]) & set(found["Ri-Ri"]))
    if not paths:
        return claims.nothing("no path between fine-tuned models and random starts")
    kept, lost = _learned(view, [(target, (s, s + 1)) for target, s in paths])
    if not kept:
        return claims.nothing(lost)
    shared = [(target, seeds[0]) for target, seeds in kept]
    words, verdicts = [], []
    for kind, sign in (("Ft-Ft", -1), ("Ri-Ri", 1)):
        ways = [cells.fair(found[kind][place]) for place in shared]
        drops = [cells.drop(rows) for rows in ways]
        barrier = sum(rows[0]["barrier"] for rows in ways) / len(ways)
        fall = claims.shown(_fall(drops), "{:.1f}")
        words.append(
            f"{kind}: IoU falls by {fall} %, barrier of the loss {barrier:.3g}"
        )
        margins = {p: [sign * (d - BARRIER)] for p, d in zip(shared, drops)}
        verdicts.append(claims.above(margins, one_sample=True))
    return _joined(*words, lost), len(shared), claims.joint(verdicts)


def _fall(drops: Sequence[cells.Number]) -> claims.Interval:
    """The mean fall; its interval is cut at 0 and 100 per cent, where falls end."""
    mean, *ends = claims.means({"": drops})[1]
    ends = [None if end is None else min(max(end, 0.0), 100.0) for end in ends]
    return claims.Interval(mean, *ends)


def c9(view: View) -> claims.Result:
    """Chairs minus random weights in each cell of an FCN that learned chairs."""
    lost = {m: cells.unlearned(view, m, "chairs") for m in cells.FCNS}
    words = _joined(*lost.values())
    at = lambda *place: cells.values(view, cells.objects(*place))
    groups = cells.filled(
        {
            (model, t): cells.paired(at(model, t, "chairs"), at(model, t, "random"))
            for model in cells.FCNS
            if not lost[model]
            for t in cells.targets(view)
        }
    )
    if not groups and words:
        return words, sum(map(bool, lost.values())), claims.UNLEARNED
    if not groups:
        return claims.nothing("no FCN from chairs beside one from random weights")
    each, _ = claims.means(groups)
    worse = [f"{model} on {t}" for (model, t), one in each.items() if one.mean <= 0]
    text = f"better in {len(each) - len(worse)} of {len(each)} cells"
    if all(one.low is not None for one in each.values()):
        text += f", {sum(one.low > 0 for one in each.values())} surely"
    text += f", not {', '.join(worse)}" * bool(worse)
    size = claims.size(groups)
    return _joined(text, words), size, _most(each, len(each) - len(worse))


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
    parts: Mapping[str, claims.Groups], *, partly: bool = False
) -> claims.Result:
    """The result of a finding of several parts; the count is of the smallest."""
    missing = [name for name, groups in parts.items() if not groups]
    if missing:
        return claims.nothing(f"no two cells for: {', '.join(missing)}")
    words, verdicts = [], []
    for name, groups in parts.items():
        each, mean = claims.means(groups)
        text = _times(mean) if name == FASTER else claims.shown(mean)
        above = sum(one.mean > 0 for one in each.values())
        text += f" in {above} of {len(each)} cells" * (len(each) > 1)
        words.append(f"{name}: {text}")
        margin = math.log(RATIO) if name == FASTER else POINT
        verdicts.append(claims.above(groups, margin))
    count = min(map(claims.size, parts.values()))
    return "; ".join(words), count, claims.joint(verdicts, partly=partly)


def _times(logs: claims.Interval) -> str:
    """An interval of logarithms of ratios as ratios."""
    ends = (None if log is None else math.exp(log) for log in logs)
    return claims.shown(claims.Interval(*ends), "{:.2f}") + " times"


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
