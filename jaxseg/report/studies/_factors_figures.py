"""Fig. 3 of the factors study, and gains over distance and source size."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxseg.report import figures, scatter
from jaxseg.report.figures import StudyFigure
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.studies import _factors_distances as distances
from jaxseg.report.view import View, where

TASKS = {
    "segmentation": "#3f8f29",
    "detection": "#1f6fc4",
    "keypoints": "#b8348f",
    "depth": "#c9700a",
    "classification": "#1d2733",
}


def figures_of(view: View) -> list[StudyFigure]:
    """Those for which something was measured."""
    made = [_3a(view), _3bc(view), *_correlations(view)]
    return [figure for figure in made if figure.panels]


def _3a(view: View) -> StudyFigure:
    rows = where(view.measurements, analysis="domain_distance")
    domains = cells.domains(view)
    names = list(dict.fromkeys(row["target"] for row in rows))
    points = view.arrays(rows[0]).get("embedding", ()) if rows else ()
    groups = [
        (_of_domain(domains.get(name)), some) for name, some in zip(names, points)
    ]
    title = f"{len(names)} sets of images"
    shown = {domains[name] for name in names if name in domains}
    return StudyFigure(
        "Fig. 3a: sets of images by domain",
        "Features of the images as for distances (Table 9), in the plane by t-SNE: a "
        "point for each image, near to those that are alike. Distances between far "
        "groups mean nothing.",
        panels=[(title, scatter.points(groups, title))] if groups else (),
        legend=[(_of_domain(domain), domain) for domain in sorted(shown)],
    )


def _3bc(view: View) -> StudyFigure:
    rows = where(view.measurements, analysis="task_features")
    panels, shown = [], {}
    for name in dict.fromkeys(row["data"] for row in rows):
        own = where(rows, data=name)
        models = list(dict.fromkeys(row["model"] for row in own))
        points = view.arrays(own[0])["embedding"]
        groups = [(TASKS.get(m, figures.OTHER), p) for m, p in zip(models, points)]
        shown |= dict.fromkeys(models)
        panels.append((name, scatter.points(groups, name)))
    return StudyFigure(
        "Fig. 3b and c: the same images in models of several task types",
        "t-SNE with the cosine distance; a point for each image in each model.",
        panels=panels,
        legend=[(TASKS.get(model, figures.OTHER), model) for model in shown],
    )


def _correlations(view: View) -> list[StudyFigure]:
    """A panel for each setting in both."""
    title = "Gains over the distance between sets of images"
    words = "distance of target to source (Eq. 1)"
    images = lambda here: lambda row: row["source_images"]
    size = "images of the source, logarithmic"
    return [
        _over(view, title, words, _distance),
        _over(view, "Gains over source size", size, images, log=True),
    ]


Number = Callable[[Mapping[str, Any]], int | float | None]  # of a gain row


def _over(
    view: View, title: str, x: str, of: Callable[[View], Number], log: bool = False
) -> StudyFigure:
    panels, shown = [], {}
    for setting in view.settings:
        here = view.at(setting)
        number, groups = of(here), {}
        for row in distances.measured(here):
            if value := number(row):
                groups.setdefault(row["target_domain"], []).append((value, row["gain"]))
        if groups:
            drawn = [(_of_domain(name), np.array(p)) for name, p in groups.items()]
            words = f"{setting}: gain, %"
            panels.append((setting, scatter.points(drawn, words, x, log=log)))
            shown |= dict.fromkeys(groups)
    return StudyFigure(
        title,
        "A point for each pair of target and source within a task type, in the colour "
        "of the target's domain.",
        panels=panels,
        legend=[(_of_domain(domain), domain) for domain in shown],
    )


def _distance(here: View) -> Number:
    table = distances.tables(here)[distances.NEAREST]
    return lambda row: table[row["target_dataset"], row["source_dataset"]]


def _of_domain(domain: str | None) -> str:
    return figures.DOMAIN_COLOURS.get(domain, figures.OTHER)
