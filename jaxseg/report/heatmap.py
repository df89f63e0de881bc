"""Gain tables as heat maps: inline SVG with every number in its hover text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colors, patches
from matplotlib.figure import Figure

from jaxseg.report import figures, shares, tables, texts

GAIN_COLOURS = colors.LinearSegmentedColormap.from_list(  # negative, none, positive
    "gain", ["#5b2a86", "#a884c6", "#ffffff", "#7cc08f", "#1b6e3c"]
)
CELL, TALL = 0.76, 0.42  # inches


def heatmap(grid: tables.Grid) -> str:
    """SVG of a gain table: a row for each target, a column for each source."""
    rows, columns = _offsets(grid.targets), _offsets(grid.sources)
    left = 0.35 + 0.085 * max(len(t.heading) for t in grid.targets)
    left = max(left, 1.2) + 0.75  # names, then the baseline's absolute value
    above = 0.45 + 0.16 * max(len(_wrapped(s.label)) for s in grid.sources)
    above += 0.14 * any(source.detail for source in grid.sources)
    width = left + columns[-1] * CELL + CELL + 0.1
    height = above + rows[-1] * TALL + TALL + 0.1
    with matplotlib.rc_context(figures.STYLE | {"svg.hashsalt": "heatmap"}):
        figure = Figure((width, height))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(-left, width - left))
        axes.set_ylim(height - above, -above)
        axes.axis("off")
        _column_heads(axes, grid, columns)
        _row_heads(axes, grid, rows)
        limit, titles = _limit(grid), {}
        for i, target in enumerate(grid.targets):
            for j, source in enumerate(grid.sources):
                place = columns[j] * CELL, rows[i] * TALL
                name = f"cell-{i}-{j}"
                titles[name] = _cell(axes, grid, (target, source), place, limit, name)
        return figures.inline(figure, titles)


def describe(row: Mapping[str, Any]) -> str:
    """One gain as text: gain, interval, value, baseline, seeds, note."""
    base = "none" if row["baseline"] is None else f"{row['baseline']:.4f}"
    parts = [f"{tables.shown(row['metric'])} {row['value']:.4f} against {base}"]
    parts += [f"seeds: {row['seeds']}", *filter(None, [row["note"]])]
    if row["gain"] is None:
        return "; ".join([row["reason"], *parts])
    given = "95 % interval " * (row["gain_low"] is not None) + figures.interval(row)
    return "; ".join([f"{figures.signed(row['gain'])} % ({given})", *parts])


def _offsets(axes: Sequence[tables.Axis]) -> list[float]:
    """The place of each row or column, in cells, with a gap between blocks."""
    gap, places = 0.14, []
    for index, (_, first, end) in enumerate(tables.blocks(axes)):
        places += [position + gap * index for position in range(first, end)]
    return places


def _limit(grid: tables.Grid) -> float:
    """The gain, in per cent, that has the full colour; the random start is ignored."""
    sizes = [abs(row["gain"]) for row in shares.measured(grid.rows()) if row["gain"]]
    return float(np.clip(np.percentile(sizes, 95) if sizes else 10, 10, 100))


def _column_heads(axes, grid: tables.Grid, columns: Sequence[float]) -> None:
    for source, column in zip(grid.sources, columns):
        text = "\n".join(_wrapped(source.label))
        x = (column + 0.5) * CELL
        axes.text(x, -0.1, text, ha="center", va="bottom", linespacing=1.15)
    top = -0.22 - 0.16 * max(len(_wrapped(s.label)) for s in grid.sources)
    for domain, first, end in tables.blocks(grid.sources):
        colour = figures.DOMAIN_COLOURS.get(domain, figures.OTHER)
        start, stop = columns[first] * CELL, columns[end - 1] * CELL + CELL
        axes.plot([start + 0.03, stop - 0.03], [top, top], color=colour, lw=2.5)
        middle, task = (start + stop) / 2, grid.sources[first].detail
        name = {"ha": "center", "color": colour}
        axes.text(middle, top - 0.06, texts.domain(domain), weight="bold", **name)
        axes.text(middle, top - 0.22, task, fontsize=7.5, **name)
    axes.text(
        -0.12,
        -0.1,
        f"{grid.baseline}\n{tables.shown(grid.metric)}",
        ha="right",
        color=figures.FAINT,
    )


def _row_heads(axes, grid: tables.Grid, rows: Sequence[float]) -> None:
    for target, row in zip(grid.targets, rows):
        y = (row + 0.5) * TALL
        colour = figures.DOMAIN_COLOURS.get(target.domain, figures.OTHER)
        axes.text(-0.78, y, target.heading, ha="right", va="center")
        value = texts.baseline(grid, target)
        axes.text(-0.12, y, value, ha="right", va="center", color=figures.FAINT)
        top, bottom = row * TALL + 0.04, (row + 1) * TALL - 0.04
        axes.plot([-0.7, -0.7], [top, bottom], color=colour, lw=2.5)


def _cell(axes, grid, pair, place, limit: float, name: str) -> str:
    """Draws one cell; returns its hover text."""
    target, source = pair
    row, hole = grid.cells.get(pair), grid.holes.get(pair, "")
    head = f"{source.name} → {target.heading}"
    if row is None:
        _empty(axes, place, hole, "#fafbfc", name)
        return f"{head}: {hole or 'not in the plan'}"
    if row["gain"] is None:
        _empty(axes, place, row["reason"], "#dfe3e8", name)
    else:
        inside = bool(source.domain) and source.domain == target.domain
        _filled(axes, place, row, limit, inside, name)
    return f"{head}: {describe(row)}"


def _box(place: tuple[float, float]) -> dict[str, Any]:
    x, y = place
    return {"xy": (x + 0.015, y + 0.015), "width": CELL - 0.03, "height": TALL - 0.03}


def _empty(axes, place, words: str, shade: str, name: str) -> None:
    """Draws a cell without a gain: hatched if not measured, grey if not learned."""
    hatch = {"hatch": "////"} if words and shade == "#fafbfc" else {}
    style = {"facecolor": shade, "edgecolor": "#cfd6de", "lw": 0.6, "gid": name}
    axes.add_patch(patches.Rectangle(**_box(place), **style, **hatch))
    back = {"facecolor": shade, "edgecolor": "none", "pad": 1.5} if words else None
    centre = place[0] + CELL / 2, place[1] + TALL / 2
    text = "\n".join(words.split(" "))
    style = {"ha": "center", "va": "center", "color": figures.SOFT, "fontsize": 7.5}
    axes.text(*centre, text, **style, linespacing=1, bbox=back)


def _filled(axes, place, row, limit: float, inside: bool, name: str) -> None:
    """Draws a gain in its colour; a sure one is bold and has a dot."""
    shade = GAIN_COLOURS(0.5 + 0.5 * np.clip(row["gain"] / limit, -1, 1))
    edge = figures.INK if inside else "#e3e8ed"
    style = {"facecolor": shade, "edgecolor": edge, "lw": 1.2 if inside else 0.6}
    axes.add_patch(patches.Rectangle(**_box(place), **style, gid=name))
    dark = np.dot(shade[:3], (0.299, 0.587, 0.114)) < 0.55
    ink = "white" if dark else figures.INK
    if row["significant"]:
        dot = {"marker": "o", "markersize": 3.2, "color": ink, "lw": 0}
        axes.plot([place[0] + CELL - 0.09], [place[1] + 0.1], **dot)
    text = figures.signed(row["gain"]) + "?" * row["undecided"]
    style = {"weight": "bold" if row["significant"] else "normal", "fontsize": 9.5}
    centre = place[0] + CELL / 2, place[1] + TALL / 2
    axes.text(*centre, text, ha="center", va="center", color=ink, **style)


def _wrapped(name: str) -> list[str]:
    """A name in lines, broken at underscores and before its task type, of ten
    characters where possible.

    >>> _wrapped("closeups_insects@keypoints")
    ['closeups', 'insects', '@keypoints']
    """
    lines = [""]
    for part in re.split(r"(?<=[_/ ])|(?=@)", name):
        if lines[-1] and len(lines[-1] + part.rstrip("_ ")) > 10:
            lines.append("")
        lines[-1] += part
    return [line.rstrip("_ ") for line in lines]
