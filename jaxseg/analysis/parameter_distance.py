"""How far trained models lie apart in parameter space (chairs paper, Table 5).

Parameters alone: batch statistics are not what a gradient moves.
"""

import collections
import dataclasses
import itertools
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, rules, trees

ROLES = None  # of the parents: any two or more
TOTAL = "total"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """L2 distances between all pairs of parents, in total and for each layer.

    depth: how many parts of a parameter's path name its layer, its own name not
    counted: backbone/level0/conv1 with 3, backbone with 1.
    """

    name: str
    depth: Annotated[int, rules.at_least(1)] = 3


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> list[dict[str, Any]]:
    """Rows {a, b, layer, distance}: for each pair of parents a row of all parameters,
    whose layer is "total", and one for each layer.
    """
    params = {role: model.variables["params"] for role, model in models.items()}
    return [
        {"analysis": spec.name, "a": a, "b": b, "layer": layer, "distance": distance}
        for a, b in itertools.combinations(params, 2)
        for layer, distance in distances(
            params[a], params[b], spec.depth, what=f"{a} and {b}"
        ).items()
    ]


def distances(
    a: Mapping[str, Any], b: Mapping[str, Any], depth: int, *, what: str
) -> dict[str, float]:
    """{"total" or layer: L2 norm of a - b}; the squares of the layers add up to that of
    the total. UserError, beginning with `what`, unless paths and shapes are the same.

    >>> a = {"conv": {"kernel": np.array([0.0, 3.0]), "bias": np.array([4.0])}}
    >>> b = {"conv": {"kernel": np.zeros(2), "bias": np.zeros(1)}}
    >>> distances(a, b, depth=1, what="x")
    {'total': 5.0, 'conv': 5.0}
    """
    ones, others = trees.flatten(a), trees.flatten(b)
    check_alike(ones, others, what)
    squares: dict[str, float] = collections.defaultdict(float)
    for path, one in ones.items():
        apart = np.asarray(one, np.float64) - np.asarray(others[path], np.float64)
        squares["/".join(path.split("/")[:-1][:depth])] += float(np.sum(apart**2))
    layers = {layer: float(np.sqrt(square)) for layer, square in squares.items()}
    return {TOTAL: float(np.sqrt(sum(squares.values())))} | layers


def check_alike(ones: Mapping[str, Any], others: Mapping[str, Any], what: str) -> None:
    """UserError unless two flat trees have the same paths and shapes."""
    shapes = [
        {path: np.shape(x) for path, x in tree.items()} for tree in (ones, others)
    ]
    differing = sorted(shapes[0].items() ^ shapes[1].items())
    if differing:
        path = differing[0][0]
        found = [tree.get(path, "none") for tree in shapes]
        raise errors.UserError(
            f"{what}: {path} has the shapes {found[0]} and {found[1]}; allowed are "
            "models of the same parameters. Fix: parents with one model section and "
            "as many outputs"
        )
