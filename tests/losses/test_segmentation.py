import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.losses import reduce, segmentation

# A 2x2 image with two classes: logits [0, log 3] give probabilities 1/4 and 3/4.
ODDS = np.array([[[[1, 3], [3, 1]], [[1, 1], [1, 7]]]], np.float32)
LOGITS = jnp.asarray(np.log(ODDS))
LABELS = jnp.asarray([[[1, 1], [0, 65535]]])
VALID = jnp.asarray([[[True, True], [True, False]]])
NLL = np.array([[[0.28768207, 1.38629436], [0.69314718, 0.0]]])
WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(2, 3, 4, 4)) * 2
CLASSES, ROWS = RNG.integers(0, 4, (2, 3, 4)), RNG.random((2, 3, 4)) < 0.7
HARD, RANKS = RNG.random((2, 3, 4)) < 0.5, RNG.normal(size=(2, 3, 4)) * 2


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def softmax(x):
    return np.exp(log_softmax(x))


def picked(x, labels):
    return np.take_along_axis(x, labels[..., None], axis=-1)[..., 0]


def weighted_reference(x, y):
    return -WEIGHTS[y] * picked(log_softmax(x), y)


def smoothed_reference(x, y):
    soft = np.full((*y.shape, 4), 0.1 / 4)
    np.put_along_axis(soft, y[..., None], 0.9 + 0.1 / 4, axis=-1)
    return -(soft * log_softmax(x)).sum(axis=-1)


def focal_reference(x, y):
    p = picked(softmax(x), y)
    return -WEIGHTS[y] * (1 - p) ** 1.5 * np.log(p)


def binary_reference(x, y):
    p = 1 / (1 + np.exp(-x))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def binary_focal_reference(x, y):
    p = 1 / (1 + np.exp(-x))
    p_t, alpha_t = p * y + (1 - p) * (1 - y), 0.25 * y + 0.75 * (1 - y)
    return binary_reference(x, y) * (1 - p_t) ** 2 * alpha_t


def dice_reference(p, y, valid, per_image):
    groups = [[i] for i in range(len(y))] if per_image else [range(len(y))]
    table = np.zeros((len(groups), p.shape[-1]))
    for i, group in enumerate(groups):
        for k in range(p.shape[-1]):
            shares = np.concatenate([p[j][valid[j]][:, k] for j in group])
            truth = np.concatenate([(y[j] == k)[valid[j]] for j in group])
            top, bottom = 2 * (shares * truth).sum(), shares.sum() + truth.sum()
            table[i, k] = 1 - (top + 0.5) / (bottom + 0.5)
    return table if per_image else table[0]


def lovasz_reference(p, y):
    """Berman's own formula for each class, as differences of cumulative sums."""
    losses = []
    for k in np.unique(y):
        truth = (y == k).astype(float)
        errors = np.abs(truth - p[:, k])
        order = np.argsort(-errors, kind="stable")
        hits = truth[order]
        intersection = hits.sum() - hits.cumsum()
        union = hits.sum() + (1 - hits).cumsum()
        jaccard = 1 - intersection / union
        steps = np.concatenate([jaccard[:1], np.diff(jaccard)])
        losses.append((errors[order] * steps).sum())
    return np.mean(losses)


