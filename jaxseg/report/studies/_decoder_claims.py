"""What D1 to D8 of `studies/decoder.py` measured, and their verdicts.

Differences are of Dice in per cent, between runs of the same seed, which share the
images they are trained on, their order and the fresh weights.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import claims, curves
from jaxseg.report import view as views
from jaxseg.report.studies import _decoder_cells as cells
from jaxseg.report.studies._by_seed import Seeds, averaged, paired
from jaxseg.report.view import View

POINT = 1.0  # of Dice: the smallest difference that matters
RATIO = 1.05  # of steps
THIRD = 1 / 3  # of what the encoder alone gains over random weights
EXPLAINED = 0.5  # of Kendall's tau: below it similarity is no guide to gain
SAME_DOMAIN = (("cars", "bus"), ("dogs", "cat"), ("dogs", "horse"))
OTHER_DOMAIN = (("cars", "airplane"), (cells.SIMILARITY, "bus"))
SELF_SUPERVISED = ("SimCLR", "Reconstruction", "ConRec")
Pairs = Iterable[tuple[cells.Cell, cells.Cell]]


def d1(view: View) -> claims.Result:
    """Scenario 3 minus scenario 4: two one-sided tests."""
    found, lost = cells.differences(view, _both(view))
    if not found:
        return _without(lost, "no pretext with its decoder and without")
    groups = _lists(found)
    gains, _ = cells.differences(
        view, ((alone, (*alone[:2], cells.RANDOM)) for _, alone in groups)
    )
    gain = claims.means(_lists(gains))[1].mean if gains else 0.0
    margin = max(POINT, THIRD * gain)
    mean = claims.means(groups, level=claims.TWO_TESTS)[1]
    power = claims.power(groups, margin)
    text = f"{claims.shown(mean, '{:+.2f}')} points, margin {margin:.2f}"
    text += "" if power is None else f", power {100 * power:.0f} %"
    each = [one.mean for one in claims.means(groups)[0].values()]
    text += f"; alone, {sum(abs(one) > margin for one in each)} of {len(each)} cells"
    text += f" differ by more ({min(each):+.1f} to {max(each):+.1f})"
    text += f"; the encoder alone gains {gain:+.1f} over random weights"
    verdict = claims.equal(groups, margin)
    return claims.joined(text, _left_out(lost)), claims.size(groups), verdict


def d2(view: View) -> claims.Result:
    """Steps of scenario 4 over those of scenario 3, of one seed each."""
    groups, lost = {}, {}
    for whole, alone in _both(view):
        both = [{r["seed"]: r for r in cells.runs(view, c)} for c in (whole, alone)]
        pairs = [
            [view.curve(runs[seed], cells.DICE) for runs in both]
            for seed in sorted(set(both[0]) & set(both[1]))
        ]
        logs = [curves.head_start(*pair) for pair in pairs if min(map(len, pair)) > 1]
        why = cells.not_learned(view, *cells.source_of(view, whole))
        if logs and why:
            lost[why] = None
        elif logs:
            groups[whole] = logs
    if not groups:
        return _without(lost, "no curves of a pretext with its decoder and without")
    text = f"{claims.times(claims.means(groups)[1])} as fast{_in(groups)}"
    verdict = claims.above(groups, math.log(RATIO))
    return claims.joined(text, _left_out(lost)), claims.size(groups), verdict


def d3(view: View) -> claims.Result:
    """Encoders of one domain: segmentation over reconstruction over classification."""
    parts = {
        f"{one} over {other}": [(cells.encoder(one), cells.encoder(other))]
        for one, other in itertools.pairwise(
            ("Segmentation", "Reconstruction", "Classification")
        )
    }
    parts["Segmentation over Classification"] = [
        (cells.encoder("Segmentation"), cells.encoder("Classification"))
    ]
    return _ordered(view, parts, SAME_DOMAIN)


def d4(view: View) -> claims.Result:
    """Encoders on other domains: each over random weights, ConRec over the others."""
    parts = {
        "over random weights": [
            (cells.encoder(name), cells.RANDOM) for name in SELF_SUPERVISED
        ]
    }
    parts |= {
        f"ConRec over {name}": [(cells.encoder("ConRec"), cells.encoder(name))]
        for name in ("Reconstruction", "SimCLR")
    }
    return _ordered(view, parts, OTHER_DOMAIN, at_least=("ConRec",))


def d5(view: View) -> claims.Result:
    """CKA of segmentation encoders, against that with the classifier."""
    return _alike(view, ("Segmentation",), ("Classification",))


def d6(view: View) -> claims.Result:
    """CKA of self-supervised encoders, against that with the others."""
    return _alike(view, SELF_SUPERVISED, ("Segmentation", "Classification"))


def d7(view: View) -> claims.Result:
    """Kendall's tau of similarity to the best encoder of a target, and gain."""
    taus, words = {}, []
    found, lost = explained(view)
    for target, points in found.items():
        alike, gains = zip(*points.values()) if points else ((), ())
        if len(points) < 5:
            continue
        taus[target] = claims.kendall(alike, gains)
        words.append(f"{target}: tau {claims.shown(taus[target], '{:+.2f}')}")
    if not taus:
        return _without(lost, "no target with gains of six encoders and their CKA")
    count = len(taus)
    mean = sum(tau.mean for tau in taus.values()) / count
    both = claims.Interval(mean, None, None)
    if all(tau.low is not None for tau in taus.values()):
        squares = sum(((tau.high - tau.low) / 2) ** 2 for tau in taus.values())
        half = math.sqrt(squares) / count
        both = claims.Interval(mean, mean - half, mean + half)
    low, high = (mean, mean) if both.low is None else both[1:]
    verdict = claims.NOT if low > 0 else claims.UNDECIDED
    verdict = claims.HELD if high < EXPLAINED else verdict
    text = f"mean tau {claims.shown(both, '{:+.2f}')}; {'; '.join(words)}"
    return claims.joined(text, _left_out(lost)), count, verdict


