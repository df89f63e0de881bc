"""The fact sheet of a data set, the fields of examples, and the check of an example.

An example is a dict of NumPy arrays:

  image         uint8 or uint16 [H, W, C]
  segmentation  int32 [H, W], class of each pixel, 65535 = ignore
  boxes         float32 [N, 4], row0, col0, row1, col1 in [0, 1]
  box_labels    int32 [N]
  crowd         bool [N]
  difficult     bool [N]
  area          float32 [N] square pixels of the original image that the object
                covers, 0 = unknown; cropping and scaling leave it as it is
  keypoints     float32 [N, K, 3], row, col in [0, 1], visibility 0, 1 or 2
  depth         float32 [H, W] metres, 0 = unknown
  label         int32 (), class of the whole image
  labels        int32 [classes], of an image with several: 1, 0, or -1 = unknown
  id            str, stays on the host
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example

IGNORE = 65535  # in memory, for any data set; in files: `Dataset.file_ignore`
LOOKED_UP = 1 << 20  # ids below are mapped by a lookup table
# One row per object; one size per example, [H, W] or [H, W, C].
OBJECT_FIELDS = ("boxes", "box_labels", "crowd", "difficult", "area", "keypoints")


@dataclasses.dataclass(frozen=True)
class Pixels:
    """What transforms do to a field with a value for each pixel, besides moving it."""

    smooth: bool = False  # an image: antialiased when resized; else by nearest pixel
    colors: bool = False  # changed by photometric transforms
    outside: int | None = None  # the value beyond the border; None: the mean of the set


# Every transform reads this table: a further field with pixels is an entry here.
PIXEL_FIELDS = {
    "image": Pixels(smooth=True, colors=True),
    "clean": Pixels(smooth=True),  # of training: the image before any change of colors
    "segmentation": Pixels(outside=IGNORE),
    "depth": Pixels(outside=0),
}
IMAGE_FIELDS = tuple(name for name, kind in PIXEL_FIELDS.items() if kind.smooth)
LABEL_MAPS = tuple(name for name, kind in PIXEL_FIELDS.items() if not kind.smooth)
CLASS_FIELDS = ("segmentation", "box_labels", "label")  # hold ids of classes
NUMBERS = {"segmentation": "int32 [height, width]"}
NUMBERS |= {"depth": "float32 [height, width]", "boxes": "float32 [objects, 4]"}
NUMBERS |= {"box_labels": "int32 [objects]", "area": "float32 [objects]"}
NUMBERS |= {"keypoints": "float32 [objects, points, 3]"}
NUMBERS |= dict.fromkeys(("crowd", "difficult"), "bool [objects]")
NUMBERS |= {"label": "int32 []", "labels": "int32 [classes]"}
FIELDS = ("image", *LABEL_MAPS, *OBJECT_FIELDS, "label", "labels")
DOMAINS = ("consumer", "driving", "indoor", "aerial", "underwater", "closeups")
DOMAINS += ("synthetic", "websearch", "own")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The facts of one variant of a data set that are known without reading it."""

    fields: tuple[str, ...]  # fields that parse returns besides id
    domain: str  # one of DOMAINS
    splits: Mapping[str, int]  # records per split; 0: counted in the folder
    version: int  # increases when pixels or labels from parse change
    size: tuple[int, int] | None = None  # training resolution (height, width)
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    ids: Mapping[int, int] | None = None  # raw id -> class; ids not listed stay
    background: int | None = None  # the class that the factors paper leaves out
    mean: tuple[float, ...] | None = None  # per channel, on the scale of the image;
    std: tuple[float, ...] | None = None  # None: measured when the data are opened
    licence: str = ""
    obtain: str = ""  # where to get it, as `python -m jaxseg.data show` prints it
    on_disk: bool = True  # False: rendered, needs no root
    keypoints: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()  # keypoints that a mirror swaps
    skeleton: tuple[tuple[int, int], ...] = ()  # keypoints that a line joins
    # {task: {option of the task: value}}: how its metrics are computed by default.
    protocol: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether classes, splits and content are the user's."""
        return self.domain == "own"

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def channels(self) -> int:
        """Of images; 3 where `mean` is measured when the data are opened."""
        return len(self.mean or (0, 0, 0))

    @property
    def file_ignore(self) -> int:
        """The id that means IGNORE in files and `ids`: 255, unless that is a class."""
        return 255 if self.num_classes <= 255 else IGNORE


def check(example: Example, facts: Dataset, *, where: str) -> Example:
    """`example` itself; UserError, beginning with `where`, if it cannot be right."""
    missing = [name for name in (*facts.fields, "id") if name not in example]
    if missing:
        raise errors.UserError(
            f"{where}: fields {missing} are missing from the example"
        )
    _check_image(example["image"], where)
    _check_numbers(example, facts, where)
    _check_sizes(example, where)
    for name in CLASS_FIELDS:
        if name in example:
            check_classes(example[name], facts, where=f"{where}: {name}")
    _check_objects(example, where)
    _check_several(example, facts, where)
    return example


def check_classes(ids: np.ndarray, facts: Dataset, *, where: str) -> None:
    """UserError unless every id is a class of `facts` or IGNORE."""
    above = np.count_nonzero(ids >= facts.num_classes)
    if above == np.count_nonzero(ids == IGNORE) and ids.min(initial=0) >= 0:
        return  # takes half the time of the mask below
    bad = (ids != IGNORE) & ((ids < 0) | (ids >= facts.num_classes))
    values, ignored = np.unique(ids[bad]), facts.file_ignore
    named = ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
    raise errors.UserError(
        f"{where} holds ids {named}; allowed are 0 to {facts.num_classes - 1} "
        f"({facts.num_classes} classes) and {ignored} (ignore). Fix: name all classes, "
        f"or map the others with ids={{raw: class}}, for example "
        f"ids={{{values[0]}: {ignored}}}."
    )


