"""What A1 to A8 of `studies/factors.py` measured in one setting, and their verdicts."""

from collections.abc import Sequence

import numpy as np

from jaxseg.report import claims, gains, shares
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.studies._factors_cells import Rows

MARGIN = 2.0  # per cent, or points of gain: the border of P (section 6)


def a1(rows: Rows) -> claims.Result:
    """The gain of the baseline over the random start: Eq. 2 with exchanged roles."""
    rows = [r for r in rows if r["source"] == gains.RANDOM and r["baseline_learned"]]
    if not rows:
        return claims.nothing("no random start beside a baseline that learned")
    usual = [r for r in rows if not r["learned_nothing"] and r["value"] > 0]
    pairs = [(r["baseline"], r["value"], r["higher_is_better"]) for r in usual]
    better = [gains.gain(*pair) for pair in pairs]
    won = sum(b > 0 for b in better) + len(rows) - len(usual)
    nothing = sum(r["learned_nothing"] for r in rows)
    sure = sum(r["learned_nothing"] and not r["undecided"] for r in rows)
    sure += sum(cells.surely(r, "down") for r in usual)
    several = any(r["several"] for r in rows)
    ends = dict.fromkeys(f"{end(better):+.1f}" for end in (min, max) if better)
    parts = [f"{' to '.join(ends)} %"] if ends else []
    parts.append(f"better on {won} of {len(rows)} targets")
    parts += [f"surely on {sure}"] if several else []
    parts += [f"on {nothing} the random start learned nothing"] if nothing else []
    text = ", ".join(parts)
    if won == len(rows) and (2 * sure >= won or not several):
        return text, len(rows), claims.HELD
    if several and not sure and not any(cells.surely(r, "up") for r in usual):
        return text, len(rows), claims.UNDECIDED
    return text, len(rows), claims.WEAKLY if 2 * won >= len(rows) else claims.NOT


def a2(rows: Rows) -> claims.Result:
    best = shares.best(shares.select(rows))
    if not best:
        return claims.nothing("no source was measured")
    text = f"{cells.positive(best)} of targets have a positive (very positive) source"
    return text + cells.surely_positive(best), len(best), cells.by_share(best)


def a3(rows: Rows) -> claims.Result:
    """Mean gain within the domain minus that across domains, paired by target."""
    within, cross = (shares.select(rows, d, "within") for d in ("within", "cross"))
    here = [cells.by_target_mean(within), cells.by_target_mean(cross)]
    targets = sorted(set(here[0]) & set(here[1]))
    if not targets:
        return claims.nothing("no target has sources within and across its domain")
    differences = [here[0][t] - here[1][t] for t in targets]
    mean, low, high = claims.means({"": differences})[1]
    text = f"within P/N {cells.sides(within)}, cross {cells.sides(cross)}; within is "
    text += f"{abs(mean):.1f} points {'behind' if mean < 0 else 'ahead'}"
    text += ", mean over targets" if len(targets) > 1 else ", one target"
    verdict = claims.WEAKLY if mean > 0 else claims.NOT
    if low is None:  # one target: no interval but those of its cells
        return text, 1, cells.if_any_sure([*within, *cross], verdict)
    text += f" (difference {low:+.1f} to {high:+.1f})"
    if low > 0:
        return text, len(targets), claims.HELD
    wide = mean <= 0 < high
    return text, len(targets), claims.UNDECIDED if wide else verdict


def a3_task(rows: Rows) -> claims.Result:
    domain = shares.select(rows, "within", "cross")
    task = shares.select(rows, "cross", "within")
    if not domain or not task:
        return claims.nothing(
            "no source of another task type within the target's domain"
        )
    text = f"within domain, cross task P/N {cells.sides(domain)}; "
    text += f"cross domain, within task {cells.sides(task)}"
    more = cells.share(domain, "P") > cells.share(task, "P")
    fewer = cells.share(domain, "N") < cells.share(task, "N")
    verdict = (
        claims.HELD
        if more and fewer
        else claims.WEAKLY
        if more or fewer
        else claims.NOT
    )
    return text, len(domain) + len(task), cells.if_any_sure([*domain, *task], verdict)


def a4_into(rows: Rows) -> claims.Result:
    """Driving and indoor sources on consumer targets."""
    kept = _between(rows, sources=("driving", "indoor"), targets=("consumer",))
    if not kept:
        return claims.nothing("no driving or indoor source on a consumer target")
    text = f"{cells.count(kept, 'P')} of {len(kept)} pairs positive, best "
    text += f"{max(r['gain'] for r in kept):+.1f} %"
    if any(r["effect"] in ("P", "VP") for r in kept):
        return text, len(kept), claims.NOT
    if not any(cells.could_be_positive(r) for r in kept):
        return text, len(kept), claims.HELD
    return (
        text,
        len(kept),
        claims.UNDECIDED if cells.count(kept, "P") else claims.WEAKLY,
    )


def a4_out(rows: Rows) -> claims.Result:
    """Consumer sources on driving and indoor targets."""
    kept = _between(rows, sources=("consumer",), targets=("driving", "indoor"))
    if not kept:
        return claims.nothing("no consumer source on a driving or indoor target")
    mean = np.mean([r["gain"] for r in kept])
    text = f"{cells.count(kept, 'P')} of {len(kept)} pairs positive, mean {mean:+.1f} %"
    verdict = cells.by_share(kept)
    return (
        text,
        len(kept),
        claims.WEAKLY if verdict == claims.NOT and mean > 0 else verdict,
    )


