"""Everything that changes while training, as one pytree."""

from typing import Any

import flax.struct
import jax

from jaxseg.core.types import Array, Variables


class TrainState(flax.struct.PyTreeNode):
    """`rng` never changes: each step folds its own number into it."""

    step: Array  # int32 []
    rng: Array  # uint32 [2]
    params: Any
    collections: Any  # {"batch_stats": tree}: everything that is not trained
    opt_state: Any
    ema: Any  # running mean of params, or None

    def variables(self) -> Variables:
        """What to evaluate and to store: averaged parameters where there are any."""
        params = self.params if self.ema is None else self.ema
        return {"params": params, **self.collections}


def create(variables: Variables, tx: Any, *, seed: int, ema: bool) -> TrainState:
    """State at step 0 from initial variables; the average starts as a copy."""
    params = variables["params"]
    return TrainState(
        step=jax.numpy.zeros((), jax.numpy.int32),
        rng=jax.random.PRNGKey(seed),
        params=params,
        collections={k: v for k, v in variables.items() if k != "params"},
        opt_state=tx.init(params),
        ema=jax.tree.map(jax.numpy.copy, params) if ema else None,
    )


def to_flat(state: TrainState) -> dict[str, Array]:
    """{path: leaf}, the form that checkpoints hold."""
    return {_name(path): leaf for path, leaf in _leaves(state)}


def from_flat(like: TrainState, flat: dict[str, Array]) -> TrainState:
    """Inverse of `to_flat`: `like` gives structure; its own values are dropped."""
    names = [_name(path) for path, _ in _leaves(like)]
    leaves = [flat[name] for name in names]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _leaves(state: TrainState) -> list[tuple[Any, Array]]:
    return jax.tree_util.tree_flatten_with_path(state)[0]


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=":")
