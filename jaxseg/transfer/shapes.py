"""What a plan knows of a training: shapes of its network, sizes of images, costs."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from jaxseg.core import errors, hashing, trees
from jaxseg.core.types import Variables
from jaxseg.data import dataset, transforms
from jaxseg.models import initial
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.transfer import choosing
from jaxseg.transfer.spec import TrainData, TrainSpec


def network(spec: TrainSpec, facts: dataset.Dataset) -> tuple[Any, ...]:
    """Arguments of `variables`: model, task and number of outputs as canonical JSON,
    and the shape of images [H, W, C].
    """
    outputs = build.outputs(spec.task, facts)
    section = hashing.canonical([spec.model, spec.task, outputs])
    return section, (*spec.data.size, len(facts.mean or (0, 0, 0)))


@functools.lru_cache(maxsize=256)  # a study has many stages and few networks
def variables(network: str, image_shape: tuple[int, ...]) -> Variables:
    """Shapes of all variables of a `network` for images [H, W, C]; computes none.

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


def check_size(spec: TrainSpec, where: str) -> None:
    """UserError where training would pad its crops: zeros in the batch statistics."""
    backbone = _backbone(spec)
    size, step = crop_size(spec.data), backbone.multiple
    if not any(n % step for n in size):
        return
    larger = tuple(-(-n // step) * step for n in size)
    offered = dict.fromkeys((rounded(size, step), larger))
    shown = ", or larger ".join(f"{h} x {w}" for h, w in offered)
    other = getattr(backbone, "any_size", None)
    raise errors.UserError(
        f"{where}/data/size: found {size[0]} x {size[1]}, allowed for "
        f"{spec.model['backbone']['name']}: multiples of {step}, or zeros would be "
        f"padded into every batch and its statistics. Nearest: {shown}"
        f"{f'; or {other} in model/backbone takes any size' if other else ''}"
    )


def crop_size(data: TrainData) -> tuple[int, int]:
    """(height, width) of training images: what the last cropping transform gives."""
    size = tuple(data.size)
    for step in map(transforms.build, data.augment):
        if isinstance(step, transforms.Cropping | transforms.Letterbox):
            size = (step.height or size[0], step.width or size[1])
    return size


def default_size(spec: TrainSpec, facts: dataset.Dataset) -> tuple[int, int] | None:
    """The data set's own size, each side rounded to what the backbone does not pad."""
    if facts.size is None:
        return None
    return rounded(facts.size, _backbone(spec).multiple)


def rounded(size: Sequence[int], step: int) -> tuple[int, int]:
    """Each side to the nearest multiple of `step`, of two the larger, never to 0."""
    height, width = (max((n + step // 2) // step, 1) * step for n in size)
    return height, width


def notes(spec: TrainSpec, facts: dataset.Dataset, unsplit: Sequence[str]) -> list[str]:
    """What training does that its section does not say.

    unsplit: what of the loss microbatches have each their own of.
    """
    lines = [accumulation(spec.accumulate, unsplit)] if spec.accumulate > 1 else []
    own, size = facts.size, tuple(spec.data.size)
    if own and size != tuple(own) and size == default_size(spec, facts):
        lines.append(
            f"images of {size[0]} x {size[1]}: the set's own {own[0]} x {own[1]} is no "
            f"multiple of {_backbone(spec).multiple}"
        )
    return lines


def accumulation(microbatches: int, unsplit: Sequence[str]) -> str:
    """What accumulation computes otherwise than the whole batch at once."""
    apart = ", ".join(["batch statistics", *unsplit])
    return f"accumulate {microbatches}: {apart} are of each microbatch"


def costs(spec: TrainSpec, facts: dataset.Dataset) -> dict[str, int]:
    """For the plan: parameters, steps, examples seen, images that evaluations look at,
    bytes on disk when done.
    """
    parameters, size = _network_size(*network(spec, facts))
    images = {
        name: data.images(data.facts())[0] for name, data in spec.evaluations.items()
    }
    again = choosing.during(spec) * images[spec.chooser]
    return {
        "parameters": parameters,
        "steps": spec.steps,
        "examples": spec.steps * spec.batch_size,
        "evaluated": sum(images.values()) + again,
        "bytes": size,
    }


@functools.lru_cache(maxsize=256)
def _network_size(network: str, image_shape: tuple[int, ...]) -> tuple[int, int]:
    """Parameters and bytes."""
    tree = variables(network, image_shape)
    return trees.num_parameters(tree["params"]), trees.num_bytes(tree)


def _backbone(spec: TrainSpec) -> Any:
    return _built_backbone(hashing.canonical(spec.model))


@functools.lru_cache(maxsize=256)
def _built_backbone(model: str) -> Any:
    return models.build_model(json.loads(model), head_outputs={}).backbone
