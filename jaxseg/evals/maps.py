"""Maps of scores on the host: enlarged, turned, added over windows and views."""

import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxseg.evals import protocol


def enlarge(maps: np.ndarray, size: protocol.Size) -> np.ndarray:
    """float32 [*size, K] of maps [H, W, K]: `images_jnp.resize_to` for a single one.

    On the host: images have many sizes, and each would be a program of its own.
    """
    for axis, length in enumerate(size):
        have = maps.shape[axis]
        if have == length:
            continue
        place = (np.arange(length, dtype=np.float32) + 0.5) * (have / length) - 0.5
        place = np.clip(place, 0, have - 1)
        low = np.minimum(place.astype(int), max(have - 2, 0))
        share = (place - low).astype(np.float32)
        share = share.reshape([-1 if n == axis else 1 for n in range(3)])
        after = np.take(maps, np.minimum(low + 1, have - 1), axis=axis)
        maps = np.take(maps, low, axis=axis) * (1 - share) + after * share
    return maps


def added(total: Any, scores: Any) -> Any:
    """Arrays, or trees of them, added; total: None for the first."""
    return scores if total is None else jax.tree.map(operator.add, total, scores)


def add_windows(places: Sequence[Any], total: np.ndarray, scores: np.ndarray) -> None:
    """Adds the windows of a batch to the map, in its memory."""
    for place, one in zip(places, scores):
        total[place] += one


def enlarged(scores: Any, flip: bool, size: protocol.Size) -> Any:
    """Each map turned back and at the size of the image."""
    return jax.tree.map(lambda x: enlarge(mirrored(x, flip), size), scores)


def mirrored(maps: np.ndarray, flip: bool) -> np.ndarray:
    """Maps [H, W, K] turned left to right where `flip` is."""
    return maps[:, ::-1] if flip else maps
