"""Cross entropy over classes, per image or per pixel (factors paper, Eq. A.1)."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int


def softmax_xent(
    logits: Float[Array, "*b k"], labels: Int[Array, "*b"], valid: Bool[Array, "*b"]
) -> Float[Array, "*b"]:
    """Cross entropy per entry; exactly 0 where not valid, whatever the label there.

    Eq. A.1 of the factors paper lacks the minus sign; N there is read as the number
    of valid pixels, which `reduce.masked_mean` divides by.

    >>> labels = jnp.array([0, 255])
    >>> losses = softmax_xent(jnp.zeros((2, 4)), labels, valid=labels != 255)
    >>> losses.round(3).tolist()  # log 4, and 0 for the label that is ignored
    [1.3860000371932983, 0.0]
    """
    safe = jnp.where(valid, labels, 0)  # IGNORE would gather out of range
    nll = optax.softmax_cross_entropy_with_integer_labels(logits, safe)
    return jnp.where(valid, nll, 0.0)
