"""Training programs, cached by what they compute: never one `jit` per stage."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import optax
from jax.sharding import Mesh

from jaxseg.core import compiled, hashing
from jaxseg.tasks import build
from jaxseg.train import optim, step

FIELDS = ("model", "optimizer", "accumulate", "lr_multipliers", "ema")


def train_program(
    spec: Any, task: Mapping[str, Any], num_outputs: int, mesh: Mesh | None = None
) -> compiled.Program:
    """(state, batch, lr) -> (state, logs) of a training whose Spec has FIELDS, and of a
    task, on a mesh: not of its rate, steps or data.

    The state's memory is given to the result: do not use the old state afterwards.
    """
    fields = {name: getattr(spec, name) for name in FIELDS}
    return _train_program(hashing.canonical([fields, task, num_outputs]), mesh)


def optimizer(section: dict[str, Any]) -> optax.GradientTransformation:
    """The optax transformation of a resolved `optimizer` section."""
    return optim.build(**section)


@functools.lru_cache(maxsize=64)
def _train_program(key: str, mesh: Mesh | None) -> compiled.Program:
    section, task, num_outputs = json.loads(key)
    model, task = build.network(section["model"], task, num_outputs)
    tx = optimizer(section["optimizer"])

    return of_step(
        model=model,
        task=task,
        tx=tx,
        accumulate=section["accumulate"],
        lr_multipliers=section["lr_multipliers"],
        ema=section["ema"],
        mesh=mesh,
    )


def of_step(*, accumulate: int = 1, **options: Any) -> compiled.Program:
    """`step.train_step` with these options."""
    one = functools.partial(step.train_step, accumulate=accumulate, **options)
    return compiled.Program(one, donate_argnums=0)
