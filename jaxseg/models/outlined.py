"""Equal modules of a network traced and compiled once.

Most modules of a large network equal one another. Called here, a module becomes a
jitted function of its variables, which JAX traces, differentiates and lowers once for
all modules equal to it; XLA puts the calls back in place. Modules that follow one
another are the body of a loop over their variables, which XLA compiles once; that is
most of the time it takes. The leaves keep their names: they are stacked in the program.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxseg.models import freezing

TAKEN = ("intermediates", "perturbations")  # collections that a caller may ask for
Function = Callable[[Any, Any], tuple[Any, Any]]


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
    if not modules or _is_plain(modules[0]):
        for module in modules:
            x = module(x, train=train)
        return x
    kinds = [_kind(module, train, remat) for module in modules]
    for kind, several in itertools.groupby(zip(kinds, modules), lambda pair: pair[0]):
        x = _run(kind[0], [module for _, module in several], x)
    return x


def _is_plain(module: nn.Module) -> bool:
    return module.is_initializing() or any(map(module.is_mutable_collection, TAKEN))


def _kind(module: nn.Module, train: bool, remat: bool) -> tuple[Function, Any]:
    """What equal modules share: the function, and the shapes of the variables."""
    variables = flax.core.unfreeze(module.variables)
    function = _function(
        module.clone(parent=None, name=None),
        train,
        remat,
        tuple(filter(module.is_mutable_collection, variables)),
        freezing.inside("/".join(module.path)),
    )
    leaves, structure = jax.tree.flatten(variables)
    return function, (structure, *((leaf.shape, leaf.dtype) for leaf in leaves))


def _run(function: Function, modules: Sequence[nn.Module], x: Any) -> Any:
    """The output of equal modules, in a loop where their outputs are as their input."""
    several = [flax.core.unfreeze(module.variables) for module in modules]
    if len(modules) > 1 and _keeps(function, several[0], x):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
        x, changed = jax.lax.scan(lambda x, own: function(own, x), x, stacked)
        for i, module in enumerate(modules):
            _update(module, jax.tree.map(operator.itemgetter(i), changed))
        return x
    for module, variables in zip(modules, several):
        x, changed = function(variables, x)
        _update(module, changed)
    return x


def _update(module: nn.Module, changed: Any) -> None:
    for collection, tree in changed.items():
        for name, value in tree.items():
            module.put_variable(collection, name, value)


def _keeps(function: Function, variables: Any, x: Any) -> bool:
    """Whether the output has the structure, shapes and dtypes of the input."""
    kind = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    return kind(jax.eval_shape(function, variables, x)[0]) == kind(x)


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
