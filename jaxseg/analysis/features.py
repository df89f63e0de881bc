"""One vector per image: the maps of a backbone, pooled over space."""

import functools
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxseg.core.types import Batch


@functools.partial(jax.jit, static_argnames="canvas")
def pooled(
    maps: tuple[Float[Array, "b ..."], ...],
    scaled: Int[Array, "b 2"],
    canvas: tuple[int, int],
) -> Float[Array, "b d"]:
    """Spatial means of all maps side by side: 720 numbers for HRNetV2-W48.

    Of each map only the cells that begin within the image, `scaled` of the `canvas`.
    """
    return jnp.concatenate([_mean(x, scaled, canvas) for x in maps], axis=-1)


def _mean(x: Array, scaled: Array, canvas: tuple[int, int]) -> Array:
    def inside(axis: int) -> Array:
        cells = x.shape[1 + axis]
        begins = jnp.arange(cells) * (canvas[axis] / cells)
        return begins[None] < scaled[:, axis, None]

    mask = inside(0)[:, :, None] & inside(1)[:, None, :]
    total = jnp.sum(x.astype(jnp.float32) * mask[..., None], axis=(1, 2))
    return total / jnp.sum(mask, axis=(1, 2))[:, None]


def collect(
    features: Callable[[Array], tuple[Array, ...]], batches: Iterable[Batch]
) -> np.ndarray:
    """float32 [N, D], a row for each valid image of `pipeline.eval_batches`."""
    rows = []
    for batch in batches:
        image = batch["image"]
        row = pooled(features(image), batch["scaled"], canvas=image.shape[1:3])
        rows.append(np.asarray(row)[batch["valid"]])
    return np.concatenate(rows)
