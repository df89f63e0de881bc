"""Relative transfer gains and their intervals.

Eq. 2, Tables 7 and 8 and section 6 of Mensink et al., "Factors of Influence for
Transfer Learning across Diverse Appearance Domains and Task Types"
(arXiv:2103.13318). The paper trains each cell once; the intervals are ours:

- A *target* is the rows that agree in SAME. Its starts and seeds are one layout of log
  values (`report/layout.py`). `value` and `baseline` are geometric means over the seeds
  that both have, and the gain is Eq. 2 of these two. The half-width of the log ratio is
  t x sqrt(2 MSE / shared seeds), with MSE and its degrees of freedom from all starts of
  the pool. The ends of the interval go through Eq. 2 as well, so that the gain is
  always between them. Where cells are missing, the fit would give another difference:
  6 to 10 % more precise at 15 % missing, but of values that are not in results.csv, and
  not Eq. 2 where one seed is shared.
- A result has *learned* if it is strictly better than the metric's floor, the score of
  a model that learned nothing; a score of 0 has not, and without a floor it is not
  known of others, such as a mean loss. The pool is the baseline and all starts without
  a seed on which they learned nothing, except the random start, whose scatter differs.
  A start outside the pool has the interval of its own paired differences.
- Over a baseline that has not learned on every shared seed there is no gain; the note
  says why.
- A start of 0 on all seeds, over a learned baseline, is -100 % without an interval and
  counts as N. A start of 0 on some seeds has no gain.
- A start that scatters more than the rest of the pool, by an F test at 1 %, leaves it
  and has its paired interval. If that start is the baseline, all intervals are paired;
  if it also scatters more than three times as much, the target is *undecided*: nothing
  is sure.
- `effect` is I where several seeds do not prove more: the interval covers 0, or there
  is none. With one seed in the whole layout it is the effect of the mean.
- The best of many starts is chosen for its gain. `shares.best` therefore widens the
  lower end of its interval to Dunnett's simultaneous one-sided 95 % bound.

Intervals hold for the one source model that was trained: a second training of the same
source may differ from it by more than the seeds of the target do.
"""

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.core import errors
from jaxseg.report import layout

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
    "study",
    "backbone",
    "resolution",
    "variant",
    "note",
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
    "target_set_images",
    "source_dataset",
    "source_task",
    "source_domain",
    "source_images",
    "source_set_images",
    "overlap",
    "higher_is_better",
]
RANDOM = "random"
OVERLAPS = {  # column `overlap`
    "part": "the source was trained on this set as well",
    "images": "the source was trained on images of this set, with other labels",
}
Number = int | float  # JSON may hold 1 for 1.0
Seeds = Mapping[int, Mapping[str, Any]]  # result rows of one start


def gain(value: Number, baseline: Number, higher_is_better: bool) -> float | None:
    """Eq. 2: per cent by which `value` is better than `baseline`; None over 0.

    >>> gain(0.55, 0.5, higher_is_better=True)
    10.000000000000009
    >>> gain(0.2, 0.25, higher_is_better=False)  # an error that falls by a fifth
    19.999999999999996
    """
    if baseline == 0:
        return None
    change = (value / baseline - 1) * 100
    return change if higher_is_better else -change


def effect(percent: Number | None) -> str | None:
    """The class of a gain in per cent, section 6: VP (> 10), P (> 2), I or N (< -2).

    >>> [effect(percent) for percent in (12.0, 3.0, -1.0, -5.0)]
    ['VP', 'P', 'I', 'N']
    """
    if percent is None:
        return None
    percent = round(percent, 9)  # 0.55 / 0.5 is 10 %, not 10.000000000000009 %
    if percent > 2:
        return "VP" if percent > 10 else "P"
    return "N" if percent < -2 else "I"


def learned(row: Mapping[str, Any]) -> bool | None:
    """Whether a result is strictly better than the metric's floor; None: not known."""
    value, floor, higher = row["value"], row["floor"], row["higher_is_better"]
    if floor is None:
        return False if higher and value <= 0 else None
    return value > floor if higher else value < floor


def learned_nothing(row: Mapping[str, Any]) -> bool:
    """Whether a result is known to be no better than the metric's floor."""
    return learned(row) is False


