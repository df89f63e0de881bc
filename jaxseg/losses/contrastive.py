"""Losses of pairs of views (SimCLR, arXiv:2002.05709, Eq. 1).

`optax.losses.ntxent` has no rows that do not count, and tells no hits.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

TINY = 1e-12  # below the squared length of any embedding that is not 0


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
    z = embeddings.reshape(2 * count, -1).astype(jnp.float32)
    z = z * jax.lax.rsqrt(jnp.sum(z * z, axis=-1, keepdims=True) + TINY)
    logits = jnp.matmul(z, z.T, precision="highest") / temperature
    counts = jnp.repeat(valid, 2)
    others = counts[None, :] & ~jnp.eye(2 * count, dtype=bool)
    partner = jnp.arange(2 * count) ^ 1  # views of one image are neighbours
    own = jnp.take_along_axis(logits, partner[:, None], axis=1)[:, 0]
    # Of a row without any other view there would be no sum.
    seen = jnp.where(others | ~counts[:, None], logits, -jnp.inf)
    losses = jnp.where(counts, jax.nn.logsumexp(seen, axis=1) - own, 0)
    hits = counts & (jnp.argmax(seen, axis=1) == partner)
    return losses.reshape(count, 2), hits.reshape(count, 2)
