import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.metrics import metric, segmentation

NAMES = ("road", "car", "sky")
UPDATE = jax.jit(segmentation.Confusion(3).update)


def count(truth, prediction, valid=None):
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    valid = truth != 65535 if valid is None else np.asarray(valid)
    return UPDATE(prediction, truth, valid)


def values(*counts, names=NAMES):
    state = segmentation.Confusion(len(names))
    total = state.zeros()
    for one in counts:
        total = metric.add(total, one)
    return state.compute(total, names)


def test_confusion_by_hand():
    counts = count([[0, 0, 1], [1, 2, 65535]], [[0, 1, 1], [1, 0, 2]])
    assert counts.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    found = values(counts)
    # road: 1 of {1 hit, 1 missed, 1 wrongly}; car: 2 of {2, 0, 1}; sky: 0 of {0, 1, 0}.
    assert found["iou/road"] == pytest.approx(1 / 3)
    assert found["iou/car"] == pytest.approx(2 / 3)
    assert found["iou/sky"] == 0.0
    assert found["miou"] == pytest.approx((1 / 3 + 2 / 3 + 0) / 3)
    assert found["pixel_accuracy"] == pytest.approx(3 / 5)


def test_a_class_in_neither_is_left_out():
    found = values(count([0, 0, 1], [0, 1, 1]))
    assert set(found) == {"miou", "pixel_accuracy", "iou/road", "iou/car"}
    assert found["miou"] == pytest.approx(1 / 2)


def test_a_class_that_is_only_predicted_counts_as_zero():
    found = values(count([0, 0], [0, 2]))
    assert found["iou/sky"] == 0.0 and found["miou"] == pytest.approx(0.25)


def test_perfect_is_one_and_all_wrong_is_zero():
    truth = np.random.default_rng(0).integers(0, 3, (2, 8, 8))
    assert values(count(truth, truth))["miou"] == 1.0
    assert values(count(truth, (truth + 1) % 3))["miou"] == 0.0


def test_never_above_one():
    rng = np.random.default_rng(1)
    for _ in range(50):
        truth = rng.choice([0, 1, 2, 65535], 12, p=rng.dirichlet(np.ones(4)))
        found = values(count(truth, rng.integers(0, 3, 12)))
        assert all(0.0 <= value <= 1.0 for value in found.values())


def test_pixels_that_are_not_valid_count_nowhere():
    truth = jnp.array([0, 1, 65535, -1, 2])
    valid = jnp.array([True, False, False, False, True])
    counts = count(truth, jnp.array([0, 1, 2, 2, 2]), valid)
    assert counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_batches_merged_equal_all_at_once():
    rng = np.random.default_rng(2)
    truth = rng.choice([0, 1, 2, 65535], (7, 5, 5))
    prediction = rng.integers(0, 3, (7, 5, 5))
    whole = values(count(truth, prediction))
    parts = [count(truth[i : i + 3], prediction[i : i + 3]) for i in (0, 3, 6)]
    assert values(*parts) == whole
    per_batch = np.mean([values(part)["miou"] for part in parts])
    assert per_batch != pytest.approx(whole["miou"])  # the mistake this guards against


def test_counts_beyond_int32_stay_exact():
    counts = segmentation.Confusion(1).zeros()
    batch = np.array([[2**31 - 1]], np.int32)
    for _ in range(5):
        counts = metric.add(counts, batch)
    assert counts.dtype == np.int64 and counts[0, 0] == 5 * (2**31 - 1)


def test_an_empty_set():
    assert values() == {"miou": 0.0, "pixel_accuracy": 0.0}
    assert segmentation.Confusion(3).floor(np.zeros((3, 3), np.int64), "miou") is None


@pytest.mark.parametrize("uncounted", [(), (0,)])
def test_the_floor_is_the_best_of_all_constant_answers(uncounted):
    rng, state = np.random.default_rng(3), segmentation.Confusion(3, uncounted)
    for _ in range(20):
        truth = rng.choice([0, 1, 2, 65535], 30, p=rng.dirichlet(np.ones(4)))
        truth[np.isin(truth, uncounted)] = 65535
        counts = np.asarray(count(truth, rng.integers(0, 3, 30)), np.int64)
        for name in ("miou", "pixel_accuracy"):
            constants = [count(truth, np.full(30, k)) for k in range(3)]
            found = [
                state.compute(np.asarray(c, np.int64), NAMES)[name] for c in constants
            ]
            assert state.floor(counts, name) == pytest.approx(max(found))


def test_an_uncounted_class_has_no_iou():
    counts = np.array([[0, 0, 0], [1, 2, 1], [0, 0, 4]])  # truth [1, 2], once said 0
    found = segmentation.Confusion(3, (0,)).compute(counts, NAMES)
    assert found["miou"] == pytest.approx((2 / 4 + 4 / 5) / 2)
    assert found["pixel_accuracy"] == 6 / 8 and "iou/road" not in found
