"""What can be known of a `train` stage before it runs: checks, shapes, costs."""

from collections.abc import Mapping
from typing import Any

from jaxseg.core import errors, lookup, trees
from jaxseg.data import dataset, sources
from jaxseg.evals import predict
from jaxseg.models import initial
from jaxseg.train import optim


def open_source(data: Mapping[str, Any]) -> sources.Source:
    """The examples of a resolved or bound `data` section."""
    names = ("split", "root", "count", "seed", "part", "options", "cache")
    return sources.open(data["name"], **{name: data[name] for name in names})


def check(spec: Mapping[str, Any], facts: dataset.Dataset, where: str) -> None:
    """UserError on what can be known to fail before any data is read."""
    task = predict.build_task(spec["task"], max(facts.num_classes, 1))
    missing = [name for name in task.fields if name not in facts.fields]
    if missing:
        raise errors.UserError(
            f"{where}: task {task.name!r} needs {', '.join(missing)}; "
            f"{spec['data']['name']} has {', '.join(facts.fields)}"
        )
    for name, allowed in (("keep", ("last", "best")),):
        if spec[name] not in allowed:
            raise errors.UserError(
                f"{where}/{name}: found {spec[name]!r}, allowed: {', '.join(allowed)}"
            )
    for name in ("steps", "batch_size", "accumulate"):
        if spec[name] < 1:
            raise errors.UserError(
                f"{where}/{name}: found {spec[name]}, allowed: 1 or more"
            )
    if spec["headline"] not in spec["evaluations"]:
        raise lookup.unknown(
            spec["headline"], spec["evaluations"], kind=f"evaluation, {where}/headline"
        )
    if spec["patience"] is not None and not spec["eval_every"]:
        raise errors.UserError(f"{where}: patience needs eval_every, found 0")
    optim.schedule(steps=spec["steps"], **spec["schedule"])
    if spec["multipliers"]:  # a pattern that matches nothing is found before training
        network = abstract_variables(spec, facts)
        optim.leaf_scales(network["params"], spec["multipliers"])


def abstract_variables(spec: Mapping[str, Any], facts: dataset.Dataset) -> Any:
    """Shapes of all variables, without computing any."""
    model, _ = predict.build(spec["model"], spec["task"], facts.num_classes)
    return initial.shapes(model, image_shape(spec, facts))


def image_shape(spec: Mapping[str, Any], facts: dataset.Dataset) -> tuple[int, ...]:
    """[H, W, C] of training crops."""
    return (*spec["data"]["size"], len(facts.mean or (0, 0, 0)))


def describe(spec: Mapping[str, Any], facts: dataset.Dataset) -> dict[str, Any]:
    """For the plan: parameters, steps, examples seen, bytes on disk when done."""
    network = abstract_variables(spec, facts)
    return {
        "parameters": trees.num_parameters(network["params"]),
        "steps": spec["steps"],
        "examples": spec["steps"] * spec["batch_size"],
        "bytes": trees.num_bytes(network),
    }
