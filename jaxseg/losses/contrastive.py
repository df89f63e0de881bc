"""Losses of pairs of views (SimCLR, arXiv:2002.05709, Eq. 1).

`optax.losses.ntxent` has no rows that do not count, and tells no hits.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

TINY = 1e-12  # the least squared length that is divided by


def nt_xent(
    embeddings: Float[Array, "b 2 d"],
    temperature: float,
    valid: Bool[Array, " b"] | None = None,
) -> tuple[Float[Array, "b 2"], Bool[Array, "b 2"]]:
    """(losses, hits): the cross entropy of each view's partner among all other views,
    by cosine / temperature, and whether the partner is the nearest of them.

    valid: rows that count; the others are neither partners nor distractors, and their
    losses are 0. With the batch divided over devices the others are those of all.

    >>> apart = jnp.eye(4).reshape(2, 2, 4)  # all views at right angles
    >>> losses, _ = nt_xent(apart, temperature=0.5)
    >>> round(float(losses.mean()), 4)  # log 3: any of three may be the partner
    1.0986
    """
    count = len(embeddings)
    valid = jnp.ones(count, bool) if valid is None else valid
    counts = jnp.repeat(valid, 2)
    z = embeddings.reshape(2 * count, -1).astype(jnp.float32)
    z = jnp.where(counts[:, None], z, 0)
    square = jnp.sum(z * z, axis=-1, keepdims=True)
    z = z * jax.lax.rsqrt(jnp.maximum(square, TINY))
    logits = jnp.matmul(z, z.T, precision="highest") / temperature
    others = counts[None, :] & ~jnp.eye(2 * count, dtype=bool)
    partner = jnp.arange(2 * count) ^ 1  # views of one image are neighbours
    own = jnp.take_along_axis(logits, partner[:, None], axis=1)[:, 0]
    # A row that does not count may have no other view, and a sum over nothing is -inf.
    seen = jnp.where(others | ~counts[:, None], logits, -jnp.inf)
    losses = jnp.where(counts, jax.nn.logsumexp(seen, axis=1) - own, 0)
    hits = counts & (jnp.argmax(seen, axis=1) == partner)
    return losses.reshape(count, 2), hits.reshape(count, 2)