def d8(view: View) -> claims.Result:
    """Gains of encoders at 1 % of the labels minus those at 20 %."""
    first, _, last = cells.LABELS
    of, lost = {}, []
    for setting in cells.LABELS:
        pairs = [
            ((setting, t, cells.encoder(name)), (setting, t, cells.RANDOM))
            for _, t in cells.places(view, (setting,))
            for name in SELF_SUPERVISED
        ]
        found, left = cells.differences(view, pairs)
        lost += left
        of[setting] = {pair[0][1:]: some for pair, some in found.items()}
    falls = {
        place: paired(of[first][place], of[last][place])
        for place in of[first]
        if place in of[last]
    }
    groups = _by_place((target, some) for (target, _), some in falls.items())
    if not groups:
        return _without(lost, "no gains at 1 % and 20 % of the labels")
    means = ", ".join(
        f"{claims.means(_lists(some))[1].mean:+.1f} at {setting}"
        for setting, some in of.items()
        if some
    )
    mean = claims.shown(claims.means(groups)[1])
    text = f"falls by {mean} points{_in(groups)}: {means}"
    return (
        claims.joined(text, _left_out(lost)),
        claims.size(groups),
        claims.above(groups, POINT),
    )


def explained(
    view: View,
) -> tuple[dict[str, dict[str, tuple[float, float]]], list[str]]:
    """({target: {encoder: (CKA to the best encoder, gain over random weights)}} of all
    but the best, why encoders were left out).
    """
    alike, found, lost = similarities(view), {}, []
    for _, target in cells.places(view, (cells.SIMILARITY,)):
        pairs = [
            (cell, (*cell[:2], cells.RANDOM))
            for cell in cells.cells(view)
            if cell[:2] == (cells.SIMILARITY, target) and cell[2] != cells.RANDOM
        ]
        every, left = cells.differences(view, pairs)
        lost += left
        gains = {
            pair[0][2]: float(np.mean([*some.values()])) for pair, some in every.items()
        }
        gains = {n: gain for n, gain in gains.items() if (n, n) in alike}
        if gains:
            best = max(gains, key=gains.get)
            found[target] = {
                n: (alike[n, best], gain) for n, gain in gains.items() if n != best
            }
    return found, lost


def similarities(view: View, key: str = "value") -> dict[tuple[str, str], float]:
    """{(encoder, encoder): CKA}, both ways round; key: value or biased."""
    rows = views.where(view.measurements, analysis="cka")
    found = {(row["model"], row["other"]): row[key] for row in rows}
    return found | {(b, a): value for (a, b), value in found.items()}


def _both(view: View) -> list[tuple[cells.Cell, cells.Cell]]:
    """The cells of scenario 3, each with that of scenario 4."""
    every = set(cells.cells(view))
    pairs = [
        ((s, t, start), (s, t, start + cells.ENCODER_ONLY))
        for s, t, start in cells.cells(view)
    ]
    return [pair for pair in pairs if pair[1] in every]


