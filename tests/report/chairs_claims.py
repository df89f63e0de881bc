"""Rows of a chairs study made by hand, and what its claims say of them."""

from types import SimpleNamespace

from jaxseg.report import claims, workdir
from jaxseg.report.studies import _chairs_cells as cells
from jaxseg.report.view import View

HELD, WEAKLY, NOT = claims.HELD, claims.WEAKLY, claims.NOT
UNDECIDED, UNMEASURED = claims.UNDECIDED, claims.UNMEASURED
UNLEARNED = claims.UNLEARNED
SEEDS = (0.0, 0.01, 0.02)  # moves both sides of a difference alike
NOISE = (0.3, -0.2, 0.0)
VGG, R50, R101 = cells.FCNS
SETS = cells.OBJECTS


class Made:
    """Hand-made rows of a chairs study."""

    def __init__(self):
        self.rows, self.measured, self.results = [], [], []

    def runs(self, columns, value, noise=SEEDS, curve=((10, 1.0),)):
        """A run for each of `noise`; curve: (step, share of the value).

        0.1 is what a constant predictor has.
        """
        for seed, more in enumerate(noise):
            lines = [
                {"kind": "evaluation", "split": "validation", "step": step}
                | {"metrics": {cells.IOU: share * value}}
                for step, share in curve
            ]
            result = SimpleNamespace(lines=lambda name, own=lines: own)
            row = columns | {"role": "target", "metric": cells.IOU, "reported": True}
            row |= {"seed": seed, "value": value + more}
            row |= {"floor": 0.1, "higher_is_better": True}
            self.rows.append(row | {"stage": SimpleNamespace(result=result)})
        return self

    def at(self, model, *values, sizes=cells.SIZES, noise=SEEDS):
        """Composites of a model, at the first of the sizes."""
        for size, value in zip(sizes, values):
            self.runs(cells.composites(model, size), value, noise)
        return self

    def on(self, model, target, source, value, noise=SEEDS, curve=((10, 1.0),)):
        """Objects of a model."""
        return self.runs(cells.objects(model, target, source), value, noise, curve)

    def source(self, model, learned, name="chairs"):
        """The training of a source, above or at the floor."""
        own = {"role": "source", "target": name, "variant": model}
        if name == "chairs":
            own = cells.composites(model, 64) | {"role": "target", "seed": 0}
        value = 0.6 if learned else 0.3
        own |= {"value": value, "floor": 0.3, "higher_is_better": True}
        self.results.append(own)
        return self

    def distance(self, target, a, b, distance, layer="total"):
        own = {"analysis": "parameter_distance", "target": target, "layer": layer}
        own["stage"] = SimpleNamespace(name="distances")
        self.measured.append(own | {"a": a, "b": b, "distance": distance})
        return self

    def path(self, target, kind, fall, seed=0, statistics=cells.REESTIMATED):
        """A path whose IoU falls by so many per cent in its middle."""
        own = {"analysis": "interpolation", "target": target, "pair": kind}
        own |= {"seed": seed, "statistics": statistics, "metric": cells.IOU}
        for t, value in ((0.5, 0.8 * (1 - fall / 100)), (1.0, 0.8), (0.0, 0.8)):
            self.measured.append(own | {"t": t, "value": value, "barrier": fall / 50})
        return self

    def view(self):
        study = workdir.Study("chairs-paper", "", "", "", ())
        view = View(study, self.results, [])
        lazily = {"metrics": self.rows, "cells": self.rows}
        view.__dict__.update(lazily | {"measurements": self.measured})
        return view

    def line(self, name):
        """The row of claims.csv of one claim."""
        found = {line["claim"]: line for line in claims.table(self.view())}
        return found[name]


def verdict(made, name):
    return made.line(name)["verdict"]
