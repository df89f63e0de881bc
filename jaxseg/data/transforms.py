"""Transforms of whole examples: image, labels, boxes, keypoints and depth together.

Without an rng, random choices are fixed: a flip happens, a factor is 1, a crop is
central. A padded image lies in the top left corner.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from jaxseg.core import binding, errors, images, lookup, memo
from jaxseg.core.images import Size, Window
from jaxseg.core.types import Example
from jaxseg.data import colors, geometry
from jaxseg.data.dataset import PIXEL_FIELDS, Dataset
from jaxseg.data.geometry import Rng
from jaxseg.data.transform import Transform


class Cropping(Transform):
    """A transform to `height` x `width`, else to the dataset's training resolution."""

    name: ClassVar[str]

    def for_dataset(self, facts: Dataset) -> "Transform":
        given = (self.height, self.width)
        height, width = geometry.canvas_size(given, facts, self.name)
        filled = super().for_dataset(facts)
        return dataclasses.replace(filled, height=height, width=width)


@dataclasses.dataclass(frozen=True)
class Flip(Transform):
    """Mirrors left and right; keypoints in `pairs` change places."""

    probability: float = 0.5
    pairs: tuple[tuple[int, int], ...] = ()  # from the data set

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
        known = flipped[..., 2] > 0  # the places of unknown keypoints are undefined
        flipped[..., 1] = np.where(known, 1 - flipped[..., 1], flipped[..., 1])
        return flipped


