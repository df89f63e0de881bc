"""The mean loss of an objective on a source: every example is counted once."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxseg.core import compiled, hashing, hosts
from jaxseg.core.types import Array, Batch, Variables
from jaxseg.data import draws, pipeline
from jaxseg.data import transforms as transforms_lib
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.evals import protocol
from jaxseg.evals.evaluator import Measured
from jaxseg.metrics import mean_loss
from jaxseg.tasks import build


@dataclasses.dataclass(frozen=True)
class LossEvaluator:
    """The loss over a whole source, in evaluation mode; of a task as well.

    Images are letterboxed, and their labels with them. Where the objective takes
    several views, or asks for it, `transforms` draw them as in training. All that is
    drawn depends on the number of the example or the batch alone: equal weights have
    equal losses.

    >>> from jaxseg.data import source as source_lib
    >>> from jaxseg.models import model as models
    >>> source = source_lib.open("worlds/driving_day", split="validation", count=2)
    >>> task, outputs = {"name": "segmentation"}, source.dataset.num_classes
    >>> model = {"backbone": {"name": "unet", "variant": "tiny"}}
    >>> model["head"] = {"name": "linear"}
    >>> network, _ = build.network(model, task, outputs)
    >>> variables = models.init(network, (64, 64, 3), seed=0)
    >>> normalize = Normalize.of(source.dataset)
    >>> evaluate = LossEvaluator(model, task, outputs, (64, 64), normalize, source)
    >>> 1 < evaluate(variables)["loss"] < 3
    True
    """

    model: dict[str, Any]  # resolved section
    task: dict[str, Any]  # resolved section
    num_outputs: int
    size: protocol.Size  # (height, width) of the letterbox
    normalize: Normalize  # by the mean and std of the images of training
    source: Source
    transforms: Sequence[transforms_lib.Transform] = ()  # those of training
    batch_size: int = 1
    put: Callable[[Batch], Batch] = jax.device_put  # NumPy -> arrays on the devices
    threads: int = 2  # that read examples

    headline: ClassVar[str] = mean_loss.NAME
    higher_is_better: ClassVar[bool] = False

    def __call__(self, variables: Variables) -> dict[str, float]:
        """{"loss": mean over the whole source} and what the loss logs."""
        return self.measure(variables).values

    def measure(self, variables: Variables) -> Measured:
        """The losses over the whole source, and their protocol."""
        metric = mean_loss.MeanLoss()
        state = metric.zeros()
        for rows in self._run("rows", variables):
            state = metric.merge(state, rows)
        values = hosts.first(lambda: metric.compute(state, ()))
        return Measured(values, None, self._protocol())

    def judged(self, variables: Variables) -> Iterator[tuple[Batch, Any]]:
        """(batch as the loss takes it, outputs) of each batch, in the order of the
        source, on the host. Rows that fill up the last batch are not `valid`.
        """
        return self._run("judged", variables)

    def _run(self, name: str, variables: Variables) -> Iterator[Any]:
        """What a program returns for each batch, on the host."""
        key = hashing.canonical([self.model, self.task, self.num_outputs])
        program = _program(name, key)
        for number, batch in enumerate(self._batches()):
            arrays = self.put(batch)
            given = (variables, arrays, jnp.int32(number))
            found = program.compiled(*given, key=arrays)(*given)
            yield jax.device_get(hosts.whole(found))

    def _protocol(self) -> str:
        views = "views" if self._objective.views > 1 else "view"
        words = [f"{self._objective.views} {views} drawn as in training"]
        if self._whole:
            words = [protocol.WHOLE.text(self.size)]
        if self._objective.unsplit:
            apart = ", ".join(self._objective.unsplit)
            words.append(f"{apart} of batches of {self.batch_size}")
        return ", ".join(["mean loss", *words])

    def _batches(self) -> Iterator[Batch]:
        own, drawn = self._objective, self.transforms
        if self._whole:
            drawn = [transforms_lib.Letterbox(*self.size)]
        draw = draws.Draw.of(
            self.source,
            drawn,
            (0,),
            ("image", *own.fields_of(self.source.dataset)),
            views=own.views,
            clean=own.clean,
            normalize=self.normalize,
        )
        return pipeline.once(
            draw,
            batch_size=self.batch_size,
            threads=self.threads,
            shard=hosts.shard(),
        )

    @property
    def _whole(self) -> bool:
        return self._objective.views == 1 and self._objective.letterboxed

    @property
    def _objective(self) -> Any:
        return build.task(self.task, self.num_outputs)


@functools.lru_cache(maxsize=64)
def _program(name: str, key: str) -> compiled.Program:
    """(variables, batch, its number) -> `rows` of `MeanLoss`, or what is `judged`, the
    prepared batch and outputs.
    """
    model, objective = build.network(*json.loads(key))

    def judged(variables: Variables, batch: Batch, number: Array) -> tuple[Batch, Any]:
        rng = jax.random.fold_in(jax.random.PRNGKey(0), number)
        batch = objective.prepare(batch, rng)
        return batch, objective.predict(model, variables, batch, rng)

    def rows(variables: Variables, batch: Batch, number: Array) -> dict[str, Any]:
        batch, outputs = judged(variables, batch, number)
        return terms(objective, outputs, batch)

    return compiled.Program({"judged": judged, "rows": rows}[name])


def terms(objective: Any, outputs: Any, batch: Batch) -> dict[str, Any]:
    """The totals of a batch, and for each the sum of what is divided by it.

    A loss is a sum of terms, each divided by one of the totals: with that one 1 and
    the others infinite the other terms are 0, and what is left is the sum.
    """
    totals = objective.totals(batch)

    def undivided(chosen: str) -> dict[str, Array]:
        others = {name: jnp.float32(jnp.inf) for name in totals}
        loss, logs = objective.loss(outputs, batch, others | {chosen: jnp.float32(1)})
        return {**logs, mean_loss.NAME: loss}

    return {"totals": dict(totals), "sums": {name: undivided(name) for name in totals}}
