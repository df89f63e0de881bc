"""What the decoder study measured, by cell: `studies/decoder.py` has the columns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxseg.report import claims, gains, layout, view
from jaxseg.report.studies._by_seed import Seeds, paired

RANDOM, ENCODER_ONLY = "random", "-EncOnly"
DICE = "dice_per_image"
SCENARIOS = ("1 (random-init)", "2 (cls-enc)", "3 (seg-enc-dec)", "4 (seg-enc)")
ENCODERS = ("SimCLR", "Classification")  # pretexts without a decoder
LABELS = ("1 %", "5 %", "20 %")  # settings of Table 2
SIMILARITY = "similarity"  # the setting whose starts are encoders alone
PROBED = ("SimCLR", "ConRec")  # whose gate is a linear probe
REBUILT = ("Reconstruction", "ConRec")  # whose gate is reconstruction
TARGET = "whole"  # of the reconstructions that the gate looks at
Number = gains.Number
Cell = tuple[str, str, str]  # setting, target, start


def runs(own: view.View, cell: Cell, metric: str = DICE) -> view.Rows:
    """The rows of a metric in one cell, by seed."""
    place = dict(zip(("setting", "target", "source"), cell))
    found = view.where(own.metrics, role="target", reported=True, metric=metric)
    return sorted(view.where(found, **place), key=lambda row: row["seed"])


def values(own: view.View, cell: Cell, metric: str = DICE) -> Seeds:
    """{seed: a metric in per cent} of one cell."""
    return {row["seed"]: 100 * row["value"] for row in runs(own, cell, metric)}


def cells(own: view.View) -> list[Cell]:
    """The planned cells of fine-tuning, in the order of the plan."""
    planned = [row for row in own.cells if row["setting"] != "probe"]
    return list(
        dict.fromkeys((r["setting"], r["target"], r["source"]) for r in planned)
    )


def places(own: view.View, settings: Iterable[str] | None = None) -> list[tuple]:
    """[(setting, target)] of the planned cells, of these settings or of all."""
    chosen = None if settings is None else set(settings)
    found = [(s, t) for s, t, _ in cells(own) if chosen is None or s in chosen]
    return list(dict.fromkeys(found))


def scenario(start: str, setting: str = "") -> str:
    """Of SCENARIOS, that of a start."""
    if start == RANDOM:
        return SCENARIOS[0]
    if pretext(start) in ENCODERS:
        return SCENARIOS[1]
    alone = start.endswith(ENCODER_ONLY) or setting == SIMILARITY
    return SCENARIOS[3 if alone else 2]


def pretext(start: str) -> str:
    """Segmentation of "Segmentation car", of "Segmentation-EncOnly"."""
    return start.removesuffix(ENCODER_ONLY).split()[0]


def encoder(name: str) -> str:
    """The start that takes the encoder of a pretext alone."""
    return name if name in ENCODERS else name + ENCODER_ONLY


def ahead(one: Sequence[Number], other: Sequence[Number]) -> claims.Interval:
    """The difference of two means of independent values of one variance, with its 95 %
    t interval.

    >>> claims.shown(ahead([4.0, 6.0], [1.0, 1.0]))
    '+4.0 (-0.3 to +8.3)'
    """
    groups = {"one": one, "other": other}
    each, _ = claims.means(groups)
    mean = each["one"].mean - each["other"].mean
    squares = sum(
        (x - each[key].mean) ** 2 for key, some in groups.items() for x in some
    )
    dof = len(one) + len(other) - 2
    if not dof:
        return claims.Interval(mean, None, None)
    error = math.sqrt(squares / dof * (1 / len(one) + 1 / len(other)))
    half = float(layout.half_width(error, dof))
    return claims.Interval(mean, mean - half, mean + half)


def probes(own: view.View, source: str, name: str) -> list[Number]:
    """Accuracies in per cent of linear probes, of a pretext or of random encoders."""
    rows = view.where(own.results, setting="probe", target=source, source=name)
    return [100 * row["value"] for row in rows]


def probed(own: view.View, source: str, name: str) -> claims.Interval | None:
    """A pretext's probe minus that of random encoders; None where one is missing."""
    both = [probes(own, source, start) for start in (name, RANDOM)]
    return ahead(*both) if all(both) else None


def rebuilt(own: view.View, source: str, name: str) -> claims.Interval | None:
    """By how much a reconstruction of the whole image has a smaller squared error than
    the mean colour, in per cent of that of the mean colour over all images; None where
    it was not measured.
    """
    rows = view.where(own.measurements, analysis="reconstructions", target=TARGET)
    rows = [row for row in rows if row_of(row) == (source, name)]
    if not rows:
        return None
    mean = sum(row["filled"] for row in rows) / len(rows)
    less = [100 * (row["filled"] - row["error"]) / mean for row in rows]
    return claims.means({"": less})[1]


def row_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """(source, pretext) that a measurement is of; rows have a target of their own."""
    columns = row["stage"].columns[0]
    return columns["target"], columns["source"]


def pretexts(own: view.View) -> list[tuple[str, str]]:
    """(source, name) of the planned pretexts, in the order of the plan."""
    found = []
    for stage in own.study.stages:
        for columns in stage.columns:
            if columns.get("role") == "source":
                found.append(tuple(columns["target"].split(", ", 1)))
    return found


def not_learned(own: view.View, source: str, name: str) -> str:
    """Why a pretext does not count as learned; '' if it does.

    SimCLR and ConRec: the interval of the linear probe's lead over random encoders lies
    above 0; Reconstruction and ConRec: so does that of the lead over the mean colour;
    others are better than a constant answer.
    """
    gates = []
    if name in PROBED:
        lead = probed(own, source, name)
        gates.append(("its linear probe", "random encoders", lead, "points"))
    if name in REBUILT:
        lead = rebuilt(own, source, name)
        gates.append(("its picture", "the mean colour", lead, "%"))
    for what, over, lead, unit in gates:
        if lead is None:
            continue  # a source without labels has no probe; a plan may lack a stage
        if lead.low is None or lead.low <= 0:
            by = f"{claims.shown(lead)} {unit}"
            return f"{name} on {source}: {what} leads {over} by {by}"
    rows = view.where(own.results, role="source", target=f"{source}, {name}")
    if any(gains.learned_nothing(row) for row in rows):
        return f"{name} on {source}: no better than a constant answer"
    return ""


def source_of(own: view.View, cell: Cell) -> tuple[str, str] | None:
    """(source, name) of the pretext that a cell starts from; None from random."""
    setting, target, start = cell
    place = {"setting": setting, "target": target, "source": start}
    rows = view.where(own.cells, **place)
    if start == RANDOM or not rows:
        return None
    _, source, name = rows[0]["start"].split(" > ")[-1].split("/")
    return source, name


def differences(
    own: view.View, pairs: Iterable[tuple[Cell, Cell]]
) -> tuple[dict[tuple, Seeds], list[str]]:
    """({cells: Dice of the first minus that of the second, by seed} of the pairs whose
    pretexts all count as learned, why others were left out).
    """
    found, lost = {}, {}
    for pair in pairs:
        some = paired(*(values(own, cell) for cell in pair))
        why = [not_learned(own, *s) for cell in pair if (s := source_of(own, cell))]
        if some and any(why):
            lost |= dict.fromkeys(filter(None, why))
        elif some:
            found[pair] = some
    return found, list(lost)
