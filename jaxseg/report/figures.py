"""Heat maps and learning curves as inline SVG; equal rows give equal bytes."""

import contextlib
import dataclasses
import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colors, patches
from matplotlib.backends import backend_svg
from matplotlib.figure import Figure

from jaxseg.report import curves as averages
from jaxseg.report import shares, tables, texts

GAIN_COLOURS = colors.LinearSegmentedColormap.from_list(  # negative, none, positive
    "gain", ["#5b2a86", "#a884c6", "#ffffff", "#7cc08f", "#1b6e3c"]
)
DOMAIN_COLOURS = {  # Fig. 1 of the factors paper, deepened to be read as text
    "consumer": "#c9700a",
    "driving": "#3f8f29",
    "indoor": "#b8348f",
    "aerial": "#7a4fb5",
    "underwater": "#1f6fc4",
    "closeups": "#a88a00",
    "synthetic": "#c23b32",
    "websearch": "#5f6b7a",
}
OTHER = "#5f6b7a"
CURVES = {"baseline": "#5f6b7a", "random": "#d08a2e", "best": "#1b7f46"}
NOT_FINITE = "#f0c9c4"
INK, SOFT, FAINT = "#1d2733", "#5b6875", "#8793a1"
CELL, TALL = 0.76, 0.42  # inches
MINUS = "\N{MINUS SIGN}"
MAX_POINTS = 200  # per curve; more cannot be seen
STYLE = {
    "svg.fonttype": "none",  # text stays text: small, sharp, selectable
    "text.parse_math": False,  # names come from data: a $ is a $
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#c9d1da",
    "axes.labelcolor": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
}


@dataclasses.dataclass(frozen=True)
class StudyFigure:
    """A figure of one study: SVG panels or sheets of pictures, each with a heading.

    legend: (colour, what it stands for) of the panels.
    """

    title: str
    note: str
    panels: Sequence[tuple[str, str]] = ()
    legend: Sequence[tuple[str, str]] = ()
    sheets: Sequence[tuple[str, Mapping[str, Any]]] = ()


def heatmap(grid: tables.Grid) -> str:
    """SVG of a gain table: a row for each target, a column for each source."""
    rows, columns = _offsets(grid.targets), _offsets(grid.sources)
    left = 0.35 + 0.085 * max(len(t.heading) for t in grid.targets)
    left = max(left, 1.2) + 0.75  # names, then the baseline's absolute value
    above = 0.45 + 0.16 * max(len(_wrapped(s.label)) for s in grid.sources)
    above += 0.14 * any(source.detail for source in grid.sources)
    width = left + columns[-1] * CELL + CELL + 0.1
    height = above + rows[-1] * TALL + TALL + 0.1
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": "heatmap"}):
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
        return inline(figure, titles)


def curves(lines: Iterable[tuple[str, averages.Points]], title: str) -> str:
    """SVG of a small panel with lines (role, [(step, value)]) in the colours of CURVES.

    The page has the legend. A layout engine would take half of the time.
    """
    with panel(title) as (figure, axes):
        for role, points in lines:
            steps, values = np.asarray(_thinned(points)).T
            style = {"lw": 1.6, "alpha": 0.8} | _marker(len(points))
            axes.plot(steps, values, color=CURVES[role], **style)
        return finished(figure, axes, title, "step")


def bands(
    lines: Iterable[tuple[str, bool, averages.Band]],
    title: str,
    x: str = "step",
    *,
    log: bool = False,
) -> str:
    """SVG of a small panel with lines (colour, dashed, band): the mean of several runs
    in a band from the smallest to the largest. log: each doubling of x is as wide, with
    a tick at each of the points.
    """
    with panel(title) as (figure, axes):
        for colour, dashed, band in lines:
            style = {"lw": 1.6, "ls": "--" if dashed else "-"} | _marker(len(band.x))
            axes.plot(band.x, band.mean, color=colour, **style)
            range_ = {"alpha": 0.1 if dashed else 0.18, "lw": 0}
            axes.fill_between(band.x, band.low, band.high, color=colour, **range_)
            if log:
                axes.set_xscale("log", base=2)
                axes.set_xticks(band.x, [f"{x:g}" for x in band.x])
        return finished(figure, axes, title, x)


def array(values: np.ndarray, title: str) -> str | None:
    """SVG of a small panel: numbers [N] as a line by index, [H, W] as a heat map from
    the smallest (white) to the largest (black), uint8 [H, W, 3] as a picture. None for
    others, for one number, and where no number is finite.
    """
    picture = values.dtype == np.uint8 and values.ndim == 3 and values.shape[-1] == 3
    if not picture:
        if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
            return None
        values = values.astype(np.float64)
        values[~np.isfinite(values)] = np.nan
    if values.size < 2 or np.isnan(values).all():
        return None
    words = f"{title}: {described(values)}"
    with panel(words) as (figure, axes):
        axes.locator_params(integer=True, axis="x" if values.ndim == 1 else "both")
        if values.ndim == 1:
            steps, line = np.asarray(_thinned(list(enumerate(values)))).T
            axes.plot(steps, line, color=INK, lw=1.6, **_marker(len(values)))
        else:
            edges = (-0.5, values.shape[1] - 0.5, values.shape[0] - 0.5, -0.5)
            aspect = "equal" if picture else "auto"
            values = values[np.ix_(*map(_kept, values.shape[:2]))]
            shades = matplotlib.colormaps["Greys"].with_extremes(bad=NOT_FINITE)
            style = {"cmap": shades, "interpolation": "nearest", "extent": edges}
            axes.imshow(values, aspect=aspect, **style)
            axes.grid(False)
        return finished(figure, axes, words, "index" if values.ndim == 1 else "")


