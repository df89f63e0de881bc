"""Jitted prediction on whole images: one program per model, task and shape."""

import functools
import json
from typing import Any

from jaxseg.core import hashing, images_jnp, lookup
from jaxseg.core.types import Array, Batch, Variables
from jaxseg.data.dataset import Dataset
from jaxseg.evals import compiled
from jaxseg.models import model as models
from jaxseg.tasks import task as tasks


def program(
    model: dict[str, Any],
    task: dict[str, Any],
    num_outputs: int,
    *,
    resample: bool,
    count: bool = True,
) -> compiled.Program:
    """(variables, batch) -> (predictions, counts), shared by all equal callers.

    resample: logits are resized bilinearly from the canvas to each image's own label
    size before decoding; off where every label has the canvas's size already.
    count: off where there are no labels; counts are None then.
    """
    return _program(hashing.canonical([model, task, num_outputs, resample, count]))


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
def _program(key: str) -> compiled.Program:
    model, task, num_outputs, resample, count = json.loads(key)
    network, task = build(model, task, num_outputs)

    def predict(variables: Variables, batch: Batch) -> tuple[Array, Array | None]:
        outputs = network.apply(variables, batch["image"], train=False, head=task.name)
        if resample:
            out = batch[task.fields[0]].shape[1:3]
            outputs = images_jnp.resize_to(
                outputs, batch["scaled"], batch["label_size"], out
            )
        predictions = task.decode(outputs)
        return predictions, task.update(predictions, batch) if count else None

    return compiled.Program(predict)
