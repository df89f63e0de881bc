"""Weighted sums of parts, against what torch and the papers write."""

import functools

import jax
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.losses import combined

RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(2, 3, 4, 3)).astype(np.float32) * 2
LABELS = RNG.integers(0, 3, (2, 3, 4)).astype(np.int32)
VALID = RNG.random((2, 3, 4)) < 0.8
WEIGHTS = (0.1, 1.0, 2.5)


def log_p(logits):
    x = logits.astype(np.float64)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


@functools.partial(jax.jit, static_argnums=0)
def run(loss, logits, labels, valid):
    value = lambda logits: loss(logits, labels, valid)
    return jax.value_and_grad(value, has_aux=True)(logits)


def value(loss, logits=LOGITS, labels=LABELS, valid=VALID):
    (total, parts), _ = run(loss, logits, labels, valid)
    return float(total), {name: float(x) for name, x in parts.items()}


def made(*parts, **options):
    return combined.Combined(parts=parts or (("cross_entropy", 1.0),), **options)


def torchs_cross_entropy(weights, smoothing):
    """CrossEntropyLoss(weight, label_smoothing), reduction "mean", in loops."""
    total = share = 0.0
    for place in zip(*np.nonzero(VALID)):
        row, label = log_p(LOGITS)[place], LABELS[place]
        total -= (1 - smoothing) * weights[label] * row[label]
        total -= smoothing / 3 * (np.array(weights) * row).sum()
        share += weights[label]
    return total / share


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_torchs(weights, smoothing):
    found, _ = value(made(class_weights=weights, label_smoothing=smoothing))
    wanted = torchs_cross_entropy(weights or (1.0,) * 3, smoothing)
    assert found == pytest.approx(wanted, rel=1e-5)


def test_parts_are_added_with_their_weights():
    both, parts = value(made(("cross_entropy", 0.5), ("dice", 2.0)))
    assert set(parts) == {"cross_entropy_loss", "dice_loss"}
    entropy, _ = value(made())
    dice, _ = value(made(("dice", 1.0)))
    assert both == pytest.approx(0.5 * entropy + 2 * dice, rel=1e-6)
    assert parts["dice_loss"] == pytest.approx(dice, rel=1e-6)


def test_focal_with_class_weights():
    found, _ = value(made(("focal", 1.0), focal_gamma=1.0, class_weights=WEIGHTS))
    logs = np.take_along_axis(log_p(LOGITS), LABELS[..., None], axis=-1)[..., 0]
    losses = -np.array(WEIGHTS)[LABELS] * (1 - np.exp(logs)) * logs
    assert found == pytest.approx(losses[VALID].mean(), rel=1e-5)


def test_binary_parts_by_hand():
    logits, labels = LOGITS[..., :1], LABELS % 2
    p = 1 / (1 + np.exp(-logits[..., 0].astype(np.float64)))
    p_t = np.where(labels == 1, p, 1 - p)[VALID]
    arguments = dict(logits=logits, labels=labels)
    entropy, _ = value(made(binary=True), **arguments)
    assert entropy == pytest.approx(-np.log(p_t).mean(), rel=1e-5)
    focal, _ = value(made(("focal", 1.0), binary=True), **arguments)
    assert focal == pytest.approx((-((1 - p_t) ** 2) * np.log(p_t)).mean(), rel=1e-5)
    inside, truth = p[VALID], (labels == 1)[VALID]
    wanted = 1 - (2 * inside[truth].sum() + 1) / (inside.sum() + truth.sum() + 1)
    dice, _ = value(made(("dice", 1.0), binary=True), **arguments)
    assert dice == pytest.approx(wanted, rel=1e-5)
    weighted, _ = value(made(binary=True, class_weights=(1.0, 3.0)), **arguments)
    shares = np.where(truth, 3.0, 1.0)
    wanted = -(shares * np.log(p_t)).sum() / shares.sum()
    assert weighted == pytest.approx(wanted, rel=1e-5)


def test_lovasz_of_a_binary_task_is_that_of_the_foreground():
    logits, labels = LOGITS[..., :1], LABELS % 2
    found, _ = value(made(("lovasz", 1.0), binary=True), logits=logits, labels=labels)
    two = np.concatenate([np.zeros_like(logits), logits], axis=-1)  # same probability
    probabilities = np.asarray(jax.nn.softmax(two))[..., 1][VALID]
    truth = (labels == 1)[VALID]
    wrong = np.abs(truth - probabilities)
    order = np.argsort(-wrong)
    iou = []
    for count in range(len(order) + 1):  # the worst `count` pixels are wrong
        missed, false = truth[order[:count]].sum(), (~truth[order[:count]]).sum()
        iou.append(1 - (truth.sum() - missed) / (truth.sum() + false))
    assert found == pytest.approx((np.diff(iou) * wrong[order]).sum(), rel=1e-4)


def test_ohem_keeps_what_is_hard():
    everything, _ = value(made())
    hard, _ = value(made(ohem=0.3, ohem_keep=1))
    assert value(made(ohem=1.0))[0] == pytest.approx(everything, rel=1e-6)
    logs = np.take_along_axis(log_p(LOGITS), LABELS[..., None], axis=-1)[..., 0]
    wanted = -logs[VALID & (np.exp(logs) < 0.3)].mean()
    assert hard == pytest.approx(wanted, rel=1e-5) and hard > everything


ALL = [(name, 1.0) for name in combined.PARTS]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("ohem", [None, 0.7])
def test_nothing_known_gives_nothing(binary, ohem):
    logits = LOGITS[..., :1] if binary else LOGITS
    weights = (0.5, 2.0) if binary else WEIGHTS
    loss = made(*ALL, binary=binary, ohem=ohem, class_weights=weights)
    (total, _), gradient = run(loss, logits, LABELS % 2, np.zeros_like(VALID))
    assert float(total) == 0 and not np.asarray(gradient).any()
    (total, _), gradient = run(loss, logits, LABELS % 2, VALID)
    gradient = np.asarray(gradient)
    assert float(total) > 0 and np.isfinite(gradient).all()
    assert not gradient[~VALID].any() and gradient[VALID].any()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"parts": (("dise", 1.0),)}, "unknown part of task/losses 'dise'.*dice"),
        ({"parts": ()}, "task/losses: found {}"),
        ({"parts": (("dice", 0.0),)}, "task/losses"),
        ({"label_smoothing": 1.0}, "task/label_smoothing: found 1.0"),
        ({"ohem": 1.5}, "task/ohem: found 1.5"),
        ({"binary": True, "label_smoothing": 0.1}, "binary with label_smoothing"),
    ],
)
def test_what_cannot_be(options, words):
    with pytest.raises(errors.UserError, match=words):
        combined.Combined(**options)


def test_images_without_a_known_pixel_count_in_no_mean():
    loss = made(("dice", 1.0), dice_per_image=True)
    valid = VALID.copy()
    valid[1] = False
    alone, _ = value(loss, LOGITS[:1], LABELS[:1], VALID[:1])
    assert value(loss, valid=valid)[0] == pytest.approx(alone, rel=1e-6)
