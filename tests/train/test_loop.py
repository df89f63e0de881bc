import jax
import numpy as np
import pytest

from jaxseg.core import checkpoint
from jaxseg.train import loop, state
from tests.train import toy


def fit(start, program, *, first=0, steps=4, devices=1, hooks=(), rows=4):
    return loop.fit(
        toy.put(start, devices),
        toy.batches(first, rows),
        lambda index: program,
        lambda index: 0.1 / (index + 1),
        first=first,
        steps=steps,
        mesh=toy.on(devices),
        hooks=hooks,
    )


def bits(one):
    return {
        name: np.asarray(leaf).tobytes() for name, leaf in state.to_flat(one).items()
    }


def losses(into):
    return lambda event: into.append(float(event.logs["loss"]))


def test_an_interrupted_run_equals_an_unbroken_one_bit_for_bit(tmp_path):
    start, program = toy.parts("adam", ema=0.9)
    one, other = [], []
    unbroken, _ = fit(start, program, hooks=[losses(one)])
    half, _ = fit(start, program, steps=2, hooks=[losses(other)])
    box = checkpoint.Checkpoints(tmp_path)
    box.save(2, state.to_flat(half), {"note": "x"})
    box.wait()
    flat, meta = box.restore()
    restored = state.from_flat(start, flat)
    assert bits(restored) == bits(half)
    resumed, _ = fit(restored, program, first=meta["step"], hooks=[losses(other)])
    assert bits(resumed) == bits(unbroken)
    assert one == other and len(one) == 4


def test_one_and_two_devices_give_the_same_losses():
    found = {}
    for devices in (1, 2):  # with batch statistics over the whole batch
        start, program = toy.parts()
        found[devices] = []
        hooks = [losses(found[devices])]
        fit(start, program, devices=devices, hooks=hooks, rows=4)
    np.testing.assert_allclose(found[1], found[2], rtol=1e-5)
    assert len(set(found[1])) == 4


@pytest.mark.slow
def test_with_accumulation_devices_make_no_difference_either():
    found = {}
    for devices in (1, 2):
        start, program = toy.parts(norm=False, accumulate=2)
        found[devices] = []
        fit(start, program, steps=2, devices=devices, hooks=[losses(found[devices])])
    np.testing.assert_allclose(found[1], found[2], rtol=1e-5)


def test_hooks_hear_of_every_step_in_order_and_can_stop_it():
    start, program = toy.parts()
    heard = []

    def note(event):
        heard.append((event.step, round(event.lr, 4), event.ids[0]))

    def stop(event):
        heard.append("second")
        event.stop = event.step == 2

    ended, clock = fit(start, program, steps=9, hooks=[note, stop])
    assert heard == [
        (1, 0.1, "image0_0"),
        "second",
        (2, 0.05, "image1_0"),
        "second",
    ]
    assert int(ended.step) == 2
    assert (
        clock.compile > 0
        and clock.steps > 0
        and next(iter(clock.costs.values()))["flops"] > 0
    )


def test_flops_are_those_of_the_whole_batch():
    """On however many devices, in however many microbatches."""
    counts = []
    for devices, accumulate in ((1, 1), (2, 1), (1, 2), (2, 2)):
        start, program = toy.parts(accumulate=accumulate)
        _, clock = fit(start, program, steps=1, devices=devices, rows=4)
        counts.append(next(iter(clock.costs.values()))["flops"])
    assert counts == [counts[0]] * 4
    # Forward and backward of both dense layers but the gradient of the image.
    products = 2 * 4 * 16 * (2 * 3 * 5 + 3 * 5 * 3)
    assert products <= counts[0] <= 2.5 * products


def test_nothing_left_to_do():
    start, program = toy.parts()
    ended, clock = fit(start, program, first=4, steps=4)
    assert int(ended.step) == 0 and clock.compile == 0.0


def test_an_error_in_the_data_is_not_swallowed():
    start, program = toy.parts()

    def broken():
        yield next(toy.batches())
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        loop.fit(
            toy.put(start),
            broken(),
            lambda index: program,
            lambda index: 0.1,
            first=0,
            steps=3,
            mesh=toy.on(1),
            hooks=(),
        )


def test_rates_and_numbers_of_steps_share_one_program():
    start, program = toy.parts()
    before = program.seconds
    fit(start, program, steps=1)
    spent = program.seconds
    fit(start, program, steps=2, rows=4)
    assert before == 0 < spent == program.seconds
    jax.block_until_ready(start)
