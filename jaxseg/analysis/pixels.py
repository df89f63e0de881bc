"""Normalized images as pictures to look at."""

import numpy as np
from jaxtyping import Float, UInt8

from jaxseg.data.normalization import Normalize

UPPER = 257  # 16 bits over it are 8 bits


def shown(
    image: Float[np.ndarray, "*b h w c"], normalize: Normalize
) -> UInt8[np.ndarray, "*b h w 3"]:
    """Normalized images as they are in their files, cut to the range of 8 bits.

    Of 16 bits the upper 8, of fewer than three channels the first one three times, of
    more the first three.

    >>> shown(np.zeros((1, 1, 3)), Normalize((10.0, 20.0, 30.0), (5.0,) * 3)).tolist()
    [[[10, 20, 30]]]
    """
    levels = image * np.asarray(normalize.std) + np.asarray(normalize.mean)
    if max(normalize.mean) > 255:
        levels = levels / UPPER
    pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., [0, 0, 0]]