@dataclasses.dataclass(frozen=True)
class Rescale(Transform):
    """Scales by a factor drawn evenly from [low, high].

    Factor 1 is the image's own size or, if height and width are given, the largest size
    that fits into them.
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
        return images.scaled_size(size, factor)


@dataclasses.dataclass(frozen=True)
class Crop(Cropping):
    """A random window of height x width; padded at the right and bottom if smaller.

    Where there are objects, the window holds at least one of them whole if one fits.
    Objects of which less than `visible` of the area is left are dropped; a crowd
    stays if any part is left.
    """

    name = "crop"

    height: int | None = None  # None: the training resolution of the data set
    width: int | None = None
    visible: float = 0.25
    fill: tuple[float, ...] = (0.0,)  # from the data set: the mean, 0 when normalized

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        return self.cut(example, example["image"].shape[:2], rng)

    def cut(self, example: Example, size: Size, rng: Rng | None) -> Example:
        """A window of the example scaled to `size` (height, width)."""
        canvas = (self.height, self.width)
        low, high = geometry.corner_range(example, size, canvas, rng)
        if rng is None:
            corner = tuple((a + b) // 2 for a, b in zip(low, high))
        else:
            corner = tuple(int(rng.integers(a, b + 1)) for a, b in zip(low, high))
        window = (*corner, *(min(n, m) for n, m in zip(canvas, size)))
        cut = scale_to(example, size, window)
        pixels = {name: cut[name] for name in PIXEL_FIELDS if name in cut}
        moved = geometry.move_objects(example, size, corner, canvas, self.visible)
        return cut | geometry.pad_pixels(pixels, canvas, self.fill) | moved


@dataclasses.dataclass(frozen=True)
class RescaledCrop(Transform):
    """`rescale`, then `crop`, without computing the pixels that the crop discards."""

    rescale: Rescale
    crop: Crop

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        return self.crop.cut(example, self.rescale.draw_size(example, rng), rng)


@dataclasses.dataclass(frozen=True)
class Letterbox(Transform):
    """The whole image, scaled to fit height x width, padded at the right and bottom.

    Adds `scaled` int32 [2], the height and width of the real content in the canvas.
    """

    height: int
    width: int
    fill: tuple[float, ...] = (0.0,)  # from the data set

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        canvas = (self.height, self.width)
        scaled = images.letterbox_size(example["image"].shape[:2], canvas)
        example = scale_to(example, scaled)
        pixels = {name: example[name] for name in PIXEL_FIELDS if name in example}
        return (
            example
            | geometry.pad_pixels(pixels, canvas, self.fill)
            | geometry.move_objects(example, scaled, (0, 0), canvas, visible=0.0)
            | {"scaled": np.array(scaled, np.int32)}
        )


@dataclasses.dataclass(frozen=True)
class RandomResizedCrop(Cropping):
    """A random window of `area_low` to `area_high` of the image, scaled to the size.

    Its aspect (width / height) lies between `aspect_low` and `aspect_high`; if no
    such window fits, and for area_low=1, it is the whole image. pad: the window keeps
    its aspect and is padded at the right or bottom; otherwise it is stretched.
    """

    name = "random_resized_crop"

    height: int | None = None  # None: the training resolution of the data set
    width: int | None = None
    area_low: float = 0.5
    area_high: float = 1.0
    aspect_low: float = 3 / 4
    aspect_high: float = 4 / 3
    pad: bool = True
    visible: float = 0.25
    fill: tuple[float, ...] = (0.0,)  # from the data set

    def __post_init__(self):
        areas = (0, self.area_low, self.area_high, 1)
        aspects = (0, self.aspect_low, self.aspect_high)
        if list(areas) != sorted(areas) or not 0 < aspects[1] <= aspects[2]:
            raise errors.UserError(
                f"random_resized_crop: areas {areas[1:3]}, aspects {aspects[1:]}; "
                "allowed are low <= high, areas up to 1, aspects above 0"
            )

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        size, canvas = example["image"].shape[:2], (self.height, self.width)
        top, left, height, width = self.draw_window(size, rng)
        moved = geometry.move_objects(
            example, size, (top, left), (height, width), self.visible
        )
        window = (slice(top, top + height), slice(left, left + width))
        cut = {k: example[k][window] for k in PIXEL_FIELDS if k in example}
        scaled = images.letterbox_size((height, width), canvas) if self.pad else canvas
        example = scale_to(example | cut | moved, scaled)
        pixels = {name: example[name] for name in PIXEL_FIELDS if name in example}
        placed = geometry.move_objects(example, scaled, (0, 0), canvas, visible=0.0)
        return example | geometry.pad_pixels(pixels, canvas, self.fill) | placed

    def draw_window(self, size: Size, rng: Rng | None) -> Window:
        """(top, left, height, width) in pixels of an image of that size."""
        if rng is None or self.area_low == 1:
            return (0, 0, *size)
        for _ in range(TRIES):
            area = rng.uniform(self.area_low, self.area_high) * size[0] * size[1]
            low, high = np.log([self.aspect_low, self.aspect_high])
            aspect = np.exp(rng.uniform(low, high))
            height = math.ceil(math.sqrt(area / aspect))  # not less than the drawn area
            width = math.ceil(math.sqrt(area * aspect))
            if height <= size[0] and width <= size[1]:
                top = int(rng.integers(size[0] - height + 1))
                return top, int(rng.integers(size[1] - width + 1)), height, width
        return (0, 0, *size)


@dataclasses.dataclass(frozen=True)
class Rotate(Transform):
    """Turns by an angle drawn evenly from -degrees to degrees; the size stays."""

    degrees: float = 10.0
    visible: float = 0.25
    fill: tuple[float, ...] = (0.0,)  # from the data set

    def __call__(self, example: Example, rng: Rng | None = None) -> Example:
        if rng is None:
            return example
        angle = rng.uniform(-self.degrees, self.degrees)
        return geometry.rotate(example, angle, self.fill, self.visible)


TRANSFORMS = {
    "flip": Flip,
    "rescale": Rescale,
    "crop": Crop,
    "letterbox": Letterbox,
    "random_resized_crop": RandomResizedCrop,
    "rotate": Rotate,
    "blur": colors.Blur,
    "jitter": colors.Jitter,
    "grey": colors.Grey,
}
TRIES = 10  # windows to draw before the whole image is used
SHARES = ("probability", "visible", "area_low", "area_high")
FROM_DATASET = ("pairs", "fill")


@memo.by_content
def bind(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section with all defaults."""
    kind = lookup.pick(TRANSFORMS, section.get("name", ""), kind="transform")
    where = f"transforms/{section['name']}"
    given = dict.fromkeys(FROM_DATASET)
    bound = binding.bind(kind, section=section, where=where, given=given, named=True)
    for field, value in bound.items():
        low, high = (1, math.inf) if type(value) is int else (0, math.inf)
        low, high = (0, 1) if field in SHARES else (low, high)
        if type(value) in (int, float) and not low <= value <= high:
            allowed = f"{low} to {high}" if field in SHARES else f"{low} or more"
            raise errors.UserError(
                f"{where}/{field}: found {value}, allowed: {allowed}"
            )
    return {"name": section["name"], **bound}


def build(section: Mapping[str, Any]) -> Transform:
    """The transform of a section such as {"name": "flip", "probability": 0.5}."""
    fields = dict(bind(section))
    return TRANSFORMS[fields.pop("name")](**fields)


def fuse(steps: Sequence[Transform]) -> list[Transform]:
    """The same steps, with each rescale before a crop merged into the crop."""
    fused: list[Transform] = []
    for step in steps:
        if isinstance(step, Crop) and fused and isinstance(fused[-1], Rescale):
            step = RescaledCrop(fused.pop(), step)
        fused.append(step)
    return fused


def scale_to(example: Example, size: Size, window: Window | None = None) -> Example:
    """Resizes to (height, width): the image smoothly, labels and depth by nearest.

    Depth keeps its metres; boxes and keypoints are relative and stay as they are.
    """
    scaled = dict(example)
    for name in (name for name in PIXEL_FIELDS if name in example):
        resize = images.resize if PIXEL_FIELDS[name].smooth else images.resize_ids
        scaled[name] = resize(example[name], size, window)
    return scaled
