"""The parts of a training, open: each one data set, its task and its batches.

A training of one data set and task has one part, called "". Of several parts, the one
that a step trains depends on the seed and the step alone.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.core import draw
from jaxseg.data import mixing, pipeline, transforms
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.tasks import build
from jaxseg.transfer.spec import PartSpec, TrainSpec


class Part:
    """One part: sources, task, and what it says in the manifest.

    measured: options of the task that the training examples decide; `spec` has them.
    """

    def __init__(self, spec: PartSpec):
        self.sources = tuple(data.open() for data in spec.data.all)
        self.facts = self.sources[0].dataset
        outputs = build.outputs(spec.task, self.facts)
        objective = build.task(spec.task, outputs)
        self.measured = objective.measured(self.sources[0])
        self.spec = dataclasses.replace(spec, task={**spec.task, **self.measured})
        self.task = build.task(self.spec.task, outputs)
        self.normalize = Normalize.of(self.facts)

    def batches(self, training: TrainSpec, shard: tuple[int, int]) -> pipeline.Numbered:
        """Batch number n, as in a training of this part alone."""
        data, seed = self.spec.data, training.seed
        options: dict[str, Any] = dict(
            transforms=[transforms.build(step) for step in data.augment],
            batch_size=training.batch_size,
            seed=seed,
            fields=("image", *self.task.fields_of(self.facts)),
            views=self.task.views,
            clean=self.task.clean,
            shard=shard,
        )
        if data.mix:
            weights = [one.weight for one in data.all]
            made = mixing.numbered(self.sources, weights, unit=data.unit, **options)
        else:
            made = pipeline.numbered(self.sources[0], **options)
        return mixing.MixedUp(made, training.mixup, seed) if training.mixup else made

    def described(self) -> dict[str, Any]:
        """What a manifest says of its head."""
        facts = self.facts
        palette = draw.full_palette(facts.palette, facts.num_classes)
        return {
            "task": self.spec.task,
            "measured": self.measured,
            "classes": list(facts.classes),
            "palette": [list(color) for color in palette],
            "preprocessing": {
                "mean": list(facts.mean),
                "std": list(facts.std),
                "size": list(self.spec.data.size),
                "channels": len(facts.mean),
            },
        }


class Parts:
    """All parts of a training by name, and which of them each step trains."""

    def __init__(self, spec: TrainSpec):
        self.by_name = {name: Part(part) for name, part in spec.by_part.items()}
        self.names = tuple(self.by_name)
        weights = [part.weight for part in spec.by_part.values()]
        self.schedule = mixing.Schedule.of(self.names, weights, spec.seed)
        self.spec = spec.with_parts(lambda name, _: self.by_name[name].spec)

    @property
    def sources(self) -> list[Source]:
        """Of the training, in order."""
        return [source for part in self.by_name.values() for source in part.sources]

    @property
    def first(self) -> str:
        """The part whose head is meant where none is named: that of the headline."""
        headline = self.spec.headline
        return self.names[0] if headline is None else self.spec.part_of(headline)

    def at(self, index: int) -> str:
        """The name of the part that step `index`, from 0, trains."""
        return self.names[self.schedule.place(index)[0]]

    def taken(self, steps: int) -> dict[str, int]:
        """{name: how many of the first `steps` steps train it}."""
        return dict(zip(self.names, self.schedule.before(steps), strict=True))

    def batches(self, shard: tuple[int, int]) -> pipeline.Numbered:
        """Batch number n of the training."""
        every = [part.batches(self.spec, shard) for part in self.by_name.values()]
        if len(every) == 1:
            return every[0]
        return mixing.PartBatches(tuple(every), self.schedule)

    def described(self) -> dict[str, Any]:
        """Of a manifest: what is of the first head, and of each where parts have names;
        the heads, the first one first.
        """
        every = {name: part.described() for name, part in self.by_name.items()}
        heads: Mapping[str, int] = self.by_name[self.first].task.heads
        outputs = {**heads, **self.spec.heads}
        named = {"parts": every} if self.spec.parts else {}
        return every[self.first] | named | {"heads": list(outputs), "outputs": outputs}
