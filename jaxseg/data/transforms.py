"""Transforms of whole examples: image, labels, boxes, keypoints and depth together.

Each is a frozen dataclass, `transform(example, rng) -> example`; the example that
comes in is never written to. Without an rng, what is drawn is fixed: a flip happens, a
factor is 1, a crop is central. A padded image lies in the top left corner.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from jaxseg.core import errors, images, lookup, sections
from jaxseg.core.images import Size, Window
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, OBJECT_FIELDS, PIXEL_FIELDS, Dataset

Rng = np.random.Generator


class Transform:
    """What all transforms share."""

    random: ClassVar[bool] = True

    def for_dataset(self, facts: Dataset) -> "Transform":
        """The same transform with what only the dataset knows filled in."""
        return self

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Flip(Transform):
    """Mirrors left and right; keypoints in `pairs` change places."""

    probability: float = 0.5
    pairs: tuple[tuple[int, int], ...] = ()  # from the dataset

    def for_dataset(self, facts: Dataset) -> "Transform":
        return dataclasses.replace(self, pairs=facts.flip_pairs)

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        if rng is not None and rng.random() >= self.probability:
            return example
        flipped = {k: example[k][:, ::-1] for k in PIXEL_FIELDS if k in example}
        if "boxes" in example:
            row0, col0, row1, col1 = example["boxes"].T
            flipped["boxes"] = np.stack([row0, 1 - col1, row1, 1 - col0], axis=1)
        if "keypoints" in example:
            flipped["keypoints"] = self._flip_keypoints(example["keypoints"])
        return example | flipped

    def _flip_keypoints(self, keypoints: np.ndarray) -> np.ndarray:
        order = np.arange(keypoints.shape[1])
        for left, right in self.pairs:
            order[left], order[right] = right, left
        flipped = keypoints[:, order]  # a copy
        known = flipped[..., 2] > 0  # the place of the others means nothing
        flipped[..., 1] = np.where(known, 1 - flipped[..., 1], flipped[..., 1])
        return flipped


@dataclasses.dataclass(frozen=True)
class Rescale(Transform):
    """Scales by a factor drawn evenly from [low, high].

    Factor 1 is the image's own size or, where height and width are given, the size at
    which the whole image just fits into them.
    """

    low: float = 0.5
    high: float = 2.0
    height: int | None = None
    width: int | None = None

    def __post_init__(self):
        if not 0 < self.low <= self.high:
            raise errors.UserError(
                f"rescale: low={self.low}, high={self.high}; allowed is 0 < low <= high"
            )

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        return scale_to(example, self.draw_size(example, rng))

    def draw_size(self, example: Example, rng: Rng | None) -> Size:
        """The (height, width) that the example gets."""
        factor = 1.0 if rng is None else rng.uniform(self.low, self.high)
        size = example["image"].shape[:2]
        if self.height is not None and self.width is not None:
            factor *= min(self.height / size[0], self.width / size[1])
        return scaled_size(size, factor)


@dataclasses.dataclass(frozen=True)
class Crop(Transform):
    """A random window of height x width; padded at the right and bottom if smaller.

    Where there are objects, the window holds at least one of them whole if one fits.
    Objects of which less than `visible` of the area is left are dropped.
    """

    height: int | None = None  # None: the training resolution of the dataset
    width: int | None = None
    visible: float = 0.25
    fill: tuple[float, ...] = (0.0,)  # from the dataset: the mean, 0 after whitening

    def for_dataset(self, facts: Dataset) -> "Transform":
        height, width = self.height, self.width
        if (height is None or width is None) and facts.size is None:
            raise errors.UserError(
                "crop: height and width are not set and the dataset has no training "
                "resolution. Fix: set both."
            )
        height, width = (n or m for n, m in zip((height, width), facts.size or (0, 0)))
        return dataclasses.replace(
            self, height=height, width=width, fill=facts.mean or self.fill
        )

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        return self.cut(example, example["image"].shape[:2], rng)

    def cut(self, example: Example, size: Size, rng: Rng | None) -> Example:
        """A window of the example as it would be at `size` (height, width)."""
        canvas = (self.height, self.width)
        low, high = corner_range(example, size, canvas, rng)
        if rng is None:
            corner = tuple((a + b) // 2 for a, b in zip(low, high))
        else:
            corner = tuple(int(rng.integers(a, b + 1)) for a, b in zip(low, high))
        window = (*corner, *(min(n, m) for n, m in zip(canvas, size)))
        cut = scale_to(example, size, window)
        pixels = {name: cut[name] for name in PIXEL_FIELDS if name in cut}
        moved = move_objects(example, size, corner, canvas, self.visible)
        return cut | pad_pixels(pixels, canvas, self.fill) | moved


@dataclasses.dataclass(frozen=True)
class RescaledCrop(Transform):
    """`rescale`, then `crop`, without computing the pixels that the crop discards."""

    rescale: Rescale
    crop: Crop

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        return self.crop.cut(example, self.rescale.draw_size(example, rng), rng)


@dataclasses.dataclass(frozen=True)
class Fit(Transform):
    """The whole image, scaled to just fit height x width, padded right and bottom.

    Adds `scaled` int32 [2], the height and width of the real content in the canvas.
    """

    random: ClassVar[bool] = False

    height: int
    width: int
    fill: tuple[float, ...] = (0.0,)  # from the dataset

    def for_dataset(self, facts: Dataset) -> "Transform":
        return dataclasses.replace(self, fill=facts.mean or self.fill)

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        canvas, size = (self.height, self.width), example["image"].shape[:2]
        scaled = scaled_size(size, min(self.height / size[0], self.width / size[1]))
        scaled = (min(scaled[0], self.height), min(scaled[1], self.width))
        example = scale_to(example, scaled)
        pixels = {name: example[name] for name in PIXEL_FIELDS if name in example}
        return (
            example
            | pad_pixels(pixels, canvas, self.fill)
            | move_objects(example, scaled, (0, 0), canvas, visible=0.0)
            | {"scaled": np.array(scaled, np.int32)}
        )


@dataclasses.dataclass(frozen=True)
class Whiten(Transform):
    """float32 image with mean 0 and deviation 1 per channel over the dataset."""

    random: ClassVar[bool] = False

    mean: tuple[float, ...] = (0.0,)  # from the dataset
    std: tuple[float, ...] = (1.0,)

    def for_dataset(self, facts: Dataset) -> "Transform":
        return dataclasses.replace(
            self, mean=facts.mean or self.mean, std=facts.std or self.std
        )

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        height, width, channels = example["image"].shape
        if len(self.mean) not in (1, channels):
            raise errors.UserError(
                f"whiten: {example.get('id')} has {channels} channels, mean and std "
                f"have {len(self.mean)}. Fix: give as many as the images have."
            )
        # Rows of pixels instead of pixels of channels: NumPy is slow on short axes.
        repeats = width * channels // len(self.mean)
        rows = example["image"].reshape(height, width * channels).astype(np.float32)
        mean, factor = _whitening_row(self.mean, self.std, repeats)
        rows -= mean
        rows *= factor
        return example | {"image": rows.reshape(height, width, channels)}


TRANSFORMS = {
    "flip": Flip,
    "rescale": Rescale,
    "crop": Crop,
    "fit": Fit,
    "whiten": Whiten,
}
FROM_DATASET = ("pairs", "fill", "mean", "std")


def bind(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section with all defaults written in."""
    kind = lookup.pick(TRANSFORMS, section.get("name", ""), kind="transform")
    where = f"transform {section['name']!r}"
    bound = sections.bind(
        kind, section=section, where=where, given=dict.fromkeys(FROM_DATASET)
    )
    return {"name": section["name"], **bound}


