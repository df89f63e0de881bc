"""The factors paper's findings, held against what was measured here, by fixed rules.

Section 6 of arXiv:2103.13318. A rule reads only the gain rows of one study and setting
and is printed beside its verdict. A finding whose cells no plan has made says "not
measured"; A5, A6, A9 and A10 need multi-source models, other tasks or full targets.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import gains

COLUMNS = [
    "study",
    "setting",
    "claim",
    "finding",
    "paper",
    "measured",
    "count",
    "rule",
    "verdict",
]
HELD, WEAKLY, NOT, UNMEASURED = "held", "held weakly", "did not hold", "not measured"
Rows = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Claim:
    """One finding. measure: gain rows -> (what was measured, count, verdict)."""

    name: str
    finding: str
    paper: str
    rule: str
    measure: Callable[[Rows], tuple[str, int, str]]


def table(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per claim, study and setting. Only a factors study is held to them."""
    rows = [row for row in found if row["study"].split(":")[0] == "factors"]
    lines = []
    for study, setting in sorted({(row["study"], row["setting"]) for row in rows}):
        here = [r for r in rows if (r["study"], r["setting"]) == (study, setting)]
        for claim in CLAIMS:
            measured, count, verdict = claim.measure(here)
            line = {"study": study, "setting": setting, "claim": claim.name}
            line |= {"finding": claim.finding, "paper": claim.paper, "rule": claim.rule}
            line |= {"measured": measured, "count": count, "verdict": verdict}
            lines.append(line)
    return lines


def _nothing(why: str) -> tuple[str, int, str]:
    return why, 0, UNMEASURED


def _a1(rows: Rows) -> tuple[str, int, str]:
    """The baseline against the random start: Eq. 2 with their roles exchanged."""
    random = [r for r in rows if r["source"] == gains.RANDOM and r["gain"] is not None]
    pairs = [(r["baseline"], r["value"], r["higher_is_better"]) for r in random]
    better = [gains.gain(*pair) for pair in pairs if pair[1] != 0]
    if not better:
        return _nothing("no random start beside the baseline")
    text = f"{min(better):+.1f} to {max(better):+.1f} %, better on "
    text += f"{sum(b > 0 for b in better)} of {len(better)} targets "
    text += f"(interval leaves out 0 on {sum(r['significant'] for r in random)})"
    verdict = WEAKLY if np.mean(better) > 0 else NOT
    return text, len(better), HELD if min(better) > 0 else verdict


def _a2(rows: Rows) -> tuple[str, int, str]:
    best = gains.best(gains.select(rows))
    if not best:
        return _nothing("no source was measured")
    text = f"{_shares(best)} of targets have a positive (very positive) source"
    return text, len(best), _by_share(best)


def _a3(rows: Rows) -> tuple[str, int, str]:
    """Within-domain minus cross-domain mean gain, paired by target."""
    within, cross = (gains.select(rows, d, "within") for d in ("within", "cross"))
    here = [_by_target(within), _by_target(cross)]
    targets = sorted(set(here[0]) & set(here[1]))
    if not targets:
        return _nothing("no target has sources within and across its domain")
    differences = [here[0][t] - here[1][t] for t in targets]
    low, _ = gains.interval(differences)
    text = f"within P/N {_sides(within)}, cross {_sides(cross)}; within is "
    text += f"{np.mean(differences):+.1f} points ahead, mean over targets"
    if np.mean(differences) <= 0:
        return text, len(targets), NOT
    return text, len(targets), HELD if low is not None and low > 0 else WEAKLY


def _a3_task(rows: Rows) -> tuple[str, int, str]:
    domain = gains.select(rows, "within", "cross")
    task = gains.select(rows, "cross", "within")
    if not domain or not task:
        return _nothing("no source of another task type within the target's domain")
    text = f"within domain, cross task P/N {_sides(domain)}; "
    text += f"cross domain, within task {_sides(task)}"
    more = _share(domain, "P") > _share(task, "P")
    fewer = _share(domain, "N") < _share(task, "N")
    verdict = HELD if more and fewer else WEAKLY if more or fewer else NOT
    return text, len(domain) + len(task), verdict


def _a4_into(rows: Rows) -> tuple[str, int, str]:
    """Driving and indoor sources on consumer targets."""
    kept = _between(rows, sources=("driving", "indoor"), targets=("consumer",))
    if not kept:
        return _nothing("no driving or indoor source on a consumer target")
    text = f"{_count(kept, 'P')} of {len(kept)} pairs positive, best "
    text += f"{max(r['gain'] for r in kept):+.1f} %"
    if _count(kept, "P") == 0:
        return text, len(kept), HELD
    sure = [r for r in kept if r["significant"] and r["effect"] in ("P", "VP")]
    # One seed has no interval, so it cannot excuse a positive mean.
    excused = not sure and all(r["gain_low"] is not None for r in kept)
    return text, len(kept), WEAKLY if excused else NOT


