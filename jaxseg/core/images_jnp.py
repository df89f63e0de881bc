"""Images on device: letterbox and normalization as `images` has them, and resizing of
every example of a batch to a size of its own, in one program.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8, UInt16

from jaxseg.core import images

BITS = 22  # of the weights with which Pillow resizes 8-bit RGB


def letterbox(
    image: UInt8[Array, "h w c"] | UInt16[Array, "h w c"],
    canvas: images.Size,
    fill: Sequence[float] = (0.0,),
) -> UInt8[Array, "rows cols c"] | UInt16[Array, "rows cols c"]:
    """The image scaled to just fit into `canvas` (height, width), in its top left
    corner; `fill`, one value per channel or one for all, elsewhere.
    """
    size = images.letterbox_size(image.shape[:2], canvas)
    nothing = np.rint(fill).astype(image.dtype)
    empty = jnp.full((*canvas, image.shape[2]), nothing, image.dtype)
    return empty.at[: size[0], : size[1]].set(resize(image, size))


def normalize(
    image: Array, mean: Sequence[float], std: Sequence[float]
) -> Float[Array, "..."]:
    """float32 of the same shape, (image - mean) / std per channel, the last axis."""
    shape = (1,) * (image.ndim - 1) + (-1,)
    factor = (1 / np.array(std, np.float32)).reshape(shape)
    return (
        image.astype(jnp.float32) - np.array(mean, np.float32).reshape(shape)
    ) * factor


def resize(
    image: UInt8[Array, "h w c"] | UInt16[Array, "h w c"], size: images.Size
) -> UInt8[Array, "rows cols c"] | UInt16[Array, "rows cols c"]:
    """To (height, width), with the values of `images.resize`.

    Pillow sums 8-bit RGB in whole numbers and rounds after each axis; all else is
    summed in double precision and rounded to float32 after the first axis.
    """
    whole = image.dtype == jnp.uint8 and image.shape[2] == 3
    pixels = image.astype(jnp.int32 if whole else jnp.float32)
    rows_first = images.rows_first(image.shape[:2], tuple(size))
    for axis in (0, 1) if rows_first else (1, 0):
        if image.shape[axis] == size[axis]:
            continue
        first, weights = _weights(image.shape[axis], size[axis])
        if whole:
            weights = (weights * (1 << BITS) + 0.5).astype(np.int32)
            pixels = _weighted(pixels, first, weights, axis) + (1 << (BITS - 1))
            pixels = jnp.clip(pixels >> BITS, 0, 255)
        else:
            with jax.enable_x64(True):
                sums = _weighted(pixels.astype(jnp.float64), first, weights, axis)
                pixels = sums.astype(jnp.float32)
    return jnp.rint(pixels).astype(image.dtype)


def _weights(length: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """int32 [target], the first pixel that each of the result is a mean of, and
    float64 [target, K], the weights of that one and of those after it.
    """
    scale = length / target
    support = max(scale, 1.0)  # half the width of the triangle around each centre
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(int), 0)
    last = np.minimum((centre + support + 0.5).astype(int), length)
    place = first[:, None] + np.arange((last - first).max())
    distance = np.abs((place - centre[:, None] + 0.5) * (1 / support))
    weights = np.where(place < last[:, None], np.maximum(1 - distance, 0), 0)
    total = np.cumsum(weights, axis=1)[:, -1:]  # in order, as Pillow does: same digits
    return first.astype(np.int32), weights / total


def _weighted(pixels: Array, first: np.ndarray, weights: np.ndarray, axis: int):
    """The sums along an axis of [H, W, C], in the type of `pixels`."""
    shape = [-1 if place == axis else 1 for place in range(3)]
    columns = jnp.asarray(weights.T, pixels.dtype)

    def add(step, total):
        seen = jnp.take(pixels, jnp.asarray(first) + step, axis=axis, mode="clip")
        return total + seen * columns[step].reshape(shape)

    size = [len(first) if place == axis else n for place, n in enumerate(pixels.shape)]
    return jax.lax.fori_loop(0, len(columns), add, jnp.zeros(size, pixels.dtype))


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


def mirror(
    maps: Float[Array, "b h w k"], widths: Int[Array, " b"]
) -> Float[Array, "b h w k"]:
    """The first `widths` columns of each map in reverse order."""
    columns = jnp.arange(maps.shape[2])[None]
    ends = widths[:, None]
    order = jnp.where(columns < ends, ends - 1 - columns, columns)
    return jnp.take_along_axis(maps, order[:, None, :, None], axis=2)


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
