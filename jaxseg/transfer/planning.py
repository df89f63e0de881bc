"""What can be known of a `train` stage before it runs: checks, shapes, costs."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import binding, errors, hashing, trees
from jaxseg.data import dataset, subsets, transforms
from jaxseg.data import source as source_lib
from jaxseg.data.source import Source
from jaxseg.models import initial
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.tasks import task as tasks
from jaxseg.train import optim
from jaxseg.transfer import choosing, transplant

# Of a data section, what says which examples these are.
OPENED = ("split", "root", "options", "part", *subsets.DRAW, "cache", "full_digest")


def open_source(data: Mapping[str, Any]) -> Source:
    """The examples of a resolved or bound `data` section.

    UserError where a user's own data are no longer those that were planned with.
    """
    given = {name: data[name] for name in OPENED if name in data}
    source = source_lib.open(data["name"], **given)
    if data.get("fingerprint", source.fingerprint) != source.fingerprint:
        raise errors.UserError(
            f"{source.name}: the files in {source.root} have changed since this was "
            f"planned: {source.fingerprint}, then {data['fingerprint']}. Fix: run "
            "again, which plans anew."
        )
    return source


def describe_source(data: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """What a manifest says of the examples that were read."""
    return {
        "name": data["name"],
        "split": data["split"],
        "count": len(source),
        "root": None if source.root is None else str(source.root.resolve()),
        "fingerprint": source.fingerprint,
        "digest": source.digest(),
        "full_digest": data.get("full_digest", False),
    }


def check(spec: Mapping[str, Any], facts: dataset.Dataset, where: str) -> None:
    """UserError on what can be known to fail before any data is read."""
    task = build.task(spec["task"], 1)
    _check_fields(task, spec["data"]["name"], facts, where)
    if spec["keep"] not in ("last", "best"):
        raise errors.UserError(
            f"{where}/keep: found {spec['keep']!r}, allowed: last, best"
        )
    _check_numbers(spec, where)
    _check_size(spec, where)
    if spec["mixup"] and "label" not in task.fields:
        raise errors.UserError(
            f"{where}/mixup: found {spec['mixup']} with task {task.name!r}; allowed is "
            "0, for only classification with one class an image can be mixed"
        )
    choosing.check(spec, where)
    optim.schedule(steps=spec["steps"], **spec["schedule"])
    network = abstract_variables(spec, facts)  # what cannot be built is found here
    optim.leaf_scales(network["params"], spec["multipliers"])
    optim.decay_factors(network["params"], spec["optimizer"]["decay_multipliers"])
    if len(spec["starts"]) > 1:
        transplant.check_apart(network, spec["starts"])


class Head(NamedTuple):
    """A head that is to be judged, and what it was trained for."""

    task: Mapping[str, Any]  # its section
    outputs: int
    channels: int | None  # of images; None: not known of imported weights
    classes: Sequence[str]

    @classmethod
    def of(cls, spec: Mapping[str, Any], facts: dataset.Dataset) -> "Head":
        """That of a `train` section on a set with these facts."""
        outputs = build.outputs(spec["task"], facts)
        channels = image_shape(spec, facts)[-1]
        return cls(spec["task"], outputs, channels, facts.keypoints or facts.classes)


def check_evaluation(head: Head, name: str, facts: dataset.Dataset, where: str) -> None:
    """UserError where the set called `name` cannot judge a head."""
    _check_fields(build.task(head.task, 1), name, facts, where)
    wanted = build.outputs(head.task, facts)
    if wanted != head.outputs:
        raise errors.UserError(
            f"{where}: {name} needs a head of {wanted} outputs "
            f"({listed(facts.keypoints or facts.classes)}), this one has "
            f"{head.outputs} ({listed(head.classes)}). Fix: data with the same "
            "classes, or train a head for these (configs/finetune.py)"
        )
    channels = len(facts.mean or (0, 0, 0))
    if head.channels not in (None, channels):
        raise errors.UserError(
            f"{where}: images of {name} have {channels} channels, those of the "
            f"training {head.channels}. Fix: data with as many channels"
        )


def listed(classes: Sequence[str]) -> str:
    """Class names as messages show them."""
    return "classes: " + ", ".join(classes) if classes else "no class names"


def _check_fields(task: Any, name: str, facts: dataset.Dataset, where: str) -> None:
    missing = [field for field in task.fields if field not in facts.fields]
    if missing:
        raise errors.UserError(
            f"{where}: task {task.name!r} needs {', '.join(missing)}; "
            f"{name} has {', '.join(facts.fields)}"
        )


STEPS = 2**31 - 1  # counted in int32
BATCH = 2**20  # images: far above what any memory holds
THREADS = 1024
# (allowed, whether a number is, fields); fields that a section lacks, or that are None,
# are not looked at.
NUMBERS: tuple[tuple[str, Callable[[float], bool], tuple[str, ...]], ...] = (
    ("1 or more", lambda x: x >= 1, ("steps", "batch_size", "accumulate", "patience")),
    ("0 or more", lambda x: x >= 0, ("seed", "lr", "eval_every", "samples", "mixup")),
    (f"at most {binding.SEED}", lambda x: x <= binding.SEED, ("seed",)),
    (f"at most {STEPS}", lambda x: x <= STEPS, ("steps",)),
    (f"at most {BATCH}", lambda x: x <= BATCH, ("batch_size",)),
    (f"at most {THREADS}", lambda x: x <= THREADS, ("run/threads", "run/workers")),
    ("0 or more", lambda x: x >= 0, ("run/log_every", "run/checkpoint_every")),
    ("0 or more", lambda x: x >= 0, ("run/threads", "run/workers", "schedule/power")),
    ("0 or more", lambda x: x >= 0, ("optimizer/weight_decay",)),
    ("more than 0", lambda x: x > 0, ("optimizer/clip", "optimizer/eps")),
    ("between 0 and 1", lambda x: 0 < x < 1, ("ema",)),
    ("from 0, below 1", lambda x: 0 <= x < 1, ("optimizer/b1", "optimizer/b2")),
    ("from 0, below 1", lambda x: 0 <= x < 1, ("optimizer/momentum",)),
    ("0 to 1", lambda x: 0 <= x <= 1, ("schedule/final", "schedule/factor")),
    ("0 to 1", lambda x: 0 <= x <= 1, ("schedule/at",)),
)


def _check_numbers(spec: Mapping[str, Any], where: str) -> None:
    """UserError on the first number outside what NUMBERS allow."""
    flat = spec | {
        f"{part}/{field}": value
        for part in ("run", "optimizer", "schedule")
        for field, value in spec[part].items()
    }
    wrong = [
        (field, flat[field], rule)
        for rule, holds, fields in NUMBERS
        for field in fields
        if flat.get(field) is not None
        and not all(map(holds, np.atleast_1d(flat[field]).tolist()))
    ]
    batch, microbatches = spec["batch_size"], spec["accumulate"]
    if microbatches > 0 and batch % microbatches:
        rule = f"multiples of accumulate={microbatches}"
        wrong.append(("batch_size", batch, rule))
    for data in (spec["data"], *spec["data"]["mix"]):
        if data["weight"] <= 0:
            wrong.append((f"data/weight of {data['name']}", data["weight"], "above 0"))
    for name, found, rule in wrong:
        raise errors.UserError(f"{where}/{name}: found {found}, allowed: {rule}")


def accumulation(spec: Mapping[str, Any], task: Any) -> str:
    """What is not that of the whole batch with accumulation, in words."""
    apart = ["batch statistics", *task.unsplit]
    return f"accumulate {spec['accumulate']}: {', '.join(apart)} are of each microbatch"


def _check_size(spec: Mapping[str, Any], where: str) -> None:
    """UserError where training would pad its crops: zeros in the batch statistics."""
    backbone = _backbone(spec)
    size, step = crop_size(spec["data"]), backbone.multiple
    if not any(n % step for n in size):
        return
    larger = tuple(-(-n // step) * step for n in size)
    offered = dict.fromkeys((rounded(size, step), larger))
    shown = ", or larger ".join(f"{h} x {w}" for h, w in offered)
    other = getattr(backbone, "any_size", None)
    raise errors.UserError(
        f"{where}/data/size: found {size[0]} x {size[1]}, allowed for "
        f"{spec['model']['backbone']['name']}: multiples of {step}, or zeros would be "
        f"padded into every batch and its statistics. Nearest: {shown}"
        f"{f'; or {other} in model/backbone takes any size' if other else ''}"
    )


def crop_size(data: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) of training images: what the last cropping transform gives."""
    size = tuple(data["size"])
    for step in map(transforms.build, data["augment"]):
        if isinstance(step, transforms.Cropping | transforms.Letterbox):
            size = (step.height or size[0], step.width or size[1])
    return size


