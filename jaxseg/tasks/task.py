"""What a task is: the only place that knows batch keys, outputs, loss and metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Batch, Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.metrics import metric
from jaxseg.tasks import objective


class Written(NamedTuple):
    """One prediction in the formats of files that other programs read."""

    picture: np.ndarray | None = None  # uint8 or uint16 [H, W], of a PNG
    objects: Sequence[Mapping[str, Any]] = ()  # COCO's results, without image_id


@dataclasses.dataclass(frozen=True)
class Task(objective.Objective):
    """One kind of prediction: an objective, and how predictions are made and judged."""

    headline: ClassVar[str]  # the metric that gains are computed from
    higher_is_better: ClassVar[bool] = True
    dense: ClassVar[bool] = True  # predictions are maps at the image's resolution
    written_as: ClassVar[str] = "pictures"  # or "objects", or "table": of whole images
    unit: ClassVar[str | None] = None  # of the pixels of written pictures
    drawn: ClassVar[tuple[str, ...]] = ()  # fields of the truth that pictures show
    judging: ClassVar[tuple[str, ...]] = ()  # optional fields that only the metric uses
    perfect: ClassVar[str | None] = None  # the metric that is 1 without an error; None:
    # the headline

    def judged_fields_of(self, facts: Dataset) -> tuple[str, ...]:
        """The fields that evaluation reads besides the image."""
        there = [name for name in self.judging if name in facts.fields]
        return (*self.fields_of(facts), *there)

    def counting(self, facts: Dataset, state: Any) -> tuple[str, ...]:
        """Words of the protocol: how the metric counts, where that is not as usual.

        state: of the metric, over all examples. The words may depend on its truths,
        not on its predictions.
        """
        return ()

    def scores(self, outputs: Any) -> Any:
        """From raw outputs: what is averaged over views of an image, then decoded."""
        return outputs

    def decode(self, outputs: Any) -> Any:
        """Predictions from raw outputs: arrays with a leading batch axis."""
        raise NotImplementedError(type(self).__name__)

    def metric(self) -> metric.Metric:
        """The metric, without a state."""
        raise NotImplementedError(type(self).__name__)

    def update(self, predictions: Any, batch: Batch) -> Any:
        """Counts of one batch, on the device; None where the host counts alone."""
        return None

    def rows(self, counts: Any, predictions: Any, batch: Batch) -> Any:
        """What the metric merges for one batch, NumPy on the host."""
        return counts

    def at_image(self, predictions: Any, batch: Batch) -> Any:
        """Predictions of a batch in each image's own pixels, NumPy on the host."""
        return predictions

    def options_for(self, facts: Dataset) -> dict[str, Any]:
        """Options that a data set with other fields than usual needs."""
        return {}

    def perfect_predictions(self, batch: Batch) -> Any:
        """What `decode` gives of a batch without any error, NumPy on the host."""
        if self.label_field is None:
            raise NotImplementedError(type(self).__name__)
        truth = batch[self.label_field]
        return np.where(truth == IGNORE, 0, truth)

    def is_labelled(self, batch: Batch) -> bool:
        """Whether the metric counts anything of a batch."""
        if self.label_field is None:
            return bool(batch["valid"].any())
        truth = batch[self.label_field]
        return bool(((truth >= 0) & (truth != IGNORE))[batch["valid"]].any())

    def truth(self, example: Example) -> Example:
        """The fields of an example that pictures show beside a prediction."""
        return {name: example[name] for name in self.drawn}

    def as_fields(self, prediction: Any, size: tuple[int, int]) -> Example:
        """One prediction in the fields of the data, to be drawn like a truth."""
        raise NotImplementedError(type(self).__name__)

    def written(self, prediction: Any) -> Written:
        """One prediction as files have it."""
        return Written()

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Of the classes [..., K], from `scores` of one image; UserError where a task
        has none.
        """
        raise errors.UserError(
            f"probabilities: found task {self.name!r}; allowed are segmentation and "
            "classification. Fix: the scores of its prediction, if it has objects"
        )


def judged(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """A task's section whose open options (None) are those of the data set."""
    known = facts.protocol.get(section["name"], {})
    return {
        key: known.get(key) if value is None else value
        for key, value in section.items()
    }


def check_choice(given: Any, allowed: Iterable[Any], name: str) -> None:
    """UserError unless `given` is among `allowed`."""
    if given not in allowed:
        shown = ", ".join(str(value) for value in allowed if value is not None)
        raise errors.UserError(f"task/{name}: found {given!r}, allowed: {shown}")
