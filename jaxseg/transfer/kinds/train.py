"""Training: data, a model that may start from parents, steps, metrics."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, hashing, lookup, memo
from jaxseg.data import contents, dataset, recipes
from jaxseg.data import spec as data_spec
from jaxseg.data.spec import DataSpec
from jaxseg.evals import protocol
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.train import optim
from jaxseg.transfer import stage as stages
from jaxseg.transfer import transplant
from jaxseg.transfer.network import Network
from jaxseg.transfer.spec import (
    EvalSpec,
    MixedData,
    PartSpec,
    TrainData,
    TrainSpec,
)
from jaxseg.transfer.training import choosing, sections, sizes, starts, suitability


class Train(stages.Kind):
    """Trains a network; its artifact holds weights and metrics."""

    Spec = TrainSpec
    VERSION = 8
    TOGETHER = True

    def bind(self, section: Mapping[str, Any], where: str) -> TrainSpec:
        """All nested sections with their defaults; what the data decide stays None."""
        return sections.bind_training(section, where)

    def resolve(self, spec: TrainSpec, where: str) -> TrainSpec:
        """Sizes, options, fingerprints and periods that the data decide."""
        own = {name: getattr(spec, name) for name in sections.VARIED}  # decides none
        alike = dataclasses.replace(spec, seed=0, starts=())
        known = contents.once(memo.content(alike), lambda: _decided(alike, where))
        spec = dataclasses.replace(known, **own)
        vars(spec)["network"] = known.network  # cached there: none of `own` decides it
        if len(spec.starts) > 1:
            with errors.located(f"{where}/starts"):
                transplant.check_apart(spec.network.shapes(), spec.starts)
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
        unused = sorted(set(parents) - set(used) - data_spec.roles(spec.reads))
        if unused:
            raise errors.UserError(
                f"{where}: parent {unused[0]!r} is in no `starts`, and no data are of "
                "it, so nothing of it would be used. Fix: add starts=[{parent, take}] "
                "or remove it."
            )
        starts.check(spec, spec.network, parents)

    def versions(self, spec: TrainSpec) -> dict[str, int]:
        """Of tasks, backbone and heads."""
        heads = models.head_sections(spec.model)
        tasks = [part.task for part in spec.by_part.values()]
        parts = (
            *(("tasks", "jaxseg.tasks", task) for task in tasks),
            ("backbones", models.BACKBONES, spec.model["backbone"]),
            *(("heads", models.HEADS, head) for head in heads),
        )
        return {
            f"{folder}/{section['name']}": lookup.load(package, section["name"]).VERSION
            for folder, package, section in parts
        }

    def reads(self, spec: TrainSpec) -> dict[str, DataSpec]:
        """What it trains on, and its evaluations."""
        return spec.reads

    def weights(self, spec: TrainSpec) -> Network:
        """Those of its network."""
        return spec.network

    def modelled(self, stage: stages.Stage) -> stages.Stage:
        """The stage itself."""
        return stage

    def uses(self, stage: stages.Stage) -> list[stages.Stage]:
        """What it starts from."""
        return [stage.parents[start.parent] for start in stage.spec.starts]

    def training(self, stage: stages.Stage) -> stages.Stage:
        """The stage itself."""
        return stage

    def describe(
        self, spec: TrainSpec, parents: Mapping[str, stages.Stage]
    ) -> dict[str, int]:
        """Parameters, steps, examples seen, images that evaluations look at, bytes on
        disk when done, FLOPs of all steps as `Network.flops` estimates them.
        """
        parameters, size = spec.network.size()
        evaluations = spec.evaluations.items()
        images = {name: data.images(data.facts())[0] for name, data in evaluations}
        again = choosing.during(spec) * images.get(spec.chooser, 0)
        return {
            "parameters": parameters,
            "steps": spec.steps,
            "examples": spec.steps * spec.batch_size,
            "evaluated": sum(images.values()) + again,
            "bytes": size,
            "flops": int(spec.steps * spec.batch_size * _flops(spec)),
        }

    def run(self, context: stages.StageContext) -> dict[str, Any]:
        """Trains into `context.folder`."""
        from jaxseg.transfer.training import (
            training,  # loads grain: a plan does without
        )

        return training.run(context, context.stage.spec)


KIND = Train()


def _flops(spec: TrainSpec) -> float:
    """Of one example, on average over the parts."""
    total, weights = 0.0, 0.0
    for part in spec.by_part.values():
        one = spec.network.flops(tuple(part.objective.heads), part.data.shape)
        total += part.weight * part.objective.views * one
        weights += part.weight
    return total / weights


def _decided(spec: TrainSpec, where: str) -> TrainSpec:
    """Resolved and checked, but for what it starts from."""
    spec = _resolved(spec, where)
    for name, part in spec.by_part.items():
        _check_part(spec, name, part, where)
    _check(spec, where)
    for name, data in spec.evaluations.items():
        part = spec.by_part[spec.part_of(name)]
        place = f"{where}/evaluations/{name}"
        head = suitability.Head.of(part.task, part.data.facts())
        head.check(data.called, data.facts(), place)
        how = protocol.build(**data.protocol or {})
        protocol.check(how, build.task(part.task, 1), f"{place}/protocol")
    return spec


def _resolved(spec: TrainSpec, where: str) -> TrainSpec:
    spec = spec.with_parts(lambda *part: _resolved_part(spec, *part, where))
    evaluations = {
        name: _resolved_evaluation(
            own,
            spec.by_part[spec.part_of(name)].data,
            f"{where}/evaluations/{name}",
        )
        for name, own in spec.evaluations.items()
    }
    run = spec.run
    if run.log_every is None:
        period = max(1, min(50, spec.steps // 20))
        run = dataclasses.replace(run, log_every=period)
    own = None if spec.choose_by == spec.headline else spec.choose_by  # one key
    spec = dataclasses.replace(spec, evaluations=evaluations, run=run, choose_by=own)
    if spec.eval_every is None:
        period = 0
        if spec.chooser is not None:
            seen = evaluations[spec.chooser]
            period = choosing.period(spec, seen.images(seen.facts())[0])
        spec = dataclasses.replace(spec, eval_every=period)
    return spec


def _resolved_part(spec: TrainSpec, name: str, part: PartSpec, where: str) -> PartSpec:
    """The task with its options, and with the name of its head; the data resolved."""
    place = f"{sections.place(where, name)}/data"
    with errors.located(place):
        facts = part.data.facts()
    with errors.located(f"{sections.place(where, name)}/task"):
        resolve = lookup.load("jaxseg.tasks", part.task["name"]).resolve
        task = resolve(part.task, facts)
    with errors.located(place):
        size = sizes.default(spec, facts)
        data = _resolved_data(part.data, facts, size, place)
    task = {**task, "part": name} if name else task
    return dataclasses.replace(part, task=task, data=data)


def _resolved_data(
    data: TrainData,
    facts: dataset.Dataset,
    size: tuple[int, int] | None,
    where: str,
) -> TrainData:
    """With augmentation at the training resolution, and what is mixed in.

    size: where the section gives none.
    """
    mix = tuple(
        _resolved_mixed(own, facts, f"{where}/mix/{place}")
        for place, own in enumerate(data.mix)
    )
    data = data.identified(facts, where, size=size, mix=mix)
    with errors.located(f"{where}/augment"):
        augment = recipes.sized(data.augment, *data.size)
    return dataclasses.replace(data, augment=augment)


def _resolved_mixed(own: MixedData, facts: dataset.Dataset, where: str) -> MixedData:
    with errors.located(where):
        other = own.facts()
    if other.classes != facts.classes:
        raise errors.UserError(
            f"{where}: {own.called} has the classes {', '.join(other.classes)}; "
            f"allowed are those of the first set: {', '.join(facts.classes)}. Fix: mix "
            "variants with the same classes."
        )
    return own.identified(other, where)


def _resolved_evaluation(own: EvalSpec, data: TrainData, where: str) -> EvalSpec:
    with errors.located(where):
        return own.identified(own.facts(), where, size=data.size)


def _check_part(spec: TrainSpec, name: str, part: PartSpec, where: str) -> None:
    """UserError on what cannot work of the data and task of one part."""
    here, task = sections.place(where, name), part.objective
    suitability.check_fields(part.task, part.data.called, part.data.facts(), here)
    sizes.check(spec, part.data, here)
    if spec.mixup and not task.mixable:
        raise errors.UserError(
            f"{where}/mixup: found {spec.mixup} with task {task.name!r}; allowed is "
            "0, for only classification with one class an image can be mixed"
        )
    if name and set(task.heads) != {name}:
        raise errors.UserError(
            f"{here}/task: {task.name!r} has the heads {', '.join(task.heads)}; "
            "allowed in a part are tasks with one. Fix: a training of its own"
        )
    if spec.batch_size // spec.accumulate < task.least:
        raise errors.UserError(
            f"{where}/batch_size: found {spec.batch_size} in {spec.accumulate} parts "
            f"(accumulate); task {task.name!r} needs {task.least} images or more in "
            "each. Fix: a larger batch_size, or a smaller accumulate"
        )
    network = Network.of(spec.model, spec.heads, part.data.shape)
    if network.shapes() != spec.network.shapes():  # or it is refused here
        raise errors.UserError(
            f"{here}/data: images {part.data.shape} of {part.data.called} need weights "
            "of other shapes than those of the first part, "
            f"{spec.network.image_shape}. "
            "Fix: data of that size and with as many channels"
        )
    section, facts = hashing.canonical(part.task), part.data.facts()
    with errors.located(here):
        points = len(facts.keypoints)
        network.check(section, task.num_outputs, task.fields_of(facts), points)


def _check(spec: TrainSpec, where: str) -> None:
    """UserError on what can be known to fail before any data is read."""
    with errors.located(f"{where}/schedule"):
        optim.schedule(steps=spec.steps, **spec.schedule)
    variables = spec.network.shapes()
    if spec.lr_multipliers:  # a plan has thousands of stages
        with errors.located(f"{where}/lr_multipliers"):
            optim.leaf_scales(variables["params"], spec.lr_multipliers)
    if spec.optimizer["decay_multipliers"]:
        pairs = spec.optimizer["decay_multipliers"]
        with errors.located(f"{where}/optimizer"):
            optim.decay_factors(variables["params"], pairs)