def described(values: np.ndarray) -> str:
    """Shape and range of an array.

    >>> described(np.array([[1.0, 2.5], [np.nan, 4.0]]))
    '[2, 2], 1 to 4'
    """
    shape = f"[{', '.join(map(str, values.shape))}]"
    if values.dtype.kind not in "iuf" or not np.isfinite(values).any():
        return f"{values.dtype} {shape}"
    finite = values[np.isfinite(values)]
    return f"{shape}, {finite.min():.4g} to {finite.max():.4g}"


@contextlib.contextmanager
def panel(title: str) -> Iterator[tuple[Figure, Any]]:
    """A figure with one axes of the size of a panel, in STYLE."""
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": title}):
        figure = Figure((3.5, 2.2))
        axes = figure.add_axes((0, 0.19, 1, 0.69))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#eef1f4")
        axes.locator_params(nbins=5)
        yield figure, axes


def _marker(points: int) -> dict[str, Any]:
    return {"marker": "o", "markersize": 3.5} if points < 12 else {}


def finished(figure: Figure, axes: Any, title: str, x: str) -> str:
    """The SVG of a panel, its axes placed beside the numbers of the ticks."""
    ticks = axes.yaxis.get_major_formatter().format_ticks(axes.get_yticks())
    left = (
        0.12 + 0.085 * max(map(len, ticks), default=0)
    ) / 3.5  # inches: tick, then digits
    axes.set_position((left, 0.19, 0.985 - left, 0.69))
    axes.set_title(title, loc="left", fontsize=9.5, color=INK)
    axes.set_xlabel(x, color=FAINT)
    return inline(figure, {})


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
        colour = DOMAIN_COLOURS.get(domain, OTHER)
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
        color=FAINT,
    )


def _row_heads(axes, grid: tables.Grid, rows: Sequence[float]) -> None:
    for target, row in zip(grid.targets, rows):
        y = (row + 0.5) * TALL
        colour = DOMAIN_COLOURS.get(target.domain, OTHER)
        axes.text(-0.78, y, target.heading, ha="right", va="center")
        value = texts.baseline(grid, target)
        axes.text(-0.12, y, value, ha="right", va="center", color=FAINT)
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
    style = {"ha": "center", "va": "center", "color": SOFT, "fontsize": 7.5}
    axes.text(*centre, text, **style, linespacing=1, bbox=back)


def _filled(axes, place, row, limit: float, inside: bool, name: str) -> None:
    """Draws a gain in its colour; a sure one is bold and has a dot."""
    shade = GAIN_COLOURS(0.5 + 0.5 * np.clip(row["gain"] / limit, -1, 1))
    edge = INK if inside else "#e3e8ed"
    style = {"facecolor": shade, "edgecolor": edge, "lw": 1.2 if inside else 0.6}
    axes.add_patch(patches.Rectangle(**_box(place), **style, gid=name))
    dark = np.dot(shade[:3], (0.299, 0.587, 0.114)) < 0.55
    ink = "white" if dark else INK
    if row["significant"]:
        dot = {"marker": "o", "markersize": 3.2, "color": ink, "lw": 0}
        axes.plot([place[0] + CELL - 0.09], [place[1] + 0.1], **dot)
    text = signed(row["gain"]) + "?" * row["undecided"]
    style = {"weight": "bold" if row["significant"] else "normal", "fontsize": 9.5}
    centre = place[0] + CELL / 2, place[1] + TALL / 2
    axes.text(*centre, text, ha="center", va="center", color=ink, **style)


def signed(value: int | float) -> str:
    """`texts.signed` with a minus sign as wide as a plus."""
    return texts.signed(value).replace("-", MINUS)


def interval(row: Mapping[str, Any]) -> str:
    """'+1.2 to +3.4', or the reason why there is no interval."""
    if row["gain_low"] is not None:
        return f"{signed(row['gain_low'])} to {signed(row['gain_high'])}"
    if row["gain"] is None:
        return "no gain"
    return "no interval" if row["several"] else "one seed, no interval"


def describe(row: Mapping[str, Any]) -> str:
    """One gain as text: gain, interval, value, baseline, seeds, note."""
    base = "none" if row["baseline"] is None else f"{row['baseline']:.4f}"
    parts = [f"{tables.shown(row['metric'])} {row['value']:.4f} against {base}"]
    parts += [f"seeds: {row['seeds']}", *filter(None, [row["note"]])]
    if row["gain"] is None:
        return "; ".join([row["reason"], *parts])
    given = "95 % interval " * (row["gain_low"] is not None) + interval(row)
    return "; ".join([f"{signed(row['gain'])} % ({given})", *parts])


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


def _thinned(points: averages.Points) -> averages.Points:
    """At most MAX_POINTS of the points, with the first and the last."""
    return [points[index] for index in _kept(len(points))]


def _kept(length: int) -> np.ndarray:
    """At most MAX_POINTS indices, evenly apart, from the first to the last."""
    return np.linspace(0, length - 1, min(length, MAX_POINTS)).round().astype(int)


def inline(figure: Figure, titles: Mapping[str, str]) -> str:
    """The <svg> element with hover texts, without style, date or links."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    backend_svg.FigureCanvasSVG(figure).print_svg(text, metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)  # of the page
    for name, title in titles.items():
        group = f'<g id="{name}">'
        svg = svg.replace(group, f"<g><title>{html.escape(title)}</title>")
    return svg
