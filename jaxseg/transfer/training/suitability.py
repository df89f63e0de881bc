"""Whether a data set has what a task trains on, and can judge a trained head."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxseg.core import errors
from jaxseg.data import dataset
from jaxseg.tasks import build


class Head(NamedTuple):
    """A head that is to be judged, and what it was trained for."""

    task: Mapping[str, Any]  # its section
    outputs: int
    channels: int | None  # of images; None: not known of imported weights
    classes: Sequence[str]

    @classmethod
    def of(cls, task: Mapping[str, Any], facts: dataset.Dataset) -> "Head":
        """That of a training of this task on a set with these facts."""
        channels = facts.channels
        outputs = build.outputs(task, facts)
        return cls(task, outputs, channels, names(task, facts))

    def check(self, name: str, facts: dataset.Dataset, where: str) -> None:
        """UserError where the set called `name` cannot judge this head."""
        check_fields(self.task, name, facts, where)
        wanted = build.outputs(self.task, facts)
        if wanted != self.outputs:
            raise errors.UserError(
                f"{where}: {name} needs a head of {wanted} outputs "
                f"({listed(names(self.task, facts))}), this one has "
                f"{self.outputs} ({listed(self.classes)}). Fix: data with the same "
                "classes, or train a head for these (configs/finetune.py)"
            )
        channels = facts.channels
        if self.channels not in (None, channels):
            raise errors.UserError(
                f"{where}: images of {name} have {channels} channels, those of the "
                f"training {self.channels}. Fix: data with as many channels"
            )


def names(task: Mapping[str, Any], facts: dataset.Dataset) -> Sequence[str]:
    """What the outputs of a task's head stand for."""
    return getattr(facts, build.task(task, 1).named)


def listed(classes: Sequence[str]) -> str:
    """Class names as messages show them."""
    return "classes: " + ", ".join(classes) if classes else "no class names"


def check_fields(
    section: Mapping[str, Any], name: str, facts: dataset.Dataset, where: str
) -> None:
    """UserError where the set called `name` lacks a field that the task trains on."""
    task = build.task(section, 1)
    missing = [field for field in task.fields if field not in facts.fields]
    if missing:
        raise errors.UserError(
            f"{where}: task {task.name!r} needs {', '.join(missing)}; "
            f"{name} has {', '.join(facts.fields)}. Fix: data with these fields "
            "(python -m jaxseg.data list), or a task for which these suffice"
        )
