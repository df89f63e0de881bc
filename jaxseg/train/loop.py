"""The train loop: one step for each batch, then the hooks."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from jaxseg.core import compiled
from jaxseg.core.types import Batch, Logs
from jaxseg.train import mesh as meshes
from jaxseg.train import state as states


@dataclasses.dataclass
class Event:
    """What a hook gets after each step."""

    step: int  # finished steps, from 1
    state: states.TrainState  # valid until the next step takes its memory
    logs: Logs  # scalars on device
    lr: float
    ids: list[str]  # record ids of the batch, in order
    stop: bool = False  # a hook sets it to end the run after this step


@dataclasses.dataclass
class Clock:
    """The seconds of a run, by activity."""

    steps: float = 0.0  # the loop without the seconds below
    data_wait: float = 0.0  # the device was idle because no batch was ready
    compile: float = 0.0
    hooks: float = 0.0
    # {program: FLOPs and bytes of one step}, see `Program.cost`; of those that ran.
    costs: dict[compiled.Program, dict[str, int | None]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def beside(self) -> float:
        """The seconds that are not those of steps."""
        return self.data_wait + self.compile + self.hooks


Hook = Callable[[Event], None]


def fit(
    state: states.TrainState,
    batches: Iterator[tuple[Batch, list[str]]],
    program: Callable[[int], compiled.Program],
    rate: Callable[[int], float],
    *,
    first: int,
    steps: int,
    mesh: jax.sharding.Mesh,
    hooks: Sequence[Hook],
    clock: Clock | None = None,
) -> tuple[states.TrainState, Clock]:
    """The state after `steps` steps, or after the step at which a hook sets `stop`.

    program, rate: of each step, from 0. first: finished steps of `state`. clock: the
    seconds before an interruption; the loop adds to it, and it is up to date when hooks
    run.
    """
    clock, logs = clock or Clock(), None
    runs: dict[compiled.Program, jax.stages.Compiled] = {}
    begin = time.perf_counter() - clock.steps - clock.beside
    for index in range(first, steps):
        start = time.perf_counter()
        batch, ids = next(batches)
        if logs is None or _ready(logs):  # the device had nothing to do meanwhile
            clock.data_wait += time.perf_counter() - start
        arrays = meshes.put_batch(batch, mesh)
        lr = jax.numpy.float32(rate(index))
        own = program(index)
        if own not in runs:
            runs[own] = _compile(own, state, arrays, lr, clock)
        jax.block_until_ready(logs)  # at most one step ahead of the device
        state, logs = runs[own](state, arrays, lr)
        event = Event(index + 1, state, logs, float(lr), ids)
        start = time.perf_counter()
        clock.steps = start - begin - clock.beside
        for hook in hooks:
            hook(event)
        clock.hooks += time.perf_counter() - start
        if event.stop:
            break
    jax.block_until_ready(state)
    clock.steps = time.perf_counter() - begin - clock.beside
    return state, clock


def _compile(
    program: compiled.Program,
    state: states.TrainState,
    batch: Any,
    lr: Any,
    clock: Clock,
) -> jax.stages.Compiled:
    before = program.seconds
    run = program.compiled(state, batch, lr, key=batch)
    clock.costs[program] = program.cost(state, batch, lr, key=batch)
    clock.compile += program.seconds - before
    return run


def _ready(logs: Logs) -> bool:
    return all(value.is_ready() for value in jax.tree.leaves(logs))
