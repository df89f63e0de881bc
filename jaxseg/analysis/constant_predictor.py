"""The constant predictor: one class for every pixel, whatever the image shows.

Its metrics are what a model that learned nothing reaches on foreground and background
(chairs paper, 5.2: all background, 78.01 %).
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, rules
from jaxseg.data.dataset import IGNORE
from jaxseg.data.spec import DataSpec
from jaxseg.metrics import binary

ROLES = ()  # of the parents: there is no model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """answer: 0 for background everywhere, 1 for foreground; data of two classes."""

    name: str
    data: DataSpec
    answer: Annotated[int, rules.at_least(0), rules.at_most(1)] = 0


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> list[dict[str, Any]]:
    """A row {metric, value} for each of `metrics.binary.NAMES`."""
    source, metric = tools.sources["data"], binary.Binary()
    state = metric.zeros()
    for index in range(len(source)):
        state = metric.merge(state, counts(source[index]["segmentation"], spec.answer))
    values = metric.compute(state, source.dataset.classes)
    return [
        {"analysis": spec.name, "metric": name, "value": value}
        for name, value in values.items()
    ]


def counts(labels: np.ndarray, answer: int) -> np.ndarray:
    """int64 [1, 4]: tp, fp, fn, tn of one image, int [H, W], without ignored pixels."""
    there = np.count_nonzero(labels == 1)
    empty = np.count_nonzero(labels != IGNORE) - there
    row = (there, empty, 0, 0) if answer else (0, 0, there, empty)
    return np.array([row], np.int64)