def central(function, x, step=1e-6):
    """Gradient of a float64 function by central differences."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        gradient[place] = (function(x + moved) - function(x - moved)) / (2 * step)
    return gradient


f32 = functools.partial(jnp.asarray, dtype=jnp.float32)
XENTS = {
    "weighted": (
        lambda x, y, v: segmentation.weighted_xent(x, y, v, f32(WEIGHTS)),
        weighted_reference,
        (SCORES, CLASSES),
    ),
    "smoothed": (
        lambda x, y, v: segmentation.smoothed_xent(x, y, v, 0.1),
        smoothed_reference,
        (SCORES, CLASSES),
    ),
    "focal": (
        lambda x, y, v: segmentation.focal(x, y, v, 1.5, f32(WEIGHTS)),
        focal_reference,
        (SCORES, CLASSES),
    ),
    "binary": (segmentation.binary_xent, binary_reference, (RANKS, HARD)),
    "binary_focal": (segmentation.binary_focal, binary_focal_reference, (RANKS, HARD)),
}
NAMES = pytest.mark.parametrize("name", XENTS)


@NAMES
def test_masked_equals_the_reference_on_the_slice(name):
    loss, reference, (scores, labels) = XENTS[name]
    labels = labels.astype(int)
    void, valid = jnp.asarray(np.where(ROWS, labels, 65535)), jnp.asarray(ROWS)

    def total(scores):
        values = loss(scores, void, valid)
        return jnp.sum(values), values

    (_, values), gradient = jax.value_and_grad(total, has_aux=True)(f32(scores))
    assert (np.asarray(values)[~ROWS] == 0).all()
    kept, truth = scores[ROWS], labels[ROWS]
    np.testing.assert_allclose(values[ROWS], reference(kept, truth), 1e-5, 1e-6)
    expected = np.zeros_like(scores)
    expected[ROWS] = central(lambda x: reference(x, truth).sum(), kept)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)
    assert (np.asarray(gradient)[~ROWS] == 0).all()


@NAMES
@pytest.mark.parametrize("scale", [1, 1e4])
def test_nothing_valid_gives_zero_and_a_zero_gradient(name, scale):
    loss, _, (scores, labels) = XENTS[name]
    void, valid = jnp.full(labels.shape, 65535), jnp.zeros(labels.shape, bool)

    def total(scores):
        return reduce.masked_mean(loss(scores, void, valid), valid)

    value, gradient = jax.value_and_grad(total)(f32(scores * scale))
    assert value == 0 and (np.asarray(gradient) == 0).all()


@NAMES
def test_large_logits_stay_finite(name):
    loss, _, (scores, labels) = XENTS[name]
    valid = jnp.ones(labels.shape, bool)

    def total(scores):
        return jnp.sum(loss(scores, jnp.asarray(labels.astype(int)), valid))

    value, gradient = jax.value_and_grad(total)(f32(scores * 1e4))
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_two_by_two_by_hand():
    weights = f32([1.0, 3.0])
    values = segmentation.weighted_xent(LOGITS, LABELS, VALID, weights)
    np.testing.assert_allclose(values, NLL * [[[3, 3], [1, 0]]], rtol=1e-6)
    assert segmentation.weight_total(LABELS, VALID, weights) == 7
    # 0.8 of -log p[y], 0.1 of each class's -log p.
    values = segmentation.smoothed_xent(LOGITS, LABELS, VALID, 0.2)
    both = -np.log(3 / 16) / 10
    expected = 0.8 * NLL + [[[both, both], [-np.log(1 / 4) / 10, 0]]]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    values = segmentation.focal(LOGITS, LABELS, VALID, 2.0, 0.25)
    expected = 0.25 * NLL * np.square([[[1 / 4, 3 / 4], [1 / 2, 0]]])
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_binary_by_hand():
    logits, labels = f32([math.log(3), math.log(3), 9]), jnp.asarray([1, 0, 65535])
    valid = jnp.asarray([True, True, False])
    values = segmentation.binary_xent(logits, labels, valid)
    np.testing.assert_allclose(values, [0.28768207, 1.38629436, 0], rtol=1e-6)
    values = segmentation.binary_focal(logits, labels, valid)
    expected = [0.28768207 / 64, 1.38629436 * 27 / 64, 0]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    unweighted = segmentation.binary_focal(logits, labels, valid, 0.0, -1.0)
    np.testing.assert_allclose(unweighted, [0.28768207, 1.38629436, 0], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_gradient_where_the_answer_is_certain(gamma):
    """x^gamma with gamma < 1 has none at 0, and float32 rounds 1 - p to 0."""
    sure, valid = f32([[100.0, 0.0]]), jnp.ones(1, bool)

    def total(x):
        return segmentation.focal(x, jnp.asarray([0]), valid, gamma)[0]

    value, gradient = jax.value_and_grad(total)(sure)
    assert value < 1e-6 and (np.abs(gradient) < 1e-5).all()


@pytest.mark.parametrize("per_image", [True, False])
def test_dice(per_image):
    shares, void = softmax(SCORES), np.where(ROWS, CLASSES, 65535)

    def total(p):
        found = segmentation.soft_dice(
            p, jnp.asarray(void), jnp.asarray(ROWS), per_image, 0.5
        )
        return jnp.sum(found), found

    (_, found), gradient = jax.value_and_grad(total, has_aux=True)(f32(shares))
    reference = functools.partial(dice_reference, y=void, valid=ROWS)
    np.testing.assert_allclose(found, reference(shares, per_image=per_image), 1e-5)
    expected = central(lambda p: reference(p, per_image=per_image).sum(), shares)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


def test_dice_by_hand():
    # Class 1: p = 3/4, 1/4, 1/2 over the valid pixels, t = 1, 1, 0.
    shares = f32(ODDS / ODDS.sum(axis=-1, keepdims=True))
    found = segmentation.soft_dice(shares, LABELS, VALID, True, 1.0)
    expected = [[1 - (2 * 0.5 + 1) / (1.5 + 1 + 1), 1 - (2 * 1 + 1) / (1.5 + 2 + 1)]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_dice_of_nothing(epsilon):
    valid = jnp.zeros(LABELS.shape, bool)

    def total(p):
        return jnp.sum(segmentation.soft_dice(p, LABELS, valid, False, epsilon))

    value, gradient = jax.value_and_grad(total)(f32(ODDS))
    assert value == 0 and (np.asarray(gradient) == 0).all()


def lovasz(shares, labels, valid):
    return reduce.masked_mean(*segmentation.lovasz_softmax(shares, labels, valid))


def test_lovasz_on_the_slice():
    shares, labels, rows = softmax(SCORES).reshape(-1, 4), CLASSES.ravel(), ROWS.ravel()
    labels = np.where(labels == 3, 1, labels)  # class 3 is absent
    void = jnp.asarray(np.where(rows, labels, 65535))
    value, gradient = jax.value_and_grad(lovasz)(f32(shares), void, jnp.asarray(rows))
    kept, truth = shares[rows], labels[rows]
    np.testing.assert_allclose(value, lovasz_reference(kept, truth), rtol=1e-5)
    expected = np.zeros_like(shares)
    expected[rows] = central(lambda p: lovasz_reference(p, truth), kept)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)


def test_lovasz_by_hand():
    """A prediction of zeros and ones gives 1 - IoU of each class that is present."""
    shares = f32([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    labels, valid = (
        jnp.asarray([0, 1, 1, 65535]),
        jnp.asarray([True, True, True, False]),
    )
    values, present = segmentation.lovasz_softmax(shares, labels, valid)
    np.testing.assert_allclose(values, [1 / 2, 1 / 2, 0], rtol=1e-6)
    assert present.tolist() == [True, True, False]


def test_lovasz_of_nothing():
    valid = jnp.zeros(4, bool)
    value, gradient = jax.value_and_grad(lovasz)(
        f32(np.full((4, 3), 0.2)), jnp.full(4, 65535), valid
    )
    assert value == 0 and (np.asarray(gradient) == 0).all()


def test_ohem():
    losses = f32(-np.log([[0.9, 0.2], [0.6, 0.1], [0.8, 0.05]]))
    valid = jnp.asarray([[True, True], [True, True], [True, False]])
    mask = functools.partial(segmentation.ohem_mask, losses, valid)
    below = [[False, True], [True, True], [False, False]]
    assert mask(0.7, 2).tolist() == below  # three are below 0.7
    assert mask(0.7, 0).tolist() == below
    assert mask(0.05, 2).tolist() == [[False, True], [False, True], [False, False]]
    assert mask(0.7, 4).tolist() == [[False, True], [True, True], [True, False]]
    assert mask(0.7, 100).tolist() == valid.tolist()
    nothing = segmentation.ohem_mask(losses, jnp.zeros_like(valid), 0.7, 3)
    assert not nothing.any()


def test_ohem_keeps_all_equals():
    losses, valid = jnp.full((2, 3), 0.1), jnp.ones((2, 3), bool)
    assert segmentation.ohem_mask(losses, valid, 0.7, 2).all()


def test_auto_weights():
    found = segmentation.auto_weights(np.array([100, 400, 0, 200]))
    np.testing.assert_allclose(found, [2, 0.5, 1, 1])  # median 200; absent: 1
    assert segmentation.auto_weights(np.zeros(3, int)).tolist() == [1, 1, 1]
