"""Sizes of training images that a backbone takes without padding them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxseg.core import errors, memo
from jaxseg.data import dataset, transforms
from jaxseg.models import model as models
from jaxseg.transfer.spec import TrainData, TrainSpec


def default(spec: TrainSpec, facts: dataset.Dataset) -> tuple[int, int] | None:
    """The data set's own size, each side rounded to what the backbone does not pad."""
    if facts.size is None:
        return None
    return rounded(facts.size, _backbone(spec).multiple)


def check(spec: TrainSpec, data: TrainData, where: str) -> None:
    """UserError where training would pad its crops: zeros in the batch statistics."""
    backbone = _backbone(spec)
    size, step = of_crops(data), backbone.multiple
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


def of_crops(data: TrainData) -> tuple[int, int]:
    """(height, width) of training images: what the last cropping transform gives."""
    size = tuple(data.size)
    for step in map(transforms.build, data.augment):
        if isinstance(step, transforms.Cropping | transforms.Letterbox):
            size = (step.height or size[0], step.width or size[1])
    return size


def note(spec: TrainSpec, data: TrainData, facts: dataset.Dataset) -> str | None:
    """What to say where the data set's own size was rounded."""
    own, size = facts.size, tuple(data.size)
    if not own or size == tuple(own) or size != default(spec, facts):
        return None
    return (
        f"images of {size[0]} x {size[1]}: the set's own {own[0]} x {own[1]} is no "
        f"multiple of {_backbone(spec).multiple}"
    )


def rounded(size: Sequence[int], step: int) -> tuple[int, int]:
    """Each side to the nearest multiple of `step`, of two the larger, never to 0."""
    height, width = (max((n + step // 2) // step, 1) * step for n in size)
    return height, width


def _backbone(spec: TrainSpec) -> Any:
    return _built(spec.model)


@memo.by_content
def _built(model: Mapping[str, Any]) -> Any:
    return models.build_backbone(model)
