"""Training: data, a model that may start from parents, steps, metrics."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, lookup
from jaxseg.data import dataset, recipes
from jaxseg.data.spec import DataSpec
from jaxseg.evals import protocol
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.train import optim
from jaxseg.transfer import choosing, fitting, heads, shapes, spec, transplant
from jaxseg.transfer import stage as stages
from jaxseg.transfer.spec import EvalSpec, MixedData, TrainData, TrainSpec


class Train(stages.Kind):
    """Trains a network; its artifact holds weights and metrics."""

    Spec = TrainSpec
    VERSION = 6

    def bind(self, section: Mapping[str, Any], where: str) -> TrainSpec:
        """All nested sections with their defaults; what the data decide stays None."""
        return spec.bind_training(section, where)

    def resolve(self, spec: TrainSpec, where: str) -> TrainSpec:
        """Sizes, options, fingerprints and periods that the data decide."""
        facts = spec.data.facts()
        spec = _resolved(spec, facts, where)
        _check(spec, facts, where)
        head = heads.Head.of(spec.task, facts)
        for name, data in spec.evaluations.items():
            place = f"{where}/evaluations/{name}"
            head.check(data.name, data.facts(), place)
            how = protocol.build(**data.protocol or {})
            protocol.check(how, build.task(spec.task, 1), f"{place}/protocol")
        return spec

    def check_parents(
        self, spec: TrainSpec, parents: Mapping[str, stages.Stage], where: str
    ) -> None:
        """UserError where a start names a role that is no parent, or one is never used,
        or the parent's weights do not fit or would compute something else here.
        """
        used = [start.parent for start in spec.starts]
        for role in used:
            if role not in parents:
                place = f"{where}/starts"
                raise lookup.unknown(role, parents, kind="parent role", where=place)
        unused = sorted(set(parents) - set(used))
        if unused:
            raise errors.UserError(
                f"{where}: parent {unused[0]!r} is in no `starts`, so nothing of it "
                "would be used. Fix: add starts=[{parent, take}] or remove it."
            )
        fitting.check(spec, self.network(spec), parents)

    def versions(self, spec: TrainSpec) -> dict[str, int]:
        """Of task, backbone and head."""
        parts = (
            ("tasks", "jaxseg.tasks", spec.task),
            ("backbones", models.BACKBONES, spec.model["backbone"]),
            ("heads", models.HEADS, spec.model["head"]),
        )
        return {
            f"{folder}/{section['name']}": lookup.load(package, section["name"]).VERSION
            for folder, package, section in parts
        }

    def reads(self, spec: TrainSpec) -> dict[str, DataSpec]:
        """What it trains on, and its evaluations."""
        return spec.reads

    def network(self, spec: TrainSpec) -> stages.Network:
        """Model, task, outputs and the shape of images."""
        return shapes.network(spec, spec.data.facts())

    def shapes(self, *network: Any) -> Any:
        """Without computing any."""
        return shapes.variables(*network)

    def training(self, stage: stages.Stage) -> stages.Stage:
        """Itself."""
        return stage

    def describe(
        self, spec: TrainSpec, parents: Mapping[str, stages.Stage]
    ) -> dict[str, int]:
        """Parameters, steps, examples seen, images evaluated, bytes."""
        return shapes.costs(spec, spec.data.facts())

    def run(self, context: stages.StageContext) -> dict[str, Any]:
        """Trains into `context.folder`."""
        from jaxseg.transfer import training  # loads grain: a plan does without

        return training.Training(context, context.stage.spec).run()


KIND = Train()


def _resolved(spec: TrainSpec, facts: dataset.Dataset, where: str) -> TrainSpec:
    task = lookup.load("jaxseg.tasks", spec.task["name"]).resolve(spec.task, facts)
    size = spec.data.size or shapes.default_size(spec, facts)
    data = _resolved_data(
        dataclasses.replace(spec.data, size=size), facts, f"{where}/data"
    )
    evaluations = {
        name: _resolved_evaluation(own, data, f"{where}/evaluations/{name}")
        for name, own in spec.evaluations.items()
    }
    run = spec.run
    if run.log_every is None:
        period = max(1, min(50, spec.steps // 20))
        run = dataclasses.replace(run, log_every=period)
    spec = dataclasses.replace(
        spec, task=task, data=data, evaluations=evaluations, run=run
    )
    if spec.eval_every is None:
        seen = evaluations[spec.chooser]
        period = choosing.period(spec, seen.images(seen.facts())[0])
        spec = dataclasses.replace(spec, eval_every=period)
    return spec


def _resolved_data(data: TrainData, facts: dataset.Dataset, where: str) -> TrainData:
    """With augmentation at the training resolution, and what is mixed in."""
    data = data.identified(facts, where)
    mix = tuple(
        _resolved_mixed(own, facts, f"{where}/mix/{place}")
        for place, own in enumerate(data.mix)
    )
    augment = recipes.sized(data.augment, *data.size)
    return dataclasses.replace(data, augment=augment, mix=mix)


def _resolved_mixed(own: MixedData, facts: dataset.Dataset, where: str) -> MixedData:
    other = own.facts()
    if other.classes != facts.classes:
        raise errors.UserError(
            f"{where}: {own.name} has the classes {', '.join(other.classes)}; "
            f"allowed are those of the first set: {', '.join(facts.classes)}. Fix: mix "
            "variants with the same classes."
        )
    return own.identified(other, where)


def _resolved_evaluation(own: EvalSpec, data: TrainData, where: str) -> EvalSpec:
    sized = dataclasses.replace(own, size=own.size or data.size)
    return sized.identified(own.facts(), where)


def _check(spec: TrainSpec, facts: dataset.Dataset, where: str) -> None:
    """UserError on what can be known to fail before any data is read."""
    heads.check_fields(spec.task, spec.data.name, facts, where)
    shapes.check_size(spec, where)
    task = build.task(spec.task, 1)
    if spec.mixup and "label" not in task.fields:
        raise errors.UserError(
            f"{where}/mixup: found {spec.mixup} with task {task.name!r}; allowed is "
            "0, for only classification with one class an image can be mixed"
        )
    optim.schedule(steps=spec.steps, **spec.schedule)
    variables = shapes.variables(*shapes.network(spec, facts))  # or it is refused here
    if spec.lr_multipliers:  # a plan has thousands of stages
        optim.leaf_scales(variables["params"], spec.lr_multipliers)
    if spec.optimizer["decay_multipliers"]:
        optim.decay_factors(variables["params"], spec.optimizer["decay_multipliers"])
    if len(spec.starts) > 1:
        transplant.check_apart(variables, spec.starts)