def floor(row: Mapping[str, Any]) -> float | None:
    """The metric's floor on the target of a gain row; None: not known."""
    return next(iter(row["rows"].values()))["floor"]


def gains(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each measured pair of target and source, without the baselines.

    Beside COLUMNS a row has SAME, ABOUT, `baseline_source`, `shared` (the seeds),
    `significant` (sure: the interval leaves out 0), `baseline_learned`, `undecided`,
    `learned_nothing` (the start did on all shared seeds), `reason` (two words on why
    there is no gain), `baseline_note` (the part of `note` on the baseline), `error` and
    `dof` of the log ratio, and the result rows by seed. UserError where two artifacts
    claim one cell.
    """
    groups = collections.defaultdict(lambda: collections.defaultdict(dict))
    for row in rows:
        if row["role"] == "target":
            place = tuple(row[name] for name in SAME)
            _put(groups[place][row["source"]], row)
    lines = [line for starts in groups.values() for line in _target(starts)]
    return sorted(lines, key=lambda r: [str(r[name]) for name in (*SAME, "source")])


def _put(seeds: dict[int, Mapping[str, Any]], row: Mapping[str, Any]) -> None:
    """Puts a row under its seed; UserError where another artifact has that cell."""
    other = seeds.setdefault(row["seed"], row)
    if other["artifact"] != row["artifact"]:
        raise errors.UserError(
            f"study {row['study']!r}: artifacts {other['artifact']} and "
            f"{row['artifact']} both claim target {row['target']!r}, source "
            f"{row['source']!r}, seed {row['seed']}. Give them different "
            f"columns `variant`, or choose between them by a `select` stage."
        )


def _target(starts: Mapping[str, Seeds]) -> list[dict[str, Any]]:
    """The gain rows of one target. Sources may name different baselines."""
    named = collections.defaultdict(list)
    for source, seeds in starts.items():
        baseline = next(iter(seeds.values()))["baseline_source"]
        if baseline is not None and source != baseline:
            named[baseline].append(source)
    lines = []
    for baseline, sources in named.items():
        base = starts.get(baseline, {})
        compared = _layout([(baseline, base)] + [(s, starts[s]) for s in sources])
        several = len({seed for s in sources for seed in starts[s]} | set(base)) > 1
        for index, source in enumerate(sources, start=1):
            row = _row(starts[source], base, several)
            row |= {"baseline_source": baseline}
            lines.append(row | _sure(row, compared, index))
    return lines


def _layout(starts: Sequence[tuple[str | None, Seeds]]) -> layout.Comparison:
    """All starts of a target compared with the first one."""
    columns = sorted({seed for _, rows in starts for seed in rows})
    table = np.full((len(starts), len(columns)), np.nan)
    for line, (_, rows) in zip(table, starts):
        for seed, row in rows.items():
            if row["value"] > 0:
                line[columns.index(seed)] = math.log(row["value"])
    pooled = [
        name != RANDOM
        and all(not learned_nothing(r) and r["value"] > 0 for r in rows.values())
        for name, rows in starts
    ]
    return layout.compare(table, np.array(pooled))


def _row(seeds: Seeds, base: Seeds, several: bool) -> dict[str, Any]:
    """The gain row of one start over its baseline, without an interval yet."""
    about = next(iter(seeds.values()))
    shared = sorted(set(seeds) & set(base))
    row = {name: about[name] for name in (*SAME, *ABOUT, "source")}
    row |= {"value": _mean(seeds, shared or seeds), "baseline": None, "gain": None}
    row |= {"seeds": len(shared), "shared": shared, "several": several}
    row |= {"rows": seeds, "baseline_rows": base, "baseline_learned": False}
    row["baseline_note"] = ""
    row["learned_nothing"] = all(learned_nothing(seeds[s]) for s in shared or seeds)
    if not shared:
        note = "no seed shared with the baseline"
        return row | {"reason": "no baseline", "note": note}
    row["baseline"] = _mean(base, shared)
    return row | _state(row)


def _state(row: Mapping[str, Any]) -> dict[str, Any]:
    """`gain`, or `reason` and `note` on why there is none; `baseline_learned`, None
    where it is not known.
    """
    shared = row["shared"]
    seeds, base = (
        [rows[s] for s in shared] for rows in (row["rows"], row["baseline_rows"])
    )
    without = sum(learned_nothing(one) or one["value"] <= 0 for one in base)
    if without:
        partly = without < len(base)
        values = [one["value"] for one in base] if partly else [row["baseline"]]
        numbers = ", ".join(f"{value:.2g}" for value in values)
        note = f"{_on('baseline not learned', without, base)}: {numbers}"
        return {"reason": "not learned", "baseline_note": note, "note": note}
    known = all(map(learned, base)) or None
    zeros = sum(one["value"] <= 0 for one in seeds)
    if 0 < zeros < len(seeds):
        note = _on("undecided: scored 0", zeros, seeds)
        return {"reason": "undecided", "note": note, "baseline_learned": known}
    without = sum(map(learned_nothing, seeds))
    return {
        "gain": gain(row["value"], row["baseline"], row["higher_is_better"]),
        "reason": "",
        "note": _on("learned nothing", without, seeds) if without else "",
        "baseline_learned": known,
    }


def _on(words: str, number: int, of: Sequence) -> str:
    """'WORDS on 1 of 3 seeds'; the words alone where it is all seeds."""
    return words + f" on {number} of {len(of)} seeds" * (number < len(of))


def _sure(row: Mapping[str, Any], compared: layout.Comparison, index: int) -> dict:
    """The interval of a gain, its verdict, `undecided` and the notes."""
    error, dof = float(compared.error[index]), int(compared.dof[index])
    line = {"error": None, "dof": None, "gain_low": None, "gain_high": None}
    line["undecided"] = row["gain"] is not None and bool(compared.undecided)
    if row["gain"] is not None and row["value"] > 0 and np.isfinite(error):
        low, high = ends(row, float(layout.half_width(error, dof)))
        line |= {"error": error, "dof": dof, "gain_low": low, "gain_high": high}
    words = ""
    if compared.apart[0] and row["gain"] is not None:
        words = f"the baseline scatters {_times(compared, 0)} the sources"
        words = "undecided: " * line["undecided"] + words
        line["baseline_note"] = words
    elif compared.apart[index]:
        words = f"scatters {_times(compared, index)} the others"
    line["note"] = "; ".join(filter(None, (words, row["note"])))
    return line | verdict(row | line)


def _times(compared: layout.Comparison, index: int) -> str:
    """'3.2 times as much as': the scatter of a start over its seeds."""
    return f"{min(float(compared.excess[index]), 999):.1f} times as much as"


def ends(row: Mapping[str, Any], half: float) -> tuple[float, float]:
    """Eq. 2 in per cent at both ends of an interval of the log ratio, the worse first.

    >>> row = {"value": 0.6, "baseline": 0.5, "higher_is_better": True}
    >>> [round(end, 1) for end in ends(row, half=0.1)]
    [8.6, 32.6]
    """
    ratio, higher = row["value"] / row["baseline"], row["higher_is_better"]
    widest = min(half, 300.0)  # exp of more is no float
    both = [gain(ratio * math.exp(end), 1, higher) for end in (-widest, widest)]
    return min(both), max(both)


def verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    """`significant`, `mean_effect` and `effect` of a gain and its interval."""
    level, low, high = effect(row["gain"]), row["gain_low"], row["gain_high"]
    covered = low is None or round(low, 9) <= 0 <= round(high, 9)
    sure = not covered and not row["undecided"]
    # With one seed in all the mean counts, as in the paper; 0 needs no interval.
    plain = low is None and (not row["several"] or row["value"] <= 0)
    shown = level if level is None or sure or plain else "I"
    return {"significant": sure, "mean_effect": level, "effect": shown}


def overlaps(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each kind of overlap, with the cells whose source saw the target."""
    places = collections.defaultdict(list)
    for row in rows:
        if row["overlap"]:
            places[row["overlap"]].append(f"{row['target']} from {row['source']}")
    return [f"{', '.join(places[k])}: {OVERLAPS.get(k, k)}" for k in sorted(places)]


def _mean(rows: Seeds, seeds: Iterable[int]) -> float:
    """Geometric mean; of a single value exactly that value."""
    values = [rows[seed]["value"] for seed in seeds]
    return float(max(math.prod(values), 0)) ** (1 / len(values))
