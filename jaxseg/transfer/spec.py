"""What the section of a training says: frozen, with every default, checked."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from jaxseg.core import binding, errors, lookup, rules
from jaxseg.core.rules import Seed, at_least, at_most
from jaxseg.data import subsets
from jaxseg.data.spec import SET, DataSpec, SizedData
from jaxseg.evals import protocol as protocols
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.train import optim
from jaxseg.transfer.network import Network

STEPS = 2**31 - 1  # counted in int32
BATCH = 2**20  # images: far above what any memory holds
THREADS = 1024
ANY_SET = ("size", "cache")  # what other data sections inherit from that of training
SAME_SET = (*ANY_SET, *SET, "full_digest")  # where they name no other set
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


def train_data(section: Any, where: str) -> TrainData:
    """The data section of a training; what its `mix` leaves out is as there."""
    mix = section.get("mix", ())
    alone = {key: value for key, value in section.items() if key != "mix"}
    data = binding.bind(TrainData, section=alone, where=where)
    if not mix:
        return data
    if isinstance(mix, list | tuple):
        mix = [inherited(data, one) if isinstance(one, Mapping) else one for one in mix]
    return binding.bind(TrainData, section=alone | {"mix": mix}, where=where)


def evaluation(data: TrainData, section: Any, where: str) -> EvalSpec:
    """The data section of an evaluation; what it leaves out is as in training."""
    if not isinstance(section, Mapping | None):
        return binding.bind(EvalSpec, section=section, where=where)
    own = {"split": "validation"} | dict(section or {})
    filled = inherited(data, own)
    same = _same_set(data, own) and own["split"] == data.split
    if same and not {"count", "fraction"} & set(own):
        filled = {key: getattr(data, key) for key in subsets.DRAW} | filled
    return binding.bind(EvalSpec, section=filled, where=where)


def inherited(data: TrainData, section: Mapping[str, Any]) -> dict[str, Any]:
    """A data section with what it takes over from that of training."""
    keys = SAME_SET if _same_set(data, section) else ANY_SET
    return {key: getattr(data, key) for key in keys} | dict(section)


def _same_set(data: TrainData, section: Mapping[str, Any]) -> bool:
    """Whether a data section names no other set than that of training."""
    names = {name: getattr(data, name) for name in ("name", "of")}
    return all(section.get(name, own) == own for name, own in names.items())


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
class RunSpec(binding.Spec):
    """Periods in steps; threads that read data, or instead of them worker processes.

    log_every: None: a twentieth of the steps, from 1 to 50.
    """

    log_every: Period | None = None
    checkpoint_every: Period = 500
    threads: Threads = 2
    workers: Threads = 0


def _optimizer(section: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    return optim.bind({"name": "adam"} | dict(section or {}), where=where)


def _schedule(section: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    return optim.bind_schedule({"name": "cosine"} | dict(section or {}), where=where)


@frozen
class TrainSpec(binding.Spec):
    """A training.

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

    data: TrainData
    task: Annotated[Mapping[str, Any], binding.By(build.bind)]
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

    @functools.cached_property  # asked for by each stage that starts from it
    def network(self) -> Network:
        """Model, task, outputs and the shape of images, of a resolved spec."""
        outputs = build.outputs(self.task, self.data.facts())
        return Network.of(self.model, self.task, outputs, self.data.shape)

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
        mixed = {f"mix{place}": own for place, own in enumerate(self.data.mix)}
        return {"train": self.data, **mixed, **self.evaluations}


def bind_training(section: Mapping[str, Any], where: str) -> TrainSpec:
    """A `train` section; its evaluations inherit from its data."""
    filled, data = dict(section), section.get("data")
    if isinstance(data, Mapping):
        data = train_data(data, f"{where}/data")
        given = section.get("evaluations")
        given = {"validation": {}} if given is None else given
        filled |= {"headline": None} if given == {} and "headline" not in filled else {}
        if isinstance(given, Mapping):
            given = {
                name: evaluation(data, own, f"{where}/evaluations/{name}")
                for name, own in given.items()
            }
        filled |= {"data": data, "evaluations": given}
    return binding.bind(TrainSpec, section=filled, where=where)
