"""Metrics of a model on a source: every example counted once, then divided once."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jaxseg.core.types import Array, Batch, Variables
from jaxseg.data import pipeline, sources
from jaxseg.evals import predict
from jaxseg.metrics import metric


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """One evaluator for training and afterwards, so that both give the same digits."""

    source: sources.Source
    model: dict[str, Any]  # resolved section
    task: dict[str, Any]  # resolved section
    size: tuple[int, int]  # the canvas (height, width) images are fitted into
    batch_size: int
    threads: int = 2
    put: Any = jax.device_put  # NumPy batch -> arrays on the devices

    @property
    def protocol(self) -> str:
        """How the numbers came about; carried by each of them."""
        height, width = self.size
        where = ", labels at original size" if self._task.dense else ""
        return f"whole image, one scale {height}x{width}{where}"

    def __call__(self, variables: Variables) -> dict[str, float]:
        """{metric: value} over the whole source."""
        counts = self._task.metric().zeros()
        for batch_counts in self._counts(variables):
            counts = metric.merge(counts, batch_counts)
        return self._task.metric().compute(counts, self.source.dataset.classes)

    def predictions(self, variables: Variables, count: int) -> list[dict[str, Any]]:
        """Of the first `count` examples: their example and `prediction`, in order."""
        found: list[dict[str, Any]] = []
        for batch, predictions in self._run(variables):
            rows = np.asarray(predictions)[batch["valid"]]
            for row in rows[: count - len(found)]:
                example = self.source[len(found)]
                if self._task.dense:
                    row = row[: example["image"].shape[0], : example["image"].shape[1]]
                found.append(example | {"prediction": row})
            if len(found) >= count:
                break
        return found

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
        return predict.build_task(self.task, self.source.dataset.num_classes)

    def _batches(self) -> Iterator[Batch]:
        return pipeline.eval_batches(
            self.source,
            size=self.size,
            batch_size=self.batch_size,
            fields=("image", *self._task.fields),
            threads=self.threads,
            shard=(jax.process_index(), jax.process_count()),
        )

    def _counts(self, variables: Variables) -> Iterable[Array]:
        """One batch behind, so that the host counts while the device predicts."""
        waiting = None
        for _, (_, counts) in self._outputs(variables):
            if waiting is not None:
                yield waiting
            waiting = counts
        if waiting is not None:
            yield waiting

    def _run(self, variables: Variables) -> Iterator[tuple[Batch, Array]]:
        for batch, (predictions, _) in self._outputs(variables):
            yield batch, predictions

    def _outputs(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        for batch in self._batches():
            program = predict.program(
                self.model,
                self.task,
                self.source.dataset.num_classes,
                resample=self._task.dense and not _at_canvas_size(batch, self.size),
            )
            arrays = self.put(batch)
            run = program.compiled(variables, arrays, key=arrays)
            yield batch, run(variables, arrays)


def _at_canvas_size(batch: Batch, size: tuple[int, int]) -> bool:
    """Whether logits on the canvas are logits at the labels' own size already."""
    real = batch["valid"]
    sizes = (batch["scaled"][real], batch["label_size"][real])
    padded = batch["segmentation"].shape[1:3]
    return padded == tuple(size) and all((rows == size).all() for rows in sizes)
