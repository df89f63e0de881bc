from pathlib import Path

import numpy as np
import pytest

from jaxseg.core import checkpoint, errors, jsonl
from jaxseg.train import every, hooks, loop, state


class Writer:
    """Stands for TensorBoard's."""

    def __init__(self):
        self.scalars = {}

    def add_scalar(self, name, value, step):
        self.scalars[name, step] = value


def event(step, loss=1.0, stop=False, params=()):
    made = state.TrainState(
        step=np.int32(step),
        rng=np.zeros(2, np.uint32),
        params=dict(params),
        collections={},
        opt_state=(),
        ema=None,
        ema_steps=None,
    )
    logs = {"loss": np.float32(loss)}
    return loop.Event(step, made, logs, 0.01, [f"id{step}"], stop)


@pytest.fixture
def log(tmp_path):
    return new_log(tmp_path / "metrics.jsonl")


def arguments(metrics=Path("none"), shown=None):
    """Of a log of five steps with a line after each second one."""
    return dict(
        when=every.Every(2, 5),
        metrics=metrics,
        writer=Writer(),
        batch_size=8,
        progress=lambda step, row: shown.append(step),
    )


def new_log(metrics, saved=None, check=lambda step: False):
    shown = []
    given = arguments(metrics, shown)
    made = hooks.Log(check=check, saved=lambda: saved, **given)
    made.shown = shown
    return made


def test_the_log_holds_means_of_the_steps_since_the_last_line(log):
    for step, loss in enumerate([1.0, 3.0, 5.0, 6.0, 7.0], start=1):
        log(event(step, loss))
    rows = jsonl.read(log.metrics)
    assert [(row["step"], row["loss"]) for row in rows] == [
        (2, 2.0),
        (4, 5.5),
        (5, 7.0),
    ]
    assert all(row["kind"] == "train" and row["lr"] == 0.01 for row in rows)
    assert all(row["examples_per_second"] > 0 for row in rows)
    assert log.writer.scalars["train/loss", 4] == 5.5
    assert log.shown == [2, 4, 5]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run(tmp_path, loss):
    log = new_log(tmp_path / "metrics.jsonl", saved=1)
    log(event(1, 0.5))
    with pytest.raises(errors.UserError) as caught:
        log(event(2, loss))
    text = str(caught.value)
    assert f"loss is {loss} at step 2 (learning rate 0.01)" in text
    assert "id2" in text and "id1" not in text
    assert "Last good checkpoint: step 1." in text and "a lower lr" in text


def test_the_step_with_the_nan_is_named_even_if_it_is_not_the_last(log):
    log(event(1, float("nan")))  # not looked at before it is time to log
    with pytest.raises(errors.UserError, match=r"at step 1 .*checkpoint: none"):
        log(event(2, 0.5))


class Box(checkpoint.Checkpoints):
    """Notes instead of writing."""

    def __init__(self):
        self.saved, self.calls = [], []

    def save(self, step, tree, meta):
        self.saved.append((step, meta))
        self.calls.append("save")

    def wait(self):
        self.calls.append("wait")


def watching(values=(), patience=None, higher=True, best=None, when=lambda step: True):
    iterator = iter(values)
    return dict(
        when=when,
        evaluate=lambda variables, step: next(iterator),
        higher_is_better=higher,
        best=best,
        patience=patience,
        what="the metric",
    )


def evaluate(values, **options):
    return hooks.Evaluate(**watching(values, **options))


def saving(box, interrupted=lambda step: False, last=None):
    return dict(
        when=every.Every(2, 5),
        checkpoints=box,
        interrupted=interrupted,
        about=lambda: {"x": 1},
        last=last,
    )


def build(box, watch=None, restored=(), **options):
    """(log, evaluation, save) connected as in a run."""
    return hooks.build(
        log=arguments(shown=[]),
        evaluate=watching(when=lambda step: False) if watch is None else watch,
        save=saving(box, **options),
        restored=dict(restored),
    )


def feed(hook, steps):
    """Steps after which the hook asked to stop."""
    asked = []
    for step in range(1, steps + 1):
        hook(told := event(step))
        if told.stop:
            asked.append(step)
    return asked


@pytest.mark.parametrize("higher, best_step", [(True, 2), (False, 4)])
def test_the_best_is_kept(higher, best_step):
    box = Box()
    hook = evaluate([0.3, 0.5, 0.5, 0.1], higher=higher, best=box)
    assert feed(hook, 4) == []
    assert hook.kept["step"] == best_step  # of equals the first
    assert box.saved[-1] == (best_step, {"value": hook.kept["value"]})


