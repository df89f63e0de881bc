"""Shared by readers of label maps: masks with one colour per class, pairs of files."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import arrays, errors, image_files
from jaxseg.data.readers import listing, text_files

Color = tuple[int, int, int]
ColorTable = dict[str, Color]


def check_size(root: Path, image: str, label: str, kind: str) -> None:
    """UserError for a label map of another size than its image; only headers are read.

    kind: a word for the label map, for the message.
    """
    height, width = image_files.size(root / image)
    size = _size(root / label)
    if size not in (None, (height, width)):
        raise errors.UserError(
            f"{root / label}: {kind} is {' x '.join(map(str, size))} (height x "
            f"width), its image is {height} x {width} ({image}). Fix: make the two "
            "files the same size."
        )


def _size(path: Path) -> tuple[int, ...] | None:
    """(height, width); None for EXR files and for arrays that are not 2-D."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        shape = arrays.mapped(path).shape
        return shape if len(shape) == 2 else None
    return None if suffix == ".exr" else image_files.size(path)


def read_colors(path: Path, colors: Mapping[Color, int]) -> np.ndarray:
    """int32 [H, W] of a file of one colour per class."""
    return from_colors(image_files.read(path), colors, path)


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
            f"{', '.join(map(str, colors))}. Fix: correct the file, or the colours."
        )
    return np.array([codes[code] for code in known.tolist()], np.int32)[places]


def color_table(given: Sequence[Sequence[Any]] | str, root: Path) -> ColorTable:
    """{class: (red, green, blue)} of rows [name, r, g, b], or of a file below root.

    A line of the file is a name and three numbers, in either order, between spaces,
    commas or colons; a number in front is skipped, and so are a header and what begins
    with #: CamVid's label_colors.txt, class_dict.csv, CVAT's labelmap.txt.
    """
    rows, where = [(row[0], tuple(row[1:])) for row in given], f"{root}: colors"
    if isinstance(given, str):
        where = str(root / given)
        lines = enumerate(text_files.read_text(root / given).splitlines(), 1)
        every = [_color_row(line, f"{where}:{number}") for number, line in lines]
        rows = [row for row in every if row]
    names, colors = {name for name, _ in rows}, {color for _, color in rows}
    valid = all(
        len(color) == 3 and all(isinstance(n, int) and 0 <= n <= 255 for n in color)
        for color in colors
    )
    if not valid or not 2 <= len(rows) == len(names) == len(colors):
        raise errors.UserError(
            f"{where}: found {rows or 'nothing'}; allowed are two or more classes, "
            "each with a name and a colour of its own, three numbers 0 to 255. Fix: "
            "colors=[[name, red, green, blue], ...], or a file of such lines."
        )
    return dict(rows)


def _color_row(line: str, where: str) -> tuple[str, Color] | None:
    """A class and its colour; None for a header or a line without content."""
    words = [word for word in re.split(r"[\s,;:]+", line.strip()) if word]
    numbers = [text_files.whole(word) is not None for word in words]
    if not words or words[0].startswith("#") or not any(numbers):
        return None
    if len(words) > 3 and all(numbers[-3:]):
        name, color = words[:-3], words[-3:]
        name = name[1:] if len(name) > 1 and numbers[0] else name
    elif len(words) > 3 and all(numbers[:3]):
        name, color = words[3:], words[:3]
    else:
        raise errors.UserError(
            f"{where}: found {line.strip()!r}; allowed are a name and three numbers, "
            "red, green and blue. Fix: correct the line."
        )
    return " ".join(name), tuple(int(word) for word in color)


def pairs(
    root: Path, pattern: str, mask_of: Callable[[str], str], masks: str
) -> list[tuple[str, str]]:
    """Sorted (image, mask) paths below `root`, images by a glob, masks by their names.

    masks: the glob of the masks. UserError if there is no image, or if an image
    has no mask or a mask no image.
    """
    files, there = (
        sorted(path.relative_to(root).as_posix() for path in root.glob(each))
        for each in (pattern, masks)
    )
    if not files:
        raise errors.UserError(
            f"{root}: found no {pattern}. Fix: point root at the folder of these."
        )
    images_ = {mask_of(image): image for image in files}
    return listing.matched(root, images_, {mask: mask for mask in there})
