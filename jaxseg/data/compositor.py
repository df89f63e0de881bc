"""Composites of cut-out objects and backgrounds, as Chair Segments (Pinto-Alva 2020).

Section 3 of the paper: foregrounds and backgrounds are split without overlap, each
foreground is put on 100 random backgrounds; a background fills the picture, a
foreground is resized to a square smaller by the padding; its alpha defines the mask.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jaxseg.core import errors, image_files
from jaxseg.core import images as images_lib

PADDING = {32: 3, 64: 6, 128: 13, 256: 26}  # of the picture's side, in all
FOREGROUNDS_HOLDOUT = 2, 9  # 200 of 900 to validate on, and as many to test on
BACKGROUNDS_HOLDOUT = 1, 5
PER_FOREGROUND = 100
# More than half of a pixel: the paper does not say at which alpha the object begins.
THRESHOLD = 128


class Pair(NamedTuple):
    """One composite: a file or a number each, and the side of the picture in pixels."""

    foreground: str | int
    background: str | int
    size: int


class Pairs(Sequence):
    """The composites of a split, ordered by foreground and made on access.

    A foreground gets PER_FOREGROUND different backgrounds, or all if there are fewer.
    """

    def __init__(
        self,
        foregrounds: Sequence[str] | range,
        backgrounds: Sequence[str] | range,
        split: str,
        *,
        size: int,
        seed: int,
    ):
        self._names, self._size = (foregrounds, backgrounds), size
        self._foregrounds = parts(len(foregrounds), FOREGROUNDS_HOLDOUT, seed)[split]
        places = parts(len(backgrounds), BACKGROUNDS_HOLDOUT, seed)[split]
        count = min(PER_FOREGROUND, len(places))
        self._backgrounds = np.stack(
            [
                np.random.default_rng([seed, f]).choice(places, count, replace=False)
                for f in self._foregrounds
            ]
        )

    def __len__(self) -> int:
        return self._backgrounds.size

    def __getitem__(self, index: int) -> Pair:
        row, column = divmod(range(len(self))[index], self._backgrounds.shape[1])
        foregrounds, backgrounds = self._names
        background = self._backgrounds[row, column]
        return Pair(foregrounds[self._foregrounds[row]], backgrounds[background],
                    self._size)  # fmt: skip


def padding(size: int) -> int:
    """By how many pixels a foreground is smaller; UserError for other sizes."""
    if size not in PADDING:
        raise errors.UserError(
            f"composites of size {size}; allowed are the paper's "
            f"{', '.join(map(str, PADDING))}. Fix: correct the option size."
        )
    return PADDING[size]


def parts(total: int, holdout: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
    """{split: sorted indices}, disjoint: shares for validation and test, the rest."""
    order = np.random.default_rng([seed, total]).permutation(total)
    count = max(1, total * holdout[0] // holdout[1])
    return {
        "train": np.sort(order[2 * count :]),
        "validation": np.sort(order[:count]),
        "test": np.sort(order[count : 2 * count]),
    }


def lengths(foregrounds: int, backgrounds: int) -> dict[str, int]:
    """{split: number of composites}, for any seed."""
    first = parts(foregrounds, FOREGROUNDS_HOLDOUT, 0)
    second = parts(backgrounds, BACKGROUNDS_HOLDOUT, 0)
    return {k: len(first[k]) * min(PER_FOREGROUND, len(second[k])) for k in first}


def compose(foreground: np.ndarray, background: np.ndarray) -> dict[str, np.ndarray]:
    """uint8 [n, n, 4] blended into the middle of [d, d, 3]: image and binary mask."""
    image = background.copy()
    side, offset = len(foreground), (len(background) - len(foreground)) // 2
    window = slice(offset, offset + side), slice(offset, offset + side)
    alpha = foreground[..., 3:].astype(np.uint16)
    blend = foreground[..., :3] * alpha + image[window] * (255 - alpha)
    image[window] = (blend + 127) // 255
    segmentation = np.zeros(background.shape[:2], np.int32)
    segmentation[window] = foreground[..., 3] >= THRESHOLD
    return {"image": image, "segmentation": segmentation}


def fit(foreground: np.ndarray, side: int) -> np.ndarray:
    """uint8 [H, W, 4] as [side, side, 4]; transparent pixels do not colour edges."""
    picture = Image.fromarray(foreground)  # Pillow weights colours by alpha
    return np.asarray(picture.resize((side, side), Image.BILINEAR))


def read_foreground(path: Path) -> np.ndarray:
    """uint8 [H, W, 4] of a file with transparency, not cropped."""
    image_files.size(path)  # UserError for a file that is missing or no image
    try:
        with Image.open(path) as image:
            clear = "A" in image.getbands() or "transparency" in image.info
            mode, upright = image.mode, ImageOps.exif_transpose(image)
            pixels = np.asarray(upright.convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:
        raise errors.UserError(
            f"{path}: not a whole image ({error}). Fix: replace the file."
        ) from None
    alpha = pixels[..., 3]
    if not clear or alpha.min() >= THRESHOLD or alpha.max() < THRESHOLD:
        content = (
            f"alpha {alpha.min()} to {alpha.max()}" if clear else "no transparency"
        )
        raise errors.UserError(
            f"{path}: found {mode} pixels with {content}; allowed are foregrounds that "
            f"are partly opaque (alpha {THRESHOLD} and more) and partly clear. Fix: "
            "cut the object out and save it as PNG with alpha, or remove the file."
        )
    return pixels


@functools.lru_cache(maxsize=1024)
def foreground_file(stamp: tuple[str, int, int], size: int) -> np.ndarray:
    """A resized foreground, cached for 100 composites. stamp: path, size, time"""
    return fit(read_foreground(Path(stamp[0])), size - padding(size))


@functools.lru_cache(maxsize=4096)
def background_file(stamp: tuple[str, int, int], size: int) -> np.ndarray:
    """A resized background, cached: 50 MB of them at 64 pixels, 0.8 GB at 256."""
    return images_lib.resize(image_files.read(Path(stamp[0])), (size, size))
