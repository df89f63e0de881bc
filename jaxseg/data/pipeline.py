"""Batches from a source: shuffled, sharded, transformed and stacked in threads (grain).

The position of the training stream is one integer, the number of batches taken. What
an example looks like depends on (seed, its place in the stream) and nothing else.
"""

import dataclasses
import functools
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import process
from typing import Any

import grain
import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Batch, Example
from jaxseg.data import geometry
from jaxseg.data import transforms as transforms_lib
from jaxseg.data.dataset import IGNORE, OBJECT_FIELDS
from jaxseg.data.source import Source

ENDLESS = 2**48  # examples; sys.maxsize overflows inside grain
PREFETCH = 4  # batches in flight: enough to hide a slow one, little memory
MAX_OBJECTS = 100  # of an image in training, as many as COCO's evaluation looks at
# Labels that evaluation compares at the original size, and what pads a whole row.
AS_THEY_ARE = ("segmentation", "depth", *OBJECT_FIELDS)
NOTHING = {"segmentation": IGNORE, "depth": 0, "box_labels": -1}
LABEL_SIDE = 128  # of the smallest common label size, see `common_size`
OBJECT_STEP = 64  # fewest rows of objects; the others follow in `round_up`


def train_batches(
    source: Source,
    *,
    transforms: Sequence[transforms_lib.Transform],
    batch_size: int,
    seed: int,
    fields: Sequence[str],
    start: int = 0,
    threads: int = 2,
    workers: int = 0,
    prefetch: int = PREFETCH,
    shard: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Batch, list[str]]]:
    """Endless (batch, ids): whitened float32 [B, H, W, C] and the other `fields`.

    Each epoch has an order of its own and a batch may cross into the next, so that no
    example is dropped. start: batches already taken. workers: processes that make the
    batches instead of threads, for images so large that threads wait for each other.
    shard (p, n): rows p::n of each batch of `batch_size`, so that n processes together
    see the same batches as one.
    """
    draw = Draw.of(source, transforms, (seed,), fields)
    make = TrainBatches(draw, batch_size, check_shard(shard, batch_size))
    return ahead(
        make, start, source.name, threads=threads, workers=workers, prefetch=prefetch
    )


@dataclasses.dataclass(frozen=True)
class Draw:
    """Example number n of the endless stream of one source; the image still 8 bits."""

    source: Source
    steps: tuple[transforms_lib.Transform, ...]
    whiten: transforms_lib.Whiten
    seed: tuple[int, ...]
    fields: tuple[str, ...]

    @classmethod
    def of(
        cls,
        source: Source,
        transforms: Sequence[transforms_lib.Transform],
        seed: tuple[int, ...],
        fields: Sequence[str],
    ) -> "Draw":
        """The stream that these transforms make of a source."""
        _check_fields(fields, source)
        *steps, whiten = whitened(transforms, source)
        return cls(source, tuple(steps), whiten, seed, tuple(fields))

    def __call__(self, number: int) -> Example:
        epoch, index = divmod(number, len(self.source))
        order = epoch_order(self.seed[0], epoch, len(self.source))
        example = _needed(self.source[int(order[index])], self.fields)
        rng = np.random.default_rng([self.seed[0], number, *self.seed[1:]])
        for step in self.steps:
            example = step(example, rng)
        return example


@dataclasses.dataclass(frozen=True)
class TrainBatches:
    """Batch number n of one source and the ids in it, as one of several processes."""

    draw: Draw
    batch_size: int
    shard: tuple[int, int]

    def __call__(self, number: int) -> tuple[Batch, list[str]]:
        first = number * self.batch_size
        rows = range(first, first + self.batch_size)[self.shard[0] :: self.shard[1]]
        return collate([(self.draw, self.draw(row)) for row in rows])


def collate(drawn: Sequence[tuple[Draw, Example]]) -> tuple[Batch, list[str]]:
    """A training batch of examples, each with what drew it, and their ids."""
    examples = pad_objects([example for _, example in drawn], limit=MAX_OBJECTS)
    ids = [example["id"] for example in examples]
    return stack(examples, drawn[0][0].fields, [draw.whiten for draw, _ in drawn]), ids


