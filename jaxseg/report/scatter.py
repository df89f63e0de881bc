"""Points of the plane as small panels of inline SVG."""

from collections.abc import Iterable

import numpy as np

from jaxseg.report import figures

Group = tuple[str, np.ndarray]  # (colour, points [N, 2])


def points(
    groups: Iterable[Group], title: str, x: str = "", *, log: bool = False
) -> str:
    """SVG of a small panel with points in the colours of their groups. log: the axis of
    x is logarithmic. Without x there are no axes, as for t-SNE, whose places have no
    unit. Points that are not finite are left out.
    """
    with figures.panel(title) as (figure, axes):
        for colour, some in groups:
            across, up = some[np.isfinite(some).all(axis=1)].T
            style = {"ls": "", "marker": "o", "markersize": 2.6, "mew": 0}
            axes.plot(across, up, color=colour, alpha=0.7, **style)
        if log:
            axes.set_xscale("log")
        if not x:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        return figures.finished(figure, axes, title, x)
