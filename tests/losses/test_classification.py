import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.losses import classification, reduce

# A 2x2 image with two classes: logits [0, log 3] give probabilities 1/4 and 3/4.
ODDS = np.array([[[[1, 3], [3, 1]], [[1, 1], [1, 7]]]], np.float32)
LOGITS = jnp.asarray(np.log(ODDS))
LABELS = jnp.asarray([[[1, 1], [0, 65535]]])
VALID = jnp.asarray([[[True, True], [True, False]]])
# -log(3/4), -log(1/4), -log(1/2), and the void pixel.
EXPECTED = np.array([[[0.28768207, 1.38629436], [0.69314718, 0.0]]])


def test_two_by_two_by_hand():
    values = classification.softmax_xent(LOGITS, LABELS, VALID)
    np.testing.assert_allclose(values, EXPECTED, rtol=1e-6)
    assert values[0, 1, 1] == 0.0
    mean = reduce.masked_mean(values, VALID)
    np.testing.assert_allclose(mean, (0.28768207 + 1.38629436 + 0.69314718) / 3, 1e-6)


def test_masked_equals_sliced():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(4, 6, 5)), jnp.float32)
    labels, rows = rng.integers(0, 5, (4, 6)), rng.random((4, 6)) < 0.6
    void, valid = jnp.asarray(np.where(rows, labels, 65535)), jnp.asarray(rows)

    def masked(logits):
        return reduce.masked_mean(
            classification.softmax_xent(logits, void, valid), valid
        )

    value, gradient = jax.jit(jax.value_and_grad(masked))(logits)
    kept = np.asarray(logits, np.float64)[rows]
    shares = np.exp(kept) / np.exp(kept).sum(axis=-1, keepdims=True)
    picked = shares[np.arange(len(kept)), labels[rows]]
    np.testing.assert_allclose(value, -np.log(picked).mean(), rtol=1e-6)
    expected = np.zeros((4, 6, 5))  # (softmax - one hot) / number of valid pixels
    expected[rows] = (shares - np.eye(5)[labels[rows]]) / rows.sum()
    np.testing.assert_allclose(gradient, expected, atol=1e-7)
    assert (np.asarray(gradient)[~rows] == 0).all()


def test_nothing_valid_gives_zero_and_a_zero_gradient():
    labels = jnp.asarray(np.full((1, 2, 2), 65535))

    def loss(logits):
        valid = jnp.zeros((1, 2, 2), bool)
        return reduce.masked_mean(
            classification.softmax_xent(logits, labels, valid), valid
        )

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(np.log(ODDS) * 1e4))
    assert value == 0.0
    assert (np.asarray(gradient) == 0).all()  # NaN would not be


def test_large_logits_stay_finite():
    logits = jnp.array([[1e4, -1e4]])
    valid = jnp.ones(1, bool)
    assert classification.softmax_xent(logits, jnp.array([1]), valid)[0] == 2e4


def test_a_value_where_not_valid_does_not_enter_the_mean():
    values = jnp.array([1.0, 3.0, jnp.nan])
    assert reduce.masked_mean(values, jnp.array([True, True, False])) == 2.0
