"""Training: data, a model that may start from parents, steps, metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxseg.core import binding, errors, lookup
from jaxseg.data import catalogue, dataset, recipes, subsets
from jaxseg.data import source as source_lib
from jaxseg.data.source import Source
from jaxseg.evals import protocol
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.train import optim
from jaxseg.transfer import choosing, fitting, planning, work

VERSION = 6  # goes up when the same spec would give another result
ANY_SET = ("size", "cache")  # what other data sections inherit from `data`
SAME_SET = (*ANY_SET, *choosing.SET, "full_digest")  # where they name no other set
# Where and how fast: they change no number, so they stay out of the content key.
NOT_IN_KEY = ("run", "root", "cache", "full_digest")


def arguments(
    *,
    data: Mapping[str, Any],
    task: Mapping[str, Any],
    model: Mapping[str, Any],
    steps: int,
    starts: Sequence[Mapping[str, Any]] = (),
    evaluations: Mapping[str, Mapping[str, Any] | None] | None = None,
    headline: str = "validation",
    choose_by: str | None = None,
    batch_size: int = 16,
    lr: float = 1e-3,
    optimizer: Mapping[str, Any] | None = None,
    schedule: Mapping[str, Any] | None = None,
    multipliers: Sequence[Sequence[Any]] = (),
    accumulate: int = 1,
    mixup: float = 0.0,
    ema: float | None = None,
    seed: int = 0,
    eval_every: int | None = 0,
    patience: int | None = None,
    keep: str = "last",
    samples: int = 4,
    run: Mapping[str, Any] | None = None,
) -> None:
    """What a `train` section may hold.

    starts: [{parent: role, take: {prefix here: prefix there}, reinit: [regex], allow:
    [field]}].
    evaluations: {name: data section}; keys left out are those of `data`, the split is
    "validation"; see `evaluation_arguments`. headline: the one that tables show;
    choose_by: the one that `keep` and `patience` look at, as {split: "train", part:
    "holdout"} beside part="train" of `data`. None: the headline, and then its protocol
    says that its own images chose the weights.
    batch_size: of all devices and accumulated microbatches together. accumulate:
    microbatches; the loss is divided by counts of the whole batch, but batch
    statistics, Dice over the batch, Lovasz and hard pixels are of one microbatch.
    optimizer: {name: sgd | adam | adamw, ...}, adam if None; schedule: {name: constant
    | step | poly | cosine, ...}, cosine if None.
    multipliers: [[regex on parameter paths, learning-rate factor]]; 0 freezes, and a
    module that is frozen as a whole runs in evaluation mode: running statistics, no
    dropout.
    mixup: alpha of `data.mixing.mixup`, for classification; 0: none.
    ema: decay of a running mean of parameters and batch statistics, which is then what
    is evaluated and kept; less in the first steps, (1 + step) / (10 + step).
    eval_every: steps between evaluations (0: at the end only; None: up to ten, of at
    most an eighth as many images as training: `choosing.period`); patience: how many of
    `choose_by` without a better metric end the run; keep: weights, "last" or "best".
    samples: predictions to draw.
    run: {log_every, checkpoint_every, threads, workers}: outside the content key.
    """


def data_arguments(
    *,
    name: str,
    split: str = "train",
    root: str | None = None,
    count: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
    part: str = "all",
    options: Mapping[str, Any] | None = None,
    cache: str = "auto",
    copy: str | None = None,
    full_digest: bool = False,
    size: Sequence[int] | None = None,
) -> None:
    """What every data section may hold: `data.source.open`, and the resolution.

    copy: a name for this copy of a catalogue set, where several with other content are
    in use; it enters the key.
    size: (height, width) of training crops and of the canvas in evaluation; None: the
    data set's, in an evaluation that of training.
    """


def training_arguments(
    *,
    augment: str | Sequence[Mapping[str, Any]] = "factors",
    mix: Sequence[Mapping[str, Any]] = (),
    unit: str = "batch",
    weight: float = 1.0,
) -> None:
    """What the data section of training may hold beside that.

    augment: transforms in order, or the name of a recipe in `data.recipes`.
    mix: data sections of further sets with the same classes; what they leave out but
    the subset is as here. weight: how often a set is drawn from, beside the others;
    unit: what is drawn from one set, a whole "batch" or each "example". Images are
    normalized each by the mean and std of its set, in evaluation by those of the first.
    """


def mixed_arguments(*, weight: float = 1.0) -> None:
    """What a data section in `mix` may hold beside that."""


def evaluation_arguments(*, protocol: Mapping[str, Any] | None = None) -> None:
    """What the data section of an evaluation may hold beside that.

    protocol: {mode, overlap, scales, flip, normalization} of `evals.protocol.build`;
    None: whole images at one scale, normalized as the training images are.
    """


def run_arguments(
    *,
    log_every: int | None = None,
    checkpoint_every: int = 500,
    threads: int = 2,
    workers: int = 0,
) -> None:
    """Periods in steps; threads that read data, or instead of them worker processes.

    log_every: None: a twentieth of the steps, from 1 to 50.
    """


def start_arguments(
    *,
    parent: str,
    take: Mapping[str, str],
    reinit: Sequence[str] = (),
    allow: Sequence[str] = (),
) -> None:
    """One transplant from the parent of that role.

    allow: fields of the backbone or head that may differ between parent and model
    although they change what the same weights compute, such as HRNet's "fusion".
    """


def bind(bound: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All nested sections with their defaults; what the data decide stays None."""
    spec = dict(bound)
    data = _bind_data(spec["data"], f"{where}/data")
    spec["data"] = data
    spec["evaluations"] = {
        name: _bind_evaluation(data, own, f"{where}/evaluations/{name}")
        for name, own in (spec["evaluations"] or {"validation": {}}).items()
    }
    spec["starts"] = [
        binding.bind(start_arguments, section=start, where=f"{where}/starts")
        for start in spec["starts"]
    ]
    spec["run"] = binding.bind(
        run_arguments, section=spec["run"] or {}, where=f"{where}/run"
    )
    task, place = spec["task"], f"{where}/task"
    build = lookup.load("jaxseg.tasks", binding.name_of(task, place)).build
    given = {"num_outputs": 1}
    spec["task"] = binding.bind(
        build, section=task, where=place, given=given, named=True
    )
    spec["model"] = models.bind_model(spec["model"], where=f"{where}/model")
    spec["optimizer"] = optim.bind(
        {"name": "adam"} | dict(spec["optimizer"] or {}), where=f"{where}/optimizer"
    )
    spec["schedule"] = optim.bind_schedule(
        {"name": "cosine"} | dict(spec["schedule"] or {}), where=f"{where}/schedule"
    )
    return spec


