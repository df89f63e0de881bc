"""Scores averaged over windows, scales and mirror images, then decoded once."""

import collections
import dataclasses
import functools
import itertools
import json
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import compiled, errors, hashing, images, images_jnp
from jaxseg.core.types import Array, Batch, Example, Variables
from jaxseg.data import dataset, pipeline
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.evals import protocol
from jaxseg.tasks import build


@dataclasses.dataclass(frozen=True)
class Averaged:
    """What an evaluator does where its protocol is not the default one.

    Whole images go in batches; with sliding windows it is one image at a time, whose
    windows are the batch and whose scores are summed on the host.
    """

    source: Source
    model: dict[str, Any]  # resolved section
    task: dict[str, Any]  # resolved section
    size: tuple[int, int]  # of the canvas or the windows
    batch_size: int
    threads: int
    put: Any
    how: protocol.Protocol
    normalize: Normalize

    def outputs(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        """(batch, (predictions, counts)): every example once, in order."""
        protocol.check(self.how, self._task, self.source.name)
        if self.how.mode == "sliding" and jax.process_count() > 1:
            raise errors.UserError(
                f"mode 'sliding': found {jax.process_count()} processes, allowed: 1. "
                "Fix: evaluate afterwards with python -m jaxseg.evaluate"
            )
        views = self._sliding if self.how.mode == "sliding" else self._whole
        judge = self._program("judge")
        for batch, arrays, scores in views(variables):
            run = judge.compiled(scores, arrays, key=(scores, arrays))
            yield batch, run(scores, arrays)

    def _whole(self, variables: Variables) -> Iterator[tuple[Batch, Batch, Array]]:
        """(batch, the same on the devices, mean scores at the labels' size)."""
        # One stream per scale: they give the same examples in the same order.
        streams = [
            pipeline.eval_batches(
                self.source,
                normalize=self.normalize,
                size=protocol.canvas(self.size, scale),
                batch_size=self.batch_size,
                fields=self._fields,
                threads=self.threads,
                shard=(jax.process_index(), jax.process_count()),
            )
            for scale in self.how.scales
        ]
        for batches in zip(*streams, strict=True):
            total = 0.0
            for batch in batches:
                arrays = self.put(_without_objects(batch))
                for flip in self._flips:
                    total = total + self._scores(variables, arrays, flip)
            yield batch, arrays, total / self._views

    def _scores(self, variables: Variables, batch: Batch, flip: bool) -> Array:
        """[B, H, W, K] of whole images, at their labels' size in the labels' canvas."""
        out = batch[self._fields[1]].shape[1:3]
        seen = {name: batch[name] for name in ("image", "scaled")}
        sizes = {name: batch[name] for name in ("scaled", "label_size")}
        look = self._program("outputs", flip).compiled(variables, seen, key=seen)
        outputs = look(variables, seen)
        enlarged = self._program("scores", flip, out)
        return enlarged.compiled(outputs, sizes, key=(outputs, sizes))(outputs, sizes)

    def _sliding(self, variables: Variables) -> Iterator[tuple[Batch, Batch, Array]]:
        """The same, of one image each."""
        usual = self.source.dataset.size
        for example in read_ahead(self.source, self.threads):
            image = example["image"]
            size = image.shape[:2]
            total = 0.0
            for scale in self.how.scales:
                scaled = images.resize(image, images.scaled_size(size, scale))
                seen = self.normalize(scaled, name=example["id"])
                for flip in self._flips:
                    found = self._windows(variables, seen[:, ::-1] if flip else seen)
                    total = total + enlarge(found[:, ::-1] if flip else found, size)
            facts = {"valid": np.array(True), "label_size": np.array(size, np.int32)}
            (padded,) = pipeline.pad_labels([example | facts], usual)
            fields = [name for name in self._fields if name != "image"]
            batch = pipeline.stack([padded], (*fields, *facts))
            missing = np.subtract(batch[fields[0]].shape[1:3], size)
            after = [(0, 0), *((0, n) for n in missing), (0, 0)]
            yield batch, batch, np.pad(total[None] / self._views, after)

    def _windows(self, variables: Variables, image: np.ndarray) -> np.ndarray:
        """float32 [H, W, K] of a normalized image: mean scores of its windows."""
        height, width = self.size
        shape = tuple(
            max(pair) for pair in zip(image.shape[:2], self.size, strict=True)
        )
        padded = np.zeros((*shape, image.shape[2]), np.float32)  # 0 is the mean
        padded[: image.shape[0], : image.shape[1]] = image
        sides = zip(shape, self.size, strict=True)
        corners = itertools.product(
            *(protocol.starts(*side, self.how.overlap) for side in sides)
        )
        places = [np.s_[a : a + height, b : b + width] for a, b in corners]
        total, seen = None, np.zeros((*shape, 1), np.float32)
        for begin in range(0, len(places), self.batch_size):
            group = places[begin : begin + self.batch_size]
            windows = np.zeros((self.batch_size, *self.size, image.shape[2]), "f4")
            windows[: len(group)] = [padded[place] for place in group]
            arrays = self.put({"image": windows})
            run = self._program("windows").compiled(variables, arrays, key=arrays)
            scores = np.asarray(jax.device_get(run(variables, arrays)), np.float32)
            if total is None:
                total = np.zeros((*shape, scores.shape[-1]), np.float32)
            for place, found in zip(group, scores):
                total[place] += found
                seen[place] += 1
        return (total / seen)[: image.shape[0], : image.shape[1]]

    @property
    def _flips(self) -> tuple[bool, ...]:
        return (False, True) if self.how.flip else (False,)

    @property
    def _views(self) -> int:
        return len(self.how.scales) * len(self._flips)

    @property
    def _num_outputs(self) -> int:
        return build.outputs(self.task, self.source.dataset)

    @property
    def _task(self) -> Any:
        return build.task(self.task, self._num_outputs)

    @property
    def _fields(self) -> tuple[str, ...]:
        return ("image", *self._task.judged_fields_of(self.source.dataset))

    def _program(
        self, kind: str, flip: bool = False, out: tuple[int, int] | None = None
    ) -> compiled.Program:
        parts = [self.model, self.task, self._num_outputs, kind, flip, out]
        return _program(hashing.canonical(parts))


def read_ahead(source: Source, threads: int) -> Iterator[Example]:
    """All examples in order; threads read a few of them ahead of the caller."""
    with futures.ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque[futures.Future] = collections.deque()
        for index in range(len(source)):
            waiting.append(pool.submit(source.__getitem__, index))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def enlarge(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """float32 [*size, K] of maps [H, W, K]: `images_jnp.resize_to` for a single one.

    On the host: images have many sizes, and each would be a program of its own.
    """
    for axis, length in enumerate(size):
        have = maps.shape[axis]
        if have == length:
            continue
        place = (np.arange(length, dtype=np.float32) + 0.5) * (have / length) - 0.5
        place = np.clip(place, 0, have - 1)
        low = np.minimum(place.astype(int), max(have - 2, 0))
        share = (place - low).astype(np.float32)
        share = share.reshape([-1 if n == axis else 1 for n in range(3)])
        after = np.take(maps, np.minimum(low + 1, have - 1), axis=axis)
        maps = np.take(maps, low, axis=axis) * (1 - share) + after * share
    return maps


def mirror(maps: Array, widths: Array) -> Array:
    """Maps [B, H, W, K], the first `widths` [B] columns of each in reverse order."""
    columns = jnp.arange(maps.shape[2])[None]
    ends = widths[:, None]
    order = jnp.where(columns < ends, ends - 1 - columns, columns)
    return jnp.take_along_axis(maps, order[:, None, :, None], axis=2)


def _without_objects(batch: Batch) -> Batch:
    return {k: x for k, x in batch.items() if k not in dataset.OBJECT_FIELDS}


@functools.lru_cache(maxsize=256)
def _program(key: str) -> compiled.Program:
    """Shared by all equal callers, like those of `predict`."""
    model, task, num_outputs, kind, flip, out = json.loads(key)
    network, task = build.network(model, task, num_outputs)

    def windows(variables: Variables, batch: Batch) -> Array:
        image = batch["image"]
        outputs = network.apply(variables, image, train=False, head=task.name)
        return task.scores(outputs)

    def outputs(variables: Variables, batch: Batch) -> Array:
        image = batch["image"]
        image = mirror(image, batch["scaled"][:, 1]) if flip else image
        return network.apply(variables, image, train=False, head=task.name)

    def scores(outputs: Array, batch: Batch) -> Array:
        sizes = (batch["scaled"], batch["label_size"])
        found = task.scores(images_jnp.resize_to(outputs, *sizes, tuple(out)))
        return mirror(found, batch["label_size"][:, 1]) if flip else found

    def judge(scores: Array, batch: Batch) -> tuple[Array, Array]:
        predictions = task.decode(scores)
        return predictions, task.update(predictions, batch)

    functions = (windows, outputs, scores, judge)
    return compiled.Program({f.__name__: f for f in functions}[kind])