def test_patience():
    hook = evaluate([0.3, 0.2, 0.4, 0.4, 0.1, 0.2], patience=2)
    assert feed(hook, 6)[0] == 5
    assert not hook.going_on()
    assert feed(evaluate([0.1, 0.2, 0.3], patience=1), 3) == []


def test_it_is_only_evaluated_when_it_is_time():
    hook = evaluate([0.1, 0.2], when=lambda step: step in (2, 4))
    feed(hook, 5)
    assert hook.kept == {"value": 0.2, "step": 4, "bad": 0}


def test_losses_are_checked_before_an_evaluation_can_end_the_run():
    log, _, _ = build(Box(), watching([0.1], patience=1))
    with pytest.raises(errors.Diverged, match="loss is nan at step 1"):
        log(event(1, float("nan")))  # no line is due


def test_weights_that_are_not_finite_are_not_the_best():
    hook = evaluate([0.3, 0.5], best=(box := Box()))
    hook(event(1, params={"w": np.ones(2), "v": np.ones(1)}))
    with pytest.raises(errors.Diverged, match=r"^params/v is not finite after step 2"):
        hook(event(2, params={"w": np.ones(2), "v": np.array([np.inf])}))
    assert [step for step, _ in box.saved] == [1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_metric_that_is_not_finite_ends_the_run(value):
    """Nothing compares with NaN: it would stay the best for ever."""
    hook = evaluate([3.0, value, 1.0], higher=False, best=(box := Box()))
    hook(event(1))
    with pytest.raises(errors.Diverged, match=f"metric is {value} after step 2"):
        hook(event(2))
    assert [step for step, _ in box.saved] == [1]


def test_it_saves_when_it_is_time_but_not_at_the_end():
    _, _, hook = build(box := Box())
    for step in range(1, 6):
        hook(event(step))
    assert [step for step, _ in box.saved] == [2, 4]
    assert hook.last == 4
    hook(event(2, stop=True))  # ended early: nothing to come back to
    assert len(box.saved) == 2


def test_what_is_saved_has_the_states_of_the_other_hooks_and_restores_them():
    watch = watching([0.5], best=(best := Box()), when=lambda step: step == 1)
    log, evaluation, save = build(box := Box(), watch)
    for hook in (log, evaluation):
        hook(event(1, 3.0))
    best.calls.clear()
    save(event(3))
    assert box.saved == []
    save(event(2))
    kept = {"value": 0.5, "step": 1, "bad": 0}
    states = {
        "log": {"window": [{"loss": 3.0}]},
        "evaluate": {"kept": kept, "seconds": evaluation.seconds},
    }
    assert box.saved == [(2, {"hooks": states, "x": 1})]
    assert best.calls == ["wait"]  # the weights that `kept` refers to are on disk

    log, again, save = build(Box(), restored=states, last=2)
    assert (again.kept, again.seconds) == (kept, evaluation.seconds)
    assert log.state() == states["log"]
    log(event(3, float("nan")))
    with pytest.raises(errors.Diverged, match="Last good checkpoint: step 2"):
        save(event(4))


def test_asked_to_end_it_saves_first():
    _, _, hook = build(box := Box(), interrupted=lambda step: True)
    with pytest.raises(hooks.Interrupted, match="saved at step 3"):
        hook(event(3))
    assert box.calls == ["save", "wait"]
    hook(event(5))  # the last step: finishing is as quick as saving
    assert box.calls == ["save", "wait"]


def test_a_bad_loss_is_not_saved():
    log, _, hook = build(box := Box())
    log(event(1, float("nan")))
    with pytest.raises(errors.UserError, match="loss is nan"):
        hook(event(2))
    assert box.saved == []


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bad_weight_is_not_saved(bad):
    """The last update may spoil what the next loss would tell."""
    log, _, hook = build(box := Box())
    log(event(1))
    with pytest.raises(errors.Diverged, match="params:w is not finite after step 2"):
        hook(event(2, params={"w": np.array([1, bad], np.float32)}))
    assert box.saved == [] and hook.last is None


def test_the_best_weights_survive_on_disk(tmp_path):
    box = checkpoint.Checkpoints(tmp_path)
    hook = evaluate([0.3, 0.5, 0.4], best=box)
    for step in range(1, 4):
        hook(event(step, params={"w": np.full(2, step)}))
    box.wait()
    tree, meta = box.restore()
    assert meta["step"] == 2 and tree["params"]["w"].tolist() == [2, 2]
