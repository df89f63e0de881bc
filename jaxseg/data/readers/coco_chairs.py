"""Chairs of COCO as binary masks, for the study of chair segments (section 4).

One record per image with a chair: the square around its largest one, wider by a tenth
of its side on each side and cut at the image, so that a chair fills it about as it does
the images of Chair Segments. The paper does not say how it cuts. All chairs inside are
foreground; crowds of chairs are ignored.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE
from jaxseg.data.readers import file_cache, text_files

FORMAT = "is COCO's format, with segmentation and bbox in each annotation"
MARGIN = 0.1  # of the side of the square
Segment = list | dict  # polygons or run lengths


class Chairs(NamedTuple):
    """One record: an image below the root, its chairs and where it is cut."""

    image: str
    id: str
    size: tuple[int, int]  # height, width
    window: tuple[int, int, int, int]  # top, left, bottom, right
    chairs: tuple[Segment, ...]
    crowds: tuple[Segment, ...]


def place(records: Sequence[Chairs], folder: PurePosixPath) -> list[Chairs]:
    """`records` with the images in `folder`."""
    return [r._replace(image=(folder / r.image).as_posix()) for r in records]


def parse(record: Chairs, root: Path) -> Example:
    image = image_files.read(root / record.image)
    if image.shape[:2] != record.size:
        raise errors.UserError(
            f"{root / record.image}: image is {image.shape[0]} x {image.shape[1]} "
            f"(height x width), its entry in the JSON says {record.size[0]} x "
            f"{record.size[1]}. Fix: restore the image that was labelled."
        )
    mask = np.zeros(record.size, np.int32)
    for segments, value in ((record.crowds, IGNORE), (record.chairs, 1)):
        for segment in segments:
            mask[_decode(segment, record, root)] = value
    top, left, bottom, right = record.window
    return {
        "image": image[top:bottom, left:right],
        "segmentation": mask[top:bottom, left:right],
        "id": record.id,
    }


@file_cache.of_file(maxsize=4)
def read(file: tuple[str, int, int], name: str = "chair") -> tuple[Chairs, ...]:
    """The images with a chair in the file with this stamp, in the order of the file."""
    path = Path(file[0])
    data = text_files.read_json(path)
    with errors.reading(path, FORMAT):
        ids = [entry["id"] for entry in data["categories"] if entry["name"] == name]
        mine: dict[Any, list[dict]] = {}
        for entry in data["annotations"]:
            if entry["category_id"] in ids:
                mine.setdefault(entry["image_id"], []).append(entry)
        chosen = [entry for entry in data["images"] if entry["id"] in mine]
        made = [_record(entry, mine[entry["id"]]) for entry in chosen]
    if not ids:
        raise errors.UserError(
            f"{path}: no category is named {name!r}. Fix: use COCO's instances file."
        )
    return tuple(record for record in made if record is not None)


def _record(image: dict[str, Any], entries: Sequence[dict]) -> Chairs | None:
    """The record of an image; None if all chairs are crowds or lack mask or area."""
    size = int(image["height"]), int(image["width"])
    single = [x for x in entries if not x.get("iscrowd") and x["segmentation"]]
    single = [x for x in single if min(x["bbox"][2:]) >= 1]
    if not single:
        return None
    largest = max(single, key=lambda x: x["bbox"][2] * x["bbox"][3])
    return Chairs(
        image=str(image["file_name"]),
        id=str(image["file_name"]),
        size=size,
        window=_window([*map(float, largest["bbox"])], size),
        chairs=tuple(x["segmentation"] for x in single),
        crowds=tuple(x["segmentation"] for x in entries if x.get("iscrowd")),
    )


def _window(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    x, y, width, height = box
    half = max(width, height) * (0.5 + MARGIN)
    row, col = y + height / 2, x + width / 2
    top, left = max(0, round(row - half)), max(0, round(col - half))
    return top, left, min(size[0], round(row + half)), min(size[1], round(col + half))


def _decode(segment: Segment, record: Chairs, root: Path) -> np.ndarray:
    """bool [H, W]."""
    from pycocotools import mask as masks  # planning does not need it

    try:
        if isinstance(segment, dict) and isinstance(segment["counts"], str | bytes):
            runs = segment
        else:
            runs = masks.frPyObjects(segment, *record.size)
            runs = masks.merge(runs) if isinstance(runs, list) else runs
        counts = _run_lengths(runs["counts"])
        values = np.arange(len(counts)) % 2 == 1
        # Runs go down the columns.
        return np.repeat(values, counts).reshape(record.size[::-1]).T
    except Exception as error:  # its C code raises exceptions of any kind
        raise errors.UserError(
            f"{root / record.image}: the segmentation of a chair is not readable "
            f"({type(error).__name__}: {error}); allowed are polygons and run lengths. "
            "Fix: get the JSON file again."
        ) from None


def _run_lengths(text: str | bytes) -> list[int]:
    """Pixels of each run. Not `pycocotools.mask.decode`, which NumPy 2 warns about.

    Each character minus 48 holds five bits of a number, the lowest first; bit 5 means
    that more follow, bit 4 of the last one is the sign. From the fourth number on, the
    text holds the difference to the previous run of the same value.
    """
    counts: list[int] = []
    number = shift = 0
    for code in text.encode() if isinstance(text, str) else text:
        number |= (code - 48 & 0x1F) << shift
        shift += 5
        if code - 48 & 0x20:
            continue
        number -= (1 << shift) * (code - 48 >> 4 & 1)
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    return counts
