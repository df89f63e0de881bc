"""Jitted prediction on whole images: one program per model, task and canvas."""

import functools
import json
from typing import Any

from jaxseg.core import hashing, images_jnp, lookup
from jaxseg.core.types import Array, Batch, Variables
from jaxseg.data.dataset import Dataset
from jaxseg.evals import compiled
from jaxseg.models import model as models
from jaxseg.tasks import task as tasks


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


def build(
    model: dict[str, Any], task: dict[str, Any], num_outputs: int
) -> tuple[models.Model, tasks.Task]:
    """The model with the task's head, and the task, of resolved sections."""
    built = build_task(task, num_outputs)
    return models.build_model(model, head_outputs={built.name: num_outputs}), built


def build_task(section: dict[str, Any], num_outputs: int) -> tasks.Task:
    """The task of a resolved section for data with that many classes."""
    options = {key: value for key, value in section.items() if key != "name"}
    module = lookup.load("jaxseg.tasks", section["name"])
    return module.build(num_outputs=num_outputs, **options)


def outputs_for(section: dict[str, Any], facts: Dataset) -> int:
    """How many outputs the head of a task needs for a data set."""
    return build_task(section, 1).outputs(facts)


@functools.lru_cache(maxsize=256)
def _forward(key: str) -> compiled.Program:
    network, task = build(*json.loads(key))

    def apply(variables: Variables, image: Array) -> Any:
        return network.apply(variables, image, train=False, head=task.name)

    return compiled.Program(apply)


@functools.lru_cache(maxsize=256)
def _judgement(key: str) -> compiled.Program:
    section, num_outputs, out = json.loads(key)
    task = build_task(section, num_outputs)

    def judge(outputs: Any, batch: Batch) -> tuple[Any, Any]:
        if out is not None:
            sizes = (batch["scaled"], batch["label_size"])
            outputs = images_jnp.resize_to(outputs, *sizes, tuple(out))
        predictions = task.decode(outputs)
        counted = task.fields[0] in batch
        return predictions, task.update(predictions, batch) if counted else None

    return compiled.Program(judge)
