"""What a task is: the only place that knows batch keys, outputs, loss and metrics."""

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
    """One kind of prediction. Fields are all that shapes its programs.

    Class names are not among them: data sets with as many classes share programs.
    """

    num_outputs: int

    name: ClassVar[str]  # also the name of the head: `heads_<name>`
    fields: ClassVar[tuple[str, ...]]  # what an example must have beside its image
    headline: ClassVar[str]  # the metric that gains are computed from
    higher_is_better: ClassVar[bool] = True
    dense: ClassVar[bool] = True  # predictions are maps at the image's resolution
    drawn: ClassVar[tuple[str, ...]] = ()  # fields of a truth that pictures show
    optional: ClassVar[tuple[str, ...]] = ()  # fields used where a data set has them
    judging: ClassVar[tuple[str, ...]] = ()  # such that only the metric uses
    perfect: ClassVar[str | None] = None  # the metric that is 1 without an error; None:
    # the headline

    def outputs(self, facts: Dataset) -> int:
        """How many outputs the head needs for this data set."""
        return facts.num_classes

    def fields_of(self, facts: Dataset) -> tuple[str, ...]:
        """What training reads of the examples of a data set beside their images."""
        there = [name for name in self.optional if name in facts.fields]
        return (*self.fields, *there)

    def judged_fields_of(self, facts: Dataset) -> tuple[str, ...]:
        """What evaluation reads of them."""
        there = [name for name in self.judging if name in facts.fields]
        return (*self.fields_of(facts), *there)

    def counting(self, facts: Dataset, state: Any) -> tuple[str, ...]:
        """How the metric counts on a data set, where it is not as usual: words that
        the protocol carries.

        state: of the metric, with all examples that were evaluated. Only what it says
        of the truths may change the words, not what was predicted.
        """
        return ()

    def measured(self, source: Any) -> dict[str, Any]:
        """Options that only the training examples can tell; they go to the manifest."""
        return {}

    def prepare(self, batch: Batch, rng: Array) -> Batch:
        """The batch the loss wants (targets, masks, views), made on device."""
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
        """What the losses of a batch are divided by, counted on its targets alone."""
        return {"images": len(batch["image"])}

    def loss(
        self, outputs: Any, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """(loss, further scalars to log) of a whole batch, or of a part of one.

        totals: of the whole batch; None: this is all of it. Losses and logs of parts
        add up to those of the whole: sums divided by totals. What looks at all images
        at once cannot; it is weighted by the part's share of the images and named in
        `unsplit`.
        """
        raise NotImplementedError(type(self).__name__)

    @property
    def unsplit(self) -> tuple[str, ...]:
        """What of the loss microbatches have each their own of, in words."""
        return ()

    def scores(self, outputs: Any) -> Any:
        """Of raw outputs, what can be averaged over views of an image and decoded."""
        return outputs

    def decode(self, outputs: Any) -> Any:
        """Predictions from raw outputs: arrays with a leading batch axis."""
        raise NotImplementedError(type(self).__name__)

    def metric(self) -> metric.Metric:
        """What is counted over a set."""
        raise NotImplementedError(type(self).__name__)

    def update(self, predictions: Any, batch: Batch) -> Any:
        """What the device counts of one batch; None where the host does it all."""
        return None

    def rows(self, counts: Any, predictions: Any, batch: Batch) -> Any:
        """What the metric merges of one batch, NumPy on the host."""
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
        """Of an example, what pictures show beside a prediction."""
        return {name: example[name] for name in self.drawn}

    def as_fields(self, prediction: Any, size: tuple[int, int]) -> Example:
        """One prediction in the vocabulary of the data, to be drawn like a truth."""
        raise NotImplementedError(type(self).__name__)


def judged(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """A task's section whose open options (None) are what its data set is judged by."""
    known = facts.protocol.get(section["name"], {})
    return {
        key: known.get(key) if value is None else value
        for key, value in section.items()
    }


def check_choice(found: Any, allowed: Iterable[Any], name: str) -> None:
    """UserError unless `found` is among `allowed`."""
    if found not in allowed:
        shown = ", ".join(str(value) for value in allowed if value is not None)
        raise errors.UserError(f"task/{name}: found {found!r}, allowed: {shown}")