def _ordered(
    view: View,
    parts: Mapping[str, Sequence[tuple[str, str]]],
    places: Iterable[tuple[str, str]],
    at_least: tuple[str, ...] = (),
) -> claims.Result:
    """The result of a finding of several parts, each pairs of starts: above, or, of
    starts named in `at_least`, no worse by a point or more.
    """
    words, verdicts, lost, counts = [], [], [], []
    for name, starts in parts.items():
        pairs = [
            (_start(view, place, one), _start(view, place, other))
            for place in places
            for one, other in starts
        ]
        found, left = cells.differences(view, pairs)
        lost += left
        groups = _by_place((pair[1], some) for pair, some in found.items())
        if not groups:
            continue
        words.append(f"{name}: {claims.shown(claims.means(groups)[1])}{_in(groups)}")
        weaker = name.startswith(at_least) if at_least else False
        verdicts.append(_no_worse(groups) if weaker else claims.above(groups, POINT))
        counts.append(claims.size(groups))
    if not verdicts:
        return _without(lost, "no two of these starts on one target")
    verdict = claims.joint(verdicts, partly=True)
    return claims.joined(*words, _left_out(lost)), min(counts), verdict


def _start(view: View, place: tuple[str, str], name: str) -> cells.Cell:
    """The cell of a start; where encoders are alone, `-EncOnly` is not in its name."""
    setting, target = place
    if setting == cells.SIMILARITY:
        name = name.removesuffix(cells.ENCODER_ONLY)
    return setting, target, name


def _no_worse(groups: claims.Groups) -> str:
    """The verdict on `these differences are not below 0`, by the rule of D4."""
    mean = claims.means(groups)[1]
    low, high = (mean.mean, mean.mean) if mean.low is None else mean[1:]
    if low > -POINT:
        return claims.HELD
    return claims.NOT if high < 0 else claims.UNDECIDED


def _alike(
    view: View, kinds: tuple[str, ...], others: tuple[str, ...]
) -> claims.Result:
    """Pairs of encoders of these kinds, against pairs of one of them and another."""
    alike = similarities(view)
    names = list(dict.fromkeys(name for name, _ in alike))
    of = lambda wanted: [n for n in names if cells.pretext(n) in wanted]
    lost = {n: why for n in names if (why := _unlearned(view, n))}
    inner = [
        alike[p] for p in itertools.combinations(of(kinds), 2) if not lost.keys() & p
    ]
    outer = [
        alike[p]
        for p in itertools.product(of(kinds), of(others))
        if not lost.keys() & p
    ]
    if not inner or not outer:
        return _without(lost.values(), "no CKA of two such encoders and another")
    text = f"{np.mean(inner):.2f} ({min(inner):.2f} to {max(inner):.2f}) against "
    text += f"{np.mean(outer):.2f} ({min(outer):.2f} to {max(outer):.2f})"
    weaker = claims.WEAKLY if np.mean(inner) > np.mean(outer) else claims.NOT
    verdict = claims.HELD if min(inner) > max(outer) else weaker
    words = _left_out(lost.values())
    return claims.joined(text, words), len(inner) + len(outer), verdict


def _unlearned(view: View, name: str) -> str:
    """Why an encoder of the similarity matrix does not count as learned."""
    for _, target in cells.places(view, (cells.SIMILARITY,)):
        source = cells.source_of(view, (cells.SIMILARITY, target, name))
        if source:
            return cells.not_learned(view, *source)
    return ""


def _lists(found: Mapping[Any, Seeds]) -> claims.Groups:
    return {key: list(some.values()) for key, some in found.items()}


def _by_place(found: Iterable[tuple[Any, Seeds]]) -> claims.Groups:
    """One group for each place: the starts of a place differ from the same runs."""
    several: dict[Any, list[Seeds]] = {}
    for place, some in found:
        several.setdefault(place, []).append(some)
    means = {place: averaged(some) for place, some in several.items()}
    return _lists({place: some for place, some in means.items() if some})


def _in(groups: claims.Groups) -> str:
    """In how many of several cells the mean is above 0."""
    each, _ = claims.means(groups)
    above = sum(one.mean > 0 for one in each.values())
    return f" in {above} of {len(each)} cells" if len(each) > 1 else ""


def _left_out(why: Iterable[str]) -> str:
    reasons = "; ".join(dict.fromkeys(why))
    return reasons and f"left out: {reasons}"


def _without(lost: Iterable[str], none: str) -> claims.Result:
    """The result where no cell is left."""
    words = _left_out(lost)
    return (words, 0, claims.UNLEARNED) if words else claims.nothing(none)
