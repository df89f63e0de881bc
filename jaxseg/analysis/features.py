"""One vector per image: the maps of a backbone, pooled over space."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def pooled(maps: tuple[Float[Array, "..."], ...]) -> Float[Array, "b d"]:
    """Spatial means of all maps side by side: 720 numbers for HRNetV2-W48."""
    means = [jnp.mean(x.astype(jnp.float32), axis=(1, 2)) for x in maps]
    return jnp.concatenate(means, axis=-1)


def collect(
    features: Callable[[Array], tuple[Array, ...]], images: np.ndarray, batch_size: int
) -> np.ndarray:
    """float32 [N, D] of whitened images [N, H, W, C], `batch_size` at a time."""
    rows = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        missing = batch_size - len(batch)  # padded, so that one program serves all
        padded = np.pad(batch, [(0, missing), *[(0, 0)] * 3])
        rows.append(np.asarray(pooled(features(padded)))[: len(batch)])
    return np.concatenate(rows)
