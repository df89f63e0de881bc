"""What the section of a training says: frozen, with every default, checked."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from jaxseg.core import binding, errors, lookup, rules
from jaxseg.core.rules import Seed, at_least, at_most
from jaxseg.data import subsets
from jaxseg.data.spec import DataSpec, SizedData
from jaxseg.evals import protocol as protocols
from jaxseg.models import model as models
from jaxseg.tasks import build, objective
from jaxseg.train import optim
from jaxseg.transfer.network import Network

STEPS = 2**31 - 1  # counted in int32
BATCH = 2**20  # images: far above what any memory holds
THREADS = 1024
frozen = dataclasses.dataclass(frozen=True, kw_only=True)

Count = Annotated[int, at_least(1)]
Period = Annotated[int, at_least(0)]  # steps; 0: never
Threads = Annotated[int, at_least(0), at_most(THREADS)]


@frozen
class MixedData(SizedData):
    """A further data set of a training. weight: how often it is drawn from."""

    weight: Annotated[float, rules.ABOVE_0] = 1.0


@frozen
class TrainData(MixedData):
    """The examples of a training.

    augment: transforms in order, or the name of a recipe in `data.recipes`.
    mix: further sets with the same classes; what they leave out but the subset is as
    here. unit: what is drawn from one of them, a whole "batch" or each "example".
    Images are normalized each by the mean and std of its set, in evaluation by those
    of the first.
    """

    augment: str | Sequence[Mapping[str, Any]] = "factors"
    mix: tuple[MixedData, ...] = ()
    unit: Annotated[str, rules.one_of(*subsets.UNITS)] = "batch"

    @property
    def all(self) -> tuple[MixedData, ...]:
        """Every set that is trained on, the first one first."""
        return (self, *self.mix)

    @property
    def whole(self) -> "TrainData":
        """On all images, where a fifth is held out."""
        of = {name: "all" if name == "train" else name for name in subsets.PARTS}
        first, *mix = (dataclasses.replace(x, part=of[x.part]) for x in self.all)
        return dataclasses.replace(first, mix=tuple(mix))

    @property
    def shape(self) -> tuple[int, ...]:
        """[H, W, C] of training crops."""
        return (*self.size, self.facts().channels)


@frozen
class EvalSpec(SizedData):
    """The examples of an evaluation, and how it is done.

    protocol: {mode, overlap, scales, flip, normalization} of `evals.protocol.build`;
    None: whole images at one scale, normalized as the training images are.
    """

    split: str = "validation"
    protocol: Annotated[Mapping[str, Any] | None, binding.By(protocols.bind)] = None


@frozen
class StartSpec(binding.Spec):
    """One transplant from the parent of that role.

    take: {prefix here: prefix there}. reinit: regexes of leaves that stay fresh.
    allow: fields of the backbone or head that may differ between parent and model
    although they change what the same weights compute, such as HRNet's "fusion".
    """

    parent: str
    take: Mapping[str, str]
    reinit: Sequence[str] = ()
    allow: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.take:
            raise errors.UserError(
                "take: found {}, allowed: one {prefix here: prefix there} or more"
            )


@frozen
class MeshSpec(binding.Spec):
    """How many devices there are along each axis of `train.mesh`: data x fsdp is the
    number of all. Both split batches, fsdp splits the state as well; data: None: all
    that are left.
    """

    data: Count | None = None
    fsdp: Count = 1


@frozen
class RunSpec(binding.Spec):
    """Periods in steps; threads that read data, or instead of them worker processes;
    devices.

    log_every: None: a twentieth of the steps, from 1 to 50.
    """

    log_every: Period | None = None
    checkpoint_every: Period = 500
    threads: Threads = 2
    workers: Threads = 0
    mesh: MeshSpec = None


@frozen
class PartSpec(binding.Spec):
    """One of several data sets of a training, with a task and a head of its own.

    Its batches are those of a training of its own: its augmentation, its `mix`, images
    normalized by the mean and std of its set. weight: how often a step trains it.
    """

    data: TrainData
    task: Annotated[Mapping[str, Any], binding.By(build.bind)]
    weight: Annotated[float, rules.ABOVE_0] = 1.0

    @property
    def objective(self) -> objective.Objective:
        """What is trained, of a resolved part."""
        return build.task(self.task, build.outputs(self.task, self.data.facts()))


def _task(section: Mapping[str, Any] | None, where: str) -> dict[str, Any] | None:
    return None if section is None else build.bind(section, where)


def _optimizer(section: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    return optim.bind({"name": "adam"} | dict(section or {}), where=where)


def _schedule(section: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    return optim.bind_schedule({"name": "cosine"} | dict(section or {}), where=where)


@frozen
class TrainSpec(binding.Spec):
    """A training.

    parts: {name: part} instead of `data` and `task`: each step is of one part, drawn by
    weight, and trains the backbone and that part's head, `heads_<name>` (factors 5.1,
    multi-source models). Its evaluations are called NAME/..., by default
    NAME/validation; the headline is then None by default.
    starts: transplants, in order. evaluations: {name: data section}; keys left out are
    those of `data`; {}: none. headline: the one that tables show, None: no metric of
    this training is in tables; choose_by: the one that `keep`
    and `patience` look at; None: the headline, and then its protocol says that its own
    images chose the weights.
    batch_size: of all devices and accumulated microbatches together. accumulate:
    microbatches; the loss is divided by counts of the whole batch, but batch
    statistics, Dice over the batch, Lovasz and hard pixels are of one microbatch.
    optimizer: {name: sgd | adam | adamw | rmsprop, ...}, adam if None; schedule: {name:
    constant | step | poly | cosine, ...}, cosine if None.
    lr_multipliers: [[regex on parameter paths, factor]]; 0 freezes, and a module that
    is frozen as a whole runs in evaluation mode: running statistics, no dropout.
    mixup: alpha of `data.mixing.mixup`, for classification; 0: none.
    ema: decay of a running mean of parameters and batch statistics, which is then what
    is evaluated and kept; less in the first steps, (1 + step) / (10 + step).
    eval_every: steps between evaluations (0: at the end only; None: up to ten, of at
    most an eighth as many images as training: `choosing.period`); patience: how many of
    `choose_by` without a better metric end the run; keep: weights, "last" or "best".
    samples: predictions to draw. store: "metrics" drops the weights once no stage of
    the plan needs them; one that does so later has them made again. store, run: outside
    the content key.
    """

    data: TrainData | None
    task: Annotated[Mapping[str, Any] | None, binding.By(_task)]
    parts: Mapping[str, PartSpec] | None = binding.added()
    model: Annotated[Mapping[str, Any], binding.By(models.bind_model)]
    steps: Annotated[int, at_least(1), at_most(STEPS)]
    starts: tuple[StartSpec, ...] = ()
    evaluations: Mapping[str, EvalSpec]
    headline: str | None = "validation"
    choose_by: str | None = None
    batch_size: Annotated[int, at_least(1), at_most(BATCH)] = 16
    lr: Annotated[float, at_least(0)] = 1e-3
    optimizer: Annotated[Mapping[str, Any] | None, binding.By(_optimizer)] = None
    schedule: Annotated[Mapping[str, Any] | None, binding.By(_schedule)] = None
    lr_multipliers: Sequence[tuple[str, float]] = ()
    accumulate: Count = 1
    mixup: Annotated[float, at_least(0)] = 0.0
    ema: Annotated[float, rules.INSIDE] | None = None
    seed: Seed = 0
    eval_every: Period | None = 0
    patience: Count | None = None
    keep: Annotated[str, rules.one_of("last", "best")] = "last"
    samples: Annotated[int, at_least(0)] = 4
    store: Annotated[str, rules.one_of("all", "metrics")] = binding.local("all")
    run: RunSpec = binding.local(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_parts()
        if self.batch_size % self.accumulate:
            raise errors.UserError(
                f"batch_size: found {self.batch_size}, allowed: multiples of "
                f"accumulate={self.accumulate}"
            )
        for field in ("headline", "choose_by"):
            name, known = getattr(self, field), self.evaluations
            if name is not None and name not in known:
                raise lookup.unknown(name, known, kind="evaluation", where=field)
        if self.chooser is None and (self.chooses or self.eval_every):
            raise errors.UserError(
                "choose_by: found None without a headline, but evaluations between "
                "steps (eval_every, patience, keep='best') need one. Fix: "
                "choose_by='NAME' of an evaluation."
            )
        if self.chooses and self.eval_every == 0:
            field = "patience" if self.patience is not None else "keep='best'"
            raise errors.UserError(
                f"eval_every: found 0, but {field} needs evaluations. Fix: "
                "eval_every=N, the steps between them."
            )

    def _check_parts(self) -> None:
        given = [key for key in ("data", "task") if getattr(self, key) is not None]
        if self.parts is None and len(given) < 2:
            raise errors.UserError("data, task: found None, allowed: sections of both")
        if self.parts is None:
            return
        if given or not self.parts:
            raise errors.UserError(
                f"parts: found {', '.join(self.parts) or 'none'}, beside them "
                f"{' and '.join(given) or 'nothing'}; allowed: one part or more, each "
                "with a data and a task of its own, and none beside"
            )
        for name in self.parts:
            if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                raise errors.UserError(
                    f"parts: found the name {name!r}, allowed: letters, digits and _"
                )

    @property
    def by_part(self) -> Mapping[str, PartSpec]:
        """{name: part}; a training of one data set and task is the part ""."""
        return self.parts or {"": PartSpec(data=self.data, task=self.task)}

    def part_of(self, evaluation: str) -> str:
        """The name of the part that an evaluation judges."""
        return evaluation.partition("/")[0] if self.parts else ""

    def with_parts(
        self, change: Callable[[str, PartSpec], PartSpec], **changes: Any
    ) -> "TrainSpec":
        """With every part as `change` gives it, and other changes."""
        parts = {name: change(name, part) for name, part in self.by_part.items()}
        if self.parts is None:
            changes |= {"data": parts[""].data, "task": parts[""].task}
        else:
            changes |= {"parts": parts}
        return dataclasses.replace(self, **changes)

    @property
    def trained_on(self) -> tuple[MixedData, ...]:
        """Every set of every part."""
        return tuple(data for part in self.by_part.values() for data in part.data.all)

    @property
    def heads(self) -> dict[str, int]:
        """{name: outputs} of all heads of a resolved spec."""
        every = [part.objective.heads for part in self.by_part.values()]
        return {name: outputs for heads in every for name, outputs in heads.items()}

    @functools.cached_property  # asked for by each stage that starts from it
    def network(self) -> Network:
        """Model, heads and the shape of images, of the first part, of a resolved
        spec.
        """
        first = next(iter(self.by_part.values()))
        return Network.of(self.model, self.heads, first.data.shape)

    @property
    def chooser(self) -> str | None:
        """The evaluation that `keep` and `patience` look at, and that runs between
        steps; None: none does.
        """
        return self.choose_by or self.headline

    @property
    def chooses(self) -> bool:
        """Whether evaluations decide which weights are kept or when training ends."""
        return self.keep == "best" or self.patience is not None

    @property
    def reads(self) -> dict[str, DataSpec]:
        """{name in the manifest: section} of all data that are read."""
        read: dict[str, DataSpec] = {}
        for name, part in self.by_part.items():
            front = f"{name}/" if name else ""
            read[f"{front}train"] = part.data
            for place, own in enumerate(part.data.mix):
                read[f"{front}mix{place}"] = own
        return {**read, **self.evaluations}
