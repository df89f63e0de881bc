"""The evaluations of a training: the one between steps, and all of them at the end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxseg.core import hosts, jsonl
from jaxseg.core.types import Variables
from jaxseg.data import transforms
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.evals import evaluator as evaluators
from jaxseg.evals import loss, predictor, protocol
from jaxseg.tasks import task as tasks
from jaxseg.train import hooks, mesh
from jaxseg.transfer.spec import EvalSpec
from jaxseg.transfer.training import choosing, parts, samples

NO_EVALUATION: dict[str, Any] = dict(  # between steps
    when=lambda step: False,
    evaluate=lambda variables, step: 0.0,
    higher_is_better=True,
    patience=None,
    what="",
)


class Evaluations:
    """An evaluator for each evaluation of a training; results go to `log`, JSON lines.

    Images are normalized by the mean and std of the part that is judged.
    chosen: {evaluation: what its protocol adds} where an earlier choice used it.
    """

    def __init__(
        self,
        trained: parts.Parts,
        devices: jax.sharding.Mesh,
        log: Path,
        chosen: Mapping[str, str],
    ):
        self.spec, self.log, self.chosen = trained.spec, log, chosen
        self.parts = {
            name: trained.by_name[self.spec.part_of(name)]
            for name in self.spec.evaluations
        }
        self.evaluators = {
            name: self._evaluator(data, self.parts[name], devices)
            for name, data in self.spec.evaluations.items()
        }

    @property
    def sources(self) -> list[Source]:
        """What is read, in order."""
        return [evaluator.source for evaluator in self.evaluators.values()]

    def between_steps(
        self, add_scalar: Callable[[str, float, int], None]
    ) -> dict[str, Any]:
        """Arguments of `train.hooks.Evaluate`: the evaluation that chooses weights."""
        name = self.spec.chooser
        if name is None:
            return NO_EVALUATION
        evaluator = self.evaluators[name]

        def measure(variables: Variables, step: int) -> float:
            measured = evaluator.measure(variables)
            self._record(name, measured, step)
            for metric, value in measured.values.items():
                add_scalar(f"{name}/{metric}", value, step)
            return measured.values[evaluator.headline]

        return dict(
            when=lambda step: choosing.due(self.spec, step),
            evaluate=measure,
            higher_is_better=evaluator.higher_is_better,
            patience=self.spec.patience,
            what=f"{evaluator.headline} of evaluation {name!r}",
        )

    def at_the_end(self, variables: Variables, step: int) -> list[dict[str, Any]]:
        """The metrics of the manifest. Diverged where the headline is not finite."""
        rows = []
        for name, evaluator in self.evaluators.items():
            measured = evaluator.measure(variables)
            words = choosing.words(self.spec, name) + self.chosen.get(name, "")
            self._record(name, measured, step, final=True, words=words)
            if name == self.spec.headline:
                what = f"{evaluator.headline} of evaluation {name!r}"
                hooks.check_metric(measured.values[evaluator.headline], what, step)
            rows += self._rows(name, measured, words)
        return rows

    def draw(self, variables: Variables, folder: Path, step: int) -> None:
        """Samples of the headline's images, where the task can be drawn."""
        if not self.spec.samples or self.spec.headline is None:
            return
        part = self.parts[self.spec.headline]
        if getattr(part.task, "drawn", ()):  # an objective alone has none
            headline = self.evaluators[self.spec.headline]
            predictions = headline.predictions(variables, self.spec.samples)
            if hosts.leads():
                samples.write(predictions, part.task, part.facts, folder, step)

    def _rows(
        self, name: str, measured: evaluators.Measured, words: str
    ) -> list[dict[str, Any]]:
        """A row for each metric; the headline's has the floor as well."""
        data, evaluator = self.spec.evaluations[name], self.evaluators[name]
        rows = []
        for metric, value in measured.values.items():
            own = metric == evaluator.headline
            floor = {"floor": measured.floor} if own else {}
            row = {
                "name": metric,
                "value": value,
                "protocol": measured.protocol + words,
                "chosen": words,
                "evaluation": name,
                "split": data.split,
                "dataset": data.called,
                "headline": own and name == self.spec.headline,
                "higher_is_better": evaluator.higher_is_better,
            }
            rows.append(floor | row)
        return rows

    def _record(
        self,
        name: str,
        measured: evaluators.Measured,
        step: int,
        final: bool = False,
        words: str = "",
    ) -> None:
        row = {"kind": "evaluation", "step": step, "split": name, "final": final}
        row |= {"metrics": measured.values, "protocol": measured.protocol + words}
        jsonl.append(self.log, row)

    def _evaluator(
        self, data: EvalSpec, part: parts.Part, devices: jax.sharding.Mesh
    ) -> evaluators.Evaluator | loss.LossEvaluator:
        source, how = data.open(), protocol.build(**data.protocol or {})
        normalize = part.normalize
        options: dict[str, Any] = dict(
            model=self.spec.model,
            task=part.spec.task,
            num_outputs=part.task.num_outputs,
            size=tuple(data.size),
            batch_size=mesh.round_up(self.spec.batch_size, devices),
            put=lambda batch: mesh.put_batch(batch, devices),
        )
        if isinstance(part.task, tasks.Task):
            predict = predictor.Predictor(normalize=normalize, how=how, **options)
            return evaluators.Evaluator(predict, source, self.spec.run.threads)
        own = Normalize.of(source.dataset)
        return loss.LossEvaluator(
            source=source,
            normalize=own if how.normalization == "target" else normalize,
            transforms=[transforms.build(step) for step in part.spec.data.augment],
            threads=self.spec.run.threads,
            **options,
        )
