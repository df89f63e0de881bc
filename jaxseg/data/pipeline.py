"""Batches from a source: shuffled, sharded, transformed and stacked in threads (grain).

The position of the training stream is one integer, the number of batches taken. The
augmentation of an example depends only on (seed, its place in the stream); with several
views, on the number of the view as well.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Batch, Example
from jaxseg.data import draws, geometry, parallel
from jaxseg.data import transforms as transforms_lib
from jaxseg.data.dataset import (
    IGNORE,
    IMAGE_FIELDS,
    LABEL_MAPS,
    OBJECT_FIELDS,
)
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source

Numbered = Callable[[int], tuple[Batch, list[str]]]  # batch number n and its ids
PREFETCH = 4  # batches in flight: enough to hide a slow one, little memory
MAX_OBJECTS = 100  # per image in training, as many as COCO's evaluation uses
# Labels that evaluation compares at the original size, and their padding values.
AS_THEY_ARE = (*LABEL_MAPS, *OBJECT_FIELDS)
NOTHING = {"segmentation": IGNORE, "depth": 0, "box_labels": -1}
LABEL_SIDE = 128  # of the smallest common label size, see `common_size`
OBJECT_STEP = 64  # fewest rows of objects; the others follow in `round_up`


def train_batches(
    source: Source,
    *,
    start: int = 0,
    threads: int = 2,
    workers: int = 0,
    prefetch: int = PREFETCH,
    **options: Any,
) -> Iterator[tuple[Batch, list[str]]]:
    """Endless (batch, ids): normalized float32 [B, H, W, C] and the other `fields`.

    start: batches already taken. workers: processes that make the batches instead of
    threads, for images so large that threads wait for each other. options: of
    `numbered`.

    >>> from jaxseg.data import source as source_lib
    >>> data = source_lib.open("worlds/driving_day", split="train", count=4)
    >>> given = dict(transforms=(), batch_size=2, seed=0, fields=("image",))
    >>> batch, ids = next(train_batches(data, **given))
    >>> batch["image"].shape
    (2, 64, 64, 3)
    """
    make = numbered(source, **options)
    return parallel.ahead(
        make, start, source.name, threads=threads, workers=workers, prefetch=prefetch
    )


def numbered(
    source: Source,
    *,
    transforms: Sequence[transforms_lib.Transform],
    batch_size: int,
    seed: int,
    fields: Sequence[str],
    views: int = 1,
    clean: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Numbered:
    """Batch number n of the stream of `train_batches`, from 0.

    Each epoch has an order of its own and a batch may cross into the next, so that no
    example is dropped. views: above 1, each record is drawn so often: `image` is then
    [B, V, H, W, C], and so are maps of labels. clean: adds `clean`, like `image` and
    moved with it, but without the transforms of colors (blur, jitter). shard (p, n):
    the p-th of n equal parts of the rows of each batch of `batch_size`, so that n
    processes together have the same batches as one.
    """
    draw = draws.Draw.of(source, transforms, (seed,), fields, views=views, clean=clean)
    return TrainBatches(draw, batch_size, rows_of(shard, batch_size))


@dataclasses.dataclass(frozen=True)
class TrainBatches:
    """Some `rows` of batch number n of one source, and the ids in them."""

    draw: draws.Draw
    batch_size: int
    rows: Sequence[int]

    def __call__(self, number: int) -> tuple[Batch, list[str]]:
        first = number * self.batch_size
        return collate([(self.draw, self.draw(first + row)) for row in self.rows])


def collate(drawn: Sequence[tuple[draws.Draw, Example]]) -> tuple[Batch, list[str]]:
    """A training batch of examples, each with its `Draw`, and their ids."""
    examples = pad_objects([example for _, example in drawn], limit=MAX_OBJECTS)
    ids = [example["id"] for example in examples]
    return stack(
        examples, drawn[0][0].fields, [draw.normalize for draw, _ in drawn]
    ), ids


def eval_batches(
    source: Source,
    *,
    normalize: Normalize,
    size: tuple[int, int],
    batch_size: int,
    fields: Sequence[str],
    threads: int = 2,
    prefetch: int = PREFETCH,
    shard: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Every example once, in order, whole images fitted into `size` (height, width).

    normalize: with the mean and std of the model's training, not those of the source;
    the mean also fills the canvas.
    Adds valid bool [B], False for the rows that fill up the last batch; scaled int32
    [B, 2], the image's size within the canvas; label_size int32 [B, 2], its original
    size. Labels stay as they are: segmentation and depth at the original size, padded
    with IGNORE and 0 to a common one, boxes and keypoints relative to the whole image.
    """
    rows = rows_of(shard, batch_size)
    draws.check_fields(fields, source)
    letterbox = transforms_lib.Letterbox(*size, fill=normalize.mean)

    def prepare(index: int) -> Example:
        if index >= len(source):
            return {}
        example = draws.needed(source[index], fields)
        labels = {"label_size": np.array(example["image"].shape[:2], np.int32)}
        for name in AS_THEY_ARE:
            if name in example:
                labels[name] = example.pop(name)
        return letterbox(example) | labels | {"valid": np.array(True)}

    def collate(examples: Sequence[Example]) -> Batch:
        real = [example for example in examples if example]
        filler = without_labels((real or [prepare(len(source) - 1)])[0])
        full = real + [filler] * (len(rows) - len(real))
        extra = ("valid", "scaled", "label_size")
        full = pad_objects(pad_labels(full, source.dataset.size), limit=None)
        return stack(full, (*fields, *extra), [normalize] * len(rows))

    examples = _in_rows(len(source), rows, batch_size).map(prepare)
    batches = examples.batch(len(rows), batch_fn=collate)
    return parallel.in_threads(batches, threads, prefetch)


