"""What a task is: the only place that knows batch keys, outputs, loss and metrics."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax

from jaxseg.core.types import Array, Batch, Logs, Variables
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

    def loss(self, outputs: Array, batch: Batch) -> tuple[Array, Logs]:
        """(mean loss of the batch, further scalars to log)."""
        raise NotImplementedError(type(self).__name__)

    def decode(self, outputs: Array) -> Array:
        """Predictions in the vocabulary of the data from raw outputs."""
        raise NotImplementedError(type(self).__name__)

    def metric(self) -> metric.Metric:
        """What is counted over a set."""
        raise NotImplementedError(type(self).__name__)

    def update(self, predictions: Array, batch: Batch) -> jax.Array:
        """Counts of one batch, on device."""
        raise NotImplementedError(type(self).__name__)
