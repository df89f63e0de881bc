import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.losses import detection

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 3, 4, 2)) * 2
HEAT = RNG.random((2, 3, 4, 2))
HEAT[0, 1, 2, 0] = HEAT[1, 0, 0, 1] = 1.0
VALID = RNG.random((2, 3, 4, 2)) < 0.7
MAPS, TARGETS = RNG.normal(size=(2, 3, 4, 2)), RNG.normal(size=(2, 5, 2))
CELLS = np.stack([RNG.integers(0, 3, (2, 5)), RNG.integers(0, 4, (2, 5))], axis=-1)
CELLS[0, 1] = CELLS[0, 0]  # two objects at one cell
OBJECTS = np.array([[True, True, False, True, False], [False] * 5])


def f32(x):
    return jnp.asarray(x, jnp.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def focal_reference(x, heat):
    p = sigmoid(x)
    rest = (1 - heat) ** 4 * p**2 * np.log(1 - p)
    return -np.where(heat == 1, (1 - p) ** 2 * np.log(p), rest)


def focal_slope(x, heat):
    """Its derivative by hand, d p / d x = p (1 - p)."""
    p = sigmoid(x)
    positive = (1 - p) ** 2 * (2 * p * np.log(p) - (1 - p))
    rest = (1 - heat) ** 4 * p**2 * (p - 2 * (1 - p) * np.log(1 - p))
    return np.where(heat == 1, positive, rest)


def test_focal_by_hand():
    # p = 3/4 at an object, p = 1/4 where the heat is 1/2.
    logits, heat = np.log([3, 1 / 3]), np.array([1, 0.5])
    values = detection.penalty_focal(
        f32(logits.reshape(1, 1, 2, 1)), f32(heat.reshape(1, 1, 2, 1))
    )
    expected = [-np.log(3 / 4) / 16, -np.log(3 / 4) / 16 / 16]
    np.testing.assert_allclose(values.ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("valid", [None, VALID, np.zeros_like(VALID)])
def test_focal_and_its_gradient(valid):
    mask = None if valid is None else jnp.asarray(valid)

    def total(logits):
        values = detection.penalty_focal(logits, f32(HEAT), valid=mask)
        return jnp.sum(values), values

    (_, values), gradient = jax.value_and_grad(total, has_aux=True)(f32(LOGITS))
    kept = np.ones_like(VALID) if valid is None else valid
    expected = np.where(kept, focal_reference(LOGITS, HEAT), 0)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    expected = np.where(kept, focal_slope(LOGITS, HEAT), 0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
    assert (np.asarray(values)[~kept] == 0).all()
    assert (np.asarray(gradient)[~kept] == 0).all()


def test_focal_of_large_logits():
    def total(logits):
        return jnp.sum(detection.penalty_focal(logits, f32(HEAT)))

    value, gradient = jax.value_and_grad(total)(f32(LOGITS * 1e4))
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_l1_by_hand():
    maps = f32(np.arange(8).reshape(1, 2, 2, 2))  # [[[0 1] [2 3]] [[4 5] [6 7]]]
    targets, cells = f32([[[4, 4], [4, 9]]]), jnp.asarray([[[1, 0], [1, 1]]])
    values = detection.l1_at(maps, targets, cells, jnp.ones((1, 2), bool))
    assert values.tolist() == [[1, 4]]


def l1_reference(maps, mask):
    rows = CELLS[..., 0], CELLS[..., 1]
    found = np.stack([maps[i][rows[0][i], rows[1][i]] for i in range(2)])
    return (np.abs(found - TARGETS) * mask).sum(axis=-1)


@pytest.mark.parametrize("per_channel", [False, True])
def test_l1_and_its_gradient(per_channel):
    mask = np.repeat(OBJECTS[..., None], 2, axis=-1)
    if per_channel:
        mask[0, 0, 1] = False
    valid = jnp.asarray(mask if per_channel else OBJECTS)
    # What is not valid may hold anything at all.
    targets = f32(np.where(mask, TARGETS, np.nan))
    cells = jnp.asarray(np.where(OBJECTS[..., None], CELLS, -999))

    def total(maps):
        values = detection.l1_at(maps, targets, cells, valid)
        return jnp.sum(values), values

    (_, values), gradient = jax.value_and_grad(total, has_aux=True)(f32(MAPS))
    np.testing.assert_allclose(values, l1_reference(MAPS, mask), rtol=1e-5)
    assert (np.asarray(values)[~OBJECTS] == 0).all()
    expected = np.zeros_like(MAPS)
    for i, n, c in np.argwhere(mask):
        place = (i, *CELLS[i, n], c)
        expected[place] += np.sign(MAPS[place] - TARGETS[i, n, c])
    np.testing.assert_array_equal(gradient, expected)


def test_no_slots_at_all():
    values = detection.l1_at(
        f32(MAPS),
        jnp.zeros((2, 0, 2)),
        jnp.zeros((2, 0, 2), int),
        jnp.zeros((2, 0), bool),
    )
    assert values.shape == (2, 0)
