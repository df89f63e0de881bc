"""Tasks and networks of resolved sections.

The task of one part of a training has a key more than its `build`: `part`, the name of
that part and of its head.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxseg.core import binding, lookup, memo
from jaxseg.data.dataset import Dataset
from jaxseg.models import model as models
from jaxseg.tasks import objective


def bind(section: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A task's section with the defaults of its `build`."""
    module = lookup.load("jaxseg.tasks", binding.name_of(section, where))
    given = {"num_outputs": 1}
    return binding.bind(
        module.build, section=section, where=where, given=given, named=True
    )


@memo.by_content
def task(section: Mapping[str, Any], num_outputs: int) -> objective.Objective:
    """The task of a resolved section, or the objective, for a first head with that many
    outputs.

    >>> task({"name": "segmentation", "ignored": [0]}, num_outputs=3).headline
    'miou'
    """
    options = {k: v for k, v in section.items() if k not in ("name", "part")}
    module = lookup.load("jaxseg.tasks", section["name"])
    built = module.build(num_outputs=num_outputs, **options)
    return dataclasses.replace(built, part=section.get("part"))


def network(
    model: Mapping[str, Any], section: Mapping[str, Any], num_outputs: int
) -> tuple[models.Model, objective.Objective]:
    """The model with the heads of a task, and the task, of resolved sections.

    Of a training of several parts it has the head of this one alone: it takes all
    variables, and leaves those of the others as they are.
    """
    built = task(section, num_outputs)
    if built.part is not None:
        model = models.with_heads(model, built.heads)
    return models.build_model(model, head_outputs=built.heads), built


def outputs(section: Mapping[str, Any], facts: Dataset) -> int:
    """How many outputs the first head of a task needs for a data set."""
    return task(section, 1).outputs(facts)
