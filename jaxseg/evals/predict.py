"""Jitted prediction on whole images: one program per model, task and canvas."""

import functools
import json
from typing import Any

from jaxseg.core import compiled, hashing, images_jnp
from jaxseg.core.types import Array, Batch, Variables
from jaxseg.tasks import build


def run(
    model: dict[str, Any],
    task: dict[str, Any],
    num_outputs: int,
    variables: Variables,
    batch: Batch,
    out: tuple[int, int] | None,
) -> tuple[Any, Any]:
    """(predictions, counts) of a batch on the devices, whole images on their canvas.

    out: (height, width) that maps are resized to, each in its top left corner to its
    own `label_size`, before they are decoded; None: they stay as the canvas is. Counts
    are None where the batch holds no labels.

    Two programs: the network, one for a canvas, and what follows, one for each `out`,
    which takes a tenth of the time to compile. What they say of an image depends
    neither on `out` nor on its neighbours in the batch.
    """
    image = batch["image"]
    rest = {name: x for name, x in batch.items() if name != "image"}
    network = forward(model, task, num_outputs).compiled(variables, image, key=image)
    outputs = network(variables, image)
    judge = judgement(task, num_outputs, out)
    return judge.compiled(outputs, rest, key=(outputs, rest))(outputs, rest)


def forward(
    model: dict[str, Any], task: dict[str, Any], num_outputs: int
) -> compiled.Program:
    """(variables, images) -> outputs of the head, shared by all equal callers."""
    return _forward(hashing.canonical([model, task, num_outputs]))


def judgement(
    task: dict[str, Any], num_outputs: int, out: tuple[int, int] | None
) -> compiled.Program:
    """(outputs, batch) -> (predictions, counts), whatever the model."""
    return _judgement(hashing.canonical([task, num_outputs, out]))


@functools.lru_cache(maxsize=256)
def _forward(key: str) -> compiled.Program:
    network, task = build.network(*json.loads(key))

    def apply(variables: Variables, image: Array) -> Any:
        return network.apply(variables, image, train=False, head=task.name)

    return compiled.Program(apply)


@functools.lru_cache(maxsize=256)
def _judgement(key: str) -> compiled.Program:
    section, num_outputs, out = json.loads(key)
    task = build.task(section, num_outputs)

    def judge(outputs: Any, batch: Batch) -> tuple[Any, Any]:
        if out is not None:
            sizes = (batch["scaled"], batch["label_size"])
            outputs = images_jnp.resize_to(outputs, *sizes, tuple(out))
        predictions = task.decode(outputs)
        counted = task.fields[0] in batch
        return predictions, task.update(predictions, batch) if counted else None

    return compiled.Program(judge)
