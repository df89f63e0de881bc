"""CenterNet's losses on its maps (arXiv:1904.07850; factors paper, Eq. A.2 to A.4)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def penalty_focal(
    logits: Float[Array, "b h w k"],
    heat: Float[Array, "b h w k"],
    alpha: float = 2.0,
    beta: float = 4.0,
    valid: Bool[Array, "b h w k"] | None = None,
) -> Float[Array, "b h w k"]:
    """-(1 - p)^alpha log p where heat is 1, -(1 - heat)^beta p^alpha log(1 - p) else.

    Eq. A.2 before its sum; p = sigmoid(logits), not clipped. The caller divides the sum
    by the number of objects, at least 1. Exactly 0 where not `valid` (crowds).
    """
    log_p, log_rest = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    positive = -jnp.exp(alpha * log_rest) * log_p
    negative = -((1 - heat) ** beta) * jnp.exp(alpha * log_p) * log_rest
    values = jnp.where(heat == 1, positive, negative)
    return values if valid is None else jnp.where(valid, values, 0.0)


def at_cells(
    maps: Float[Array, "b h w c"], cells: Int[Array, "b n 2"]
) -> Float[Array, "b n c"]:
    """Values of the maps at cells (row, column)."""
    flat = maps.reshape(maps.shape[0], -1, maps.shape[-1])
    index = cells[..., 0] * maps.shape[2] + cells[..., 1]
    return jnp.take_along_axis(flat, index[..., None], axis=1)


def l1_at(
    maps: Float[Array, "b h w c"],
    targets: Float[Array, "b n c"],
    cells: Int[Array, "b n 2"],
    valid: Bool[Array, "b n"] | Bool[Array, "b n c"],
) -> Float[Array, "b n"]:
    """Sum over C of |map at the object's cell - target| (Eq. A.3 and A.4), in cells.

    Exactly 0 where not valid, whatever cell and target say there. `valid` per channel
    leaves single terms of the sum out: keypoints that are not marked.
    """
    mask = valid if valid.ndim == 3 else valid[..., None]
    safe = jnp.where(jnp.any(mask, axis=-1, keepdims=True), cells, 0)
    differences = jnp.where(mask, at_cells(maps, safe) - targets, 0.0)
    return jnp.sum(jnp.abs(differences), axis=-1)
