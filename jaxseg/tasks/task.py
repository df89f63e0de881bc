"""What a task is: the only place that knows batch keys, outputs, loss and metrics.

A file in `tasks/` has VERSION, `build(num_outputs, ...)` and `resolve(section, facts)`,
which writes into the section what the data set decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Array, Batch, Example, Logs, Totals, Variables
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.metrics import metric


@dataclasses.dataclass(frozen=True)
class Task:
    """One kind of prediction. Its fields are all that its programs depend on.

    Class names are no field: data sets with as many classes share programs.
    """

    num_outputs: int

    name: ClassVar[str]  # also the name of the head: `heads_<name>`
    fields: ClassVar[tuple[str, ...]]  # that an example must have besides its image
    headline: ClassVar[str]  # the metric that gains are computed from
    higher_is_better: ClassVar[bool] = True
    dense: ClassVar[bool] = True  # predictions are maps at the image's resolution
    drawn: ClassVar[tuple[str, ...]] = ()  # fields of the truth that pictures show
    optional: ClassVar[tuple[str, ...]] = ()  # fields used where a data set has them
    judging: ClassVar[tuple[str, ...]] = ()  # such fields that only the metric uses
    perfect: ClassVar[str | None] = None  # the metric that is 1 without an error; None:
    # the headline

    def outputs(self, facts: Dataset) -> int:
        """How many outputs the head needs for this data set."""
        return facts.num_classes

    def fields_of(self, facts: Dataset) -> tuple[str, ...]:
        """The fields that training reads besides the image."""
        there = [name for name in self.optional if name in facts.fields]
        return (*self.fields, *there)

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

    def measured(self, source: Any) -> dict[str, Any]:
        """Options measured on the training examples; they go to the manifest."""
        return {}

    def prepare(self, batch: Batch, rng: Array) -> Batch:
        """The batch as the loss needs it (targets, masks, views), made on device."""
        return batch

    def apply(
        self, model: Any, variables: Variables, batch: Batch, rng: Array
    ) -> tuple[Array, dict[str, Any]]:
        """Forward pass in training mode: (outputs, updated collections)."""
        return model.apply(
            variables,
            batch["image"],
            train=True,
            head=self.name,
            mutable=["batch_stats"],
            rngs={"dropout": rng},
        )

    def active(self, batch: Batch) -> tuple[str, ...] | None:
        """Prefixes of the leaves this batch trains; None: all of them."""
        return None

    def totals(self, batch: Batch) -> Totals:
        """What the losses of a batch are divided by; depends on its targets alone."""
        return {"images": len(batch["image"])}

    def loss(
        self, outputs: Any, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """(loss, further scalars to log) of a whole batch, or of a part of one.

        totals: of the whole batch; None: the batch is whole. Losses and logs are sums
        divided by totals, so those of the parts add up to those of the whole. A loss
        over all images together cannot be split: it is weighted by the part's share of
        the images and named in `unsplit`.
        """
        raise NotImplementedError(type(self).__name__)

    @property
    def unsplit(self) -> tuple[str, ...]:
        """The losses that each microbatch computes for itself, in words."""
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
        truth = batch[self.fields[0]]
        return np.where(truth == IGNORE, 0, truth)

    def is_labelled(self, batch: Batch) -> bool:
        """Whether the metric counts anything of a batch."""
        truth = batch[self.fields[-1]]
        return bool(((truth >= 0) & (truth != IGNORE))[batch["valid"]].any())

    def truth(self, example: Example) -> Example:
        """The fields of an example that pictures show beside a prediction."""
        return {name: example[name] for name in self.drawn}

    def as_fields(self, prediction: Any, size: tuple[int, int]) -> Example:
        """One prediction in the fields of the data, to be drawn like a truth."""
        raise NotImplementedError(type(self).__name__)


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
