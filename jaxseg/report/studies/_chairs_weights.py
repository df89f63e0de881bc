"""What C6 to C8 of `studies/chairs.py` measured: distances and paths between models."""

import itertools
import math
from collections.abc import Callable, Sequence

from jaxseg.report import claims
from jaxseg.report.studies import _chairs_cells as cells
from jaxseg.report.studies._chairs_claims import RATIO
from jaxseg.report.view import View

BARRIER = 10.0  # per cent of IoU lost on the path, from which there is a barrier


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
    shared, words = cells.kept(view, shared)
    if not shared:
        return claims.nothing(words)
    mean = lambda kind: sum(found[kind][place] for place in shared) / len(shared)
    text = f"{near} {mean(near):.4g}, {far} {mean(far):.4g}"
    groups: dict[str, list[cells.Number]] = {}
    for place in shared:
        log = math.log(found[far][place] / found[near][place])
        groups.setdefault(place[0], []).append(log)
    every = list(itertools.chain(*groups.values()))
    text += f"; {far} is {claims.times(claims.means({'': every})[1])} as far"
    verdict = claims.above(groups, math.log(RATIO), every)
    return claims.joined(text, words), len(shared), verdict


def c8(view: View) -> claims.Result:
    """The largest fall of IoU on each path, against BARRIER."""
    found = {kind: cells.paths(view, kind) for kind in ("Ft-Ft", "Ri-Ri")}
    paths = sorted(set(found["Ft-Ft"]) & set(found["Ri-Ri"]))
    if not paths:
        return claims.nothing("no path between fine-tuned models and random starts")
    kept, lost = cells.kept(view, [(target, (s, s + 1)) for target, s in paths])
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
        every = list(itertools.chain(*margins.values()))
        verdicts.append(claims.above(margins, sample=every))
    return claims.joined(*words, lost), len(shared), claims.joint(verdicts)


def _fall(drops: Sequence[cells.Number]) -> claims.Interval:
    """The mean fall; its interval is cut at 0 and 100 per cent, where falls end."""
    mean, *ends = claims.means({"": drops})[1]
    ends = [None if end is None else min(max(end, 0.0), 100.0) for end in ends]
    return claims.Interval(mean, *ends)
