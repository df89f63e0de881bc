"""Depth losses (factors paper, A.5): distance of values and of their differences."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Values = Float[Array, "b h w"]
Valid = Bool[Array, "b h w"]


def absolute(predicted: Values, truth: Values, valid: Valid) -> Values:
    """|y - y'| per pixel in metres (Eq. A.5 before its mean); 0 where not valid."""
    return jnp.abs(jnp.where(valid, predicted - truth, 0.0))


def pairs(
    valid: Valid,
) -> tuple[Bool[Array, "b p w"], Bool[Array, "b h q"]]:
    """Where a pixel and that of the next row, and of the next column, are valid."""
    return valid[:, 1:] & valid[:, :-1], valid[:, :, 1:] & valid[:, :, :-1]


def gradient(
    predicted: Values, truth: Values, valid: Valid
) -> tuple[
    tuple[Float[Array, "b p w"], Bool[Array, "b p w"]],
    tuple[Float[Array, "b h q"], Bool[Array, "b h q"]],
]:
    """Metres and masks along rows [B, H-1, W], then along columns [B, H, W-1].

    The terms of Eq. A.6 before its mean, (D y)[i] = y[i + 1] - y[i]:
    |D_rows y - D_rows y'| and |D_columns y - D_columns y'|, exactly 0 where not valid.
    A difference is valid where both its pixels are. Each pair suits `masked_mean`.
    """
    error = jnp.where(
        valid, predicted - truth, 0.0
    )  # D is linear: D y - D y' = D error
    steps = jnp.diff(error, axis=1), jnp.diff(error, axis=2)
    rows, columns = (
        (jnp.abs(jnp.where(mask, step, 0.0)), mask)
        for step, mask in zip(steps, pairs(valid))
    )
    return rows, columns
