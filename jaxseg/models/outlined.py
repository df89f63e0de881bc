"""Equal modules of a network traced and compiled once.

Most modules of a large network equal one another. Called here, a module becomes a
jitted function of its variables, which JAX traces, differentiates and lowers once for
all modules equal to it; XLA puts the calls back in place. Modules that follow one
another are the body of a loop over their variables, which XLA compiles once; that is
most of the time it takes. The leaves keep their names: they are stacked in the program,
unless they come stacked (`stacking`).
"""

import contextlib
import contextvars
import functools
import itertools
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxseg.core import trees
from jaxseg.models import freezing, stacking

TAKEN = ("intermediates", "perturbations")  # collections that a caller may ask for
Function = Callable[[Any, Any], tuple[Any, Any]]
_LOOPS = contextvars.ContextVar("loops", default=None)


def call(module: nn.Module, x: Any, *, train: bool, remat: bool = False) -> Any:
    """`module(x, train=train)` of a named child of the module that calls this.

    remat: the module is computed again in the backward pass. The module may not draw
    random numbers (dropout): Linen raises InvalidRngError. It may not sow into a
    collection that it does not have yet: what it sows is lost. While variables are
    made, and where intermediates are taken, it is called as it is.
    """
    return sequence([module], x, train=train, remat=remat)


def sequence(
    modules: Sequence[nn.Module], x: Any, *, train: bool, remat: bool = False
) -> Any:
    """`call` of one module after the other; a loop of those that follow one another,
    are equal and give what they take.

    A loop is not always faster: on CPU it is for HRNet and ViT, not for ResNet, which
    therefore calls its blocks as they are (tests/bench/README.md).
    """
    if not modules:
        return x
    if modules[0].is_initializing() and _LOOPS.get() is not None:
        return _initialize(modules, x, train, _LOOPS.get())
    keys = {key for tree in modules[0].parent.variables.values() for key in tree}
    # {first of the modules whose variables are one: where these are}
    firsts = {key: stacking.members(key)[0] for key in keys}
    stacked = {first: key for key, first in firsts.items() if first != key}
    if _is_plain(modules[0]):
        if any(module.name in stacked for module in modules):
            raise ValueError("intermediates: allowed after `stacking.unstack` alone")
        for module in modules:
            x = module(x, train=train)
        return x
    rest = list(modules)
    while rest:
        key = stacked.get(rest[0].name)
        if key is not None:
            x = _run_stacked(rest[0], key, x, train, remat)
            rest = rest[len(stacking.members(key)) :]
            continue
        alone = itertools.takewhile(lambda one: one.name not in stacked, rest)
        kinds = [_kind(module, train, remat) for module in alone]
        equal = list(
            itertools.takewhile(functools.partial(operator.eq, kinds[0]), kinds)
        )
        x = _run(kinds[0][0], rest[: len(equal)], x)
        rest = rest[len(equal) :]
    return x


@contextlib.contextmanager
def noting() -> Iterator[list[stacking.Loop]]:
    """The loops of what is initialized within it, where a module that equals the one
    before is not called: it has the same laws, and the values of these are not used.
    """
    loops: list[stacking.Loop] = []
    token = _LOOPS.set(loops)
    try:
        yield loops
    finally:
        _LOOPS.reset(token)


def _is_plain(module: nn.Module) -> bool:
    """Whether modules are called as they are, for they make or sow variables."""
    return module.is_initializing() or any(map(module.is_mutable_collection, TAKEN))


def _initialize(
    modules: Sequence[nn.Module], x: Any, train: bool, loops: list[stacking.Loop]
) -> Any:
    """The output while variables are made; adds what will be a loop to `loops`."""
    runs: list[list[nn.Module]] = []
    definition, keeps_shapes = None, False
    for module in modules:
        previous, definition = definition, module.clone(parent=None, name=None)
        if keeps_shapes and previous == definition:
            _copy(runs[-1][-1], module, loops)
            runs[-1].append(module)
            continue
        before, x = _shapes(x), module(x, train=train)
        keeps_shapes = before == _shapes(x)
        runs.append([module])
    for run in runs:
        names = tuple(module.name for module in run)
        if stacking.numbered(names):
            loops.append((_path(run[0].parent), names))
    return x


def _copy(module: nn.Module, equal: nn.Module, loops: list[stacking.Loop]) -> None:
    """Gives `equal` the variables and loops of a module that was initialized."""
    _update(equal, flax.core.unfreeze(module.variables))
    old, new = _path(module), _path(equal)
    below = [loop for loop in loops if trees.under(old, loop[0])]
    loops += [(new + path.removeprefix(old), names) for path, names in below]


def _path(module: nn.Module) -> str:
    return "/".join(module.path)


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _kind(module: nn.Module, train: bool, remat: bool) -> tuple[Function, Any]:
    """What equal modules share: the function, and the shapes of the variables."""
    variables = flax.core.unfreeze(module.variables)
    return _function_of(module, variables, train, remat), _shapes(variables)


def _function_of(module: nn.Module, variables: Any, train: bool, remat: bool):
    return _function(
        module.clone(parent=None, name=None),
        train,
        remat,
        tuple(filter(module.is_mutable_collection, variables)),
        freezing.inside(_path(module)),
    )


def _run_stacked(first: nn.Module, key: str, x: Any, train: bool, remat: bool) -> Any:
    """The output of the loop over the variables that the parent has as `key`."""
    parent = first.parent
    every = flax.core.unfreeze(parent.variables)
    stacked = {name: tree[key] for name, tree in every.items() if key in tree}
    function = _function_of(first, stacked, train, remat)
    x, changed = _loop(function, x, stacked)
    for collection, tree in changed.items():
        parent.put_variable(collection, key, tree)
    return x


def _run(function: Function, modules: Sequence[nn.Module], x: Any) -> Any:
    """The output of equal modules, in a loop where their outputs are as their input."""
    several = [flax.core.unfreeze(module.variables) for module in modules]
    if len(modules) > 1 and _keeps(function, several[0], x):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
        x, changed = _loop(function, x, stacked)
        for i, module in enumerate(modules):
            _update(module, jax.tree.map(operator.itemgetter(i), changed))
        return x
    for module, variables in zip(modules, several):
        x, changed = function(variables, x)
        _update(module, changed)
    return x


def _loop(function: Function, x: Any, stacked: Any) -> tuple[Any, Any]:
    return jax.lax.scan(lambda x, own: function(own, x), x, stacked)


def _update(module: nn.Module, changed: Any) -> None:
    for collection, tree in changed.items():
        for name, value in tree.items():
            module.put_variable(collection, name, value)


def _keeps(function: Function, variables: Any, x: Any) -> bool:
    """Whether the output has the structure, shapes and dtypes of the input."""
    return _shapes(jax.eval_shape(function, variables, x)[0]) == _shapes(x)


@functools.lru_cache(maxsize=256)
def _function(
    module: nn.Module,
    train: bool,
    remat: bool,
    mutable: tuple[str, ...],
    frozen: Collection[str],
) -> Function:
    """(variables, x) -> (output, the mutable collections) of all equal modules."""

    def apply(variables: Any, x: Any) -> tuple[Any, Any]:
        with freezing.evaluating(frozen):  # paths begin at the module
            return module.apply(variables, x, train=train, mutable=list(mutable))

    return jax.jit(jax.checkpoint(apply) if remat else apply)
