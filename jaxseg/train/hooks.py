"""Hooks of the train loop: log, stop on NaN, evaluate, keep the best weights, save.

A hook is called after each step. `state()` returns what a checkpoint has to hold of it,
as JSON, once all that this refers to is on disk; `restore(state)` takes that over.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import checkpoint, errors, hosts, jsonl
from jaxseg.train import every, loop, mesh
from jaxseg.train import state as states


class Interrupted(Exception):
    """The run was asked to end; its state is saved, and the same command resumes it."""


class Log:
    """Writes means of the logs to metrics.jsonl, TensorBoard and the progress line.

    Raises Diverged if a loss is not finite. The loss of every step is checked, but only
    when a line is due, when `check` says so and when a checkpoint is saved: in between,
    nothing waits for the device.

    check: the steps whose losses must be checked before the hooks that follow.
    saved: returns the step of the last checkpoint, for the message.
    """

    def __init__(
        self,
        *,
        when: every.Every,
        check: Callable[[int], bool],
        metrics: Path,
        writer: Any,
        batch_size: int,
        progress: Callable[[int, dict[str, float]], None],
        saved: Callable[[], int | None],
    ):
        self.when, self.check, self.metrics, self.writer = when, check, metrics, writer
        self.batch_size, self.progress, self.saved = batch_size, progress, saved
        self._window: list[dict[str, float]] = []  # since the last line, checked
        self._unread: list[tuple[int, float, list[str], Any]] = []
        self._time = time.perf_counter()

    def __call__(self, event: loop.Event) -> None:
        self._unread.append((event.step, event.lr, event.ids, event.logs))
        due = self.when(event.step)
        if due or self.check(event.step):
            self._read()
        if due:
            self._write(event)

    def state(self) -> dict[str, Any]:
        """{"window": logs of the steps since the last line}; Diverged on NaN."""
        self._read()
        return {"window": self._window}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._window = list(state["window"])

    def _read(self) -> None:
        for step, lr, ids, logs in self._unread:
            values = {name: float(value) for name, value in logs.items()}
            self._check_loss(values["loss"], step, lr, ids)
            self._window.append(values)
        self._unread = []

    def _write(self, event: loop.Event) -> None:
        count, now = len(self._window), time.perf_counter()
        names = dict.fromkeys(name for row in self._window for name in row)
        mean = {name: _mean(self._window, name) for name in names}
        rate = round(count * self.batch_size / (now - self._time), 1)
        row = mean | {"lr": event.lr, "examples_per_second": rate}
        self._window, self._time = [], now
        jsonl.append(self.metrics, {"kind": "train", "step": event.step} | row)
        for name, value in row.items():
            self.writer.add_scalar(f"train/{name}", value, event.step)
        self.progress(event.step, row)

    def _check_loss(self, loss: float, step: int, lr: float, ids: list[str]) -> None:
        if math.isfinite(loss):
            return
        saved = "none" if self.saved() is None else f"step {self.saved()}"
        ids = [one for part in hosts.every(ids) for one in part]
        raise errors.Diverged(
            f"loss is {loss} at step {step} (learning rate {lr:g}). Records "
            f"of that batch: {', '.join(ids)}. Last good checkpoint: {saved}. "
            "Fix: a lower lr, optimizer.clip, or `python -m jaxseg.data check` on the "
            "data set."
        )


def _mean(rows: Sequence[Mapping[str, float]], name: str) -> float:
    """Over the rows that have it: each part of a training logs its own."""
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values)


def check_metric(value: float, what: str, step: int) -> None:
    """Diverged if a headline metric is not finite: no later value is above NaN."""
    if not math.isfinite(value):
        raise errors.Diverged(
            f"{what} is {value} after step {step}: predictions are not finite, or the "
            "images have nothing to measure it on. Fix: a lower lr, optimizer.clip, or "
            "other images for that evaluation."
        )


class Evaluate:
    """Evaluates during training, saves the best weights, stops a run without progress.

    patience: stops after so many evaluations in a row without a better headline metric;
    None: never. what: the name of that metric in the error if it is not finite.
    """

    def __init__(
        self,
        *,
        when: Callable[[int], bool],
        evaluate: Callable[[Any, int], float],
        higher_is_better: bool,
        best: checkpoint.Checkpoints | None,
        patience: int | None,
        what: str,
    ):
        self.when, self.evaluate, self.best = when, evaluate, best
        self.sign = 1.0 if higher_is_better else -1.0
        self.patience, self.what = patience, what
        self.seconds = 0.0
        self.kept: dict[str, Any] = {"value": None, "step": None, "bad": 0}

    def going_on(self) -> bool:
        """False once `patience` has run out, also before the interruption."""
        return self.patience is None or self.kept["bad"] < self.patience

    def __call__(self, event: loop.Event) -> None:
        if not self.when(event.step):
            return
        start = time.perf_counter()
        variables = event.state.variables()
        value = self.evaluate(mesh.replicated(variables), event.step)
        if not math.isfinite(value):
            states.check_finite(variables, event.step)  # says more, if that is why
        check_metric(value, self.what, event.step)
        best = self.kept["value"]
        if best is None or self.sign * value > self.sign * best:
            self.kept = {"value": value, "step": event.step, "bad": 0}
            if self.best is not None:
                states.check_finite(variables, event.step)
                self.best.save(event.step, variables, {"value": value})
        else:
            self.kept["bad"] += 1
            event.stop |= not self.going_on()
        self.seconds += time.perf_counter() - start

    def state(self) -> dict[str, Any]:
        """The best evaluation so far, and the seconds that all of them took."""
        if self.best is not None:
            self.best.wait()  # the weights that `kept` refers to must be on disk
        return {"kept": self.kept, "seconds": self.seconds}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.kept, self.seconds = state["kept"], state["seconds"]


class Save:
    """Saves a checkpoint when it is due, and before an interruption ends the run.

    interrupted: whether to stop after this step, the same on all processes.
    states: returns the states of the other hooks. about: returns what else the meta of
    a checkpoint holds. last: the step of the checkpoint that the run resumes from.
    """

    def __init__(
        self,
        *,
        when: every.Every,
        checkpoints: checkpoint.Checkpoints,
        interrupted: Callable[[int], bool],
        states: Callable[[], dict[str, Any]],
        about: Callable[[], dict[str, Any]],
        last: int | None,
    ):
        self.when, self.checkpoints, self.interrupted = when, checkpoints, interrupted
        self.states, self.about, self.last = states, about, last

    def __call__(self, event: loop.Event) -> None:
        asked = self.interrupted(event.step)
        ends = event.step == self.when.last or event.stop
        if not ends and (asked or self.when(event.step)):
            meta = {"hooks": self.states(), **self.about()}
            flat = states.to_flat(event.state)
            states.check_finite(flat, event.step)
            self.checkpoints.save(event.step, flat, meta)
            self.last = event.step
        if asked and not ends:
            self.checkpoints.wait()
            raise Interrupted(f"saved at step {event.step}")


def build(
    *,
    log: Mapping[str, Any],
    evaluate: Mapping[str, Any],
    save: Mapping[str, Any],
    restored: Mapping[str, Any],
) -> tuple[Log, Evaluate, Save]:
    """The hooks of a run, in the order in which the loop calls them.

    log, evaluate, save: arguments of the three, without those that connect them.
    restored: `hooks` in the meta of a checkpoint; empty at the start of a run.
    """
    evaluation = Evaluate(**evaluate)
    lines = Log(check=evaluation.when, saved=lambda: checkpoints.last, **log)
    kept = {"log": lines, "evaluate": evaluation}
    checkpoints = Save(
        states=lambda: {name: hook.state() for name, hook in kept.items()}, **save
    )
    for name, state in restored.items():
        kept[name].restore(state)
    return lines, evaluation, checkpoints
