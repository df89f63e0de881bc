"""Batch statistics of weights that were never trained together, such as a mean of two.

The statistics of a mean of two networks are no mean of theirs: they are estimated
anew, as for stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407).
"""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jaxseg.core.types import Array, Batch, Variables
from jaxseg.models import layers

STATS = "batch_stats"


def reestimated(
    model: Any,
    head: str | tuple[str, ...],
    variables: Variables,
    batches: Iterable[Batch],
) -> Variables:
    """`variables` with other batch statistics: the means, over all batches, of the mean
    and of the variance that each BatchNorm sees in training mode.

    head: the name of one, or of several. Others keep theirs.
    """
    if not variables.get(STATS):
        return variables
    fresh = {name: tree for name, tree in variables.items() if name != STATS}
    fresh[STATS] = jax.tree.map(jnp.zeros_like, variables[STATS])
    total, count = fresh[STATS], 0
    for batch in batches:
        key = jax.random.fold_in(jax.random.key(0), count)
        seen = _seen(fresh, batch["image"], key, model=model, head=head)
        total, count = jax.tree.map(jnp.add, total, seen), count + 1
    return fresh | {STATS: jax.tree.map(lambda x: x / count, total)}


@functools.partial(jax.jit, static_argnames=("model", "head"))
def _seen(
    variables: Variables,
    image: Array,
    key: Array,
    *,
    model: Any,
    head: str | tuple[str, ...],
) -> Any:
    """What a batch adds to statistics of 0, as if all of it counted."""
    _, changed = model.apply(
        variables,
        image,
        train=True,
        head=head,
        mutable=[STATS],
        rngs={"dropout": key},
    )
    share = 1 - layers.BatchNorm.momentum  # the batch's, in a running mean
    return jax.tree.map(lambda x: x / share, changed[STATS])