def build(section: Mapping[str, Any]) -> Transform:
    """The transform of a section such as {"name": "flip", "probability": 0.5}."""
    fields = bind(section)
    return TRANSFORMS[fields.pop("name")](**fields)


def fuse(steps: Sequence[Transform]) -> list[Transform]:
    """The same steps, with each rescale that a crop follows merged into it."""
    fused: list[Transform] = []
    for step in steps:
        if isinstance(step, Crop) and fused and isinstance(fused[-1], Rescale):
            step = RescaledCrop(fused.pop(), step)
        fused.append(step)
    return fused


def scaled_size(size: Sequence[int], factor: float) -> Size:
    """(height, width) times `factor`, at least one pixel each."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def scale_to(example: Example, size: Size, window: Window | None = None) -> Example:
    """All pixels to (height, width): the image smoothly, labels and depth by nearest.

    Depth keeps its metres; boxes and keypoints are relative and stay as they are.
    """
    scaled = {"image": images.resize(example["image"], size, window)}
    for name in ("segmentation", "depth"):
        if name in example:
            scaled[name] = images.resize_ids(example[name], size, window)
    return example | scaled


def pad_pixels(
    pixels: Mapping[str, np.ndarray],
    size: Size,
    fill: Sequence[float] = (0.0,),
) -> dict[str, np.ndarray]:
    """Image, labels and depth in the top left corner of a canvas (height, width)."""
    values = {"image": np.rint(fill), "segmentation": IGNORE, "depth": 0}
    padded = {}
    for name, array in pixels.items():
        padded[name] = array
        if array.shape[:2] != tuple(size):
            padded[name] = np.empty((*size, *array.shape[2:]), array.dtype)
            padded[name][:] = np.asarray(values[name]).astype(array.dtype)
            padded[name][: array.shape[0], : array.shape[1]] = array
    return padded


def object_corners(example: Example) -> np.ndarray:
    """float [N, 4], the boxes of the objects, or else the hulls of their keypoints."""
    if "boxes" in example:
        return example["boxes"]
    if "keypoints" not in example:
        return np.zeros((0, 4), np.float32)
    known = example["keypoints"][..., 2:] > 0
    places = example["keypoints"][..., :2]
    low = np.where(known, places, 1).min(axis=1)
    return np.concatenate([low, np.where(known, places, 0).max(axis=1)], axis=1)


def corner_range(
    example: Example, size: Size, canvas: Size, rng: Rng | None
) -> tuple[list[int], list[int]]:
    """Lowest and highest (top, left) of a crop, inclusive, in pixels.

    With objects: those that show one object, drawn by `rng`, whole, if any one fits.
    """
    room = [max(0, have - want) for have, want in zip(size, canvas)]
    corners = object_corners(example)
    if not len(corners):
        return [0, 0], room
    corners = corners.astype(np.float64) * [*size, *size]
    # A thousandth of a pixel forgives what float32 did to a box on the border.
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
    are dropped from all fields; keypoints outside become unknown.
    """
    objects = {name: example[name] for name in OBJECT_FIELDS if name in example}
    if not objects or (tuple(size) == tuple(canvas) and corner == (0, 0)):
        return objects
    scale, shift = np.divide(size, canvas), np.divide(corner, canvas)
    kept = np.ones(len(next(iter(objects.values()))), bool)
    if "boxes" in objects:
        moved = objects["boxes"] * [*scale, *scale] - [*shift, *shift]
        cut = np.clip(moved, 0, 1)
        kept = (_area(cut) > 0) & (_area(cut) >= visible * _area(moved))
        objects["boxes"] = cut.astype(np.float32)
    if "keypoints" in objects:
        objects["keypoints"] = _move_keypoints(objects["keypoints"], scale, shift)
        if "boxes" not in objects:
            kept = (objects["keypoints"][..., 2] > 0).any(axis=1)
    return {name: array[kept] for name, array in objects.items()}


def _move_keypoints(keypoints, scale, shift) -> np.ndarray:
    """float32 [N, K, 3]; those that leave the canvas get place and visibility 0."""
    places = keypoints[..., :2] * scale - shift
    inside = (np.abs(places - 0.5) < 0.5 + 1e-5).all(axis=-1)  # float32 on the border
    inside &= keypoints[..., 2] > 0
    moved = np.concatenate([np.clip(places, 0, 1), keypoints[..., 2:]], axis=-1)
    return np.where(inside[..., None], moved, 0).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _whitening_row(
    mean: tuple[float, ...], std: tuple[float, ...], repeats: int
) -> tuple[np.ndarray, np.ndarray]:
    """float32 mean and 1 / std of a row of pixels, channels innermost."""
    factor = 1 / np.array(std, np.float32)
    return np.tile(np.array(mean, np.float32), repeats), np.tile(factor, repeats)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
