"""Relative transfer gains, their intervals, and the shares the factors paper counts.

Eq. 2, Tables 7 and 8 and section 6 of Mensink et al., "Factors of Influence for
Transfer Learning across Diverse Appearance Domains and Task Types"
(arXiv:2103.13318). The intervals are ours: the paper has one draw per cell.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from jaxseg.core import errors

COLUMNS = [
    "setting",
    "target",
    "source",
    "metric",
    "protocol",
    "value",
    "baseline",
    "gain",
    "gain_low",
    "gain_high",
    "effect",
    "mean_effect",
    "seeds",
]
SAME = [
    "study",
    "setting",
    "target",
    "metric",
    "protocol",
    "backbone",
    "resolution",
    "variant",
]
ABOUT = [
    "target_dataset",
    "target_task",
    "target_domain",
    "target_images",
    "source_dataset",
    "source_task",
    "source_domain",
    "source_images",
    "higher_is_better",
]
RANDOM = "random"
Number = int | float  # JSON writes 1.0 as it likes
FILTERS = (  # image domain, task type: Table 7, and the two domain rows without a task
    ("all", "all"),
    ("within", "all"),
    ("cross", "all"),
    ("within", "within"),
    ("within", "cross"),
    ("cross", "within"),
    ("cross", "cross"),
)


def gain(value: Number, baseline: Number, higher_is_better: bool) -> float | None:
    """Eq. 2: per cent by which `value` beats `baseline`; None against a zero."""
    if baseline == 0:
        return None
    change = (value / baseline - 1) * 100
    return change if higher_is_better else -change


def interval(values: Sequence[Number]) -> tuple[float, float] | tuple[None, None]:
    """95 % t interval of a mean; nothing with fewer than two values."""
    if len(values) < 2:
        return None, None
    spread = np.std(values, ddof=1) / np.sqrt(len(values))
    half = special.stdtrit(len(values) - 1, 0.975) * spread
    return float(np.mean(values) - half), float(np.mean(values) + half)


def effect(percent: Number | None) -> str | None:
    """VP (> 10), P (> 2), I (-2 to 2) or N (< -2), as section 6 reads a gain."""
    if percent is None:
        return None
    percent = round(percent, 9)  # 0.55 / 0.5 is 10 %, not 10.000000000000009 %
    if percent > 2:
        return "VP" if percent > 10 else "P"
    return "N" if percent < -2 else "I"


def gains(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per source and target cell that was measured, the baseline left out.

    Means run over the seeds that source and baseline share: other draws of a small
    target differ by more than sources do. Beside COLUMNS: SAME, ABOUT, the baseline's
    name, `significant` (the interval leaves out 0), and the result rows by seed.
    """
    groups = collections.defaultdict(lambda: collections.defaultdict(dict))
    for row in rows:
        if row["role"] == "target":
            seeds = groups[tuple(row[name] for name in SAME)][row["source"]]
            _put(seeds, row)
    found = []
    for sources in groups.values():
        for source, seeds in sources.items():
            baseline = next(iter(seeds.values()))["baseline"]
            if source != baseline:
                found.append(_compare(seeds, sources.get(baseline, {}), baseline))
    return sorted(found, key=lambda r: [str(r[name]) for name in (*SAME, "source")])


def measured(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The gains that compare a source: neither the random start nor a hole."""
    return [r for r in rows if r["source"] != RANDOM and r["gain"] is not None]


def same_domain(row: Mapping[str, Any]) -> bool:
    """Whether source and target show the same image domain."""
    return row["source_domain"] == row["target_domain"]


def same_task(row: Mapping[str, Any]) -> bool:
    """Whether source and target solve the same task type."""
    return row["source_task"] == row["target_task"]


def select(rows, domain: str = "all", task: str = "all") -> list[Mapping[str, Any]]:
    """Measured gains within or across the image domain and the task type."""
    return [
        row
        for row in measured(rows)
        if domain in ("all", "within" if same_domain(row) else "cross")
        and task in ("all", "within" if same_task(row) else "cross")
    ]


def best(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """For each target the row of the largest gain, as in Table 8."""
    top: dict[tuple, Mapping[str, Any]] = {}
    for row in rows:
        target = tuple(row[name] for name in SAME)
        if target not in top or row["gain"] > top[target]["gain"]:
            top[target] = row
    return list(top.values())


def share(rows: Sequence[Mapping[str, Any]], level: str, by: str) -> float | None:
    """Per cent of rows at `level` of the effect in column `by`; P contains VP."""
    levels = ("P", "VP") if level == "P" else (level,)
    hits = sum(row[by] in levels for row in rows)
    return 100 * hits / len(rows) if rows else None


def summary(
    rows: Iterable[Mapping[str, Any]], *, only_best: bool = False
) -> list[dict]:
    """Table 7, or Table 8 with only the best source of each target.

    P, VP and N are read from the mean as the paper does; sure_P and sure_N count only
    cells whose interval leaves out 0.
    """
    table = []
    for domain, task in FILTERS:
        kept = select(rows, domain, task)
        kept = best(kept) if only_best else kept
        line = {"domain": domain, "task": task, "count": len(kept)}
        line["mean"] = float(np.mean([r["gain"] for r in kept])) if kept else None
        for level in ("P", "VP", "N"):
            line[level] = share(kept, level, "mean_effect")
        sure = [row for row in kept if row["significant"]]
        for level in ("P", "N"):
            hits = share(sure, level, "effect") or 0.0
            line[f"sure_{level}"] = hits * len(sure) / len(kept) if kept else None
        table.append(line)
    return table


def _put(seeds: dict[int, Mapping[str, Any]], row: Mapping[str, Any]) -> None:
    """Files a row under its seed; two artifacts for one cell cannot both be right."""
    other = seeds.setdefault(row["seed"], row)
    if other["artifact"] != row["artifact"]:
        raise errors.UserError(
            f"study {row['study']!r}: artifacts {other['artifact']} and "
            f"{row['artifact']} both claim target {row['target']!r}, source "
            f"{row['source']!r}, seed {row['seed']}. Give them different labels "
            f"`variant`, or choose between them by a `select` stage."
        )


def _compare(seeds: Mapping, base: Mapping, baseline: str | None) -> dict[str, Any]:
    """The gain row of one source over one baseline, both {seed: result row}."""
    about = next(iter(seeds.values()))
    higher = about["higher_is_better"]
    shared = sorted(set(seeds) & set(base))
    value = _mean(seeds, shared or seeds)
    row = {name: about[name] for name in (*SAME, *ABOUT, "source")}
    row |= {"value": value, "baseline": None, "gain": None, "seeds": len(shared)}
    row |= {"gain_low": None, "gain_high": None, "significant": False}
    row |= {"baseline_source": baseline, "rows": seeds, "baseline_rows": base}
    if shared:
        row["baseline"] = _mean(base, shared)
        row["gain"] = gain(value, row["baseline"], higher)
        pairs = [gain(seeds[s]["value"], base[s]["value"], higher) for s in shared]
        if None not in pairs:
            row["gain_low"], row["gain_high"] = interval(pairs)
    low, high = row["gain_low"], row["gain_high"]
    row["mean_effect"] = row["effect"] = effect(row["gain"])
    if low is not None:
        row["significant"] = not low <= 0 <= high
        row["effect"] = row["mean_effect"] if row["significant"] else "I"
    return row


def _mean(rows: Mapping[int, Mapping[str, Any]], seeds: Iterable[int]) -> float:
    return float(np.mean([rows[seed]["value"] for seed in seeds]))