def eval_batches(
    source: Source,
    *,
    whiten: transforms_lib.Whiten,
    size: tuple[int, int],
    batch_size: int,
    fields: Sequence[str],
    threads: int = 2,
    prefetch: int = PREFETCH,
    shard: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Every example once, in order, whole images fitted into `size` (height, width).

    whiten: with the mean and std of a model's training, whatever the source's own are;
    the mean also fills the canvas.
    Adds valid bool [B], False for the rows that fill up the last batch; scaled int32
    [B, 2], the image's size within the canvas; label_size int32 [B, 2], its original
    size. Labels stay as they are: segmentation and depth at the original size, padded
    with IGNORE and 0 to a common one, boxes and keypoints relative to the whole image.
    """
    place, num_shards = check_shard(shard, batch_size)
    _check_fields(fields, source)
    fit = transforms_lib.Fit(*size, fill=whiten.mean)
    rows = batch_size // num_shards

    def prepare(index: int) -> Example:
        if index >= len(source):
            return {}
        example = _needed(source[index], fields)
        labels = {"label_size": np.array(example["image"].shape[:2], np.int32)}
        for name in AS_THEY_ARE:
            if name in example:
                labels[name] = example.pop(name)
        return fit(example) | labels | {"valid": np.array(True)}

    def collate(examples: Sequence[Example]) -> Batch:
        real = [example for example in examples if example]
        filler = (real or [prepare(len(source) - 1)])[0] | {"valid": np.array(False)}
        for name, nothing in NOTHING.items():
            if name in filler:
                filler[name] = np.full_like(filler[name], nothing)
        full = real + [filler] * (rows - len(real))
        extra = ("valid", "scaled", "label_size")
        full = pad_objects(pad_labels(full, source.dataset.size), limit=None)
        return stack(full, (*fields, *extra), [whiten] * rows)

    # Every process yields as many batches as any other, or a collective would wait.
    total = -(-len(source) // batch_size) * batch_size
    indices = grain.MapDataset.range(total).map(prepare)[place::num_shards]
    return _in_threads(indices.batch(rows, batch_fn=collate), threads, prefetch)


def pad_labels(
    examples: Sequence[Example], usual: tuple[int, int] | None
) -> list[Example]:
    """Segmentation and depth padded to one size, that of `common_size`."""
    names = [name for name in ("segmentation", "depth") if name in examples[0]]
    if not names:
        return list(examples)
    common = common_size([example[names[0]].shape for example in examples], usual)
    padded = []
    for example in examples:
        labels = {name: example[name] for name in names}
        padded.append(example | geometry.pad_pixels(labels, common))
    return padded


def common_size(
    sizes: Sequence[tuple[int, int]], usual: tuple[int, int] | None
) -> tuple[int, int]:
    """(height, width) that maps of these sizes fit into: `usual` where all have it,
    else powers of two from LABEL_SIDE on: few shapes, few programs.
    """
    if usual is not None and set(sizes) == {tuple(usual)}:
        return tuple(usual)
    longest = (max(lengths) for lengths in zip(*sizes))
    height, width = (max(LABEL_SIDE, 1 << (n - 1).bit_length()) for n in longest)
    return height, width


def pad_objects(examples: Sequence[Example], limit: int | None) -> list[Example]:
    """Object fields with one number of rows; box_labels are -1 in those added.

    limit: that number; of more objects the largest are kept, crowds before all: what
    they cover must not count as background. None: as many rows as the fullest example
    needs, rounded up.
    """
    names = [name for name in OBJECT_FIELDS if name in examples[0]]
    if not names:
        return list(examples)
    rows = limit or round_up(max(len(example[names[0]]) for example in examples) or 1)
    padded = []
    for example in examples:
        objects = {name: example[name] for name in names}
        if len(objects[names[0]]) > rows:
            size = box_areas(geometry.object_corners(example))
            size = np.where(geometry.regions(example), np.inf, size)
            largest = np.sort(np.argsort(-size, kind="stable")[:rows])
            objects = {name: array[largest] for name, array in objects.items()}
        missing = rows - len(objects[names[0]])
        for name, array in objects.items():
            after = [(0, missing)] + [(0, 0)] * (array.ndim - 1)
            fill = -1 if name == "box_labels" else 0
            objects[name] = np.pad(array, after, constant_values=fill)
        padded.append(example | objects)
    return padded


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """float [N] of boxes [N, 4]; negative sizes count as none."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


@functools.lru_cache(maxsize=8)
def epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """int [length], the order of the examples in an epoch.

    grain's own shuffle takes 2 ms an example for a set of 20: small sets matter here.
    """
    return np.random.default_rng([seed, epoch, length]).permutation(length)


def round_up(length: int) -> int:
    """The next of 64, 128, 192, 256, 384, 512, 768, ...: few shapes, few programs."""
    step = OBJECT_STEP
    while 3 * step < length:
        step *= 2
    return next(n * step for n in (1, 2, 3) if n * step >= length)


def whitened(
    transforms: Sequence[transforms_lib.Transform], source: Source
) -> list[transforms_lib.Transform]:
    """The transforms as this dataset needs them, whitening at the end."""
    filled = [step.for_dataset(source.dataset) for step in transforms]
    steps = transforms_lib.fuse(filled)
    places = [isinstance(step, transforms_lib.Whiten) for step in steps]
    if not any(places):
        return [*steps, transforms_lib.Whiten().for_dataset(source.dataset)]
    if places.index(True) < len(steps) - 1:
        raise errors.UserError(
            "transforms: whiten is followed by others, which see 8-bit images. Fix: "
            "put it last, or leave it out: it is always done."
        )
    return steps


def stack(
    examples: Sequence[Example],
    fields: Sequence[str],
    whitens: Sequence[transforms_lib.Whiten] = (),
) -> Batch:
    """The `fields` of some examples with a leading batch axis.

    whitens: one for each example, which writes its image right into the batch.
    """
    for name in fields:
        shapes = sorted({np.shape(example[name]) for example in examples})
        if len(shapes) > 1:
            raise errors.UserError(
                f"{name}: examples of one batch have the shapes {shapes}. Fix: end the "
                "transforms with crop (or fit), which makes them alike."
            )
    white = ("image",) if whitens and "image" in fields else ()
    rest = [name for name in fields if name not in white]
    batch = {name: np.stack([example[name] for example in examples]) for name in rest}
    if white:
        shape = (len(examples), *examples[0]["image"].shape)
        batch["image"] = np.empty(shape, np.float32)
        for example, whiten, out in zip(examples, whitens, batch["image"], strict=True):
            whiten.write(example, out)
    return batch


def _needed(example: Example, fields: Sequence[str]) -> Example:
    """Only what is asked for: boxes that no task uses must not choose the crops."""
    return {name: example[name] for name in {"image", "id", *fields}}


def ahead(
    make: Callable[[int], Any],
    start: int,
    what: str,
    *,
    threads: int,
    workers: int,
    prefetch: int,
) -> Iterator[Any]:
    """make(start), make(start + 1), ... of `what`, in order, ahead of the caller."""
    if workers:
        return _in_processes(make, start, what, workers, prefetch)
    numbers = grain.MapDataset.range(ENDLESS)[start:]
    return _in_threads(numbers.map(make), threads, prefetch)


def _in_processes(
    make: Callable[[int], Any], start: int, what: str, workers: int, prefetch: int
) -> Iterator[Any]:
    """As `_in_threads`; grain's own processes need command-line flags to be parsed."""
    pool = futures.ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),  # a fork of threads hangs
        initializer=_keep,
        initargs=(make,),
    )
    pending: list[futures.Future] = []
    try:
        for number in itertools.count(start):
            later = range(number + len(pending), number + workers + prefetch + 1)
            pending += [pool.submit(_make, other) for other in later]
            yield pending.pop(0).result()
    except process.BrokenProcessPool as error:
        raise errors.UserError(
            f"{what}: a process that made batches, now number {number} and on, ended: "
            "most likely killed by the system, out of memory. Fix: fewer run/workers "
            f"(found {workers}; 0: threads), a smaller batch_size or size; the same "
            "command goes on from the last checkpoint."
        ) from error
    finally:  # the caller may stop anywhere
        pool.shutdown(cancel_futures=True)


