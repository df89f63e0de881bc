"""Frozen modules run in evaluation mode, in any backbone or head.

A module all of whose parameters are frozen is a fixed function: its norms use their
running statistics and do not change them, its dropout is off. With the statistics of
the batch its outputs would depend on the rest of the batch, and frozen leaves would
change.
"""

import contextlib
import contextvars
from collections.abc import Iterable, Iterator
from typing import Any

import flax.linen as nn

from jaxseg.core import trees
from jaxseg.models import stacking


def modules(scales: Any) -> frozenset[str]:
    """Paths of the modules below which every learning-rate multiplier is 0."""
    flat = {
        path: scale
        for several, scale in trees.flatten(scales).items()
        for path in stacking.paths(several)
    }
    moving = {above for path, scale in flat.items() if scale for above in _above(path)}
    return frozenset(above for path in flat for above in _above(path)) - moving


_FROZEN = contextvars.ContextVar("frozen", default=frozenset())


@contextlib.contextmanager
def evaluating(frozen: Iterable[str]) -> Iterator[None]:
    """Within it modules at these paths are called with `train=False`, and so are all
    that they call with the `train` they were given.
    """

    def intercept(call: Any, args: Any, options: dict[str, Any], context: Any) -> Any:
        # Not `frozen`: an outlined module has paths, and frozen ones, of its own.
        if "train" in options and "/".join(context.module.path) in _FROZEN.get():
            options = options | {"train": False}
        return call(*args, **options)

    token = _FROZEN.set(frozenset(frozen))
    try:
        with nn.intercept_methods(intercept):
            yield
    finally:
        _FROZEN.reset(token)


def inside(path: str) -> frozenset[str]:
    """The frozen modules at `path` and below, by their paths from there."""
    below = (own.removeprefix(path) for own in _FROZEN.get() if own.startswith(path))
    return frozenset(own[1:] for own in below if own[:1] in ("", "/"))


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
