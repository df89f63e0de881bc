"""The findings of the factors paper, compared with the gains measured here.

Section 6 of arXiv:2103.13318. Each finding has a fixed rule, which reads the gain rows
of one study and setting and is printed beside its verdict. Only gains that are sure and
in the direction of the finding support it. A finding is undecided where the intervals
are too wide; with one seed there are none, and the means decide. It is not measured
where no gain row applies. A5, A6, A9 and A10 need multi-source models, other tasks or
full targets, and are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import absolute, claims, gains, shares
from jaxseg.report.figures import StudyFigure
from jaxseg.report.view import View, where

LEAD = "gains"
PAPER = "Mensink et al., arXiv 2103.13318"
Rows = Sequence[Mapping[str, Any]]


def tables(view: View) -> list[absolute.Table]:
    """Table 9: distances between the sets of targets and of sources (Eq. 1)."""
    found = where(view.measurements, analysis="domain_distance")
    named = {
        side: {cell[f"{side}_dataset"] for cell in view.cells}
        & {row[side] for row in found}
        for side in ("target", "source")
    }
    if not all(named.values()):
        return []
    return [
        absolute.Table(
            view.study.name,
            "Table 9: distances between sets of images (Eq. 1)",
            ("target",),
            [(name,) for name in sorted(named["target"])],
            [absolute.Column(name) for name in sorted(named["source"])],
            {((row["target"],), row["source"]): [row["value"]] for row in found},
            notes=(
                "In features of the pretrained model; the paper's are multi-source.",
            ),
        )
    ]


def figures(view: View) -> list[StudyFigure]:
    """None beside those of every study."""
    return []


def _a1(rows: Rows) -> tuple[str, int, str]:
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
    sure += sum(_surely(r, "down") for r in usual)
    several = any(r["several"] for r in rows)
    ends = dict.fromkeys(f"{end(better):+.1f}" for end in (min, max) if better)
    parts = [f"{' to '.join(ends)} %"] if ends else []
    parts.append(f"better on {won} of {len(rows)} targets")
    parts += [f"surely on {sure}"] if several else []
    parts += [f"on {nothing} the random start learned nothing"] if nothing else []
    text = ", ".join(parts)
    if won == len(rows) and (2 * sure >= won or not several):
        return text, len(rows), claims.HELD
    if several and not sure and not any(_surely(r, "up") for r in usual):
        return text, len(rows), claims.UNDECIDED
    return text, len(rows), claims.WEAKLY if 2 * won >= len(rows) else claims.NOT


def _a2(rows: Rows) -> tuple[str, int, str]:
    best = shares.best(shares.select(rows))
    if not best:
        return claims.nothing("no source was measured")
    text = f"{_shares(best)} of targets have a positive (very positive) source"
    return text + _surely_positive(best), len(best), _by_share(best)


def _a3(rows: Rows) -> tuple[str, int, str]:
    """Mean gain within the domain minus that across domains, paired by target."""
    within, cross = (shares.select(rows, d, "within") for d in ("within", "cross"))
    here = [_means(within), _means(cross)]
    targets = sorted(set(here[0]) & set(here[1]))
    if not targets:
        return claims.nothing("no target has sources within and across its domain")
    differences = [here[0][t] - here[1][t] for t in targets]
    mean, low, high = claims.means({"": differences})[1]
    text = f"within P/N {_sides(within)}, cross {_sides(cross)}; within is "
    text += f"{abs(mean):.1f} points {'behind' if mean < 0 else 'ahead'}"
    text += ", mean over targets" if len(targets) > 1 else ", one target"
    verdict = claims.WEAKLY if mean > 0 else claims.NOT
    if low is None:  # one target: no interval but those of its cells
        return text, 1, _if_any_sure([*within, *cross], verdict)
    text += f" (difference {low:+.1f} to {high:+.1f})"
    if low > 0:
        return text, len(targets), claims.HELD
    wide = mean <= 0 < high
    return text, len(targets), claims.UNDECIDED if wide else verdict


def _a3_task(rows: Rows) -> tuple[str, int, str]:
    domain = shares.select(rows, "within", "cross")
    task = shares.select(rows, "cross", "within")
    if not domain or not task:
        return claims.nothing(
            "no source of another task type within the target's domain"
        )
    text = f"within domain, cross task P/N {_sides(domain)}; "
    text += f"cross domain, within task {_sides(task)}"
    more = _share(domain, "P") > _share(task, "P")
    fewer = _share(domain, "N") < _share(task, "N")
    verdict = (
        claims.HELD
        if more and fewer
        else claims.WEAKLY
        if more or fewer
        else claims.NOT
    )
    return text, len(domain) + len(task), _if_any_sure([*domain, *task], verdict)


def _a4_into(rows: Rows) -> tuple[str, int, str]:
    """Driving and indoor sources on consumer targets."""
    kept = _between(rows, sources=("driving", "indoor"), targets=("consumer",))
    if not kept:
        return claims.nothing("no driving or indoor source on a consumer target")
    text = f"{_count(kept, 'P')} of {len(kept)} pairs positive, best "
    text += f"{max(r['gain'] for r in kept):+.1f} %"
    if any(r["effect"] in ("P", "VP") for r in kept):
        return text, len(kept), claims.NOT
    if not any(_could_be_positive(r) for r in kept):
        return text, len(kept), claims.HELD
    return text, len(kept), claims.UNDECIDED if _count(kept, "P") else claims.WEAKLY


def _a4_out(rows: Rows) -> tuple[str, int, str]:
    """Consumer sources on driving and indoor targets."""
    kept = _between(rows, sources=("consumer",), targets=("driving", "indoor"))
    if not kept:
        return claims.nothing("no consumer source on a driving or indoor target")
    mean = np.mean([r["gain"] for r in kept])
    text = f"{_count(kept, 'P')} of {len(kept)} pairs positive, mean {mean:+.1f} %"
    verdict = _by_share(kept)
    return (
        text,
        len(kept),
        claims.WEAKLY if verdict == claims.NOT and mean > 0 else verdict,
    )


def _a7(rows: Rows) -> tuple[str, int, str]:
    kept = shares.select(rows, "within", "within")
    if not kept:
        return claims.nothing("no source of the target's domain and task type")
    best = shares.best(kept)
    text = f"{_share(kept, 'P'):.0f} % of pairs positive{_surely_positive(kept)}; "
    text += f"best source: {_shares(best)} of targets{_surely_positive(best)}"
    return text, len(kept), _by_share(kept)


def _a8(rows: Rows, size: str = "target_set_images") -> tuple[str, int, str]:
    """Compares the images of a source with those of its target, in column `size`."""
    kept = shares.select(rows, "within", "within")
    sized = [r for r in kept if r["source_images"] and r[size]]
    larger = [r for r in sized if r["source_images"] > r[size]]
    smaller = [r for r in sized if r["source_images"] < r[size]]
    if not larger or not smaller:
        why = "sources are all larger or all smaller than their targets"
        return claims.nothing(why if sized else "sizes are unknown")
    parts = _share(larger, "P"), _share(smaller, "P")
    text = f"{parts[0]:.0f} % of {len(larger)} positive from larger, "
    text += f"{parts[1]:.0f} % of {len(smaller)} from smaller"
    held = claims.HELD if parts[0] >= 2 * parts[1] else claims.WEAKLY
    verdict = held if parts[0] > parts[1] else claims.NOT
    return text, len(sized), _if_any_sure([*larger, *smaller], verdict)


def _surely(row: Mapping[str, Any], way: str) -> bool:
    """Whether a gain is sure and has the sign of `way`, up or down."""
    return row["significant"] and (row["gain"] > 0) == (way == "up")


def _could_be_positive(row: Mapping[str, Any]) -> bool:
    """Whether the interval reaches P; without an interval, whether the mean is P."""
    high = row["gain_high"]
    if high is None:
        return row["mean_effect"] in ("P", "VP") or (
            row["several"] and row["value"] > 0
        )
    return gains.effect(high) in ("P", "VP")


def _by_share(rows: Rows) -> str:
    """The verdict on "half of the rows are P": surely, by the mean, or possibly."""
    if _sure_share(rows) >= 50:
        return claims.HELD
    if _share(rows, "P") >= 50:
        return claims.WEAKLY
    possible = sum(_could_be_positive(row) for row in rows)
    return claims.UNDECIDED if 2 * possible >= len(rows) else claims.NOT


def _if_any_sure(rows: Rows, verdict: str) -> str:
    """The verdict; undecided where there are several seeds and no gain is sure."""
    several = any(row["several"] for row in rows)
    sure = any(row["significant"] or row["value"] <= 0 for row in rows)
    return claims.UNDECIDED if several and not sure else verdict


def _share(rows: Rows, level: str) -> float:
    return shares.share(rows, level, "mean_effect")


def _sure_share(rows: Rows) -> float:
    return shares.share(rows, "P", "effect")


def _surely_positive(rows: Rows) -> str:
    """', 40 % surely'; '' with one seed, which has no interval."""
    several = any(row["several"] for row in rows)
    return f", {_sure_share(rows):.0f} % surely" if several else ""


def _shares(rows: Rows) -> str:
    return f"{_share(rows, 'P'):.0f} % ({_share(rows, 'VP'):.0f} %)"


def _sides(rows: Rows) -> str:
    return f"{_share(rows, 'P'):.0f}/{_share(rows, 'N'):.0f} %"


def _count(rows: Rows, level: str) -> int:
    return round(_share(rows, level) * len(rows) / 100)


def _between(rows: Rows, sources: Sequence[str], targets: Sequence[str]) -> Rows:
    kept = shares.select(rows, "all", "within")
    kept = [r for r in kept if r["source_domain"] in sources]
    return [r for r in kept if r["target_domain"] in targets]


def _means(rows: Rows) -> dict[tuple, float]:
    """{target cell: mean gain over its sources}."""
    return {
        target: float(np.mean([row["gain"] for row in group]))
        for target, group in shares.by_target(rows).items()
    }


def _claim(
    name: str, finding: str, paper: str, rule: str, measure: Callable[[Rows], tuple]
) -> claims.Claim:
    """A finding on the gains of one setting."""
    of_gains = lambda view: measure(view.gains)
    return claims.Claim(name, finding, paper, rule, of_gains, by_setting=True)


HALF = (
    "held: at least half P with an interval that leaves out 0 (with one seed: by the "
    "mean); weakly: at least half P by the mean; undecided: at least half have P "
    "within their interval"
)
UNSURE = "; undecided: no interval behind it leaves out 0"
LARGER = (
    "held: P share from larger sources at least twice that from smaller; "
    "weakly: it is higher" + UNSURE
)
CLAIMS = (
    _claim(
        "A1",
        "The pretrained start always beats training from scratch.",
        "always; by 5 to 46 % with the full target set",
        "held: better on every target, and surely on half (a random start that learned "
        "nothing is sure); weakly: better on half of the targets; undecided: sure on "
        "none, either way",
        _a1,
    ),
    _claim(
        "A2",
        "For most targets some source brings more than the pretraining alone.",
        "small targets 85 % (67 %), full targets 56 % (19 %)",
        HALF,
        _a2,
    ),
    _claim(
        "A3",
        "The image domain strongly affects gains.",
        "within the task, small: within domain P/N 69/17 %, cross domain 14/55 %",
        "held: 95 % t interval over targets of (mean within - mean cross) above 0; "
        "weakly: the difference is positive; undecided: it is not, but its interval "
        "reaches above 0, or with one target no interval of its cells leaves out 0",
        _a3,
    ),
    _claim(
        "A3, task",
        "The image domain matters more than the task type.",
        "within domain, cross task P/N 43/37 %; cross domain, within task 14/55 %",
        "held: more P and fewer N in the first; weakly: one of the two" + UNSURE,
        _a3_task,
    ),
    _claim(
        "A4, into",
        "No driving or indoor source helps a consumer target.",
        "none is positive",
        "held: no pair has P within its interval (with one seed: by the mean); weakly: "
        "none is P by the mean; undecided: some are, none surely",
        _a4_into,
    ),
    _claim(
        "A4, out of",
        "Consumer sources include driving and indoor scenes and help such targets.",
        "positive transfer on driving and indoor (Table 4a)",
        f"{HALF}; weakly also: mean gain above 0",
        _a4_out,
    ),
    _claim(
        "A7",
        "A source of the same domain and task type gives very positive transfer.",
        "69 % of pairs; best source 73 % (64 %) of targets",
        HALF,
        _a7,
    ),
    _claim(
        "A8",
        "Transfer flows from larger to smaller datasets (within domain and task).",
        "60 % positive from larger sources, 5 % from smaller",
        "size of the target: all images of its set. " + LARGER,
        _a8,
    ),
    _claim(
        "A8, subset",
        "The same, by the images that the target was trained on.",
        "not in the paper",
        "size of the target: the images trained on. " + LARGER,
        lambda rows: _a8(rows, "target_images"),
    ),
)