_kept: list[Callable[[int], Any]] = []  # in a worker process: what it was started for


def _keep(make: Callable[[int], Any]) -> None:
    _kept[:] = [make]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent saves first
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed outright has no time to stop its workers."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _make(number: int) -> Any:
    return _kept[0](number)


def _in_threads(
    batches: grain.MapDataset, threads: int, prefetch: int
) -> Iterator[Any]:
    """The batches in order, made ahead of the caller by `threads` threads."""
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    iterator = iter(batches.to_iter_dataset(options))
    mistake = errors.UserError  # modules may be gone when the interpreter ends this
    try:
        yield from iterator
    except mistake as error:  # without grain's remarks on its traceback
        raise mistake(str(error)) from error.__cause__
    finally:  # the caller may stop anywhere
        iterator.close()


def check_shard(shard: tuple[int, int], batch_size: int) -> tuple[int, int]:
    place, num_shards = shard
    if not 0 <= place < num_shards or batch_size <= 0 or batch_size % num_shards:
        raise errors.UserError(
            f"batch_size={batch_size} does not divide among {num_shards} processes "
            f"(this is number {place}). Fix: set a multiple of {num_shards}."
        )
    return place, num_shards


def _check_fields(fields: Sequence[str], source: Source) -> None:
    known = source.dataset.fields
    missing = [name for name in fields if name not in known]
    if missing:
        raise errors.UserError(
            f"{source.name} has no {', '.join(missing)}; it has {', '.join(known)}. "
            "Fix: choose a task that these suffice for, or another dataset."
        )
