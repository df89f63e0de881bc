import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.metrics import depth

ERRORS = depth.DepthErrors()
UPDATE = jax.jit(ERRORS.update)


def values(*counts, metric=ERRORS):
    state = metric.zeros()
    for one in counts:
        state = metric.merge(state, one)
    assert state.dtype == np.float64
    return metric.compute(state, ())


def update(predictions, truth, valid=None, metric=ERRORS):
    """Of one row of pixels as a batch of one image."""
    guess, true = (jnp.array(x, jnp.float32)[None, None] for x in (predictions, truth))
    valid = (
        jnp.ones(true.shape, bool) if valid is None else jnp.array(valid)[None, None]
    )
    return metric.update(guess, true, valid)


def test_by_hand():
    counts = update([1.0, 3.0, 8.0, 4.0], [1.0, 2.0, 4.0, 8.0])
    # Errors 0, 1, 4, 4; ratios 1, 1.5, 2, 2.
    # Truths are 3.75 in the mean and apart by -2.75, -1.75, 0.25, 4.25.
    apart = [3.75, 0.0, 28.75]
    assert counts.tolist() == [[4.0, 33.0, 2.0, 1.0, 2.0, 2.0, 9.0, *apart]]
    expected = dict(rmse=np.sqrt(33 / 4), abs_rel=0.5, mae=9 / 4)
    expected |= dict(delta1=0.25, delta2=0.5, delta3=0.5, valid_pixels=4.0)
    assert values(counts) == pytest.approx(expected)


@pytest.mark.parametrize("power, name", [(1, "delta1"), (2, "delta2"), (3, "delta3")])
def test_deltas_are_strict_and_count_both_ways(power, name):
    bound = 1.25**power
    for guess, true in ((bound, 1.0), (1.0, bound)):
        assert values(update([guess], [true]))[name] == 0.0
        assert values(update([guess], [true + (true - guess) * -1e-3]))[name] == 1.0


def test_pixels_that_do_not_count():
    truth = [2.0, 0.0, -1.0, np.nan, np.inf, 3.0]
    valid = [True] * 5 + [False]
    counts = update([2.5, 9.0, 9.0, 9.0, 9.0, np.nan], truth, valid)
    alone = update([2.5], [2.0])
    assert counts.tolist() == alone.tolist() and np.isfinite(counts).all()
    assert values(counts)["rmse"] == 0.5


def test_the_maximum_caps_truth_and_predictions():
    capped = depth.DepthErrors(maximum=10.0)
    counts = update([12.0, 50.0, 3.0], [8.0, 20.0, 10.0], metric=capped)
    found = values(counts, metric=capped)  # 10 for 8, nothing, 3 for 10
    assert found["valid_pixels"] == 2 and found["mae"] == (2 + 7) / 2
    assert values(update([12.0], [8.0]))["mae"] == 4.0


def test_predictions_behind_the_camera_are_clipped():
    found = values(update([-5.0, 0.0], [1.0, 1.0]))
    assert found["mae"] == pytest.approx(0.999) and found["delta3"] == 0.0


def test_a_diverged_model_is_not_hidden():
    assert np.isnan(values(update([np.nan, 1.0], [1.0, 1.0]))["rmse"])


def test_pooled_over_pixels_not_over_images():
    near, far = update([1.0], [2.0]), update([5.0] * 3, [2.0] * 3)
    found = values(near, far)
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 3 * 9) / 4))
    assert found["rmse"] != pytest.approx((1 + 3) / 2)
    assert found == values(far, near) == values(np.concatenate([near, far]))


def test_the_floor_is_the_deviation_from_the_mean_depth():
    rng = np.random.default_rng(2)
    truth = rng.uniform(0.5, 8, (3, 20, 30)).astype(np.float32)
    valid = rng.random(truth.shape) < 0.7
    state = ERRORS.merge(ERRORS.zeros(), UPDATE(truth * 0 + 1, truth, valid))
    mean = np.float32(truth[valid].astype(float).mean())
    constant = values(UPDATE(np.full_like(truth, mean), truth, valid))["rmse"]
    assert ERRORS.floor(state, "rmse") == pytest.approx(constant, rel=1e-5)
    assert ERRORS.floor(state, "abs_rel") is None
    assert ERRORS.floor(ERRORS.zeros(), "rmse") is None


def test_the_floor_of_far_and_flat_depth():
    rng = np.random.default_rng(3)
    shape = (2, 500, 1000)
    for means in ([[[80.0]], [[80.0]]], [[[80.0]], [[80.1]]]):
        truth = (rng.normal(0, 0.02, shape) + means).astype(np.float32)
        valid = np.ones(shape, bool)
        state = ERRORS.zeros()
        for one in (slice(0, 1), slice(1, 2), slice(0, 0)):  # as two batches, and none
            counts = UPDATE(truth[one], truth[one], valid[one])
            state = ERRORS.merge(state, counts)
        exact = truth.astype(np.float64).std()
        assert ERRORS.floor(state, "rmse") == pytest.approx(exact, rel=1e-5)
        together = ERRORS.merge(ERRORS.zeros(), UPDATE(truth, truth, valid))
        assert ERRORS.floor(together, "rmse") == pytest.approx(exact, rel=1e-5)


def test_rows_that_fill_up_change_nothing():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 5, (4, 6, 6)).astype(np.float32)
    guess = rng.uniform(0, 5, (4, 6, 6)).astype(np.float32)
    valid = np.arange(4)[:, None, None] < np.full((4, 6, 6), 3)
    full = UPDATE(guess, truth, valid)
    assert full[3].tolist() == [0.0] * 10
    assert values(full) == values(UPDATE(guess[:3], truth[:3], valid[:3]))


def test_a_set_without_a_valid_pixel():
    names = {"rmse", "abs_rel", "mae", "delta1", "delta2", "delta3", "valid_pixels"}
    for counts in ([], [update([1.0], [0.0])]):
        assert values(*counts) == dict.fromkeys(names, 0.0)


def test_float32_sums_of_an_image_and_float64_of_a_set():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.5, 80, (2, 480, 640)).astype(np.float32)
    guess = (truth * rng.normal(1, 0.2, truth.shape)).astype(np.float32)
    counts = UPDATE(guess, truth, np.ones(truth.shape, bool))
    found = values(*[counts] * 50)
    error = np.maximum(guess, 1e-3).astype(np.float64) - truth
    expected = [np.sqrt((error**2).mean()), (np.abs(error) / truth).mean()]
    assert [found["rmse"], found["abs_rel"]] == pytest.approx(expected, rel=1e-5)
    assert found["valid_pixels"] == 50 * truth.size  # beyond float32's 2^24
    far = np.array([[2.0**24, *[0] * 9]], np.float32)
    one = update([1.0], [1.0])
    assert values(far, one)["valid_pixels"] == 2**24 + 1
