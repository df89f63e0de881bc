"""What happens beside the steps: log, stop on NaN, evaluate, keep the best, save."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxseg.core import checkpoint, errors, jsonl
from jaxseg.train import every, loop
from jaxseg.train import state as states


class Interrupted(Exception):
    """The run was asked to end; its state is saved and the same command continues."""


class Log:
    """Scalars to metrics.jsonl, TensorBoard and the progress line; guards against NaN.

    Losses of all steps are looked at, but only when it is time to log, to evaluate or
    to save, and when the run ends (`read`), so that the device is not waited for in
    between.
    """

    def __init__(
        self,
        when: every.Every,
        metrics: Path,
        writer: Any,
        batch_size: int,
        progress: Callable[[int, dict[str, float]], None],
    ):
        self.when, self.metrics, self.writer = when, metrics, writer
        self.batch_size, self.progress = batch_size, progress
        self.last_saved: int | None = None
        self.window: list[dict[str, float]] = []  # logs since the last line, checked
        self._unread: list[tuple[int, float, list[str], Any]] = []
        self._time = time.perf_counter()

    def __call__(self, event: loop.Event) -> None:
        self._unread.append((event.step, event.lr, event.ids, event.logs))
        if self.when(event.step):
            self.read()
            self._write(event)

    def read(self) -> None:
        """Brings the logs of all steps so far to the host; Diverged on NaN."""
        for step, lr, ids, logs in self._unread:
            values = {name: float(value) for name, value in logs.items()}
            self._check(values["loss"], step, lr, ids)
            self.window.append(values)
        self._unread = []

    def _write(self, event: loop.Event) -> None:
        count, now = len(self.window), time.perf_counter()
        mean = {n: sum(row[n] for row in self.window) / count for n in self.window[0]}
        rate = round(count * self.batch_size / (now - self._time), 1)
        row = mean | {"lr": event.lr, "examples_per_second": rate}
        self.window, self._time = [], now
        jsonl.append(self.metrics, {"kind": "train", "step": event.step} | row)
        for name, value in row.items():
            self.writer.add_scalar(f"train/{name}", value, event.step)
        self.progress(event.step, row)

    def _check(self, loss: float, step: int, lr: float, ids: list[str]) -> None:
        if math.isfinite(loss):
            return
        saved = "none" if self.last_saved is None else f"step {self.last_saved}"
        raise errors.Diverged(
            f"loss is {loss} at step {step} (learning rate {lr:g}). Records "
            f"of that batch: {', '.join(ids)}. Last good checkpoint: {saved}. "
            "Fix: a lower lr, optimizer.clip, or `python -m jaxseg.data check` on the "
            "data set."
        )


def check_metric(value: float, what: str, step: int) -> None:
    """Diverged where a headline metric is not finite: nothing would ever beat NaN."""
    if not math.isfinite(value):
        raise errors.Diverged(
            f"{what} is {value} after step {step}: predictions are not finite, or the "
            "images have nothing to measure it on. Fix: a lower lr, optimizer.clip, or "
            "other images for that evaluation."
        )


class Evaluate:
    """Metrics during training; keeps the best weights and ends a run that stands still.

    patience: evaluations in a row without a better headline metric; None: never ends.
    what: that metric, for the message when it is not finite, which ends the run.
    """

    def __init__(
        self,
        when: Callable[[int], bool],
        evaluate: Callable[[Any, int], float],
        log: Log,
        *,
        higher_is_better: bool,
        best: checkpoint.Checkpoints | None,
        patience: int | None,
        what: str = "the headline metric",
    ):
        self.when, self.evaluate, self.log, self.best = when, evaluate, log, best
        self.sign = 1.0 if higher_is_better else -1.0
        self.patience, self.what = patience, what
        self.seconds = 0.0
        self.kept: dict[str, Any] = {"value": None, "step": None, "bad": 0}

    def going_on(self) -> bool:
        """False for a run that had already stood still when it was interrupted."""
        return self.patience is None or self.kept["bad"] < self.patience

    def __call__(self, event: loop.Event) -> None:
        if not self.when(event.step):
            return
        self.log.read()  # a stop between two lines must not hide a NaN
        start = time.perf_counter()
        variables = event.state.variables()
        value = self.evaluate(variables, event.step)
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


class Save:
    """Checkpoints when it is time, and before an interruption ends the run.

    about: what else a checkpoint's meta says of the run so far.
    """

    def __init__(
        self,
        when: every.Every,
        checkpoints: checkpoint.Checkpoints,
        interrupted: Callable[[], bool],
        evaluate: Evaluate,
        log: Log,
        about: Callable[[], dict[str, Any]],
    ):
        self.when, self.checkpoints, self.about = when, checkpoints, about
        self.interrupted, self.evaluate, self.log = interrupted, evaluate, log

    def __call__(self, event: loop.Event) -> None:
        asked = self.interrupted()
        last = event.step == self.when.last or event.stop
        if not last and (asked or self.when(event.step)):
            self.log.read()  # what is saved has been looked at
            if self.evaluate.best is not None:
                self.evaluate.best.wait()  # what `kept` speaks of must be on disk
            meta = {"best": self.evaluate.kept, "window": self.log.window}
            meta |= self.about()
            flat = jax.device_get(states.to_flat(event.state))
            states.check_finite(flat, event.step)
            self.checkpoints.save(event.step, flat, meta)
            self.log.last_saved = event.step
        if asked and not last:
            self.checkpoints.wait()
            raise Interrupted(f"saved at step {event.step}")
