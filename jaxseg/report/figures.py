"""Figures as inline SVG, their colours and style; equal rows give equal bytes."""

import contextlib
import dataclasses
import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends import backend_svg
from matplotlib.figure import Figure

from jaxseg.report import curves as averages
from jaxseg.report import texts

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
