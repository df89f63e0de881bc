"""Variables of equal modules as one, while they are trained.

A network of equal modules has hundreds of small leaves, and a program most of its
instructions and half of its compile time in what it does to each: its part of a stack,
its step, its place in a norm. The leaves of modules that `outlined.sequence` runs in a
loop are therefore stacked along a new first axis in the state of a training. Artifacts,
patterns and receipts name each leaf by itself; what diverged is named by the loop.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxseg.core import trees

# (path of the module that calls them, their names): equal, one after the other.
Loop = tuple[str, tuple[str, ...]]


def key(names: Sequence[str]) -> str:
    """What stands for modules with numbers in a row.

    >>> key(["block1", "block2", "block3"])
    'block1..3'
    """
    return f"{names[0]}..{_number(names[-1])}"


def members(key: str) -> list[str]:
    """Inverse of `key`; a name that stands for itself alone gives that.

    >>> members("block1..3"), members("conv1")
    (['block1', 'block2', 'block3'], ['conv1'])
    """
    match = re.fullmatch(r"(.*?)(\d+)\.\.(\d+)", key)
    if match is None:
        return [key]
    prefix, first, last = match.groups()
    return [f"{prefix}{number}" for number in range(int(first), int(last) + 1)]


def paths(path: str) -> list[str]:
    """Those of the leaves that the one at `path` is made of, in their order.

    >>> paths("stage0..1/block0..1/bias")[:3]
    ['stage0/block0/bias', 'stage0/block1/bias', 'stage1/block0/bias']
    """
    several = itertools.product(*map(members, path.split("/")))
    return ["/".join(parts) for parts in several]


def numbered(names: Sequence[str]) -> bool:
    """Whether these are two names or more that `key` can stand for."""
    return len(names) > 1 and members(key(names)) == list(names)


def cut(loops: Sequence[Loop], factors: Mapping[str, Any]) -> list[Loop]:
    """The loops, cut where the factors {path: any} of the leaves below change."""

    def below(path: str) -> list[tuple[str, Any]]:
        own = factors.items()
        return [(p.removeprefix(path), f) for p, f in own if trees.under(path, p)]

    found = []
    for parent, modules in loops:
        kinds = [below(f"{parent}/{name}".strip("/")) for name in modules]
        runs = itertools.groupby(zip(kinds, modules), lambda pair: pair[0])
        found += [(parent, tuple(name for _, name in run)) for _, run in runs]
    return [(parent, run) for parent, run in found if len(run) > 1]


def stack(
    variables: Mapping[str, Any],
    loops: Sequence[Loop],
    join: Callable[[list[Any]], Any] = np.stack,
) -> dict[str, Any]:
    """Variables with one leaf for those of all modules of a loop, by `join`."""
    variables = jax.tree.map(lambda leaf: leaf, dict(variables))  # dicts of its own
    for parent, modules in sorted(loops, key=lambda loop: -loop[0].count("/")):
        for tree in variables.values():
            for part in filter(None, parent.split("/")):
                tree = tree.get(part, {})
            if modules[0] in tree:
                several = [tree.pop(name) for name in modules]
                tree[key(modules)] = jax.tree.map(lambda *x: join(list(x)), *several)
    return variables


def unstack(tree: Any) -> Any:
    """Variables, or a part of them, with each leaf by itself; of whatever arrays. What
    is called like `block0..3` is taken for a stack.
    """
    if not isinstance(tree, Mapping):
        return tree
    found = {}
    for name, own in tree.items():
        several = members(name)
        for i, one in enumerate(several):  # the outermost loop is the first axis
            found[one] = unstack(own if len(several) == 1 else _part(own, i))
    return found


def _part(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _number(name: str) -> str:
    return re.search(r"\d*$", name)[0]
