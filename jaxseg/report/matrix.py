"""A symmetric matrix of numbers, such as similarities of models, as inline SVG."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import colors, patches
from matplotlib.figure import Figure

from jaxseg.report import figures

SHADES = colors.LinearSegmentedColormap.from_list(
    "alike", ["#ffffff", "#7cc08f", "#1b6e3c"]
)
CELL, TALL = 0.56, 0.4  # inches
LUMA = (0.299, 0.587, 0.114)  # brightness of red, green and blue
LETTER = 0.075  # inches of a letter of a name, about


def matrix(values: np.ndarray, names: Sequence[str], title: str) -> str:
    """SVG of numbers [M, M] with two decimals in cells from white, 0 and less, to full
    colour, 1 and more. A number that is not finite has a colour of its own.

    names: of the rows and, turned by 45 degrees, of the columns. ValueError where there
    are not M of them.
    """
    values, count = np.asarray(values, float), len(names)
    if values.shape != (count, count):
        raise ValueError(f"matrix: {list(values.shape)} numbers, {count} names")
    longest = max(map(len, names)) * LETTER
    left, above, below = 0.25 + longest, 0.35, 0.25 + 0.71 * longest
    width = max(left + count * CELL + 0.1, 0.2 + LETTER * len(title))
    height = above + count * TALL + below
    with matplotlib.rc_context(figures.STYLE | {"svg.hashsalt": title}):
        figure = Figure((width, height))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(-left, width - left))
        axes.set_ylim(height - above, -above)
        axes.axis("off")
        axes.text(0.05 - left, 0.05 - above, title, va="top", fontsize=9.5)
        for i, name in enumerate(names):
            middle, end = (i + 0.5) * TALL, count * TALL + 0.06
            axes.text(-0.1, middle, name, ha="right", va="center")
            style = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
            axes.text((i + 0.5) * CELL, end, name, va="top", **style)
            for j in range(count):
                _cell(axes, values[i, j], (j * CELL, i * TALL))
        return figures.inline(figure, {})


def _cell(axes, value: float, place: tuple[float, float]) -> None:
    known = np.isfinite(value)
    shade = SHADES(np.clip(value, 0, 1)) if known else figures.NOT_FINITE
    style = {"facecolor": shade, "edgecolor": "#e3e8ed", "lw": 0.6}
    axes.add_patch(patches.Rectangle(place, CELL, TALL, **style))
    text = f"{value:.2f}".replace("-", figures.MINUS) if known else "none"
    dark = np.dot(colors.to_rgb(shade), LUMA) < 0.55
    centre = place[0] + CELL / 2, place[1] + TALL / 2
    ink = "white" if dark else figures.INK
    axes.text(*centre, text, ha="center", va="center", color=ink)