def resolve(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What the data decide written in; UserError on what cannot work."""
    spec = dict(spec)
    if spec["run"]["log_every"] is None:
        period = max(1, min(50, spec["steps"] // 20))
        spec["run"] = spec["run"] | {"log_every": period}
    facts = find(spec["data"])
    spec["task"] = lookup.load("jaxseg.tasks", spec["task"]["name"]).resolve(
        spec["task"], facts
    )
    if spec["data"]["size"] is None:
        spec["data"] = spec["data"] | {"size": planning.default_size(spec, facts)}
    spec["data"] = _resolve_data(spec["data"], facts, f"{where}/data")
    spec["data"] |= _resolve_training(spec["data"], facts, f"{where}/data")
    spec["evaluations"] = {
        name: _resolve_data(
            {**data, "size": spec["data"]["size"]} if data["size"] is None else data,
            find(data),
            f"{where}/evaluations/{name}",
        )
        for name, data in spec["evaluations"].items()
    }
    if spec["eval_every"] is None:
        seen = planning.images(spec["evaluations"], find)
        images = seen.get(choosing.chooser(spec), 0)
        spec["eval_every"] = choosing.period(spec, images)
    planning.check(spec, facts, where)
    task, head = build.task(spec["task"], 1), planning.Head.of(spec, facts)
    for name, data in spec["evaluations"].items():
        place = f"{where}/evaluations/{name}"
        planning.check_evaluation(head, data["name"], find(data), place)
        how = protocol.build(**data["protocol"] or {})
        protocol.check(how, task, f"{place}/protocol")
    return spec


def find(data: Mapping[str, Any]) -> dataset.Dataset:
    """Facts of a data section: from the catalogue, or from the user's folder."""
    facts = catalogue.find(data["name"])
    return open_source(data).dataset if facts.own else facts


def network(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the shapes of the artifact's weights: the arguments of `shapes`."""
    facts = find(spec["data"])
    return planning.network(spec, facts), planning.image_shape(spec, facts)


shapes = planning.network_shapes


def open_source(data: Mapping[str, Any]) -> Source:
    """The examples of a data section."""
    return planning.open_source(data)


def keyed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a resolved spec decides the result."""

    def strip(section: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in section.items() if k not in NOT_IN_KEY}

    data = strip(spec["data"])
    data["mix"] = [strip(other) for other in data["mix"]]
    evaluations = {name: strip(own) for name, own in spec["evaluations"].items()}
    return strip(spec) | {"data": data, "evaluations": evaluations}


def reads(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """{name in the manifest: data section} of all that is read."""
    mixed = {f"mix{place}": own for place, own in enumerate(spec["data"]["mix"])}
    return {"train": spec["data"], **mixed, **spec["evaluations"]}


def versions(spec: Mapping[str, Any]) -> dict[str, int]:
    """The integers that make results of older code stale."""
    backbone, head = spec["model"]["backbone"]["name"], spec["model"]["head"]["name"]
    return {
        f"tasks/{spec['task']['name']}": _version("jaxseg.tasks", spec["task"]["name"]),
        f"backbones/{backbone}": _version(models.BACKBONES, backbone),
        f"heads/{head}": _version(models.HEADS, head),
    }


def check_parents(
    spec: Mapping[str, Any], parents: Mapping[str, Any], where: str
) -> None:
    """UserError where a start names a role that is no parent, or one is never used, or
    the parent's weights do not fit or would compute something else here.
    """
    used = [start["parent"] for start in spec["starts"]]
    for role in used:
        if role not in parents:
            raise lookup.unknown(
                role, parents, kind="parent role", where=f"{where}/starts"
            )
    unused = sorted(set(parents) - set(used))
    if unused:
        raise errors.UserError(
            f"{where}: parent {unused[0]!r} is in no `starts`, so nothing of it would "
            "be used. Fix: add starts=[{parent, take}] or remove it."
        )
    fitting.check(spec, network(spec), parents)


def describe(spec: Mapping[str, Any], parents: Mapping[str, Any]) -> dict[str, Any]:
    """For the plan: parameters, steps, examples seen, images evaluated, bytes."""
    images = planning.images(spec["evaluations"], find)
    return planning.describe(spec, find(spec["data"]), images)


def run(job: work.Work) -> dict[str, Any]:
    """Trains into `job.folder`; returns what the manifest says of it."""
    from jaxseg.transfer import training  # loads grain: a plan does without

    return training.Training(job).run()


def _bind_data(section: Mapping[str, Any], where: str) -> dict[str, Any]:
    data = binding.bind(
        data_arguments, training_arguments, section=section, where=where
    )
    data["mix"] = [
        binding.bind(
            data_arguments,
            mixed_arguments,
            section=_inherited(data, own) | dict(own),
            where=f"{where}/mix/{place}",
        )
        for place, own in enumerate(data["mix"])
    ]
    subsets.check_draw(data, where)
    return data


def _inherited(data: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a data section beside that of training takes over from it."""
    if own.get("name", data["name"]) == data["name"]:
        return {key: data[key] for key in SAME_SET}
    return {key: data[key] for key in ANY_SET}


def _bind_evaluation(
    data: Mapping[str, Any], own: Mapping[str, Any] | None, where: str
) -> dict[str, Any]:
    own = {"split": "validation"} | dict(own or {})
    section = _inherited(data, own)
    same = section.get("name") == data["name"] and own["split"] == data["split"]
    if same and not {"count", "fraction"} & set(own):
        section |= {key: data[key] for key in subsets.DRAW}
    section |= own
    bound = binding.bind(
        data_arguments, evaluation_arguments, section=section, where=where
    )
    subsets.check_draw(bound, where)
    return bound | {"protocol": protocol.bind(bound["protocol"], f"{where}/protocol")}


def _resolve_data(
    data: Mapping[str, Any], facts: dataset.Dataset, where: str
) -> dict[str, Any]:
    size = facts.size if data["size"] is None else data["size"]
    if size is None:
        raise errors.UserError(
            f"{where}: {data['name']} has no size of its own. Fix: set size=[h, w]"
        )
    if len(size) != 2 or min(size) < 1:
        raise errors.UserError(f"{where}/size: found {size}, allowed: [height, width]")
    lookup.pick(dict.fromkeys(source_lib.CACHES), data["cache"], kind="cache")
    subsets.check(data, facts, where)
    options = catalogue.bind_options(data["name"], data["options"])
    return dict(data) | {
        "size": [int(n) for n in size],
        "options": options,
        "fingerprint": catalogue.fingerprint(
            data["name"],
            root=data["root"],
            options=options,
            full_digest=data["full_digest"],
        ),
    }


def _resolve_training(
    data: Mapping[str, Any], facts: dataset.Dataset, where: str
) -> dict[str, Any]:
    """Augmentation at the training resolution, and what is mixed in."""
    lookup.pick(dict.fromkeys(subsets.UNITS), data["unit"], kind="unit")
    mixed = [
        _resolve_mixed(own, facts, f"{where}/mix/{place}")
        for place, own in enumerate(data["mix"])
    ]
    return {"augment": recipes.sized(data["augment"], *data["size"]), "mix": mixed}


def _resolve_mixed(
    own: Mapping[str, Any], facts: dataset.Dataset, where: str
) -> dict[str, Any]:
    other = find(own)
    if other.classes != facts.classes:
        raise errors.UserError(
            f"{where}: {own['name']} has the classes {', '.join(other.classes)}; "
            f"allowed are those of the first set: {', '.join(facts.classes)}. Fix: mix "
            "variants with the same classes."
        )
    return _resolve_data(own, other, where)


def _version(package: str, name: str) -> int:
    return lookup.load(package, name).VERSION
