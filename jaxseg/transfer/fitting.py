"""Whether the weights that a training starts from fit it, as far as a plan can know."""

import functools
import json
from collections.abc import Mapping

from jaxseg.core import hashing
from jaxseg.transfer import shapes as shapes_lib
from jaxseg.transfer import stage as stages
from jaxseg.transfer import transplant
from jaxseg.transfer.spec import TrainSpec


def check(
    spec: TrainSpec,
    network: stages.Network,
    parents: Mapping[str, stages.Stage],
) -> None:
    """TransplantError where one of the `starts` of a training of this network would
    fail when it runs.

    Of a file of weights only the names are compared: its shapes, and what it may know
    better than its architecture (HRNet's fusion), are known when it is read.
    """
    for start in spec.starts:
        parent = _holder(parents[start.parent])
        if parent is None:
            continue
        there = parent.spec.model
        transplant.check_names(start.take, spec.model, there)
        source = stages.kind(parent.kind).network(parent.spec)
        rules = {key: getattr(start, key) for key in ("take", "reinit", "allow")}
        if source is not None:
            _check_shapes(network, parent.kind, source, hashing.canonical(rules))
        if not getattr(parent.spec, "arch", None):
            _check_function(network, *map(hashing.canonical, (there, rules)))


def _holder(parent: stages.Stage) -> stages.Stage | None:
    """The stage with the model; of a selection a candidate, if any stands for all."""
    if parent.kind == "select":
        candidates = [_holder(one) for one in parent.parents.values()]
        models = {one and hashing.canonical(one.spec.model) for one in candidates}
        return candidates[0] if len(models) == 1 else None
    return parent if getattr(parent.spec, "model", None) else None


# A study has many stages and few pairs of networks.
@functools.lru_cache(maxsize=4096)
def _check_shapes(
    network: stages.Network, kind: str, source: stages.Network, rules: str
) -> None:
    start, shapes = json.loads(rules), stages.kind(kind).shapes(*source)
    target = shapes_lib.variables(*network)
    transplant.transplant(target, shapes, start["take"], start["reinit"])


@functools.lru_cache(maxsize=4096)
def _check_function(network: stages.Network, there: str, rules: str) -> None:
    (here, *_), shape = json.loads(network[0]), network[1]
    start, there = json.loads(rules), json.loads(there)
    transplant.check_function(start["take"], here, there, shape, start["allow"])
