"""Metrics of a model on a source: every example counted once, then divided once."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxseg.core.types import Batch, Variables
from jaxseg.data import dataset, pipeline
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.evals import averaged, predict, protocol
from jaxseg.tasks import build


class Measured(NamedTuple):
    """What an evaluation gives."""

    values: dict[str, float]  # by the names of metrics
    floor: float | None  # what learning nothing gives of the headline metric
    protocol: str  # how the numbers came about; carried by each of them


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """One evaluator for training and afterwards, so that both give the same digits."""

    source: Source
    model: dict[str, Any]  # resolved section
    task: dict[str, Any]  # resolved section
    size: tuple[int, int]  # the canvas (height, width) images are fitted into
    batch_size: int
    mean: tuple[float, ...]  # per channel, of the images the model was trained on
    std: tuple[float, ...]
    threads: int = 2
    put: Any = jax.device_put  # NumPy batch -> arrays on the devices
    how: protocol.Protocol = protocol.WHOLE  # whole images, or averaged views

    def __call__(self, variables: Variables) -> dict[str, float]:
        """{metric: value} over the whole source."""
        return self.measure(variables).values

    def measure(self, variables: Variables) -> Measured:
        """The metrics over the whole source, and what must be said of them."""
        metric = self._task.metric()
        state = metric.zeros()
        for batch, (predictions, counts) in self._behind(variables):
            rows = self._task.rows(counts, predictions, batch)
            state = metric.merge(state, rows)
        values = metric.compute(state, self.source.dataset.classes)
        return Measured(
            values, metric.floor(state, self.headline), self._protocol(state)
        )

    def _protocol(self, state: Any) -> str:
        words = [self.how.text(self.size)]
        words += ["labels at original size"] if self._task.dense else []
        words += self._task.counting(self.source.dataset, state)
        return ", ".join(words)

    def predictions(self, variables: Variables, count: int) -> list[dict[str, Any]]:
        """{"example", "prediction"} of the first `count` examples, in order.

        A prediction has the fields that its truth has, in the vocabulary of the data.
        """
        found: list[dict[str, Any]] = []
        for batch, (predictions, _) in self._outputs(variables):
            seen = self._task.at_image(jax.device_get(predictions), batch)
            for row in np.flatnonzero(batch["valid"])[: count - len(found)]:
                example = self.source[len(found)]
                one = jax.tree.map(lambda x, row=row: x[row], seen)
                size = example["image"].shape[:2]
                fields = self._task.as_fields(one, size)
                found.append({"example": example, "prediction": fields})
            if len(found) >= count:
                break
        return found

    @property
    def normalize(self) -> Normalize:
        """What normalizes images; its mean also fills the canvas around them."""
        if self.how.normalization == "target":
            return Normalize.of(self.source.dataset)
        return Normalize(self.mean, self.std)

    @property
    def headline(self) -> str:
        """The metric that gains are computed from."""
        return self._task.headline

    @property
    def higher_is_better(self) -> bool:
        """Of the headline metric."""
        return self._task.higher_is_better

    @property
    def _task(self) -> Any:
        return build.task(self.task, self._num_outputs)

    @property
    def _num_outputs(self) -> int:
        return build.outputs(self.task, self.source.dataset)

    def _batches(self) -> Iterator[Batch]:
        return pipeline.eval_batches(
            self.source,
            normalize=self.normalize,
            size=self.size,
            batch_size=self.batch_size,
            fields=("image", *self._task.judged_fields_of(self.source.dataset)),
            threads=self.threads,
            shard=(jax.process_index(), jax.process_count()),
        )

    def _behind(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        """One batch behind, so that the host counts while the device predicts.

        Never two programs at once: on CPU devices that share few threads their
        collectives would wait for each other.
        """
        jax.block_until_ready(variables)
        waiting = None
        for entry in self._outputs(variables):
            if waiting is not None:
                yield waiting
            waiting = jax.block_until_ready(entry)
        if waiting is not None:
            yield waiting

    def _outputs(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        if not self.how.averages:
            return self._single(variables)
        fields = dataclasses.fields(averaged.Averaged)
        own = {field.name: getattr(self, field.name) for field in fields}
        return averaged.Averaged(**own).outputs(variables)

    def _single(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        for batch in self._batches():
            seen = {k: x for k, x in batch.items() if k not in dataset.OBJECT_FIELDS}
            out = self._label_canvas(batch) if self._task.dense else None
            section = (self.model, self.task, self._num_outputs)
            yield batch, predict.run(*section, variables, self.put(seen), out)

    def _label_canvas(self, batch: Batch) -> tuple[int, int] | None:
        """The padded labels' size; None where it is the canvas and all fill it."""
        real, padded = batch["valid"], batch[self._task.fields[0]].shape[1:3]
        sizes = (batch["scaled"][real], batch["label_size"][real])
        fills = all((rows == self.size).all() for rows in sizes)
        return None if fills and padded == tuple(self.size) else padded
