"""Metrics of a predictor on a source: every example is counted once."""

import collections
import dataclasses
from collections.abc import Iterator
from concurrent import futures
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxseg.core import hosts
from jaxseg.core.types import Batch, Example, Variables
from jaxseg.data import dataset, pipeline
from jaxseg.data import source as source_lib
from jaxseg.data.normalization import Normalize
from jaxseg.evals import predictor as predictors
from jaxseg.tasks import build
from jaxseg.tasks import task as tasks


class Measured(NamedTuple):
    """What an evaluation gives."""

    values: dict[str, float]  # by the names of metrics
    floor: float | None  # of the headline metric, for a model that learned nothing
    protocol: str  # how the values were computed, in words


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The metrics of a task on a source, the same in training and afterwards.

    A protocol that normalizes by the "target" takes the mean and std of the source.

    >>> from jaxseg.models import model as models
    >>> source = source_lib.open("worlds/driving_day", split="validation", count=2)
    >>> task, outputs = {"name": "segmentation"}, source.dataset.num_classes
    >>> model = {"backbone": {"name": "unet", "variant": "tiny"}}
    >>> model["head"] = {"name": "linear"}
    >>> network, _ = build.network(model, task, outputs)
    >>> variables = models.init(network, (64, 64, 3), seed=0)
    >>> normalize = Normalize.of(source.dataset)
    >>> predict = predictors.Predictor(model, task, outputs, (64, 64), normalize)
    >>> measured = Evaluator(predict, source).measure(variables)
    >>> measured.protocol
    'whole image, one scale 64x64, labels at original size'
    >>> 0 <= measured.values["miou"] <= 1
    True
    """

    predictor: predictors.Predictor
    source: source_lib.Source
    threads: int = 2  # that read examples

    def __call__(self, variables: Variables) -> dict[str, float]:
        """{metric: value} over the whole source."""
        return self.measure(variables).values

    def measure(self, variables: Variables) -> Measured:
        """The metrics over the whole source, their floor and their protocol: as process
        0 computes them, which has the rows of all.
        """
        metric = self._task.metric()
        state = metric.zeros()
        for batch, (predictions, counts) in self._behind(variables):
            rows = self._task.rows(counts, predictions, batch)
            state = metric.merge(
                state, rows if counts is not None else hosts.gathered(rows)
            )

        def measured() -> dict[str, Any]:
            values = metric.compute(state, self.source.dataset.classes)
            floor = metric.floor(state, self.headline)
            return Measured(values, floor, self._protocol(state))._asdict()

        return Measured(**hosts.first(measured))

    def predictions(self, variables: Variables, count: int) -> list[dict[str, Any]]:
        """{"example", "prediction"} of the first `count` examples, in order.

        A prediction has the fields that its truth has, in the vocabulary of the data.
        """
        count = min(count, len(self.source))
        examples = [self.source[index] for index in range(count)]
        pictures = [example["image"] for example in examples]
        answers = self._predictor(variables, pictures)
        fields = [
            self._task.as_fields(answer, image.shape[:2])
            for answer, image in zip(answers, pictures, strict=True)
        ]
        pairs = zip(examples, fields, strict=True)
        return [{"example": example, "prediction": one} for example, one in pairs]

    @property
    def headline(self) -> str:
        """The metric that gains are computed from."""
        return self._task.headline

    @property
    def higher_is_better(self) -> bool:
        """Of the headline metric."""
        return self._task.higher_is_better

    def _protocol(self, state: Any) -> str:
        words = [self.predictor.how.text(self.predictor.size)]
        words += ["labels at original size"] if self._task.dense else []
        words += self._task.counting(self.source.dataset, state)
        return ", ".join(words)

    @property
    def _task(self) -> tasks.Task:
        return build.task(self.predictor.task, self.predictor.num_outputs)

    @property
    def _predictor(self) -> predictors.Predictor:
        """The one given, normalizing as its protocol says."""
        if self.predictor.how.normalization != "target":
            return self.predictor
        own = Normalize.of(self.source.dataset)
        return dataclasses.replace(self.predictor, normalize=own)

    def _behind(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        """As `_outputs`, one batch late: the host counts while the device predicts.

        Never two programs at once: on CPU devices that share few threads their
        collectives would wait for each other.
        """
        jax.block_until_ready(variables)
        waiting = None
        for entry in self._outputs(variables):
            if waiting is not None:
                yield waiting
            waiting = self._on_host(jax.block_until_ready(entry))
        if waiting is not None:
            yield waiting

    def _on_host(self, entry: tuple[Batch, Any]) -> tuple[Batch, Any]:
        """With what `Task.rows` needs where other processes have a part of it: counts,
        or predictions for the rows that this process has.
        """
        if hosts.shard()[1] == 1:
            return entry
        batch, (predictions, counts) = entry
        if counts is not None:
            return batch, (None, hosts.whole(counts))
        return batch, (hosts.own(hosts.whole(predictions)), None)

    def _outputs(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        """(batch, (predictions, counts)): every example once, in order."""
        for views in self._views():
            batch = views[-1]
            out = self._label_size(batch) if self._task.dense else None
            seen = [_without_objects(view) for view in views]
            yield batch, self._predictor.run(variables, seen, out)

    def _label_size(self, batch: Batch) -> tuple[int, int]:
        """(height, width) of the maps that predictions are compared with."""
        if self._task.label_field is not None:
            return batch[self._task.label_field].shape[1:3]
        sizes = hosts.every(batch["label_size"].tolist())
        sizes = [tuple(size) for part in sizes for size in part]
        return pipeline.common_size(sizes, self.source.dataset.size)

    def _views(self) -> Iterator[tuple[Batch, ...]]:
        """Batches as `Predictor.run` takes them, with labels."""
        if self.predictor.how.mode == "sliding":
            return self._single_images()
        # One stream per scale: they give the same examples in the same order.
        streams = [
            pipeline.eval_batches(
                self.source,
                normalize=self._predictor.normalize,
                size=canvas,
                batch_size=self.predictor.batch_size,
                fields=self._fields,
                threads=self.threads,
                shard=hosts.shard(),
            )
            for canvas in self.predictor.canvases
        ]
        return (tuple(map(_alike, views)) for views in zip(*streams, strict=True))

    def _single_images(self) -> Iterator[tuple[Batch]]:
        for example in _read_ahead(self.source, self.threads):
            size = np.array(example["image"].shape[:2], np.int32)
            facts = {"valid": np.array(True), "label_size": size}
            usual = self.source.dataset.size
            (padded,) = pipeline.pad_labels([example | facts], usual)
            yield (pipeline.stack([padded], (*self._fields, *facts)),)

    @property
    def _fields(self) -> tuple[str, ...]:
        return ("image", *self._task.judged_fields_of(self.source.dataset))


def _alike(batch: Batch) -> Batch:
    """With as many rows and columns of labels as other processes have."""
    if hosts.shard()[1] == 1:
        return batch
    names = [name for name in pipeline.AS_THEY_ARE if name in batch]
    shapes = hosts.every({name: list(batch[name].shape) for name in names})
    most = {n: np.max([shape[n] for shape in shapes], axis=0).tolist() for n in names}
    return pipeline.enlarged(batch, most)


def _without_objects(batch: Batch) -> Batch:
    """What goes to the devices: objects are counted on the host."""
    return {k: x for k, x in batch.items() if k not in dataset.OBJECT_FIELDS}


def _read_ahead(source: source_lib.Source, threads: int) -> Iterator[Example]:
    """All examples in order; threads read a few of them ahead of the caller."""
    with futures.ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque[futures.Future] = collections.deque()
        for index in range(len(source)):
            waiting.append(pool.submit(source.__getitem__, index))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
