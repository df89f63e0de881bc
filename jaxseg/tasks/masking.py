"""Blocks of images that are painted over, for reconstruction to fill (decoder paper,
section 2.2).
"""

import jax
import jax.numpy as jnp

from jaxseg.core.types import Array, Batch

# "In-painting" of ConRec's public code, one of three ways in which it spoils images.
BLOCKS = 5  # of an image at most
SIDES = (0.14, 0.2)  # shares of the image's height and of its width
GO_ON = 0.95  # the chance of each block, where there was the one before
COLORS = (-2.0, 2.0)  # about the range of normalized images


def masked(batch: Batch, key: Array) -> Batch:
    """The batch with masked images, `mask`, and as `whole` the images before."""
    image, mask = blocks(key, batch["image"])
    return batch | {"image": image, "whole": batch["image"], "mask": mask}


def blocks(key: Array, image: Array) -> tuple[Array, Array]:
    """(masked images, mask bool [..., H, W]) of normalized images [..., H, W, C].

    Each image gets up to BLOCKS rectangles of one random colour each.
    """
    *lead, height, width, channels = image.shape
    several = (*lead, BLOCKS)
    sides, corners, chances, colors = jax.random.split(key, 4)
    share = jax.random.uniform(sides, (*several, 2), minval=SIDES[0], maxval=SIDES[1])
    corner = jax.random.uniform(corners, (*several, 2)) * (1 - share)
    drawn = jax.random.uniform(chances, several) < GO_ON
    drawn = jnp.cumprod(drawn, axis=-1).astype(bool)
    low, high = COLORS
    color = jax.random.uniform(colors, (*several, channels), minval=low, maxval=high)
    mask = jnp.zeros(image.shape[:-1], bool)
    for i in range(BLOCKS):
        rows = _between(corner[..., i, 0], share[..., i, 0], height)
        columns = _between(corner[..., i, 1], share[..., i, 1], width)
        block = rows[..., :, None] & columns[..., None, :] & drawn[..., i, None, None]
        image = jnp.where(block[..., None], color[..., i, None, None, :], image)
        mask |= block
    return image, mask


def _between(start: Array, share: Array, length: int) -> Array:
    """bool [..., length]: pixels whose centres lie in a part of a side."""
    centres = (jnp.arange(length) + 0.5) / length
    centres = centres.reshape(*[1] * start.ndim, length)
    start, share = start[..., None], share[..., None]
    return (centres >= start) & (centres < start + share)
