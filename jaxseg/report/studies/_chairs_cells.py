"""What the chairs study measured, by cell: `studies/chairs.py` has the columns."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxseg.core import errors
from jaxseg.report import gains, view

UNET = "U-Net"
FCNS = ("FCN-VGG-16", "FCN-ResNet-50", "FCN-ResNet-101")
MODELS = (UNET, *FCNS)
SIZES = (32, 64, 128, 256)
OBJECTS = ("car", "horse", "airplane")  # of the paper, in its order
IOU, DICE, PRECISION = "iou_per_image", "dice_per_image", "pixel_accuracy"
POOLED = {"IoU pooled": "iou_pooled", "Dice pooled": "dice_pooled"}
KINDS = ("Ft-Ft", "Ri-Ri", "Ft-P", "Ri-P")  # pairs of models, Table 5
ROLES = ("Ft", "Ri", "P")  # fine-tuned, from random weights, the pretrained model
STARTS = {"Ft": "chairs", "Ri": "random"}  # sources, as `failed` names them
REESTIMATED, RAW = "re-estimated", "raw"  # batch statistics on the path
Number = gains.Number
Place = tuple[str, tuple[int, ...]]  # (target, seeds) of the models compared
Seeds = Mapping[int, Number]
Paths = dict[tuple[str, int], dict[str, list[Mapping[str, Any]]]]


def composites(model: str, size: int) -> dict[str, Any]:
    """The columns of a cell of section 5.2."""
    return {"setting": "composites", "target": f"chairs/{size}", "variant": model}


def objects(model: str, target: str, source: str) -> dict[str, Any]:
    """The columns of a cell of section 5.3."""
    columns = {"setting": "objects", "target": target, "variant": model}
    return columns | {"source": source}


def runs(own: view.View, columns: Mapping[str, Any], metric: str = IOU) -> view.Rows:
    """The rows of a metric in one cell, by seed."""
    every = view.where(own.metrics, role="target", reported=True, metric=metric)
    return sorted(view.where(every, **columns), key=lambda row: row["seed"])


def values(own: view.View, columns: Mapping[str, Any], metric: str = IOU) -> Seeds:
    """{seed: a metric in per cent} of one cell."""
    return {row["seed"]: 100 * row["value"] for row in runs(own, columns, metric)}


def learned(own: view.View, columns: Mapping[str, Any]) -> Seeds:
    """`values` of IoU, without the seeds that are known to have learned nothing."""
    kept = [row for row in runs(own, columns) if not gains.learned_nothing(row)]
    return {row["seed"]: 100 * row["value"] for row in kept}


def paired(one: Seeds, other: Seeds) -> list[Number]:
    """The differences on the seeds that two cells share."""
    return [one[seed] - other[seed] for seed in sorted(set(one) & set(other))]


def filled(groups: Mapping[Any, Sequence[Number]]) -> dict[Any, Sequence[Number]]:
    """The groups that have a value."""
    return {key: some for key, some in groups.items() if some}


def targets(own: view.View) -> list[str]:
    """The planned sets of objects: those of the paper first, in its order."""
    names = {row["target"] for row in view.where(own.cells, setting="objects")}
    return [n for n in OBJECTS if n in names] + sorted(names - set(OBJECTS))


def unlearned(own: view.View, model: str, source: str) -> str:
    """What says that the training of a source learned nothing, or that this is not
    known; '' if it learned.
    """
    place = {"target": source, "role": "source", "variant": model}
    if source == "chairs":
        place = composites(model, 64) | {"role": "target", "seed": 0}
    lost = [r for r in view.where(own.results, **place) if not gains.learned(r)]
    words = {False: "no better than the best constant predictor"}
    words[None] = "and the best constant predictor is not known"
    return "; ".join(
        f"{model} scored {row['value']:.3f} on {source}, {words[gains.learned(row)]}"
        for row in lost
    )


def failed(own: view.View) -> set[tuple[str, str, int]]:
    """{(target, "Ft" or "Ri", seed)} of the U-Nets on objects that learned nothing."""
    return {
        (target, kind, row["seed"])
        for target in targets(own)
        for kind, source in STARTS.items()
        for row in runs(own, objects(UNET, target, source))
        if not gains.learned(row)
    }


def kept(own: view.View, places: Iterable[Place]) -> tuple[list[Place], str]:
    """The places whose models, Ft and Ri of each seed, all learned something, and words
    on how many have a model that did not; '' for none.
    """
    lost = failed(own)
    found, of = [], list(places)
    for target, seeds in of:
        models = {(target, kind, s) for kind in STARTS for s in seeds}
        found += [(target, seeds)] * (not models & lost)
    return found, left_out(len(of), len(found))


def left_out(of: int, kept: int) -> str:
    """Words on how many of something were kept; '' for all."""
    words = f"{of - kept} of {of} left out, where a model learned nothing"
    return words if kept < of else ""


def distances(own: view.View, layer: str = "total") -> dict[str, dict[tuple, Number]]:
    """{kind: {(target, numbers of the models): L2 distance}} for each of KINDS."""
    found: dict[str, dict[tuple, Number]] = {kind: {} for kind in KINDS}
    rows = view.where(own.measurements, analysis="parameter_distance", layer=layer)
    for row in rows:
        ends = [_role(row, end) for end in "ab"]
        kind = "-".join(sorted((name for name, _ in ends), key=ROLES.index))
        numbers = tuple(sorted(int(number) for _, number in ends if number))
        if kind in found:
            found[kind][row["target"], numbers] = row["distance"]
    return found


def layers(own: view.View) -> list[str]:
    """The layers that distances are of, without the total, in their order."""
    rows = view.where(own.measurements, analysis="parameter_distance")
    return [name for name in dict.fromkeys(r["layer"] for r in rows) if name != "total"]


def _role(row: Mapping[str, Any], end: str) -> tuple[str, str]:
    """("Ft", "0") of the role "Ft0"; UserError for other names."""
    match = re.fullmatch(rf"({'|'.join(ROLES)})(\d*)", row[end])
    if not match:
        raise errors.UserError(
            f"stage {row['stage'].name!r}: role {row[end]!r} of a parent, allowed: "
            "P, and Ft or Ri with the number of the seed"
        )
    return match[1], match[2]


def paths(own: view.View, kind: str) -> Paths:
    """{(target, first seed): {statistics: rows by t}} of the pairs of one kind."""
    found: Paths = {}
    for row in view.where(own.measurements, analysis="interpolation", pair=kind):
        if row["metric"] == IOU:
            ways = found.setdefault((row["target"], row["seed"]), {})
            ways.setdefault(row["statistics"], []).append(row)
    for ways in found.values():
        for rows in ways.values():
            rows.sort(key=lambda row: row["t"])
    return found


def fair(ways: Mapping[str, list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """The path with re-estimated batch statistics, or the raw one where it is alone."""
    return ways[REESTIMATED] if REESTIMATED in ways else ways[RAW]


def drop(rows: Sequence[Mapping[str, Any]]) -> float:
    """The largest fall of IoU below the straight line between the ends of a path, in
    per cent of that line.

    >>> drop([{"t": t, "value": v} for t, v in ((0, 0.75), (0.5, 0.25), (1, 0.25))])
    50.0
    """
    first, last = rows[0]["value"], rows[-1]["value"]
    lines = [first + row["t"] * (last - first) for row in rows]
    falls = [1 - row["value"] / line for row, line in zip(rows, lines) if line > 0]
    return 100 * max(falls, default=0.0)
