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

    Pixel by pixel, without a sum over others: a map gets the same digits whatever
    `out` is and whatever lies beside it in the batch.
    """
    maps = maps.astype(jnp.float32)
    for axis in (0, 1):
        places = _places(scaled[:, axis], label_size[:, axis], out[axis])
        maps = jax.vmap(_between, in_axes=(0, 0, 0, None))(maps, *places, axis)
    return maps


def _places(
    content: Int[Array, " b"], target: Int[Array, " b"], out: int
) -> tuple[Int[Array, "b out"], Float[Array, "b out"]]:
    """The pixel before each of the result, and how far it lies towards the next.

    Pixel centres are aligned and clamped to the content.
    """
    length = content.astype(jnp.float32)[:, None]
    scale = length / target.astype(jnp.float32)[:, None]
    place = (jnp.arange(out, dtype=jnp.float32)[None] + 0.5) * scale - 0.5
    place = jnp.clip(place, 0.0, length - 1.0)
    before = jnp.floor(place)
    return before.astype(jnp.int32), place - before


def _between(
    image: Float[Array, "h w k"],
    before: Int[Array, " n"],
    share: Float[Array, " n"],
    axis: int,
) -> Float[Array, "rows cols k"]:
    """One map with n rows (axis 0) or columns (axis 1)."""
    last = image.shape[axis] - 1
    low = jnp.take(image, before, axis=axis, mode="clip")
    high = jnp.take(image, jnp.minimum(before + 1, last), axis=axis, mode="clip")
    share = jnp.expand_dims(share, (1 - axis, 2))
    return low * (1 - share) + high * share
