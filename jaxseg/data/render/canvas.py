"""A picture under construction: image, labels and depth, painted from far to near.

Lengths are fractions of the picture, x to the right, y down, so that a scene can be
drawn at any size. Shapes are signed distances [S, S], negative inside.
"""

import copy
import functools

import numpy as np

from jaxseg.core import types
from jaxseg.data.render import textures

KEYPOINTS = ("head", "hip", "left_hand", "right_hand", "left_foot", "right_foot")
FLIP_PAIRS = ((2, 3), (4, 5))
SKELETON = ((0, 1), (0, 2), (0, 3), (1, 4), (1, 5))
MIN_PIXELS = 4  # visible pixels of a thing; with fewer it gets no box
FAR = 100.0  # metres: the sky and other infinite distances


@functools.lru_cache
def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the pixel centres, float32 [S, S] each, read-only."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(centres, centres)
    x.flags.writeable = y.flags.writeable = False
    return x, y


class Canvas:
    """The surface that a scene paints on; later strokes cover earlier ones in all maps.

    The image is [3, S, S] while it is painted: NumPy is several times faster so.
    """

    def __init__(self, size: int, classes: tuple[str, ...]):
        self.size, self.classes = size, classes
        self.x, self.y = grid(size)
        self.area = (
            slice(0, size),
            slice(0, size),
        )  # rows, columns within the whole picture
        self.image = np.zeros((3, size, size), np.float32)  # 0..1, clipped at the end
        self.segmentation = np.zeros((size, size), np.uint8)
        self.depth = np.full((size, size), FAR, np.float32)  # metres
        self.owner = np.full((size, size), -1, np.int16)  # index into `things`
        self.things: list[tuple[int, np.ndarray]] = []

    def window(self, x0, y0, x1, y1) -> "Canvas":
        """A part of this canvas around a small object, which saves work."""

        def place(at, more):
            return min(max(int(at * self.size) + more, 0), self.size)

        rows = slice(place(y0, -1), place(y1, 2))
        cols = slice(place(x0, -1), place(x1, 2))
        part = copy.copy(self)  # shares the arrays and the list of things
        part.area = rows, cols
        for name in ("x", "y", "segmentation", "depth", "owner"):
            setattr(part, name, getattr(self, name)[rows, cols])
        part.image = self.image[:, rows, cols]
        return part

    def cut(self, field: np.ndarray) -> np.ndarray:
        """The part of a field [S, S] that this window shows."""
        return field[self.area]

    def thing(self, label: str) -> int:
        """Adds an object of class `label`; returns its number for its strokes."""
        nowhere = np.full((len(KEYPOINTS), 2), np.nan, np.float32)
        self.things.append((self.classes.index(label), nowhere))
        return len(self.things) - 1

    def joints(self, thing: int, points) -> None:
        """Sets the keypoints of a thing: x, y in the order of `KEYPOINTS`."""
        self.things[thing][1][:] = points

    def paint(self, distance, colour, label=None, *, depth=None, thing=-1) -> None:
        """Covers the inside of a shape; without `label` only in the image.

        colour [3] or [3, S, S]; depth in metres, a number or [S, S].
        """
        cover = textures.unit(0.5 - distance * self.size)
        self.image += cover * (textures.planes(colour) - self.image)
        if label is None:
            return
        inside = distance < 0
        np.copyto(self.segmentation, self.classes.index(label), where=inside)
        np.copyto(self.owner, thing, where=inside)
        if depth is not None:
            np.copyto(self.depth, np.asarray(depth, np.float32), where=inside)

    def shade(self, distance, amount, softness=0.03) -> None:
        """Darkens the inside of a shape by the share `amount`, with a soft edge."""
        cover = textures.unit(0.5 - distance / softness)
        self.image *= 1 - np.float32(amount) * cover

    def example(self) -> types.Example:
        """The finished example, without its id."""
        image = textures.unit(self.image)
        boxes, labels, keypoints = [], [], []
        for number, (label, points) in enumerate(self.things):
            seen = self.owner == number
            if np.count_nonzero(seen) < MIN_PIXELS:
                continue
            boxes.append(_box(seen))
            labels.append(label)
            keypoints.append(_visibility(seen, points))
        keypoints = np.array(keypoints, np.float32).reshape(-1, len(KEYPOINTS), 3)
        return {
            "image": (image.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8),
            "segmentation": self.segmentation.astype(np.int32),
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "box_labels": np.array(labels, np.int32),
            "keypoints": keypoints,
            "depth": self.depth.astype(np.float16).astype(
                np.float32
            ),  # the precision of the cache
        }


def _box(seen: np.ndarray) -> tuple:
    """row0, col0, row1, col1 in [0, 1] around the True pixels."""
    rows, cols = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    size = len(seen)
    return rows[0] / size, cols[0] / size, (rows[-1] + 1) / size, (cols[-1] + 1) / size


def _visibility(seen: np.ndarray, points: np.ndarray) -> np.ndarray:
    """x, y [K, 2] -> row, col, visibility [K, 3]: 0 outside, 1 covered, 2 visible."""
    size, result = len(seen), np.zeros((len(points), 3), np.float32)
    for row, (x, y) in zip(result, points):
        if 0 <= x < 1 and 0 <= y < 1:  # False for NaN: a thing without a skeleton
            i, j = int(y * size), int(x * size)
            near = seen[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            row[:] = y, x, 2 if near.any() else 1
    return result
