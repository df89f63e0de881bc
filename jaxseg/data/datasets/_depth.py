"""Depth maps from 16-bit files."""

from pathlib import Path

import numpy as np
from PIL import Image

from jaxseg.core import errors
from jaxseg.core import images as images_lib


def read(
    path: Path,
    scale: float,
    *,
    invalid: int | None = None,
    maximum: float | None = None,
) -> np.ndarray:
    """float32 [H, W] metres of a 16-bit file with `scale` metres per unit.

    0 = unknown: where the file says 0 or `invalid`, and beyond `maximum` metres.
    """
    raw = images_lib.read_ids(path)
    with Image.open(path) as image:
        mode = image.mode
    if not mode.startswith("I"):
        raise errors.UserError(
            f"{path}: found {mode} pixels of 8 bits or fewer; allowed for depth are 16 "
            "bits a pixel. Fix: save the distances as 16-bit PNG (pictures of depth "
            "made for looking at have lost them)."
        )
    if raw.min() < 0:
        raise errors.UserError(
            f"{path}: found the depth {raw.min()}; allowed are 0 to 65535. Fix: save "
            "it as 16-bit PNG without a sign."
        )
    metres = raw.astype(np.float32) * np.float32(scale)
    unknown = raw == (invalid or 0)
    if maximum is not None:
        unknown |= metres > maximum
    return np.where(unknown, np.float32(0), metres)
