"""What V1 to V4 of `studies/factors.py` measured: the same cells in two studies, of
other resolution, backbone or pretraining.
"""

from collections.abc import Sequence

import numpy as np

from jaxseg.report import claims, shares
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.view import View, where

KEPT = 75.0  # per cent of cells that keep their side, from which V1 and V3 hold
TOP = 3  # sources that are among the best (A.2)
SELF_SUPERVISED = "simclr"


def v1(view: View) -> claims.Result:
    """Sure cells here and the same cells with all images at one resolution."""
    for other in _variants(view):
        pairs = _segmentation(view, other)
        sizes = {row["resolution"] for _, row in pairs}
        same = {row["backbone"] for pair in pairs for row in pair}
        if len(sizes) == len(same) == 1 and any(
            one["resolution"] not in sizes for one, _ in pairs
        ):
            return _v1(pairs, *sizes)
    return claims.nothing("no second plan of this workdir at one resolution")


def _v1(pairs: Sequence[cells.Pair], size: str) -> claims.Result:
    sure = [pair for pair in pairs if pair[0]["effect"] in (*cells.POSITIVE, "N")]
    several = any(row["several"] for row, _ in pairs)
    text = f"at {size}: {_lower(pairs)}"
    if not sure:
        none = claims.UNDECIDED if several else claims.UNMEASURED
        return f"{text}; no sure P or N here", len(pairs), none
    share = 100 * cells.alike(sure) / len(sure)
    text += f"; {share:.0f} % of {len(sure)} sure P or N keep their side"
    weakly = claims.WEAKLY if share >= 50 else claims.NOT
    return text, len(pairs), claims.HELD if share >= KEPT else weakly


def v2(view: View) -> claims.Result:
    """Cells here and the same cells with ResNet-50."""
    within = [p for o in _variants(view) for p in _resnet(_segmentation(view, o))]
    if not within:
        return claims.nothing("no second plan of this workdir with a ResNet")
    text, count, verdict = _v2(within)
    crossed = [p for o in _variants(view) for p in _resnet(_detection(view, o))]
    if crossed:
        ours, theirs = (
            sum(row["mean_effect"] in cells.POSITIVE for row in rows)
            for rows in zip(*crossed)
        )
        text += f"; from segmentation to detection {theirs} P for {ours}"
    return text, count, verdict


def _resnet(pairs: Sequence[cells.Pair]) -> list[cells.Pair]:
    """Those of a ResNet there and of another backbone here."""
    is_one = lambda row: row["backbone"].startswith("resnet/")
    return [(one, two) for one, two in pairs if is_one(two) and not is_one(one)]


def _v2(pairs: Sequence[cells.Pair]) -> claims.Result:
    sure = [pair for pair in pairs if pair[0]["effect"] in (*cells.POSITIVE, "N")]
    lost = [p for p in pairs if p[0]["mean_effect"] == "N"]
    won = [p for p in pairs if p[0]["mean_effect"] in cells.POSITIVE]
    up = sum(other["mean_effect"] in cells.POSITIVE for _, other in lost)
    down = sum(other["mean_effect"] == "N" for _, other in won)
    stronger = sum(abs(other["gain"]) > abs(one["gain"]) for one, other in pairs)
    text = f"{_lower(pairs)}; {up} of {len(lost)} N become P, {down} of {len(won)} P "
    text += (
        f"become N; {cells.alike(sure)} of {len(sure)} sure P or N keep their side, "
    )
    text += f"{stronger} of {len(pairs)} gains are stronger"
    _, lower = cells.over_targets([-gap for gap in _gaps(pairs)])
    more = claims.HELD if up > down else claims.NOT
    more = cells.if_any_sure([row for pair in pairs for row in pair], more)
    return text, len(pairs), claims.joint([lower, more], partly=True)


def _variants(view: View) -> list[View]:
    """The other studies of the workdir that are no larger than this one."""
    return [other for other in view.siblings if len(other.cells) <= len(view.cells)]


def _segmentation(view: View, other: View) -> list[cells.Pair]:
    """Cells of both studies: segmentation on small targets, as in Table 4a."""
    small = [
        where(one.at("small").gains, target_task="segmentation")
        for one in (view, other)
    ]
    within = [shares.select(rows, "all", "within") for rows in small]
    return cells.paired(*within)


