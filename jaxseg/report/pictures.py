"""Learning curves and example predictions of a target."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg.core import image_files, images
from jaxseg.report import curves, figures, gains, shares, tables, workdir

EXAMPLES = 3  # per target
WIDEST = 320  # pixels of an embedded picture: larger ones are scaled down
LARGEST = 60_000  # bytes of a PNG embedded as it is

Starts = list[tuple[str, str, list[Mapping[str, Any]]]]  # (role, source, rows by seed)


def starts(grid: tables.Grid, target: tables.Axis, rows: Sequence[Mapping]) -> Starts:
    """The starts of a target that are shown: baseline, random start and best source.

    rows: the results of the grid. Those that were not measured are left out. In a grid
    without a comparison: the random start and the source of the best value.
    """
    here = [row for row in rows if _is_of(row, target)]
    by_source: dict[str, list[Mapping]] = {}
    for row in here:
        by_source.setdefault(row["source"], []).append(row)
    chosen = {grid.baseline: "baseline"} if grid.compares else {}
    chosen = chosen | {gains.RANDOM: "random"} | chosen  # random may be the baseline
    chosen |= dict.fromkeys(_best(grid, target, by_source), "best")
    return [(role, s, by_source[s]) for s, role in chosen.items() if s in by_source]


def panels(starts: Starts) -> dict[str, str]:
    """{"loss": svg, "metric": svg}: training loss and headline metric by step."""
    losses, values, metric = [], [], ""
    for role, _, rows in starts:
        for row in rows:
            metric = row["metric"]
            lines = row["stage"].result.lines("metrics.jsonl")
            losses.append((role, curves.losses(lines)))
            values.append((role, curves.evaluated(lines, metric)))
    both = {
        "loss": (losses, "training loss"),
        "metric": (values, tables.shown(metric)),
    }
    return {
        name: figures.curves([line for line in lines if line[1]], title)
        for name, (lines, title) in both.items()
        if any(len(line[1]) > 1 for line in lines)
    }


def examples(starts: Starts) -> dict[str, Any] | None:
    """Image, truth and predictions of the baseline and the best source, as data URIs.

    None where no artifact has samples. All are of the first seed.
    """
    shown = [m for m in starts if m[0] in ("baseline", "best")] or starts
    return sheet(
        [
            (f"{_ROLES[role]}: {source}", rows[0]["stage"].result)
            for role, source, rows in shown
        ]
    )


def sheet(
    shown: Sequence[tuple[str, workdir.Artifact]], *, predictions: bool = True
) -> dict[str, Any] | None:
    """A row of pictures for each example: image, truth and a prediction of each
    artifact below its head. None where no artifact has samples.

    predictions: False for image and truth of the first artifact alone.
    """
    shown = [entry for entry in shown if _sample_names(entry[1])]
    if not shown:
        return None
    first = shown[0][1]
    shown = shown if predictions else []
    lines = []
    for name in _sample_names(first)[:EXAMPLES]:
        line = [_uri(first, f"{name}_image.png"), _uri(first, f"{name}_truth.png")]
        line += [_uri(result, f"{name}_prediction.png") for _, result in shown]
        lines.append(line)
    return {
        "heads": ["image", "truth", *(head for head, _ in shown)],
        "values": ["", "", *(_value(result) for _, result in shown)],
        "keys": ["", "", *(result.key for _, result in shown)],
        "lines": lines,
        "legend": list(zip(first.manifest["classes"], first.manifest["palette"])),
    }


def _value(result: workdir.Artifact) -> str:
    return f"{tables.shown(result.headline['name'])} {result.headline['value']:.3f}"


_ROLES = {"baseline": "baseline", "best": "best source", "random": "start"}


def _is_of(row: Mapping, target: tables.Axis) -> bool:
    place = row["target"], str(row["resolution"] or "")
    same = place == (target.name, target.resolution)
    return same and target.protocol in ("", row["protocol"])


def _best(grid: tables.Grid, target: tables.Axis, by_source: Mapping) -> list[str]:
    """[source of the largest gain], or without gains that of the best value."""
    here = [row for (line, _), row in grid.cells.items() if line == target]
    best = shares.best(shares.measured(here))
    if best:
        return [max(best, key=lambda row: row["gain"])["source"]]
    others = [row for rows in by_source.values() for row in rows]
    known = (grid.baseline, gains.RANDOM) if grid.compares else (gains.RANDOM,)
    others = [row for row in others if row["source"] not in known]
    value = lambda row: row["value"] if row["higher_is_better"] else -row["value"]
    return [max(others, key=value)["source"]] if others else []


def _sample_names(result: workdir.Artifact) -> list[str]:
    """The names of the samples of an artifact: ['000', '001']."""
    pattern = re.compile(r"samples/(\w+)_image\.png")
    matches = (pattern.fullmatch(file) for file in result.manifest["files"])
    return sorted(match[1] for match in matches if match)


def _uri(result: workdir.Artifact, name: str) -> str | None:
    """A sample as a data URI of limited size; None where the artifact has none."""
    data = result.read(f"samples/{name}")
    if data is None:
        return None
    if len(data) > LARGEST:
        image = image_files.read(result.folder / "samples" / name)
        data = image_files.encode_png(narrowed(image))
    return data_uri(data)


def narrowed(image: np.ndarray) -> np.ndarray:
    """[H, W, C] or [H, W] scaled down to at most WIDEST columns."""
    scale = min(1.0, WIDEST / image.shape[1])
    size = tuple(max(1, round(side * scale)) for side in image.shape[:2])
    return images.resize(image, size)


def data_uri(png: bytes) -> str:
    """The bytes of a PNG file as the address of a picture on the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