def map_ids(ids: np.ndarray, table: Mapping[int, int], ignored: int) -> np.ndarray:
    """int32 with `table` applied; ids that it does not list stay as they are.

    ignored: the id in files that means IGNORE, in `ids` and in `table`.
    """
    top = int(ids.max(initial=0))
    if not table or ids.min(initial=0) < 0:  # negative ones are refused by `check`
        return _fill(ids, ignored) if top >= ignored else ids
    if max(top, *table) >= LOOKED_UP:
        mapped = _fill(ids, ignored)
        for raw, to in table.items():
            mapped[ids == raw] = IGNORE if to == ignored else to
        return mapped
    lookup_table = np.arange(max(top, ignored, *table) + 1, dtype=np.int32)
    lookup_table[ignored] = IGNORE
    for raw, mapped in table.items():
        lookup_table[raw] = IGNORE if mapped == ignored else mapped
    return lookup_table.take(
        ids, mode="clip"
    )  # all ids are in range; half the time of []


def _fill(ids: np.ndarray, ignored: int) -> np.ndarray:
    """A copy with IGNORE in place of `ignored`."""
    filled = ids.astype(np.int32)
    np.copyto(
        filled, IGNORE, where=ids == ignored
    )  # takes a third of the time of np.where
    return filled


def shape(name: str, **sizes: int) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of a field; sizes: of the axes that NUMBERS names.

    >>> shape("boxes", objects=100)
    ((100, 4), 'float32')
    """
    kind, _, axes = NUMBERS[name].partition(" ")
    named = [axis for axis in axes[1:-1].split(", ") if axis]
    return tuple(sizes.get(axis) or int(axis) for axis in named), kind


def _check_image(image: np.ndarray, where: str) -> None:
    if image.ndim != 3 or image.dtype not in (np.uint8, np.uint16) or not image.size:
        raise errors.UserError(
            f"{where}: image is {image.dtype} {list(image.shape)}; allowed is uint8 or "
            "uint16 [height, width, channels], not empty"
        )


def _check_numbers(example: Example, facts: Dataset, where: str) -> None:
    """UserError for arrays of another type or shape than NUMBERS defines."""
    given = {"4": 4, "3": 3, "points": len(facts.keypoints)}
    for name, allowed in NUMBERS.items():
        if name not in example:
            continue
        kind, _, axes = allowed.partition(" ")
        sizes = [given.get(axis) for axis in axes[1:-1].split(", ") if axis]
        array = example[name]
        fits = array.ndim == len(sizes) and all(
            wanted in (None, size) for wanted, size in zip(sizes, array.shape)
        )
        if not fits or array.dtype != kind:
            raise errors.UserError(
                f"{where}: {name} is {array.dtype} {list(array.shape)}; allowed is "
                f"{allowed}"
            )


def _check_sizes(example: Example, where: str) -> None:
    height, width = example["image"].shape[:2]
    for name in LABEL_MAPS:
        if name in example and example[name].shape != (height, width):
            size = " x ".join(map(str, example[name].shape))
            raise errors.UserError(
                f"{where}: {name} is {size} (height x width), its image is "
                f"{height} x {width}. Fix: make the two files the same size."
            )
    depth = example.get("depth")
    if depth is not None and not (depth.min() >= 0 and depth.max() < np.inf):  # NaN
        raise errors.UserError(
            f"{where}: depth is {depth.min():g} to {depth.max():g}; allowed are "
            "metres, 0 where unknown. Fix: correct the file."
        )


def _check_several(example: Example, facts: Dataset, where: str) -> None:
    labels = example.get("labels")
    if labels is None:
        return
    if labels.shape != (facts.num_classes,) or not np.isin(labels, (-1, 0, 1)).all():
        raise errors.UserError(
            f"{where}: labels {labels.tolist()[:8]} of shape {list(labels.shape)}; "
            f"allowed are -1, 0 or 1 for each of {facts.num_classes} classes"
        )


def _check_objects(example: Example, where: str) -> None:
    counts = {name: len(example[name]) for name in OBJECT_FIELDS if name in example}
    if len(set(counts.values())) > 1:
        raise errors.UserError(f"{where}: fields disagree on the objects: {counts}")
    area = example.get("area")
    if area is not None and not (np.isfinite(area) & (area >= 0)).all():
        raise errors.UserError(
            f"{where}: area {area.tolist()[:8]}; allowed are square pixels of the "
            "image, 0 where unknown"
        )
    boxes = example.get("boxes")
    if boxes is not None and not ((boxes >= 0) & (boxes <= 1)).all():
        outside = boxes[~((boxes >= 0) & (boxes <= 1)).all(axis=1)][0]
        raise errors.UserError(
            f"{where}: box {outside.tolist()} (row0, col0, row1, col1) leaves [0, 1]"
        )
    _check_points(example.get("keypoints", np.zeros((0, 0, 3))), where)


def _check_points(points: np.ndarray, where: str) -> None:
    inside = (points[..., :2] >= 0) & (points[..., :2] <= 1)
    right = inside.all(axis=-1) & np.isin(points[..., 2], (0, 1, 2))
    if not right.all():
        raise errors.UserError(
            f"{where}: keypoint {points[~right][0].tolist()}; allowed are row and "
            "column in [0, 1] and visibility 0, 1 or 2. Fix: correct the file."
        )
