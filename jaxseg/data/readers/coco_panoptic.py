"""Panoptic masks in COCO's format (Kirillov, CVPR 2019) as class maps.

A pixel of the PNG is the id R + 256 G + 65536 B of a segment, whose category is in the
JSON file; 0 is void. The PNG files lie in the folder named like the JSON file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.readers import coco_json, file_cache, text_files

FORMAT = "is COCO's panoptic format: images, categories, and annotations that each "
FORMAT += "have segments_info"


class Content(NamedTuple):
    """The used content of one file, a row per annotation."""

    files: tuple[str, ...]  # of the images
    masks: tuple[str, ...]
    categories: Mapping[int, str]  # in the order of their ids
    segments: tuple[np.ndarray, ...]  # int64 [S, 2], id and category


class Panoptic(NamedTuple):
    """One record: paths below the root, and the class of each segment."""

    image: str
    mask: str
    id: str
    segments: np.ndarray  # int64 [S] sorted
    classes: np.ndarray  # int32 [S]
    void: int  # the class of pixels without a segment


def is_panoptic(file: tuple[str, int, int]) -> bool:
    """Whether the text of a JSON file has segments; faster than parsing it."""
    return b'"segments_info"' in _bytes(file)


def records(
    content: Content,
    categories: Mapping[int, str],
    file: str,
    folder: PurePosixPath,
    void: int,
) -> Sequence[Panoptic]:
    """One record per mask.

    categories: of all splits, in the order of the classes. void: IGNORE, or 0 if class
    0 is the background.
    """
    masks = PurePosixPath(file).with_suffix("")
    first = 1 if void == 0 else 0
    places = {id_: place for place, id_ in enumerate(categories, first)}
    result = []
    for name, mask, segments in zip(content.files, content.masks, content.segments):
        rows = segments[np.argsort(segments[:, 0], kind="stable")]
        result.append(
            Panoptic(
                image=(folder / name).as_posix(),
                mask=(masks / mask).as_posix(),
                id=name,
                segments=rows[:, 0],
                classes=np.array([places[int(c)] for c in rows[:, 1]], np.int32),
                void=void,
            )
        )
    return result


def parse(record: Panoptic, root: Path) -> Example:
    colours = image_files.read(root / record.mask).astype(np.int64)
    ids = colours @ np.array([1, 256, 65536])
    present, inverse = np.unique(ids, return_inverse=True)
    known = np.isin(present, record.segments)
    lost = present[~known & (present > 0)]
    if len(lost):
        raise errors.UserError(
            f"{root / record.mask}: found the segments {lost[:4].tolist()}; allowed "
            f"are the {len(record.segments)} that the JSON file lists for it, and 0. "
            "Fix: get both files of the same version."
        )
    table = np.full(len(present), record.void, np.int32)
    table[known] = record.classes[np.searchsorted(record.segments, present[known])]
    return {
        "image": image_files.read(root / record.image),
        "segmentation": table[inverse].reshape(ids.shape),
        "id": record.id,
    }


@file_cache.of_file(maxsize=4)
def read(file: tuple[str, int, int]) -> Content:
    """The content of the panoptic JSON file with this stamp."""
    path = Path(file[0])
    data = text_files.read_json(path)
    with errors.reading(path, FORMAT):
        images = _names(data, "images", "file_name", path)
        categories = _names(data, "categories", "name", path)
        rows = [(x["image_id"], x["file_name"]) for x in data["annotations"]]
        segments = tuple(map(_segments, data["annotations"]))
        files = tuple(images[image] for image, _ in rows)
    for place, mine in enumerate(segments):
        lost = set(mine[:, 1].tolist()) - set(categories)
        if lost or len(np.unique(mine[:, 0])) < len(mine):
            raise errors.UserError(
                f"{path}: annotations[{place}]: segments_info names the categories "
                f"{sorted(lost)} that are not listed, or a segment twice. Fix: correct "
                "the file."
            )
    masks = tuple(str(name) for _, name in rows)
    return Content(files, masks, dict(sorted(categories.items())), segments)


def _names(data: Any, key: str, name: str, path: Path) -> dict[Any, str]:
    """{id: name} of a list of entries; UserError for an id that occurs twice."""
    places = coco_json.by_id(data[key], (int, str), f"{path}: {key}")
    return {id_: str(data[key][place][name]) for id_, place in places.items()}


def _segments(annotation: Mapping[str, Any]) -> np.ndarray:
    rows = [(int(x["id"]), int(x["category_id"])) for x in annotation["segments_info"]]
    return np.array(rows, np.int64).reshape(-1, 2)


def _bytes(file: tuple[str, int, int]) -> bytes:
    return Path(file[0]).read_bytes() if file[1] >= 0 else b""
