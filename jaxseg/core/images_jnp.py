"""Resizing on device, every example to a size of its own, in one program."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def resize_to(
    maps: Float[Array, "b h w k"],
    scaled: Int[Array, "b 2"],
    label_size: Int[Array, "b 2"],
    out: tuple[int, int],
) -> Float[Array, "b rows cols k"]:
    """[B, *out, K]: the content of each map, bilinear, at its own label size.

    scaled: height and width of the content in the map's top left corner.
    label_size: height and width it gets in the top left corner of the result; what
    lies outside repeats the border and means nothing.
    """
    height, width = maps.shape[1:3]
    rows = _weights(scaled[:, 0], label_size[:, 0], height, out[0])
    cols = _weights(scaled[:, 1], label_size[:, 1], width, out[1])
    highest = jax.lax.Precision.HIGHEST  # a metric must not depend on the device
    maps = maps.astype(jnp.float32)
    maps = jnp.einsum("byh,bhwk->bywk", rows, maps, precision=highest)
    return jnp.einsum("bxw,bywk->byxk", cols, maps, precision=highest)


def _weights(
    content: Int[Array, " b"], target: Int[Array, " b"], size: int, out: int
) -> Float[Array, "b out size"]:
    """Rows of bilinear weights: pixel centres aligned, clamped to the content."""
    content = content.astype(jnp.float32)[:, None]
    scale = content / target.astype(jnp.float32)[:, None]
    place = (jnp.arange(out, dtype=jnp.float32)[None] + 0.5) * scale - 0.5
    place = jnp.clip(place, 0.0, content - 1.0)
    grid = jnp.arange(size, dtype=jnp.float32)
    distance = jnp.abs(place[:, :, None] - grid[None, None])
    return jnp.maximum(1.0 - distance, 0.0)
