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
    )
    logs = {"loss": np.float32(loss)}
    return loop.Event(step, made, logs, 0.01, [f"id{step}"], stop)


@pytest.fixture
def log(tmp_path):
    when = every.Every(2, 5)
    shown = []
    made = hooks.Log(
        when,
        tmp_path / "metrics.jsonl",
        Writer(),
        8,
        lambda step, row: shown.append(step),
    )
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
def test_a_loss_that_is_no_number_ends_the_run(log, loss):
    log.last_saved = 1
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


def evaluate(
    values, patience=None, higher=True, best=None, when=lambda step: True, log=None
):
    iterator = iter(values)
    if log is None:  # one that never has anything to say
        never = every.Every(0, 99)
        log = hooks.Log(never, Path("none"), Writer(), 8, lambda step, row: None)
    return hooks.Evaluate(
        when,
        lambda variables, step: next(iterator),
        log,
        higher_is_better=higher,
        best=best,
        patience=patience,
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


def test_losses_are_looked_at_before_an_evaluation_can_end_the_run(log):
    hook = evaluate([0.1], log=log, patience=1)
    log(event(1, float("nan")))  # no line is due
    with pytest.raises(errors.Diverged, match="loss is nan at step 1"):
        hook(event(1))


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


def save(log, interrupted=lambda: False, best=None):
    box = Box()
    hook = hooks.Save(
        every.Every(2, 5),
        box,
        interrupted,
        evaluate([], best=best),
        log,
        lambda: {"x": 1},
    )
    return hook, box


def test_it_saves_when_it_is_time_but_not_at_the_end(log):
    hook, box = save(log)
    for step in range(1, 6):
        hook(event(step))
    assert [step for step, _ in box.saved] == [2, 4]
    assert log.last_saved == 4
    hook(event(2, stop=True))  # ended early: nothing to come back to
    assert len(box.saved) == 2


def test_what_is_saved_knows_the_best_and_the_unlogged_losses(log):
    best = Box()
    hook, box = save(log, best=best)
    hook.evaluate.kept = {"value": 0.5, "step": 1, "bad": 0}
    log(event(1, 3.0))
    hook(event(2))
    assert box.saved == [
        (
            2,
            {
                "best": hook.evaluate.kept,
                "window": [{"loss": 3.0}],
                "x": 1,
            },
        ),
    ]
    assert best.calls == ["wait"]  # the weights that `best` speaks of are on disk


def test_asked_to_end_it_saves_first(log):
    hook, box = save(log, interrupted=lambda: True)
    with pytest.raises(hooks.Interrupted, match="saved at step 3"):
        hook(event(3))
    assert box.calls == ["save", "wait"]
    hook(event(5))  # the last step: finishing is as quick as saving
    assert box.calls == ["save", "wait"]


def test_a_bad_loss_is_not_saved(log):
    hook, box = save(log)
    log(event(1, float("nan")))
    with pytest.raises(errors.UserError, match="loss is nan"):
        hook(event(2))
    assert box.saved == []


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_bad_weight_is_not_saved(log, bad):
    """The last update may spoil what the next loss would tell."""
    hook, box = save(log)
    log(event(1))
    with pytest.raises(errors.Diverged, match="params:w is not finite after step 2"):
        hook(event(2, params={"w": np.array([1, bad], np.float32)}))
    assert box.saved == [] and log.last_saved is None


def test_the_best_weights_survive_on_disk(tmp_path):
    box = checkpoint.Checkpoints(tmp_path)
    hook = evaluate([0.3, 0.5, 0.4], best=box)
    for step in range(1, 4):
        hook(event(step, params={"w": np.full(2, step)}))
    box.wait()
    tree, meta = box.restore()
    assert meta["step"] == 2 and tree["params"]["w"].tolist() == [2, 2]
