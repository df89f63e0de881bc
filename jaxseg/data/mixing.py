"""Batches from several sources by weight; MixUp (Zhang et al. 2018, arXiv:1710.09412).

The order of sources is drawn in blocks of a thousand draws, and every source has
exactly its share of each block: batch n is known without the batches before it.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from jaxseg.core import errors, lookup
from jaxseg.core.types import Batch
from jaxseg.data import draws, pipeline, subsets
from jaxseg.data import transforms as transforms_lib
from jaxseg.data.source import Source

BLOCK = 1000


def numbered(
    sources: Sequence[Source],
    weights: Sequence[float | int],
    *,
    transforms: Sequence[transforms_lib.Transform],
    batch_size: int,
    seed: int,
    fields: Sequence[str],
    unit: str = "batch",
    views: int = 1,
    clean: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> pipeline.Numbered:
    """As `pipeline.numbered`; `source` int32 [B] is the source of each row.

    unit: one source is drawn per "batch" or "example".
    """
    lookup.pick(dict.fromkeys(subsets.UNITS), unit, kind="unit")
    return MixedBatches(
        # With one seed, sources of equal length would get the same augmentation.
        tuple(
            draws.Draw.of(source, transforms, (seed, place), fields, views, clean)
            for place, source in enumerate(sources)
        ),
        Schedule.of([source.name for source in sources], weights, seed),
        unit == "batch",
        batch_size,
        pipeline.rows_of(shard, batch_size),
    )


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The source of each draw, and the number of earlier draws from it."""

    shares: tuple[int, ...]  # of each source in a block
    seed: int

    @classmethod
    def of(
        cls, names: Sequence[str], weights: Sequence[float | int], seed: int
    ) -> "Schedule":
        """Of sources with these names; UserError for one that would never occur."""
        _check_weights(names, weights)
        return cls(apportion(weights), seed)

    def place(self, number: int) -> tuple[int, int]:
        """(source, number of earlier draws from it) of draw `number`."""
        block, within = divmod(number, BLOCK)
        source = int(block_order(self.shares, self.seed, block)[within])
        return source, self.before(number)[source]

    def before(self, number: int) -> list[int]:
        """How many of the draws before draw `number` are of each source."""
        block, within = divmod(number, BLOCK)
        order = block_order(self.shares, self.seed, block)[:within]
        begun = np.bincount(order, minlength=len(self.shares))
        return (block * np.array(self.shares) + begun).tolist()


@dataclasses.dataclass(frozen=True)
class MixedBatches:
    """Some `rows` of batch number n of several sources, and the ids in them."""

    draws: tuple[draws.Draw, ...]
    schedule: Schedule
    whole: bool  # a batch is of one source
    batch_size: int
    rows: Sequence[int]

    def __call__(self, number: int) -> tuple[Batch, list[str]]:
        if self.whole:
            source, earlier = self.schedule.place(number)
            places = [(source, earlier * self.batch_size + row) for row in self.rows]
        else:
            first = number * self.batch_size
            places = [self.schedule.place(first + row) for row in self.rows]
        drawn = [(self.draws[k], self.draws[k](index)) for k, index in places]
        batch, ids = pipeline.collate(drawn)
        return batch | {"source": np.array([k for k, _ in places], np.int32)}, ids


@dataclasses.dataclass(frozen=True)
class PartBatches:
    """Batch number n of several parts: the next of one part, whose batches are those of
    a training of its own.
    """

    parts: tuple[pipeline.Numbered, ...]
    schedule: Schedule

    def __call__(self, number: int) -> tuple[Batch, list[str]]:
        part, earlier = self.schedule.place(number)
        return self.parts[part](earlier)


@functools.lru_cache(maxsize=8)
def block_order(shares: tuple[int, ...], seed: int, block: int) -> np.ndarray:
    """int [BLOCK]: the source of each draw of a block."""
    every = np.repeat(np.arange(len(shares)), shares)
    return np.random.default_rng([seed, block, BLOCK]).permutation(every)


def apportion(weights: Sequence[float | int]) -> tuple[int, ...]:
    """Whole draws of each source in a block, by largest remainder."""
    exact = np.array(weights, np.float64) / np.sum(weights) * BLOCK
    shares = np.floor(exact).astype(int)
    most = np.argsort(shares - exact, kind="stable")[: BLOCK - shares.sum()]
    shares[most] += 1
    return tuple(shares.tolist())


def mixup(batch: Batch, *, alpha: float, seed: int, step: int) -> Batch:
    """Mixes images in pairs: `mix` is the weight of `label`, 1 - mix of `other_label`.

    Adds other_label int32 [B] and mix float32 [B], one share drawn from
    Beta(alpha, alpha) for the whole batch.
    """
    mix, partners = _pairs(len(batch["image"]), alpha, seed, step)
    return _mixed(batch, {n: batch[n][partners] for n in ("image", "label")}, mix)


def _pairs(
    count: int, alpha: float, seed: int, step: int
) -> tuple[np.float32, np.ndarray]:
    """The share of a step, and the row int [count] that each row is mixed with."""
    rng = np.random.default_rng([seed, step, 1710])
    return np.float32(rng.beta(alpha, alpha)), rng.permutation(count)


def _mixed(batch: Batch, others: Batch, mix: np.float32) -> Batch:
    image = mix * batch["image"] + (1 - mix) * others["image"]
    mixed = {"image": image, "other_label": others["label"]}
    return batch | mixed | {"mix": np.full(len(image), mix, np.float32)}


@dataclasses.dataclass(frozen=True)
class MixedUp:
    """Batch number n, mixed by `mixup`: some of its rows, with the same partners.

    Partners that other processes have are read here as well.
    """

    batches: pipeline.TrainBatches | MixedBatches
    alpha: float
    seed: int

    def __call__(self, number: int) -> tuple[Batch, list[str]]:
        count, rows = self.batches.batch_size, list(self.batches.rows)
        if len(rows) == count:
            batch, ids = self.batches(number)
            return mixup(batch, alpha=self.alpha, seed=self.seed, step=number), ids
        mix, partners = _pairs(count, self.alpha, self.seed, number)
        read = np.union1d(rows, partners[rows])
        batch, ids = dataclasses.replace(self.batches, rows=read.tolist())(number)
        own, others = np.searchsorted(read, rows), np.searchsorted(read, partners[rows])
        every = [{n: x[these] for n, x in batch.items()} for these in (own, others)]
        return _mixed(*every, mix), [ids[place] for place in own]


def _check_weights(names: Sequence[str], weights: Sequence[float | int]) -> None:
    right = len(weights) == len(names) > 0 and np.isfinite(weights).all()
    if not right or min(weights) <= 0 or min(apportion(weights)) == 0:
        raise errors.UserError(
            f"mixing {', '.join(names)}: found weights {list(weights)}; allowed is one "
            f"above 0 for each, none so small that it never occurs in {BLOCK} draws. "
            "Fix: give larger weights, or leave the source out."
        )
