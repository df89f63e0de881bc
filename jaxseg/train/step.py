"""One training step."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxseg.core.types import Array, Batch, Logs
from jaxseg.models import freezing
from jaxseg.tasks import objective
from jaxseg.train import mesh as meshes
from jaxseg.train import optim, state


def train_step(
    state: state.TrainState,
    batch: Batch,
    lr: Array,
    *,
    model: Any,
    task: objective.Objective,
    tx: optax.GradientTransformation,
    accumulate: int = 1,
    lr_multipliers: optim.Pairs = (),
    ema: float | None = None,
    mesh: Mesh | None = None,
) -> tuple[state.TrainState, Logs]:
    """The state after one update, and its logs: float32 scalars.

    A pure function: jitted once per program, with the memory of `state` given away.

    lr_multipliers: factors on the learning rate by path; parameters with 0 get no
    gradient and their modules run in evaluation mode (`models.freezing`).
    accumulate: the number of microbatches whose gradients are added. Batch statistics
    and all that `task.unsplit` names are then computed for each microbatch alone.
    mesh: on whose devices the state is divided, see `train.mesh`; None: it is not.
    """
    rng = jax.random.fold_in(state.rng, state.step)
    batch = task.prepare(batch, rng)
    totals = task.totals(batch)  # of the whole batch, whatever microbatch it divides

    active = task.active(batch)
    scales = optim.leaf_scales(state.params, lr_multipliers, active)
    frozen = freezing.modules(scales)

    def loss_fn(params: Any, collections: Any, part: Batch, rng: Array) -> Any:
        params = optim.hold(meshes.gathered(params, mesh), scales)
        variables = {"params": params, **meshes.gathered(collections, mesh)}
        with freezing.evaluating(frozen):
            outputs, collections = task.apply(model, variables, part, rng)
        loss, logs = task.loss(outputs, part, totals)
        return loss, (collections, logs | {"loss": loss})

    gradient = jax.grad(loss_fn, has_aux=True)
    if accumulate == 1:
        grads, (collections, logs) = gradient(
            state.params, state.collections, batch, rng
        )
    else:
        grads, collections, logs = _accumulate(gradient, state, batch, rng, accumulate)
    if task.part is not None:  # each part logs its own, and all the loss together
        own = {f"{task.part}/{name}": value for name, value in logs.items()}
        logs = {"loss": logs["loss"]} | own
    logs = logs | {"grad_norm": optax.tree.norm(grads)}
    state = optim.update(state, grads, lr, tx, scales).replace(collections=collections)
    state = state if ema is None else state.averaged(ema, active)
    return meshes.divided(state, mesh), logs


def microbatches(parts: int, unsplit: Sequence[str]) -> str:
    """What accumulation computes otherwise than the whole batch at once.

    unsplit: what of the loss microbatches have each their own of.
    """
    apart = ", ".join(["batch statistics", *unsplit])
    return f"accumulate {parts}: {apart} are of each microbatch"


def _accumulate(
    gradient: Any, state: state.TrainState, batch: Batch, rng: Array, parts: int
) -> tuple[Any, Any, Logs]:
    """Gradients and logs added over `parts` microbatches, with the memory of one."""

    def split(rows: Array) -> Array:  # strided, so that every device keeps its rows
        return jnp.moveaxis(rows.reshape(-1, parts, *rows.shape[1:]), 1, 0)

    def body(carry: Any, part: Any) -> tuple[Any, None]:
        grads, collections, logs, index = carry
        key = jax.random.fold_in(rng, index)
        new_grads, (collections, new_logs) = gradient(
            state.params, collections, part, key
        )
        grads = jax.tree.map(jnp.add, grads, new_grads)
        logs = jax.tree.map(jnp.add, logs, new_logs)
        return (grads, collections, logs, index + 1), None

    batch = jax.tree.map(split, batch)
    first = jax.tree.map(lambda rows: rows[0], batch)
    shapes = jax.eval_shape(gradient, state.params, state.collections, first, rng)
    grads, (_, logs) = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    start = (grads, state.collections, logs, jnp.int32(0))
    (grads, collections, logs, _), _ = jax.lax.scan(body, start, batch)
    return grads, collections, logs
