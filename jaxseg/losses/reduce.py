"""From unreduced losses to one number: the only place where a mean is taken."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def masked_mean(
    values: Float[Array, "*b"], valid: Bool[Array, "*b"]
) -> Float[Array, ""]:
    """Mean over valid entries; 0, not NaN, when there are none."""
    return jnp.sum(values, where=valid) / jnp.maximum(jnp.sum(valid), 1)