def once(
    draw: draws.Draw,
    *,
    batch_size: int,
    threads: int = 2,
    prefetch: int = PREFETCH,
    shard: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Every example of a draw once, in order, transformed by draw number n for example
    n. Adds valid bool [B], False for the rows that fill up the last batch.
    """
    count, rows = len(draw.source), rows_of(shard, batch_size)

    def prepare(index: int) -> Example:
        example = draw.of_record(min(index, count - 1), index)
        filler = index >= count
        return (
            without_labels(example) if filler else example | {"valid": np.array(True)}
        )

    def batch(examples: Sequence[Example]) -> Batch:
        full = pad_objects(examples, limit=MAX_OBJECTS)
        return stack(full, (*draw.fields, "valid"), [draw.normalize] * len(rows))

    batches = (
        _in_rows(count, rows, batch_size).map(prepare).batch(len(rows), batch_fn=batch)
    )
    return parallel.in_threads(batches, threads, prefetch)


def _in_rows(count: int, rows: range, batch_size: int) -> grain.MapDataset:
    """The numbers of examples in these rows of all batches, those beyond `count` too:
    all processes have equally many, or a collective operation would hang.
    """
    total = -(-count // batch_size) * len(rows)

    def number(index: int) -> int:
        batch, row = divmod(index, len(rows))
        return batch * batch_size + rows[row]

    return grain.MapDataset.range(total).map(number)


def without_labels(example: Example) -> Example:
    """A row that fills up a batch: `valid` is False, labels say nothing."""
    empty = {n: np.full_like(example[n], x) for n, x in NOTHING.items() if n in example}
    return example | empty | {"valid": np.array(False)}


def pad_labels(
    examples: Sequence[Example], usual: tuple[int, int] | None
) -> list[Example]:
    """Segmentation and depth padded to one size, that of `common_size`."""
    names = [name for name in LABEL_MAPS if name in examples[0]]
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
    """(height, width) that maps of these sizes fit into: `usual` if all have it, else
    powers of two from LABEL_SIDE on: few shapes need few compiled programs.
    """
    if usual is not None and set(sizes) == {tuple(usual)}:
        return tuple(usual)
    longest = (max(lengths) for lengths in zip(*sizes))
    height, width = (max(LABEL_SIDE, 1 << (n - 1).bit_length()) for n in longest)
    return height, width


def pad_objects(examples: Sequence[Example], limit: int | None) -> list[Example]:
    """Object fields with one number of rows; box_labels are -1 in those added.

    limit: that number; of more objects the largest are kept, crowds first, since their
    pixels must not count as background. None: as many rows as the largest example
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


def enlarged(batch: Batch, shapes: Mapping[str, Sequence[int]]) -> Batch:
    """Labels of a batch padded to these shapes, as `pad_labels`, `pad_objects` do."""
    padded = {}
    for name, shape in shapes.items():
        after = [(0, more - have) for more, have in zip(shape, batch[name].shape)]
        padded[name] = np.pad(batch[name], after, constant_values=NOTHING.get(name, 0))
    return batch | padded


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """float [N] of boxes [N, 4]; negative sizes count as none."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def round_up(length: int) -> int:
    """The next of 64, 128, 192, 256, 384, 512, 768, ...: few shapes to compile."""
    step = OBJECT_STEP
    while 3 * step < length:
        step *= 2
    return next(n * step for n in (1, 2, 3) if n * step >= length)


def stack(
    examples: Sequence[Example], fields: Sequence[str], steps: Sequence[Normalize] = ()
) -> Batch:
    """The `fields` of some examples with a leading batch axis.

    steps: one for each example, which writes its images directly into the batch.
    """
    for name in fields:
        draws.check_alike(name, [example[name] for example in examples])
    written = [name for name in IMAGE_FIELDS if steps and name in fields]
    rest = [name for name in fields if name not in written]
    batch = {name: np.stack([example[name] for example in examples]) for name in rest}
    for name in written:
        shape = (len(examples), *examples[0][name].shape)
        batch[name] = np.empty(shape, np.float32)
        for example, normalize, out in zip(examples, steps, batch[name]):
            views = (x.reshape(-1, *shape[-3:]) for x in (example[name], out))
            for image, place in zip(*views):
                normalize(image, place, name=example["id"])
    return batch


def rows_of(shard: tuple[int, int], batch_size: int) -> range:
    """The rows of a batch that a process (number, of how many) has."""
    place, num_shards = shard
    if not 0 <= place < num_shards or batch_size <= 0 or batch_size % num_shards:
        raise errors.UserError(
            f"batch_size={batch_size} does not divide among {num_shards} processes "
            f"(this is number {place}). Fix: set a multiple of {num_shards}."
        )
    rows = batch_size // num_shards
    return range(place * rows, (place + 1) * rows)
