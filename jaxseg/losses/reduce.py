"""From unreduced losses to one number: the only place where a mean is taken."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Total = Int[Array, ""] | Float[Array, ""] | int


def over(values: Float[Array, "*b"], total: Total) -> Float[Array, ""]:
    """Sum of the values / total; 0, not NaN, where the total is 0."""
    return jnp.sum(values) / jnp.where(total > 0, total, 1)


def masked_mean(
    values: Float[Array, "*b"], valid: Bool[Array, "*b"], count: Total | None = None
) -> Float[Array, ""]:
    """Mean over valid entries; 0, not NaN, when there are none.

    count: valid entries of a whole batch of which these are a part: means of its parts
    then add up to that of the batch.
    """
    count = jnp.sum(valid) if count is None else count
    return over(jnp.where(valid, values, 0.0), count)