def _a4_out(rows: Rows) -> tuple[str, int, str]:
    """Consumer sources on driving and indoor targets."""
    kept = _between(rows, sources=("consumer",), targets=("driving", "indoor"))
    if not kept:
        return _nothing("no consumer source on a driving or indoor target")
    mean = np.mean([r["gain"] for r in kept])
    text = f"{_count(kept, 'P')} of {len(kept)} pairs positive, mean {mean:+.1f} %"
    if 2 * _count(kept, "P") > len(kept):
        return text, len(kept), HELD
    return text, len(kept), WEAKLY if mean > 0 else NOT


def _a7(rows: Rows) -> tuple[str, int, str]:
    kept = gains.select(rows, "within", "within")
    if not kept:
        return _nothing("no source of the target's domain and task type")
    best = gains.best(kept)
    text = f"{_share(kept, 'P'):.0f} % of pairs positive; best source: "
    text += f"{_shares(best)} of targets"
    return text, len(kept), _by_share(kept)


def _a8(rows: Rows) -> tuple[str, int, str]:
    kept = gains.select(rows, "within", "within")
    sized = [r for r in kept if r["source_images"] and r["target_images"]]
    larger = [r for r in sized if r["source_images"] > r["target_images"]]
    smaller = [r for r in sized if r["source_images"] < r["target_images"]]
    if not larger or not smaller:
        return _nothing("sources are all larger or all smaller than their targets")
    shares = _share(larger, "P"), _share(smaller, "P")
    text = f"{shares[0]:.0f} % positive from larger, {shares[1]:.0f} % from smaller"
    held = HELD if shares[0] >= 2 * shares[1] else WEAKLY
    return text, len(larger) + len(smaller), held if shares[0] > shares[1] else NOT


def _by_share(rows: Rows) -> str:
    """Half of the rows positive: surely (effect), or only in the mean."""
    if gains.share(rows, "P", "effect") >= 50:
        return HELD
    return WEAKLY if _share(rows, "P") >= 50 else NOT


def _share(rows: Rows, level: str) -> float:
    return gains.share(rows, level, "mean_effect")


def _shares(rows: Rows) -> str:
    return f"{_share(rows, 'P'):.0f} % ({_share(rows, 'VP'):.0f} %)"


def _sides(rows: Rows) -> str:
    return f"{_share(rows, 'P'):.0f}/{_share(rows, 'N'):.0f} %"


def _count(rows: Rows, level: str) -> int:
    return round(_share(rows, level) * len(rows) / 100)


def _between(rows: Rows, sources: Sequence[str], targets: Sequence[str]) -> Rows:
    kept = gains.select(rows, "all", "within")
    kept = [r for r in kept if r["source_domain"] in sources]
    return [r for r in kept if r["target_domain"] in targets]


def _by_target(rows: Rows) -> dict[tuple, float]:
    """{target cell: mean gain over its sources}."""
    cells: dict[tuple, list[float]] = {}
    for row in rows:
        cells.setdefault(tuple(row[n] for n in gains.SAME), []).append(row["gain"])
    return {target: float(np.mean(values)) for target, values in cells.items()}


HALF = (
    "held: at least half P with an interval that leaves out 0 (with one seed: by the "
    "mean); weakly: at least half P by the mean"
)
CLAIMS = (
    Claim(
        "A1",
        "The pretrained start always beats training from scratch.",
        "always; by 5 to 46 % with the full target set",
        "held: better on every target; weakly: better in the mean over targets",
        _a1,
    ),
    Claim(
        "A2",
        "For most targets some source brings more than the pretraining alone.",
        "small targets 85 % (67 %), full targets 56 % (19 %)",
        HALF,
        _a2,
    ),
    Claim(
        "A3",
        "The image domain strongly affects gains.",
        "within the task, small: within domain P/N 69/17 %, cross domain 14/55 %",
        "held: 95 % t interval over targets of (mean within - mean cross) above 0; "
        "weakly: the difference is positive",
        _a3,
    ),
    Claim(
        "A3, task",
        "The image domain matters more than the task type.",
        "within domain, cross task P/N 43/37 %; cross domain, within task 14/55 %",
        "held: more P and fewer N in the first; weakly: one of the two",
        _a3_task,
    ),
    Claim(
        "A4, into",
        "No driving or indoor source helps a consumer target.",
        "none is positive",
        "held: no pair P by the mean; weakly: no P whose interval leaves out 0 "
        "(at least two seeds)",
        _a4_into,
    ),
    Claim(
        "A4, out of",
        "Consumer sources include driving and indoor scenes and help such targets.",
        "positive transfer on driving and indoor (Table 4a)",
        "held: more than half of the pairs P by the mean; weakly: mean gain above 0",
        _a4_out,
    ),
    Claim(
        "A7",
        "A source of the same domain and task type gives very positive transfer.",
        "69 % of pairs; best source 73 % (64 %) of targets",
        HALF,
        _a7,
    ),
    Claim(
        "A8",
        "Transfer flows from larger to smaller datasets (within domain and task).",
        "60 % positive from larger sources, 5 % from smaller",
        "held: P share from larger sources at least twice that from smaller; "
        "weakly: it is higher",
        _a8,
    ),
)
