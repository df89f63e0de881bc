"""Labels of whole images from COCO's boxes: the dominant class, or all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.readers import labelled_images
from jaxseg.data.readers.coco_json import Content


class Several(NamedTuple):
    """One record: an image below the root and 1 for each class in it."""

    image: str
    labels: np.ndarray  # int32 [classes] 1 or 0


def dominant(
    content: Content, folder: PurePosixPath, places: Mapping[int, int]
) -> labelled_images.Images:
    """Images with an object, labelled by the class that covers the most pixels."""
    areas = _areas(content, places)
    rows = np.flatnonzero(areas.any(axis=1))
    names = [(folder / content.files[row]).as_posix() for row in rows]
    return labelled_images.Images(names, areas[rows].argmax(axis=1))


def several(
    content: Content, folder: PurePosixPath, places: Mapping[int, int]
) -> Sequence[Several]:
    """All images, including those without an object."""
    present = (_areas(content, places) > 0).astype(np.int32)
    names = [(folder / name).as_posix() for name in content.files]
    return [Several(name, row) for name, row in zip(names, present)]


def parse_several(record: Several, root: Path) -> Example:
    return {
        "image": image_files.read(root / record.image),
        "labels": record.labels,
        "id": record.image,
    }


def _areas(content: Content, places: Mapping[int, int]) -> np.ndarray:
    """float32 [images, classes] pixels that objects of each class cover."""
    known = np.where(content.areas > 0, content.areas, content.box_areas)
    areas = np.zeros((len(content.files), len(places)), np.float32)
    kept = content.kept
    classes = np.array([places[int(id_)] for id_ in content.category[kept]], int)
    np.add.at(areas, (content.places[kept], classes), known[kept])
    return areas
