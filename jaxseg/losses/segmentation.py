"""Further losses per pixel and per class: weighted, smoothed, binary, Dice, focal,
Lovasz, and the choice of hard pixels. Means are taken by `reduce.masked_mean`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxseg.losses import classification


def weighted_xent(
    logits: Float[Array, "*b k"],
    labels: Int[Array, "*b"],
    valid: Bool[Array, "*b"],
    weights: Float[Array, " k"],
) -> Float[Array, "*b"]:
    """w[y] * -log softmax(logits)[y] per entry; exactly 0 where not valid.

    Torch's `CrossEntropyLoss(weight)` unreduced; its mean is the sum over
    `weight_total`, not over the number of valid entries.
    """
    nll = classification.softmax_xent(logits, labels, valid)
    return weights[jnp.where(valid, labels, 0)] * nll


def weight_total(
    labels: Int[Array, "*b"], valid: Bool[Array, "*b"], weights: Float[Array, " k"]
) -> Float[Array, ""]:
    """Sum of w[y] over valid entries: what torch divides a weighted sum by."""
    return jnp.sum(weights[jnp.where(valid, labels, 0)], where=valid)


def smoothed_xent(
    logits: Float[Array, "*b k"],
    labels: Int[Array, "*b"],
    valid: Bool[Array, "*b"],
    smoothing: float,
    weights: Float[Array, " k"] | None = None,
) -> Float[Array, "*b"]:
    """-(1 - s) w[y] log p[y] - s / k sum_c w[c] log p[c] per entry; 0 where not valid.

    Torch's `label_smoothing`: the share s is spread over all k classes, y included.
    weights: of classes; None: 1 each.
    """
    weights = jnp.ones(logits.shape[-1]) if weights is None else weights
    nll = weighted_xent(logits, labels, valid, weights)
    spread = -jax.nn.log_softmax(logits) * jnp.broadcast_to(weights, logits.shape)
    spread = jnp.mean(spread, axis=-1)
    return (1 - smoothing) * nll + smoothing * jnp.where(valid, spread, 0.0)


def binary_xent(
    logits: Float[Array, "*b"], labels: Int[Array, "*b"], valid: Bool[Array, "*b"]
) -> Float[Array, "*b"]:
    """-y log sigmoid(x) - (1 - y) log sigmoid(-x) per entry; 0 where not valid."""
    safe = jnp.where(valid, labels, 0).astype(logits.dtype)
    return jnp.where(valid, optax.sigmoid_binary_cross_entropy(logits, safe), 0.0)


def soft_dice(
    probabilities: Float[Array, "b *s k"],
    labels: Int[Array, " b *s"],
    valid: Bool[Array, " b *s"],
    per_image: bool,
    epsilon: float,
) -> Float[Array, "... k"]:
    """1 - (2 sum p t + eps) / (sum p + sum t + eps) per class: [B, K], or [K] pooled.

    t is 1 at pixels of the class; sums run over the valid pixels of one image
    (`per_image`) or of the whole batch. Nothing valid gives 0, also with eps = 0.
    """
    axes = tuple(range(int(per_image), labels.ndim))
    inside = valid[..., None]
    classes = jnp.arange(probabilities.shape[-1]).reshape((1,) * labels.ndim + (-1,))
    truth = (labels[..., None] == classes) & inside
    shared = jnp.sum(probabilities, axis=axes, where=truth)
    total = jnp.sum(probabilities, axis=axes, where=inside) + jnp.sum(truth, axis=axes)
    # 0 / 0 must not reach the gradient either, so the division is made safe first.
    some = total + epsilon > 0
    dice = (2 * shared + epsilon) / jnp.where(some, total + epsilon, 1.0)
    return jnp.where(some, 1 - dice, 0.0)


def focal(
    logits: Float[Array, "*b k"],
    labels: Int[Array, "*b"],
    valid: Bool[Array, "*b"],
    gamma: float = 2.0,
    alpha: float | Float[Array, " k"] = 1.0,
) -> Float[Array, "*b"]:
    """-alpha[y] (1 - p[y])^gamma log p[y], p = softmax (Lin et al. 2017, Eq. 5).

    alpha: one factor, or one per class. Exactly 0 where not valid.
    """
    nll = classification.softmax_xent(logits, labels, valid)
    # Careful: x^gamma has no finite slope at 0 when gamma < 1, and p rounds to 1.
    missing = jnp.maximum(-jnp.expm1(-nll), 1e-12)
    factors = jnp.broadcast_to(jnp.asarray(alpha, nll.dtype), logits.shape[-1:])
    return factors[jnp.where(valid, labels, 0)] * missing**gamma * nll


def binary_focal(
    logits: Float[Array, "*b"],
    labels: Int[Array, "*b"],
    valid: Bool[Array, "*b"],
    gamma: float = 2.0,
    alpha: float = 0.25,
) -> Float[Array, "*b"]:
    """-alpha_t (1 - p_t)^gamma log p_t, p = sigmoid (Lin et al. 2017, Eq. 5).

    p_t is p and alpha_t alpha where the label is 1, else 1 - p and 1 - alpha; a
    negative alpha weighs both with 1: `torchvision.ops.sigmoid_focal_loss`.
    """
    positive = labels == 1
    toward = jnp.where(positive, logits, -logits)  # p_t = sigmoid(toward)
    scale = jnp.exp(gamma * jax.nn.log_sigmoid(-toward))
    if alpha >= 0:
        scale = scale * jnp.where(positive, alpha, 1 - alpha)
    return jnp.where(valid, -scale * jax.nn.log_sigmoid(toward), 0.0)


def lovasz_softmax(
    probabilities: Float[Array, "n k"],
    labels: Int[Array, " n"],
    valid: Bool[Array, " n"],
) -> tuple[Float[Array, " k"], Bool[Array, " k"]]:
    """Lovasz extension of 1 - IoU per class [K], 0 where absent; which are present [K].

    Berman et al. 2018 (arXiv:1705.08790), Eq. 8 and 9; the mean over classes present
    is `reduce.masked_mean` of the two results.
    """
    classes = jnp.arange(probabilities.shape[-1])[:, None]
    truth = (labels[None] == classes) & valid[None]
    errors = jnp.abs(truth - probabilities.T)
    weights = jax.vmap(_lovasz_weights, (0, 0, None))(errors, truth, valid)
    present = jnp.any(truth, axis=1)
    # Weights are 0 where not valid; the order of the errors carries no gradient.
    values = jnp.sum(jax.lax.stop_gradient(weights) * errors, axis=1)
    return jnp.where(present, values, 0.0), present


def _lovasz_weights(errors: Array, truth: Array, valid: Array) -> Array:
    """How much 1 - IoU grows [n] as each pixel in turn, worst first, turns wrong.

    The differences of Berman's cumulative sums in closed form: subtracting two nearly
    equal quotients in float32 would leave little of them in a large image.
    """
    order = jnp.argsort(jnp.where(valid, -errors, 1.0))  # what is not valid comes last
    hit, miss = truth[order], (valid & ~truth)[order]
    count = jnp.sum(truth)
    intersection = (count - jnp.cumsum(hit)).astype(errors.dtype)
    union = jnp.maximum(count + jnp.cumsum(miss), 1).astype(errors.dtype)
    step = intersection / (union * jnp.maximum(union - 1, 1))
    step = jnp.where(hit, 1 / union, jnp.where(miss, step, 0.0))
    return jnp.zeros_like(errors).at[order].set(step, unique_indices=True)


def ohem_mask(
    losses: Float[Array, "*b"], valid: Bool[Array, "*b"], threshold: float, keep: int
) -> Bool[Array, "*b"]:
    """Which valid pixels are hard: p[y] < threshold, but at least the `keep` hardest.

    losses: cross entropy, -log p[y]. Over all pixels of the batch together. Equals of
    the `keep`-th hardest are all kept: a head that starts at zero has only equals, and
    a choice by position would train the top of the first image.
    """
    hard = losses > -math.log(threshold)
    keep = min(keep, losses.size)
    if keep > 0:
        ranked = jnp.sort(jnp.where(valid, losses, -jnp.inf).reshape(-1))
        hard |= losses >= ranked[losses.size - keep]
    return valid & hard


def auto_weights(pixels_per_class: np.ndarray) -> np.ndarray:
    """Median-frequency weights, float32 [k]: w[c] = median_d(f[d]) / f[c].

    f[c] = pixels of c / all pixels; the median is over classes that occur, and one
    that does not gets 1. Eigen and Fergus 2015 (arXiv:1411.4734) divide by the pixels
    of the images that contain c; counts per class cannot tell those.
    """
    pixels = np.asarray(pixels_per_class, np.float64)
    weights = np.ones(pixels.shape, np.float32)
    occurs = pixels > 0
    if occurs.any():
        weights[occurs] = np.median(pixels[occurs]) / pixels[occurs]
    return weights