def a5(rows: Rows) -> claims.Result:
    """Multi-source models on targets of their task type that were no part of them."""
    kept = [r for r in _apart(rows) if cells.multi(r)]
    if not kept:
        return claims.nothing("no multi-source model on a target outside its sets")
    gained = [row["gain"] for row in kept]
    won, several = sum(gain > 0 for gain in gained), any(r["several"] for r in kept)
    sure = sum(cells.surely(row, "up") for row in kept)
    text = f"{min(gained):+.1f} to {max(gained):+.1f} %, above 0 on {won} of "
    text += f"{len(kept)} targets" + f", surely on {sure}" * several
    if won == len(kept) and (2 * sure >= won or not several):
        return text, len(kept), claims.HELD
    if several and not any(row["significant"] for row in kept):
        return text, len(kept), claims.UNDECIDED
    return text, len(kept), claims.WEAKLY if 2 * won >= len(kept) else claims.NOT


def a5_largest(rows: Rows) -> claims.Result:
    """The largest source of the target's domain minus the multi-source model."""
    groups = {}
    for target, some in shares.by_target(_apart(rows)).items():
        of = [row for row in some if cells.multi(row)]
        single = [r for r in shares.select(some, "within") if not cells.multi(r)]
        if of and single:
            largest = max(single, key=lambda row: row["source_images"] or 0)
            groups[target] = cells.differences(largest, of[0])
    groups = {target: some for target, some in groups.items() if some}
    if not groups:
        return claims.nothing("no target with both, outside of the model's sets")
    each, mean = claims.means(groups)
    better = sum(one.mean > MARGIN for one in each.values())
    worse = sum(one.mean < -MARGIN for one in each.values())
    text = f"better by more than 2 points on {better} of {len(each)} targets, worse on "
    text += f"{worse}; mean difference {claims.shown(mean)} points"
    verdict = cells.by_half(list(each.values()), MARGIN)
    return text, claims.size(groups), verdict


def _apart(rows: Rows) -> Rows:
    return cells.apart(shares.select(rows, "all", "within"))


def a6(rows: Rows) -> claims.Result:
    """The best source of another task type within the domain; all across domains."""
    near, far = (shares.select(rows, d, "cross") for d in ("within", "cross"))
    best = shares.best(near)
    if not best:
        return claims.nothing("no source of another task type within a domain")
    text = f"best source within the domain: {cells.share(best, 'P'):.0f} % of "
    text += f"{len(best)} targets positive{cells.surely_positive(best)}"
    verdicts = [cells.by_share(best)]
    if far:
        text += f"; across domains P/N {cells.sides(far)} of {len(far)} pairs"
        more = cells.share(far, "N") > cells.share(far, "P")
        found = claims.HELD if more else claims.NOT
        verdicts.append(cells.if_any_sure(far, found))
    verdict = claims.joint(verdicts, partly=True)
    return text, len(near) + len(far), verdict


def a6_same(rows: Rows) -> claims.Result:
    """Sources of the target's task type against the same data set with other labels,
    the mean of those where there are several.
    """
    groups = {}
    for target, some in shares.by_target(shares.measured(rows)).items():
        single = [row for row in some if not cells.multi(row)]
        others: dict[str, list] = {}
        for row in shares.select(single, "all", "cross"):
            others.setdefault(cells.base(row["source"]), []).append(cells.points(row))
        for row in shares.select(single, "all", "within"):
            own, rest = cells.points(row), others.get(cells.base(row["source"]), [])
            seeds = sorted(set(own).intersection(*rest)) if rest else []
            if seeds:
                groups[target, row["source"]] = [
                    own[seed] - sum(other[seed] for other in rest) / len(rest)
                    for seed in seeds
                ]
    if not groups:
        return claims.nothing("no set is a source of the target's task and of another")
    each, mean = claims.means(groups)
    better = sum(one.mean > 0 for one in each.values())
    text = f"ahead in {better} of {len(each)} sources, on average by "
    text += f"{claims.shown(mean)} points"
    return text, claims.size(groups), claims.above(groups, MARGIN)


def a7(rows: Rows) -> claims.Result:
    kept = shares.select(rows, "within", "within")
    if not kept:
        return claims.nothing("no source of the target's domain and task type")
    best = shares.best(kept)
    text = f"{cells.share(kept, 'P'):.0f} % of pairs positive"
    text += f"{cells.surely_positive(kept)}; "
    text += (
        f"best source: {cells.positive(best)} of targets{cells.surely_positive(best)}"
    )
    return text, len(kept), cells.by_share(kept)


def a8(rows: Rows) -> claims.Result:
    """Compares the images of a source of one set with all those of the target's set."""
    size = "target_set_images"
    pairs = shares.select(rows, "within", "within")
    kept = [row for row in pairs if not cells.multi(row)]
    sized = [r for r in kept if r["source_images"] and r[size]]
    larger = [r for r in sized if r["source_images"] > r[size]]
    smaller = [r for r in sized if r["source_images"] < r[size]]
    if not larger or not smaller:
        why = "sources are all larger or all smaller than their targets"
        return claims.nothing(why if sized else "sizes are unknown")
    parts = cells.share(larger, "P"), cells.share(smaller, "P")
    text = f"{parts[0]:.0f} % of {len(larger)} positive from larger, "
    text += f"{parts[1]:.0f} % of {len(smaller)} from smaller"
    held = claims.HELD if parts[0] >= 2 * parts[1] else claims.WEAKLY
    verdict = held if parts[0] > parts[1] else claims.NOT
    return text, len(sized), cells.if_any_sure([*larger, *smaller], verdict)


def _between(rows: Rows, sources: Sequence[str], targets: Sequence[str]) -> Rows:
    kept = shares.select(rows, "all", "within")
    kept = [r for r in kept if r["source_domain"] in sources]
    return [r for r in kept if r["target_domain"] in targets]
