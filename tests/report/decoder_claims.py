"""Rows of a decoder study made by hand, and what its claims say of them."""

import itertools
from types import SimpleNamespace

from jaxseg.report import claims, workdir
from jaxseg.report.studies import _decoder_cells as cells
from jaxseg.report.studies import decoder
from jaxseg.report.view import View

NOISE = (0.0, 0.004, -0.003)  # by seed, of Dice
WIDE = (0.3, -0.25, 0.0)
SOURCES = {"cars": "cityscapes", "dogs": "dogs", cells.SIMILARITY: "voc"}


class Made:
    """Hand-made rows; what a cell starts from follows from its setting."""

    def __init__(self):
        self.rows, self.results, self.planned, self.measured = [], [], [], []

    def at(self, setting, target, source, value, noise=NOISE, curve=None):
        """A run for each of `noise`; curve: [(step, Dice)] of each."""
        place = dict(setting=setting, target=target, source=source)
        images = SOURCES.get(setting, target)
        name = source.removesuffix(cells.ENCODER_ONLY)
        start = "random" if source == cells.RANDOM else f"pretext/{images}/{name}"
        self.planned.append(place | dict(start=start))
        for seed, more in enumerate(noise):
            lines = [
                {"kind": "evaluation", "split": "curve", "step": step}
                | {"metrics": {cells.DICE: dice}}
                for step, dice in curve or ()
            ]
            result = SimpleNamespace(lines=lambda name, own=lines: own)
            row = place | dict(role="target", metric=cells.DICE, reported=True)
            row |= dict(seed=seed, value=value + more)
            self.rows.append(row | {"stage": SimpleNamespace(result=result)})
        return self

    def probe(self, images, **accuracies):
        """Linear probes of pretexts, and of random encoders."""
        for name, values in accuracies.items():
            for value in values:
                place = dict(setting="probe", target=images, source=name)
                self.results.append(place | dict(value=value))
        return self

    def rebuilt(self, images, name, *errors):
        """Squared errors of a reconstruction, where the mean colour has 1."""
        columns = [dict(target=images, source=name)]
        for error in errors:
            row = dict(analysis="reconstructions", target="whole", filled=1.0)
            row |= dict(error=error, stage=SimpleNamespace(columns=columns))
            self.measured.append(row)
        return self

    def cka(self, names, value):
        """CKA of all pairs: value(one, other)."""
        for pair in itertools.combinations_with_replacement(names, 2):
            row = dict(analysis="cka", model=pair[0], other=pair[1])
            number = 1.0 if pair[0] == pair[1] else value(*pair)
            self.measured.append(row | dict(value=number, biased=number))
        return self

    def view(self):
        view = View(workdir.Study("decoder", "", "", "", ()), self.results, [])
        own = dict(metrics=self.rows, cells=self.planned, measurements=self.measured)
        vars(view).update(own)
        return view

    def line(self, name):
        """The line of a claim."""
        found = claims.table(self.view())
        return next(line for line in found if line["claim"] == name)

    def verdict(self, name):
        return self.line(name)["verdict"]


NAMES = [claim.name for claim in decoder.CLAIMS]
