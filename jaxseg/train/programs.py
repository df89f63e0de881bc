"""Training programs, cached by what they compute: never one `jit` per stage."""

import functools
import json
from typing import Any

import optax

from jaxseg.core import compiled, hashing
from jaxseg.tasks import build
from jaxseg.train import optim, step


def train_program(section: dict[str, Any], num_outputs: int) -> compiled.Program:
    """(state, batch, lr) -> (state, logs); `section` as `parts` describes it.

    The state's memory is given to the result: do not use the old state afterwards.
    """
    return _train_program(hashing.canonical([parts(section), num_outputs]))


def parts(section: dict[str, Any]) -> dict[str, Any]:
    """What of a resolved train stage decides its program: not lr, steps or data."""
    names = ("model", "task", "optimizer", "accumulate", "multipliers", "ema")
    return {name: section[name] for name in names}


def optimizer(section: dict[str, Any]) -> optax.GradientTransformation:
    """The optax transformation of a resolved `optimizer` section."""
    return optim.build(**section)


@functools.lru_cache(maxsize=64)
def _train_program(key: str) -> compiled.Program:
    section, num_outputs = json.loads(key)
    model, task = build.network(section["model"], section["task"], num_outputs)
    tx = optimizer(section["optimizer"])

    return of_step(
        model=model,
        task=task,
        tx=tx,
        accumulate=section["accumulate"],
        lr_multipliers=section["multipliers"],
        ema=section["ema"],
    )


def of_step(*, accumulate: int = 1, **options: Any) -> compiled.Program:
    """`step.train_step` with these options; its FLOPs are those of the whole batch."""
    whole = functools.partial(step.train_step, **options)
    return compiled.Program(
        functools.partial(whole, accumulate=accumulate),
        counted=whole if accumulate > 1 else None,  # microbatches are a loop
        donate_argnums=0,
    )
