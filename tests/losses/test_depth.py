import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.losses import depth, reduce

RNG = np.random.default_rng(0)
PREDICTED, TRUTH = RNG.random((2, 2, 5, 4)) * 10
VALID = RNG.random((2, 5, 4)) < 0.7


def f32(x):
    return jnp.asarray(x, jnp.float32)


def test_two_by_two_by_hand():
    predicted, truth = f32([[[1, 2], [4, 8]]]), f32([[[1, 3], [2, 0]]])
    valid = truth > 0
    assert depth.absolute(predicted, truth, valid).tolist() == [[[0, 1], [2, 0]]]
    (rows, rows_valid), (columns, columns_valid) = depth.gradient(
        predicted, truth, valid
    )
    assert rows.tolist() == [[[2, 0]]]  # |(4 - 1) - (2 - 1)|
    assert rows_valid.tolist() == [[[True, False]]]
    assert columns.tolist() == [[[1], [0]]]  # |(2 - 1) - (3 - 1)|
    assert columns_valid.tolist() == [[[True], [False]]]


def absolute_reference(predicted):
    return np.abs(predicted - TRUTH)[VALID].mean()


def gradient_reference(predicted):
    """Pixel pair by pixel pair, as Eq. A.6 says it."""
    total = 0.0
    for down, right in ((1, 0), (0, 1)):
        terms = []
        for i, r, c in np.argwhere(VALID):
            other = (i, r + down, c + right)
            if r + down < 5 and c + right < 4 and VALID[other]:
                change = predicted[other] - predicted[i, r, c]
                terms.append(abs(change - (TRUTH[other] - TRUTH[i, r, c])))
        total += np.mean(terms)
    return total


def absolute(predicted, truth, valid):
    return reduce.masked_mean(depth.absolute(predicted, truth, valid), valid)


def smoothness(predicted, truth, valid):
    pairs = depth.gradient(predicted, truth, valid)
    return sum(reduce.masked_mean(*pair) for pair in pairs)


def central(function, x, step=1e-6):
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        gradient[place] = (function(x + moved) - function(x - moved)) / (2 * step)
    return gradient


def test_values_and_gradients():
    truth = f32(np.where(VALID, TRUTH, np.nan))  # anything at all where not valid
    for loss, reference in (
        (absolute, absolute_reference),
        (smoothness, gradient_reference),
    ):
        value, gradient = jax.value_and_grad(loss)(
            f32(PREDICTED), truth, jnp.asarray(VALID)
        )
        np.testing.assert_allclose(value, reference(PREDICTED), rtol=1e-5)
        expected = central(reference, PREDICTED)
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)
        assert (np.asarray(gradient)[~VALID] == 0).all()


def test_nothing_valid_gives_zero_and_a_zero_gradient():
    valid = jnp.zeros(VALID.shape, bool)
    for loss in (absolute, smoothness):
        value, gradient = jax.value_and_grad(loss)(f32(PREDICTED), f32(TRUTH), valid)
        assert value == 0 and (np.asarray(gradient) == 0).all()


def test_a_perfect_prediction_has_a_finite_gradient():
    valid = jnp.asarray(VALID)
    for loss in (absolute, smoothness):
        value, gradient = jax.value_and_grad(loss)(f32(TRUTH), f32(TRUTH), valid)
        assert value == 0 and np.isfinite(gradient).all()
