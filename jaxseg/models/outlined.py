"""Equal modules of a network traced once: a function that the program calls.

Tracing and lowering take a fifth of the time in which a large network is compiled, and
most of its modules equal one another. Called here, a module becomes a jitted function
of its variables, which JAX traces, differentiates and lowers once for all modules equal
to it. XLA puts the calls back in place, so that the compiled program is the same.
"""

import functools
from collections.abc import Callable, Collection
from typing import Any

import flax.core
import flax.linen as nn
import jax

from jaxseg.models import freezing

TAKEN = ("intermediates", "perturbations")  # collections that a caller may ask for


def call(module: nn.Module, x: Any, *, train: bool, remat: bool = False) -> Any:
    """`module(x, train=train)` of a named child of the module that calls this.

    remat: the module is computed again in the backward pass. The module may not draw
    random numbers (dropout): Linen raises InvalidRngError. It may not sow into a
    collection that it does not have yet: what it sows is lost. While variables are
    made, and where intermediates are taken, it is called as it is.
    """
    if module.is_initializing() or any(map(module.is_mutable_collection, TAKEN)):
        return module(x, train=train)
    variables = flax.core.unfreeze(module.variables)
    function = _function(
        module.clone(parent=None, name=None),
        train,
        remat,
        tuple(filter(module.is_mutable_collection, variables)),
        freezing.inside("/".join(module.path)),
    )
    x, changed = function(variables, x)
    for collection, tree in changed.items():
        for name, value in tree.items():
            module.put_variable(collection, name, value)
    return x


@functools.lru_cache(maxsize=256)
def _function(
    module: nn.Module,
    train: bool,
    remat: bool,
    mutable: tuple[str, ...],
    frozen: Collection[str],
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """(variables, x) -> (output, the mutable collections) of all equal modules."""

    def apply(variables: Any, x: Any) -> tuple[Any, Any]:
        with freezing.evaluating(frozen):  # paths begin at the module
            return module.apply(variables, x, train=train, mutable=list(mutable))

    return jax.jit(jax.checkpoint(apply) if remat else apply)
