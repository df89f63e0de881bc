"""What an analysis is handed beside its models: open data, evaluation, progress."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Variables
from jaxseg.data import transforms
from jaxseg.data.source import Source
from jaxseg.tasks import task as tasks

BATCH = 16  # images at once, of a model whose training is not known


class Found(NamedTuple):
    """What an analysis returns that has arrays beside its rows, {name: array}."""

    rows: Iterable[Mapping[str, Any]]
    arrays: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Tools:
    """sources: the data sections of the analysis, open, by name. progress: (done, of,
    text), shown while it runs.
    """

    sources: Mapping[str, Source]
    progress: Callable[[int, int, str], None] = lambda done, of, text: None

    def evaluate(
        self, model: Any, data: str, variables: Variables | None = None
    ) -> dict[str, float]:
        """{"loss": mean, metric: value} of an artifact on the source of that name, of
        all that the loss logs where its task only trains.

        The same numbers as an evaluation of its training: whole images at one scale,
        normalized and batched as there. variables: instead of its own, of the same
        shapes; they share its compiled programs.
        """
        from jaxseg.evals import evaluator  # loads grain: a plan does without

        batch_size = model.batch_size or BATCH
        mean_loss = self.mean_loss(model, data, batch_size)
        weights = jax.device_put(model.variables if variables is None else variables)
        found = mean_loss(weights)
        if not isinstance(model.objective, tasks.Task):
            return found
        predict = model.predictor(batch_size=batch_size)
        metrics = evaluator.Evaluator(predict, self.sources[data])(weights)
        return {mean_loss.headline: found["loss"]} | metrics

    def mean_loss(self, model: Any, data: str, batch_size: int) -> Any:
        """The `evals.loss.LossEvaluator` of an artifact on the source of that name."""
        from jaxseg.evals import loss  # loads grain: a plan does without

        check_trained(model)
        augment = model.data_section.get("augment", ())
        return loss.LossEvaluator(
            source=self.sources[data],
            transforms=[transforms.build(step) for step in augment],
            batch_size=batch_size,
            **model.prediction,
        )


def check_trained(model: Any) -> None:
    """UserError unless a model has a trained head and its preprocessing is known."""
    if model.preprocessing is None or model.head not in model.manifest["outputs"]:
        raise errors.UserError(
            f"{model.folder}: has no trained head or its preprocessing is not known, "
            "so it has no loss and no metric. Fix: train on it first"
        )
