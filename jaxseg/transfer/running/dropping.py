"""Weights that a run drops once nothing in its plan needs them, or makes again.

A training with store="metrics" keeps its weights while a stage of the plan that reads
them has not ended; a selection without a refit passes on those of its candidates.
"""

import collections
import contextlib
from collections.abc import Iterator, Sequence

from jaxseg.core import errors
from jaxseg.transfer import store as stores
from jaxseg.transfer.running.demand import Demand
from jaxseg.transfer.stage import Stage, kind


class Dropping:
    """The weights of a plan.

    lacking: {key: why} of artifacts without weights that `stages` need, which are made
    again, parents first.
    """

    def __init__(
        self,
        plan: Sequence[Stage],
        stages: Sequence[Stage],
        store: stores.Store,
        demand: Demand,
    ):
        self.store, self.demand = store, demand
        self.readers: dict[str, list[Stage]] = collections.defaultdict(list)
        for one in plan:
            for holder in _read(one):
                self.readers[holder.key].append(one)
        self.lacking: dict[str, str] = {}
        names = {one.name for one in stages}
        for one in reversed(stages):  # children first: one made again reads as well
            readers = [r for r in self.readers[one.key] if r.name in names]
            needing = [reader.name for reader in readers if not self._ended(reader)]
            asked = not _drops(one)
            if (needing or asked) and store.dropped(one.key):
                who = f"{needing[0]} needs them" if needing else "store is 'all'"
                self.lacking[one.key] = (
                    f"its weights were dropped and {who}: made again"
                )

    def made(self, one: Stage) -> None:
        """Drops what nothing needs now that a stage has ended."""
        self.lacking.pop(one.key, None)
        for holder in (one, *_read(one)):
            free = _drops(holder) and self.store.done(holder.key)
            if free and all(map(self._ended, self.readers[holder.key])):
                with contextlib.suppress(errors.Busy):  # the next run does it
                    what = f"stage {holder.name}"
                    with self.store.lock(holder.short, what):
                        self.store.drop(holder.key)

    def _ended(self, one: Stage) -> bool:
        """Whether a stage reads weights no more."""
        if one.key in self.lacking:
            return False
        there = self.store.done(one.key) or self.store.diverged(one.key) is not None
        return there or self.demand.never(one)


def _drops(one: Stage) -> bool:
    trained = kind(one.kind).training(one)
    return trained is not None and trained.spec.store == "metrics"


def _read(one: Stage) -> Iterator[Stage]:
    """The stages whose weights one reads, each with those that may stand for them."""
    waiting = list(kind(one.kind).uses(one))
    while waiting:
        each = waiting.pop()
        yield each
        waiting += kind(each.kind).lends(each)
