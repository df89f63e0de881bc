"""Transforms annotations together with pixels: crops, pads, rotates."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxseg.core import errors, images
from jaxseg.core.images import Size
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, OBJECT_FIELDS, PIXEL_FIELDS, Dataset

Rng = np.random.Generator


def canvas_size(
    given: tuple[int | None, int | None], facts: Dataset, name: str
) -> Size:
    """`given`; None is replaced by the training resolution of the data set."""
    if None in given and facts.size is None:
        raise errors.UserError(
            f"{name}: height and width are not set and the dataset has no training "
            "resolution. Fix: set both."
        )
    height, width = (n or m for n, m in zip(given, facts.size or (0, 0)))
    return height, width


def pad_pixels(
    pixels: Mapping[str, np.ndarray],
    size: Size,
    fill: Sequence[float] = (0.0,),
) -> dict[str, np.ndarray]:
    """Image, labels and depth in the top left corner of a canvas (height, width)."""
    padded = {}
    for name, array in pixels.items():
        padded[name] = array
        if array.shape[:2] != tuple(size):
            height, width = array.shape[:2]
            nothing = np.asarray(outside(name, fill)).astype(array.dtype)
            line = np.empty((size[1], *array.shape[2:]), array.dtype)
            line[:] = nothing
            padded[name] = np.empty((*size, *array.shape[2:]), array.dtype)
            padded[name][height:] = line  # in whole rows: NumPy is slow on short axes
            padded[name][:height, width:] = line[width:]
            padded[name][:height, :width] = array
    return padded


def outside(name: str, fill: Sequence[float]) -> np.ndarray | int:
    """What a field with pixels holds beyond the border; fill: of images."""
    value = PIXEL_FIELDS[name].outside
    return np.rint(fill) if value is None else value


def object_corners(example: Example) -> np.ndarray:
    """float [N, 4], the boxes of the objects, or the hulls of their keypoints."""
    if "boxes" in example:
        return example["boxes"]
    if "keypoints" not in example:
        return np.zeros((0, 4), np.float32)
    known = example["keypoints"][..., 2:] > 0
    places = example["keypoints"][..., :2]
    low = np.where(known, places, 1).min(axis=1)
    return np.concatenate([low, np.where(known, places, 0).max(axis=1)], axis=1)


def regions(example: Example) -> np.ndarray:
    """bool [N], true for rows that are no objects: crowds, boxes of unknown class."""
    result = np.zeros(len(object_corners(example)), bool)
    if "crowd" in example:
        result |= example["crowd"]
    if "box_labels" in example:
        result |= example["box_labels"] == IGNORE
    return result


def corner_range(
    example: Example, size: Size, canvas: Size, rng: Rng | None
) -> tuple[list[int], list[int]]:
    """Lowest and highest (top, left) of a crop, inclusive, in pixels.

    With objects: the range that shows one object, drawn by `rng`, whole, if one fits.
    Crowds and difficult objects are not drawn.
    """
    room = [max(0, have - want) for have, want in zip(size, canvas)]
    aside = regions(example) | example.get("difficult", False)
    corners = object_corners(example)[~aside]
    if not len(corners):
        return [0, 0], room
    corners = corners.astype(np.float64) * [*size, *size]
    # A thousandth of a pixel allows for float32 rounding of a box on the border.
    low = np.maximum(np.ceil(corners[:, 2:] - 1e-3) - canvas, 0).astype(int)
    high = np.minimum(np.floor(corners[:, :2] + 1e-3), room).astype(int)
    fitting = np.flatnonzero((low <= high).all(axis=1))
    if not len(fitting):
        return [0, 0], room
    chosen = fitting[0] if rng is None else rng.choice(fitting)
    return low[chosen].tolist(), high[chosen].tolist()


def move_objects(
    example: Example,
    size: Size,
    corner: tuple[int, int],
    canvas: Size,
    visible: float,
) -> Example:
    """The object fields as seen in a canvas (height, width) at `corner` of an image.

    Boxes are cut at the canvas; objects with less than `visible` of their area left
    are dropped from all fields, `regions` only if nothing is left; keypoints outside
    become unknown.
    """
    objects = {name: example[name] for name in OBJECT_FIELDS if name in example}
    if not objects or (tuple(size) == tuple(canvas) and corner == (0, 0)):
        return objects
    scale, shift = np.divide(size, canvas), np.divide(corner, canvas)
    kept = np.ones(len(next(iter(objects.values()))), bool)
    if "boxes" in objects:
        moved = objects["boxes"] * [*scale, *scale] - [*shift, *shift]
        cut = np.clip(moved, 0, 1)
        kept = _left(cut, moved, visible, regions(example))
        objects["boxes"] = cut.astype(np.float32)
    if "keypoints" in objects:
        objects["keypoints"] = _move_keypoints(objects["keypoints"], scale, shift)
        if "boxes" not in objects:
            kept = (objects["keypoints"][..., 2] > 0).any(axis=1)
    return {name: array[kept] for name, array in objects.items()}


def _move_keypoints(keypoints, scale, shift) -> np.ndarray:
    """float32 [N, K, 3]; those outside the canvas get 0, 0, 0."""
    places = keypoints[..., :2] * scale - shift
    inside = (np.abs(places - 0.5) < 0.5 + 1e-5).all(
        axis=-1
    )  # float32 rounding on the border
    inside &= keypoints[..., 2] > 0
    moved = np.concatenate([np.clip(places, 0, 1), keypoints[..., 2:]], axis=-1)
    return np.where(inside[..., None], moved, 0).astype(np.float32)


def _left(
    cut: np.ndarray, whole: np.ndarray, visible: float, region: np.ndarray
) -> np.ndarray:
    """bool [N], true for boxes of which enough is left; of a region any part is enough,
    or its pixels would count as background.
    """
    enough = region | (_area(cut) >= visible * _area(whole))
    return (_area(cut) > 0) & enough


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def rotate(
    example: Example, degrees: float, fill: Sequence[float], visible: float
) -> Example:
    """The example turned counter-clockwise around the centre; its size stays.

    A box becomes the box around its turned corners; objects with less than `visible`
    of that box in the canvas are dropped from all fields, as in `move_objects`.
    """
    size = example["image"].shape[:2]
    turned = {}
    for name, kind in PIXEL_FIELDS.items():
        if name in example:
            turn = images.rotate if kind.smooth else images.rotate_ids
            turned[name] = turn(example[name], degrees, outside(name, fill))
    objects = {name: example[name] for name in OBJECT_FIELDS if name in example}
    if not objects:
        return example | turned
    kept = np.ones(len(next(iter(objects.values()))), bool)
    if "boxes" in objects:
        row0, col0, row1, col1 = objects["boxes"].T
        corners = np.array([[row0, col0], [row0, col1], [row1, col0], [row1, col1]])
        corners = _turn(corners.transpose(2, 0, 1), size, degrees)
        hull = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        cut = np.clip(hull, 0, 1)
        kept = _left(cut, hull, visible, regions(example))
        objects["boxes"] = cut.astype(np.float32)
    if "keypoints" in objects:
        keypoints = objects["keypoints"].copy()
        keypoints[..., :2] = _turn(keypoints[..., :2], size, degrees)
        objects["keypoints"] = _move_keypoints(keypoints, (1, 1), (0, 0))
        if "boxes" not in objects:
            kept = (objects["keypoints"][..., 2] > 0).any(axis=1)
    return example | turned | {name: array[kept] for name, array in objects.items()}


def _turn(places: np.ndarray, size: Size, degrees: float) -> np.ndarray:
    """Places [..., 2], row and col in [0, 1], turned counter-clockwise."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows, cols = np.moveaxis((places - 0.5) * size, -1, 0)  # pixels from the centre
    turned = np.stack([cos * rows - sin * cols, sin * rows + cos * cols], axis=-1)
    return turned / size + 0.5
