"""Loss and metric on the straight line between two models (chairs paper, Fig. 7).

Models that lie in one basin keep their loss on the way (Neyshabur et al. 2020,
arXiv:2008.11687); where they do not, there is a barrier (Frankle et al. 2020,
arXiv:1912.05671).
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import jax
import numpy as np

from jaxseg.analysis import batch_statistics, parameter_distance
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, rules, trees
from jaxseg.core.types import Variables
from jaxseg.data.source import Source
from jaxseg.data.spec import DataSpec

ROLES = ("a", "b")  # of the parents
RAW, ANEW = "raw", "re-estimated"  # batch statistics
TENTHS = tuple(n / 10 for n in range(11))
TINY = {"at": [0, 0.5, 1], "batches": 2}  # at the smoke size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The line from parent `a`, t = 0, to parent `b`, t = 1, at the points `at`.

    data: what loss and metric are measured on, as in an evaluation of a. training: what
    batch statistics are estimated on, in `batches` batches as those of a's training.
    """

    name: str
    data: DataSpec
    training: DataSpec
    at: Sequence[float] = TENTHS
    batches: Annotated[int, rules.at_least(1)] = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        at = tuple(self.at)
        if at[:1] != (0,) or at[-1:] != (1,) or list(at) != sorted(set(at)):
            raise errors.UserError(
                f"at: found {list(at)}; allowed are growing numbers from 0, the model "
                "a, to 1, the model b"
            )


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> list[dict[str, Any]]:
    """Rows {t, statistics, metric, value, loss, barrier, value_barrier} of the headline
    metric, which is the loss where the task only trains; at the ends, raw, those that
    the two models have themselves.
    """
    a, b = (models[role] for role in ROLES)
    _check_alike(a, b)
    headline, points = a.objective.headline, itertools.count()

    def measure(weights: Variables) -> tuple[float, float]:
        tools.progress(next(points), 2 * len(spec.at), "points of the line")
        values = tools.evaluate(a, "data", weights)
        return values["loss"], values[headline]

    def reestimate(weights: Variables) -> Variables:
        batches = _training_batches(a, tools.sources["training"])
        with contextlib.closing(batches):
            first = (batch for batch, _ in itertools.islice(batches, spec.batches))
            head = a.objective.head
            return batch_statistics.reestimated(a.model, head, weights, first)

    found = list(rows(a.variables, b.variables, spec.at, measure, reestimate))
    named = {"analysis": spec.name, "metric": headline}
    higher = a.objective.higher_is_better
    return [named | row for row in with_barriers(found, higher)]


def _check_alike(a: Any, b: Any) -> None:
    """UserError unless the models compute the same of the same weights and images."""
    for name in ("model_section", "task_section", "preprocessing"):
        one, other = getattr(a, name), getattr(b, name)
        if one != other:
            raise errors.UserError(
                f"interpolation: {name} of a is {one}, of b {other}; allowed are two "
                "models of one kind. Fix: parents that differ in their weights alone"
            )
    flat = (trees.flatten(model.variables) for model in (a, b))
    parameter_distance.check_alike(*flat, "a and b")


def _training_batches(model: Any, source: Source) -> Iterator[Any]:
    """(batch, ids) as in the model's training."""
    from jaxseg.data import pipeline, transforms

    return pipeline.train_batches(
        source,
        transforms=[transforms.build(step) for step in model.data_section["augment"]],
        batch_size=model.batch_size,
        seed=0,
        fields=("image",),
    )


def between(a: Variables, b: Variables, t: float | int) -> Variables:
    """(1 - t) a + t b of every leaf, float32: `a` itself at 0 and `b` itself at 1."""
    near, far = np.float32(1 - t), np.float32(t)
    return jax.tree.map(lambda x, y: near * x + far * y, a, b)


def barrier(
    at: Sequence[float | int], values: Sequence[float], higher_is_better: bool = False
) -> float:
    """The largest height of `values` over the straight line from the first to the last,
    never below 0; of a metric that should be high, the largest depth below it.

    >>> barrier([0, 0.25, 1], [1.0, 2.0, 3.0])  # the line is 1.5 at 0.25
    0.5
    >>> barrier([0, 0.5, 1], [0.75, 0.25, 0.5], higher_is_better=True)
    0.375
    """
    at, values = np.asarray(at, np.float64), np.asarray(values, np.float64)
    line = (1 - at) * values[0] + at * values[-1]
    above = line - values if higher_is_better else values - line
    return float(max(above.max(), 0.0))


def rows(
    a: Variables,
    b: Variables,
    at: Sequence[float | int],
    measure: Callable[[Variables], tuple[float, float]],
    reestimate: Callable[[Variables], Variables],
) -> Iterator[dict[str, Any]]:
    """{t, statistics, loss, value} of each point; without batch statistics raw alone.

    measure: (loss, metric) of weights. The re-estimated ends are not the models' own.
    """
    kinds = {RAW: lambda weights: weights, ANEW: reestimate}
    if not a.get(batch_statistics.STATS):
        del kinds[ANEW]
    for kind, changed in kinds.items():
        for t in at:
            loss, value = measure(changed(between(a, b, t)))
            yield {"t": t, "statistics": kind, "loss": loss, "value": value}


def with_barriers(
    found: Sequence[dict[str, Any]], higher_is_better: bool
) -> list[dict[str, Any]]:
    """`rows`, each with the `barrier` of the loss and the `value_barrier` of the metric
    among those of its kind of statistics.
    """
    barriers = {}
    for kind in {row["statistics"] for row in found}:
        t, loss, value = (
            [row[name] for row in found if row["statistics"] == kind]
            for name in ("t", "loss", "value")
        )
        both = (barrier(t, loss), barrier(t, value, higher_is_better))
        barriers[kind] = dict(zip(("barrier", "value_barrier"), both))
    return [row | barriers[row["statistics"]] for row in found]
