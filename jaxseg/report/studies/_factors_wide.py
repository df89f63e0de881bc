"""What A9, A10 and A12 to A14 of `studies/factors.py` measured, over settings and in
features, and A11.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.report import claims
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.studies import _factors_distances as distances
from jaxseg.report.view import View, where


def a9(view: View) -> claims.Result:
    """Cells of small targets and the same cells of full ones."""
    pairs = cells.paired(
        *(cells.segmentation(view.at(name).gains) for name in ("small", "full"))
    )
    pairs = [pair for pair in pairs if pair[1]["overlap"] != "part"]
    if not pairs:
        return claims.nothing("no cell with both a small and a full target set")
    of = lambda row, *levels: row["mean_effect"] in levels
    small = [pair for pair in pairs if of(pair[0], *cells.POSITIVE)]
    full = [pair for pair in pairs if of(pair[1], *cells.POSITIVE)]
    both = sum(of(pair[0], *cells.POSITIVE) for pair in full)
    lost = [pair for pair in pairs if of(pair[0], "N")]
    turned = sum(of(pair[1], *cells.POSITIVE) for pair in lost)
    text = (
        f"{both} of {len(full)} full P are small P, {both} of {len(small)} small P are "
        f"full P; {turned} of {len(lost)} small N become P"
    )
    parts = {
        "kept": 2 * both >= len(full) if full else None,
        "larger": len(small) > len(full) if both else None,
        "never": not turned if lost else None,
    }
    known = [part for part in parts.values() if part is not None]
    held = claims.HELD if len(known) == len(parts) else claims.WEAKLY
    verdict = claims.WEAKLY if 2 * sum(known) > len(known) else claims.NOT
    verdict = held if known and all(known) else verdict
    every = [row for pair in pairs for row in pair]
    return text, len(pairs), cells.if_any_sure(every, verdict)


def a10(view: View) -> claims.Result:
    """The order of sources on each target, with all of their images and with few."""
    pairs = cells.paired(view.at("small").gains, view.at("small_source").gains)
    pairs = [pair for pair in pairs if not _same(*pair)]
    by_target: dict[str, list] = {}
    for one, other in pairs:
        by_target.setdefault(one["target"], []).append((one["gain"], other["gain"]))
    taus = [claims.kendall(*zip(*some)).mean for some in by_target.values()]
    taus = [tau for tau in taus if np.isfinite(tau)]
    if not taus:
        return claims.nothing("no target with two sources, of all images and of few")
    mean, verdict = cells.over_targets(taus)
    sure = [pair for pair in pairs if pair[0]["effect"] in (*cells.POSITIVE, "N")]
    text = f"mean tau {claims.shown(mean, '{:+.2f}')} over {len(taus)} targets; "
    text += f"{cells.alike(sure)} of {len(sure)} sure P or N keep their side"
    return text, len(pairs), verdict


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are one training: the source has no more than few images."""
    shared = set(one["rows"]) & set(other["rows"])
    artifact = lambda row, seed: row["rows"][seed]["artifact"]
    return all(artifact(one, seed) == artifact(other, seed) for seed in shared)


def a11(view: View) -> claims.Result:
    """Kendall's tau of gains with nearness and with source size, target by target."""
    near = distances.taus(view, distances.NEAREST)
    size = distances.of_size(view)
    targets = sorted(set(near.each) & set(size.each))
    if not targets:
        why = "no target with distances and sizes that differ from source to source"
        return claims.nothing(why)
    mean, verdict = cells.over_targets([near.each[t] - size.each[t] for t in targets])
    text = f"tau {near.all:+.2f} of distance, {size.all:+.2f} of size over all pairs; "
    text += f"difference within a target {claims.shown(mean, '{:+.2f}')}"
    return text, near.count, verdict


def a12(view: View) -> claims.Result:
    """The nearest other set of each set; consumer sets and those of streets and rooms,
    both ways.
    """
    table, domains = distances.tables(view)[distances.NEAREST], cells.domains(view)
    sets = sorted({name for pair in table for name in pair if name in domains})
    hits, chances = [], []
    for one in sets:
        others = [n for n in sets if n != one and (one, n) in table]
        alike = [domains[n] == domains[one] for n in others]
        if any(alike):
            hits.append(alike[int(np.argmin([table[one, n] for n in others]))])
            chances.append(np.mean(alike))
    if not hits:
        return claims.nothing("no two sets of one domain among the distances")
    share, chance = 100 * np.mean(hits), 100 * np.mean(chances)
    text = f"nearest within the domain for {sum(hits)} of {len(hits)} sets "
    text += f"({chance:.0f} % by chance)"
    often = claims.HELD if share >= 50 and share >= 2 * chance else claims.WEAKLY
    verdicts = [often if share > chance else claims.NOT]
    apart = _consumer(table, domains, sets)
    if apart:
        mean, verdict = cells.over_targets(apart)
        verdicts.append(verdict)
        text += "; consumer sets are farther from driving and indoor ones than these "
        text += f"from them by {claims.shown(mean, '{:+.3g}')}"
    return text, len(hits), claims.joint(verdicts, partly=True)


def _consumer(
    table: distances.Table, domains: Mapping[str, str], sets: Sequence[str]
) -> list[float]:
    """For each set of streets or rooms: D(consumer | it) - D(it | consumer)."""
    consumer = [name for name in sets if domains[name] == "consumer"]
    others = [name for name in sets if domains[name] in ("driving", "indoor")]
    return [
        float(np.mean([table[c, other] - table[other, c] for c in known]))
        for other in others
        if (known := [c for c in consumer if {(c, other), (other, c)} <= set(table)])
    ]


def a13(view: View) -> claims.Result:
    """Kendall's tau of gains with nearness by four assignments, few source images."""
    here = view.at("small_source")
    found = {name: distances.taus(here, name) for name in distances.PAPER}
    own = found[distances.NEAREST]
    if not own.each:
        return claims.nothing("no distances beside gains from sources of few images")
    parts, verdicts = [], []
    for name, other in found.items():
        parts.append(f"{name} {other.all:+.2f}")
        shared = sorted(set(own.each) & set(other.each))
        if name != distances.NEAREST and shared:
            gaps = [own.each[t] - other.each[t] for t in shared]
            verdicts.append(cells.over_targets(gaps)[1])
    if len(verdicts) < len(found) - 1:
        return claims.nothing("not all four assignments were measured")
    return f"tau {', '.join(parts)}", own.count, claims.joint(verdicts)


def a14(view: View) -> claims.Result:
    """Silhouettes of features by model minus those by image, for each image."""
    groups: dict[str, dict[int, list]] = {}
    rows = where(view.measurements, analysis="task_features")
    for row in rows:
        images = groups.setdefault(row["data"], {})
        images.setdefault(row["image"], []).append(row["by_model"] - row["by_image"])
    if not groups:
        return claims.nothing("no images in models of several task types")
    values = {
        name: [float(np.mean(some)) for some in images.values()]
        for name, images in groups.items()
    }
    by = {n: np.mean([row[n] for row in rows]) for n in ("by_model", "by_image")}
    mean = claims.means(values)[1]
    text = f"silhouette by model {by['by_model']:+.2f}, by image {by['by_image']:+.2f}"
    text += f"; difference {claims.shown(mean, '{:+.2f}')} in {', '.join(values)}"
    models = len({(row["data"], row["model"]) for row in rows})
    return text, models, claims.above(values)
