"""All values that training changes, as one pytree."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from jaxseg.core import errors, hosts, trees
from jaxseg.core.types import Array, Variables


class TrainState(flax.struct.PyTreeNode):
    """`rng` never changes: each step folds its own number into it."""

    step: Array  # int32 []
    rng: Array  # uint32 [2]
    params: Any
    collections: Any  # {"batch_stats": tree}: everything that is not trained
    opt_state: Any
    ema: Any  # running mean of params and collections, or None
    ema_steps: Any  # {backbone or head: int32 [], the steps in its mean}, or None

    def variables(self) -> Variables:
        """The variables to evaluate and to store: the average if there is one."""
        return self._raw() if self.ema is None else self.ema

    def averaged(
        self, decay: float, active: Sequence[str] | None = None
    ) -> "TrainState":
        """The state with this step's values in the average.

        active: prefixes of the leaves that this step trains; None: all. The average of
        others stays.

        The average keeps the share `decay` of itself, and less in the first steps,
        (1 + step) / (10 + step), so that the initial values lose their weight. Backbone
        and heads count each their own steps: those of others would end the first steps
        of a head that few batches train before it has any.
        Batch statistics are averaged like the parameters: the statistics of the raw
        parameters would give the averaged ones wrong outputs.
        """
        tops = self.ema_steps if active is None else {_top(path) for path in active}
        steps = {top: n + (top in tops) for top, n in self.ema_steps.items()}
        kept = {top: jnp.minimum(decay, (1 + n) / (10 + n)) for top, n in steps.items()}

        def mean(path: Any, average: Array, value: Array) -> Array:
            inside = _inside(path)
            if active is not None and not trees.under_any(active, inside):
                return average
            if not jnp.issubdtype(value.dtype, jnp.floating):
                return value
            # In this form the average of a constant is that constant, bit for bit.
            return average + (1 - kept[_top(inside)]) * (value - average)

        ema = jax.tree_util.tree_map_with_path(mean, self.ema, self._raw())
        return self.replace(ema=ema, ema_steps=steps)

    def _raw(self) -> Variables:
        return {"params": self.params, **self.collections}


def create(variables: Variables, tx: Any, *, seed: int, ema: bool) -> TrainState:
    """State at step 0 from initial variables; the average starts as a copy."""
    params = variables["params"]
    tops = sorted({top for tree in variables.values() for top in tree})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        rng=jax.random.PRNGKey(seed),
        params=params,
        collections={k: v for k, v in variables.items() if k != "params"},
        opt_state=tx.init(params),
        ema=jax.tree.map(jnp.copy, variables) if ema else None,
        ema_steps={top: jnp.zeros((), jnp.int32) for top in tops} if ema else None,
    )


def check_finite(tree: Mapping[str, Any], step: int) -> None:
    """Raises Diverged with the path of the first leaf that is not finite, on all
    processes that work together; each looks at what it has.
    """
    with hosts.agreeing():
        path = trees.not_finite(hosts.fetched(tree))
        if path is not None:
            raise errors.Diverged(
                f"{path} is not finite after step {step}, although the losses before "
                "were. Fix: a lower lr, or optimizer.clip"
            )


def to_flat(state: TrainState) -> dict[str, Array]:
    """{path: leaf}, as checkpoints store it."""
    return {_name(path): leaf for path, leaf in _leaves(state)}


def from_flat(like: TrainState, flat: dict[str, Array]) -> TrainState:
    """Inverse of `to_flat`; `like` gives the structure only."""
    names = [_name(path) for path, _ in _leaves(like)]
    leaves = [flat[name] for name in names]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _leaves(state: TrainState) -> list[tuple[Any, Array]]:
    return jax.tree_util.tree_flatten_with_path(state)[0]


def _inside(path: Any) -> str:
    """The path of a leaf of variables without its collection."""
    return jax.tree_util.keystr(path[1:], simple=True, separator="/")


def _top(path: str) -> str:
    """The backbone or head that a path without its collection lies in."""
    return path.partition("/")[0]


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=":")