def _detection(view: View, other: View) -> list[cells.Pair]:
    """Cells of both: detection on small targets, from segmentation (Table 4c)."""
    tasks = {"target_task": "detection", "source_task": "segmentation"}
    return cells.paired(
        *(where(one.at("small").gains, **tasks) for one in (view, other))
    )


def _gaps(pairs: Sequence[cells.Pair]) -> list[float]:
    """For each target the mean value of the other study's cells minus that of ours."""
    by_target: dict[str, list[float]] = {}
    for one, other in pairs:
        gap = other["value"] - one["value"]
        by_target.setdefault(one["target"], []).append(gap)
    return [float(np.mean(gaps)) for gaps in by_target.values()]


def _lower(pairs: Sequence[cells.Pair]) -> str:
    """'mIoU -0.010 (-0.020 to -0.001)', mean over targets."""
    return f"mIoU {_shown(_gaps(pairs))}"


def v3(view: View) -> claims.Result:
    """The best source of each target here, where pretraining has no labels."""
    for other in _variants(view):
        if _self_supervised(other) and not _self_supervised(view):
            return _v3(_segmentation(view, other))
    return claims.nothing("no second plan of this workdir with pretext=simclr")


def _v3(pairs: Sequence[cells.Pair]) -> claims.Result:
    by_target: dict[str, list[cells.Pair]] = {}
    for pair in pairs:
        by_target.setdefault(pair[0]["target"], []).append(pair)
    if not by_target:
        return claims.nothing("no cell that both studies have")
    kept, gained = 0, []
    for some in by_target.values():
        best = max(some, key=lambda pair: pair[0]["gain"])
        if best[0]["mean_effect"] in cells.POSITIVE:
            order = sorted((other["gain"] for _, other in some), reverse=True)
            kept += best[1]["gain"] >= order[:TOP][-1]
            gained.append(len(some))
    gaps = [
        some[0][1]["baseline"] - some[0][0]["baseline"] for some in by_target.values()
    ]
    text = f"pretraining alone: mIoU {_shown(gaps)} over the other pretraining"
    if not gained:
        return f"{text}; no target has a positive source here", 0, claims.UNDECIDED
    text = (
        f"the best source is among the best {TOP} of {min(gained)} or more on {kept} "
    )
    text += f"of {len(gained)} targets with a positive one; pretraining alone: mIoU "
    text += _shown(gaps)
    if min(gained) <= TOP:
        return f"{text}; {TOP} sources or fewer say nothing", 0, claims.UNMEASURED
    share = 100 * kept / len(gained)
    weakly = claims.WEAKLY if share >= 50 else claims.NOT
    return text, len(gained), claims.HELD if share >= KEPT else weakly


def v4(view: View) -> claims.Result:
    """A chain of two trainings without labels, minus the first of them alone."""
    for one in (view, *view.siblings):
        rows = shares.measured(one.at("small").gains)
        rows = where(rows, source_task=SELF_SUPERVISED, target_task="segmentation")
        if rows and _self_supervised(one):
            return _v4(one, rows)
    return claims.nothing("no plan of this workdir with a chain of pretext=simclr")


def _v4(view: View, rows: cells.Rows) -> claims.Result:
    groups = {row["target"]: [-x for x in cells.points(row).values()] for row in rows}
    mean = claims.means(groups)[1]
    worse = sum(row["gain"] < 0 for row in rows)
    gaps = [row["value"] - row["baseline"] for row in rows]
    text = f"worse on {worse} of {len(rows)} targets, by {claims.shown(mean)} %; mIoU "
    text += _shown(gaps)
    probes = shares.measured(view.at("probe").gains)
    if probes:
        text += f"; linear probe {claims.joined(*map(_probe, probes))}"
    return text, claims.size(groups), claims.above(groups)


def _probe(row) -> str:
    change = 100 * (row["value"] - row["baseline"])
    return f"{change:+.1f} points of accuracy on {row['target']}"


def _self_supervised(view: View) -> bool:
    """Whether the baseline of its gains was trained without labels."""
    return any(
        row.get("source_task") == SELF_SUPERVISED
        for row in view.cells
        if row.get("source") == row.get("baseline_source")
    )


def _shown(gaps: Sequence[float]) -> str:
    mean, _ = cells.over_targets(gaps)
    return claims.shown(mean, "{:+.3f}")
