"""Batches from several sources by weight; MixUp (Zhang et al. 2018, arXiv:1710.09412).

The order of sources is drawn in blocks of a thousand draws, and every source has
exactly its share of each block: batch n is known without the batches before it.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from jaxseg.core import errors, lookup
from jaxseg.core.types import Batch
from jaxseg.data import draws, parallel, pipeline, subsets
from jaxseg.data import transforms as transforms_lib
from jaxseg.data.source import Source

BLOCK = 1000


def mixed_batches(
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
    start: int = 0,
    threads: int = 2,
    workers: int = 0,
    prefetch: int = pipeline.PREFETCH,
    shard: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Batch, list[str]]]:
    """As `pipeline.train_batches`; `source` int32 [B] is the source of each row.

    unit: one source is drawn per "batch" or per "example".
    """
    lookup.pick(dict.fromkeys(subsets.UNITS), unit, kind="unit")
    _check_weights(sources, weights)
    make = MixedBatches(
        # With one seed, sources of equal length would get the same augmentation.
        tuple(
            draws.Draw.of(source, transforms, (seed, place), fields, views, clean)
            for place, source in enumerate(sources)
        ),
        Schedule(apportion(weights), seed),
        unit == "batch",
        batch_size,
        pipeline.check_shard(shard, batch_size),
    )
    what = " and ".join(source.name for source in sources)
    return parallel.ahead(
        make, start, what, threads=threads, workers=workers, prefetch=prefetch
    )


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The source of each draw, and the number of earlier draws from it."""

    shares: tuple[int, ...]  # of each source in a block
    seed: int

    def place(self, number: int) -> tuple[int, int]:
        """(source, number of earlier draws from it) of draw `number`."""
        block, within = divmod(number, BLOCK)
        order = block_order(self.shares, self.seed, block)
        source = int(order[within])
        earlier = int(np.count_nonzero(order[:within] == source))
        return source, block * self.shares[source] + earlier


@dataclasses.dataclass(frozen=True)
class MixedBatches:
    """Batch number n of several sources and the ids in it."""

    draws: tuple[draws.Draw, ...]
    schedule: Schedule
    whole: bool  # a batch is of one source
    batch_size: int
    shard: tuple[int, int]

    def __call__(self, number: int) -> tuple[Batch, list[str]]:
        rows = range(self.batch_size)[self.shard[0] :: self.shard[1]]
        if self.whole:
            source, earlier = self.schedule.place(number)
            places = [(source, earlier * self.batch_size + row) for row in rows]
        else:
            first = number * self.batch_size
            places = [self.schedule.place(first + row) for row in rows]
        drawn = [(self.draws[k], self.draws[k](index)) for k, index in places]
        batch, ids = pipeline.collate(drawn)
        return batch | {"source": np.array([k for k, _ in places], np.int32)}, ids


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
    rng = np.random.default_rng([seed, step, 1710])
    mix = np.float32(rng.beta(alpha, alpha))
    partner = rng.permutation(len(batch["image"]))
    image = mix * batch["image"] + (1 - mix) * batch["image"][partner]
    mixed = {"image": image, "other_label": batch["label"][partner]}
    return batch | mixed | {"mix": np.full(len(partner), mix, np.float32)}


def mixed_up(
    batches: Iterator[tuple[Batch, list[str]]], alpha: float, seed: int, first: int
) -> Iterator[tuple[Batch, list[str]]]:
    """The batches from number `first` on, each mixed by `mixup`."""
    with contextlib.closing(batches):
        for step, (batch, ids) in enumerate(batches, first):
            yield mixup(batch, alpha=alpha, seed=seed, step=step), ids


def _check_weights(sources: Sequence[Source], weights: Sequence[float | int]) -> None:
    names = ", ".join(source.name for source in sources)
    right = len(weights) == len(sources) > 0 and np.isfinite(weights).all()
    if not right or min(weights) <= 0 or min(apportion(weights)) == 0:
        raise errors.UserError(
            f"mixing {names}: found weights {list(weights)}; allowed is one above 0 "
            f"for each, none so small that it never occurs in {BLOCK} draws. Fix: give "
            "larger weights, or leave the source out."
        )
