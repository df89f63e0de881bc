"""What a training starts from: whether weights fit it, and how they are taken over."""

import json
from collections.abc import Mapping
from typing import Any

from jaxseg.core import memo
from jaxseg.core.types import Variables
from jaxseg.transfer import stage as stages
from jaxseg.transfer import transplant
from jaxseg.transfer.network import Network
from jaxseg.transfer.spec import StartSpec, TrainSpec


def transplanted(
    target: Variables,
    source: Variables,
    start: StartSpec,
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    image_shape: tuple[int, ...],
) -> tuple[Variables, transplant.Receipt]:
    """Variables, or their shapes, after one of a training's `starts`, and the receipt.

    here, there: the model sections of target and source. TransplantError where the
    source's weights do not fit, or fit but would compute something else.
    """
    transplant.check_names(start.take, here, there)
    result = transplant.transplant(target, source, start.take, start.reinit)
    transplant.check_function(start.take, here, there, image_shape, start.allow)
    return result


def check(
    spec: TrainSpec, network: Network, parents: Mapping[str, stages.Stage]
) -> None:
    """TransplantError where one of the `starts` of a training of this network would
    fail when it runs, as far as a plan can know.

    Of a file of weights only the names are compared: its shapes, and what it may know
    better than its architecture (HRNet's fusion), are known when it is read.
    """
    for start in spec.starts:
        parent = stages.kind(parents[start.parent].kind).modelled(parents[start.parent])
        if parent is None:
            continue
        weights = stages.kind(parent.kind).weights(parent.spec)
        there = parent.spec.model
        if weights is None:
            transplant.check_names(start.take, spec.model, there)
        else:
            _check(network, weights, start, there)


@memo.by_content
def _check(
    network: Network,
    weights: stages.Weights,
    start: StartSpec,
    there: Mapping[str, Any],
) -> None:
    here = json.loads(network.sections)[0]
    target, source = network.shapes(), weights.shapes()
    if not _one_tree(target, source, start):
        transplanted(target, source, start, here, there, network.image_shape)
        return
    transplant.check_names(start.take, here, there)
    transplant.check_function(start.take, here, there, network.image_shape, start.allow)


def _one_tree(target: Variables, source: Variables, start: StartSpec) -> bool:
    """Whether all that is taken is one and the same tree of shapes on both sides, as of
    two models with one backbone: a plan has hundreds of such pairs of large networks.
    """

    def same(to: str, frm: str) -> bool:
        pairs = [
            (target.get(c, {}).get(to), source.get(c, {}).get(frm))
            for c in {**target, **source}
        ]
        found = [one for one, _ in pairs if one is not None]
        return bool(found) and all(one is other for one, other in pairs)

    return not start.reinit and all(same(*pair) for pair in start.take.items())