def default_size(
    spec: Mapping[str, Any], facts: dataset.Dataset
) -> tuple[int, int] | None:
    """The data set's own size, each side rounded to what the backbone does not pad."""
    if facts.size is None:
        return None
    return rounded(facts.size, _backbone(spec).multiple)


def rounded(size: Sequence[int], step: int) -> tuple[int, int]:
    """Each side to the nearest multiple of `step`, of two the larger, never to 0."""
    height, width = (max((n + step // 2) // step, 1) * step for n in size)
    return height, width


def notes(
    spec: Mapping[str, Any], facts: dataset.Dataset, task: tasks.Task
) -> list[str]:
    """What training does that its section does not say."""
    found = [accumulation(spec, task)] if spec["accumulate"] > 1 else []
    own, size = facts.size, tuple(spec["data"]["size"])
    if own and size != tuple(own) and size == default_size(spec, facts):
        found.append(
            f"images of {size[0]} x {size[1]}: the set's own {own[0]} x {own[1]} is no "
            f"multiple of {_backbone(spec).multiple}"
        )
    return found


def _backbone(spec: Mapping[str, Any]) -> Any:
    return models.build_model(spec["model"], head_outputs={}).backbone


def abstract_variables(spec: Mapping[str, Any], facts: dataset.Dataset) -> Any:
    """Shapes of all variables, without computing any."""
    return network_shapes(network(spec, facts), image_shape(spec, facts))


def network(spec: Mapping[str, Any], facts: dataset.Dataset) -> str:
    """Model, task and number of outputs as canonical JSON, for `network_shapes`."""
    outputs = build.outputs(spec["task"], facts)
    return hashing.canonical([spec["model"], spec["task"], outputs])


@functools.lru_cache(maxsize=256)  # a study has many stages and few networks
def network_shapes(network: str, image_shape: tuple[int, ...]) -> Any:
    """Shapes of all variables of a `network` for images [H, W, C].

    UserError with what Flax says where sizes that are each allowed do not go together.
    """
    section, task, outputs = json.loads(network)
    model, _ = build.network(section, task, outputs)
    try:
        return initial.shapes(model, image_shape)
    except errors.UserError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise errors.UserError(
            f"model: no network for images {image_shape} can be built of {section}: "
            f"{text}"
        ) from error


def image_shape(spec: Mapping[str, Any], facts: dataset.Dataset) -> tuple[int, ...]:
    """[H, W, C] of training crops."""
    return (*spec["data"]["size"], len(facts.mean or (0, 0, 0)))


def images(
    sections: Mapping[str, Mapping[str, Any]],
    find: Callable[[Mapping[str, Any]], dataset.Dataset],
) -> dict[str, int]:
    """How many examples each data section has by its fact sheet; 0: unknown."""
    return {name: _images(data, find(data)) for name, data in sections.items()}


def _images(data: Mapping[str, Any], facts: dataset.Dataset) -> int:
    total = facts.splits.get(data["split"], 0)
    count = subsets.share(total, data["count"], data["fraction"], what=data["name"])
    drawn = total if count is None else count
    return subsets.part_size(drawn, data["part"]) if drawn else 0


def describe(
    spec: Mapping[str, Any], facts: dataset.Dataset, images: Mapping[str, int]
) -> dict[str, Any]:
    """For the plan: parameters, steps, examples seen, images that evaluations look at,
    bytes on disk when done.

    images: of each evaluation.
    """
    parameters, size = _network_size(network(spec, facts), image_shape(spec, facts))
    again = choosing.during(spec) * images[choosing.chooser(spec)]
    return {
        "parameters": parameters,
        "steps": spec["steps"],
        "examples": spec["steps"] * spec["batch_size"],
        "evaluated": sum(images.values()) + again,
        "bytes": size,
    }


@functools.lru_cache(maxsize=256)
def _network_size(network: str, image_shape: tuple[int, ...]) -> tuple[int, int]:
    """Parameters and bytes."""
    variables = network_shapes(network, image_shape)
    return trees.num_parameters(variables["params"]), trees.num_bytes(variables)
