"""What readers of label maps share: masks of one colour per class, pairs of files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from jaxseg.core import errors, images
from jaxseg.data.datasets import _labels

Color = tuple[int, int, int]


def read_colors(path: Path, colors: Mapping[Color, int]) -> np.ndarray:
    """int32 [H, W] of a file of one colour per class."""
    return from_colors(images.read(path), colors, path)


def from_colors(
    image: np.ndarray, colors: Mapping[Color, int], where: Path
) -> np.ndarray:
    """int32 [H, W] from uint8 [H, W, 3]; UserError for a colour without a class."""
    packed = image.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    codes = {
        (red << 16) | (green << 8) | blue: i for (red, green, blue), i in colors.items()
    }
    known = np.array(sorted(codes), np.int32)
    places = np.searchsorted(known, packed).clip(max=len(known) - 1)
    unknown = known[places] != packed
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        raise errors.UserError(
            f"{where}: found the colour {image[row, column].tolist()} at row {row}, "
            f"column {column}, {unknown.sum()} unknown pixels in all; allowed are "
            f"{', '.join(map(str, colors))}. Fix: get the official file again."
        )
    return np.array([codes[code] for code in known.tolist()], np.int32)[places]


def pairs(
    root: Path, pattern: str, mask_of: Callable[[str], str], masks: str
) -> list[tuple[str, str]]:
    """Sorted (image, mask) paths below `root`, images by a glob, masks by their names.

    masks: the glob of the masks. UserError where there is no image, or where an image
    has no mask or a mask no image.
    """
    found, there = (
        sorted(path.relative_to(root).as_posix() for path in root.glob(each))
        for each in (pattern, masks)
    )
    if not found:
        raise errors.UserError(
            f"{root}: found no {pattern}. Fix: point root at the folder of these."
        )
    images_ = {mask_of(image): image for image in found}
    return _labels.matched(root, images_, {mask: mask for mask in there})
