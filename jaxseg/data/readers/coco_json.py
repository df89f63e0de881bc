"""The content of a file in COCO's JSON format as arrays; every reference is checked."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors
from jaxseg.data import refusals
from jaxseg.data.readers import file_cache, objects, text_files
from jaxseg.data.readers.objects import Record

KEYS = ("images", "annotations", "categories")
Entries = Sequence[Mapping[str, Any]]


class Content(NamedTuple):
    """The used content of one file; the arrays have a row per annotation."""

    files: tuple[str, ...]  # of the images
    sizes: np.ndarray  # int [I, 2] height, width
    categories: Mapping[int, str]  # in the order of their ids
    points: Mapping[int, tuple[str, ...]]  # category id: names of its keypoints
    places: np.ndarray  # int [A], row of the image
    category: np.ndarray  # int [A], category id
    boxes: np.ndarray  # float32 [A, 4]
    kept: np.ndarray  # bool [A]
    crowd: np.ndarray  # bool [A]
    keypoints: tuple[tuple[float, ...], ...]  # x, y, v, ...; () where there are none
    areas: np.ndarray  # float32 [A] square pixels, 0 = unknown
    box_areas: np.ndarray  # float64 [A] square pixels
    problems: tuple[str, ...]  # annotations that cannot be right, and are left out


class ByImage(Sequence):
    """A record per image with the chosen annotations, made on access."""

    def __init__(
        self,
        content: Content,
        folder: str,
        chosen: np.ndarray,
        labels: Mapping[int, int],
        keypoints: np.ndarray | None,
    ):
        """chosen: bool [A]; labels: {category id: class}; keypoints: [A, K, 3]."""
        rows = np.flatnonzero(chosen)
        self._rows = rows[np.argsort(content.places[rows], kind="stable")]
        places = content.places[self._rows]
        self._borders = np.searchsorted(places, np.arange(len(content.files) + 1))
        self._content, self._folder, self._keypoints = content, folder, keypoints
        self._labels = labels

    def __len__(self) -> int:
        return len(self._content.files)

    def __getitem__(self, index: int) -> Record:
        content, name = self._content, self._content.files[index]
        mine = self._rows[self._borders[index] : self._borders[index + 1]]
        known = [self._labels[id_] for id_ in content.category[mine].tolist()]
        return Record(
            image=posixpath.join(self._folder, name),
            id=name,
            size=tuple(content.sizes[index].tolist()),
            boxes=content.boxes[mine],
            labels=np.array(known, np.int32),
            flags=content.crowd[mine],
            keypoints=None if self._keypoints is None else self._keypoints[mine],
            areas=content.areas[mine],
        )


@file_cache.of_file(maxsize=8)
def read(file: tuple[str, int, int]) -> Content:
    """The content of the file with this stamp; UserError if it cannot be right.

    Errors of single annotations are in `problems`; the caller refuses them.
    """
    path = Path(file[0])
    images, annotations, categories = _lists(path)
    rows = by_id(images, (int, str), f"{path}: images")
    known = by_id(categories, (int,), f"{path}: categories")
    sizes = _sizes(images, path)
    annotations, problems = _sound(annotations, rows, known, path)
    places = np.array([rows[entry["image_id"]] for entry in annotations], int)
    corners = _corners(annotations)
    odd = objects.odd_boxes(corners, sizes[places])
    for row in np.flatnonzero(odd):
        where = f"{path}: annotation of {images[places[row]]['file_name']}"
        size = sizes[places[row]].tolist()
        problems.append(str(objects.odd_box(where, corners[row].tolist(), size)))
    annotations = [annotations[row] for row in np.flatnonzero(~odd)]
    places, corners = places[~odd], corners[~odd]
    boxes, kept = objects.cut_boxes(corners, sizes[places])
    files = tuple(_name(entry, "file_name", path) for entry in images)
    dropped = np.flatnonzero(~kept)
    if len(dropped):
        example = files[places[dropped[0]]]
        objects.report_dropped(len(dropped), len(kept), path, example)
    _note_same_ids(annotations, path)
    chosen = {id_: categories[place] for id_, place in sorted(known.items())}
    points = {id_: _list(entry.get("keypoints")) for id_, entry in chosen.items()}
    return Content(
        files=files,
        sizes=sizes,
        categories={id_: _name(x, "name", path) for id_, x in chosen.items()},
        points={id_: tuple(map(str, names)) for id_, names in points.items() if names},
        places=places,
        category=np.array([entry["category_id"] for entry in annotations], int),
        boxes=boxes,
        kept=kept,
        crowd=np.array([bool(entry.get("iscrowd")) for entry in annotations], bool),
        keypoints=tuple(tuple(_list(x.get("keypoints"))) for x in annotations),
        areas=_areas(annotations),
        box_areas=np.prod(corners[:, 2:] - corners[:, :2], axis=1),
        problems=tuple(problems),
    )


def _lists(path: Path) -> list[Entries]:
    """The three lists of entries."""
    data = text_files.read_json(path)
    for key in KEYS:
        entries = data.get(key) if isinstance(data, dict) else None
        right = isinstance(entries, list) and all(isinstance(x, dict) for x in entries)
        if not right or (key == "images" and not entries):
            raise errors.UserError(
                f"{path}: {key!r} is missing, empty or not a list of objects; allowed "
                f"is COCO's format with {', '.join(KEYS)}. Fix: export it in that "
                "format."
            )
    return [data[key] for key in KEYS]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def by_id(entries: Entries, types: tuple[type, ...], where: str) -> dict[Any, int]:
    """{id: place}."""
    table: dict[Any, int] = {}
    for place, entry in enumerate(entries):
        id_ = entry.get("id")
        if type(id_) not in types or id_ in table:
            raise errors.UserError(
                f"{where}[{place}]: id is {id_!r}; allowed is a number that no other "
                "entry has. Fix: correct it."
            )
        table[id_] = place
    return table


def _note_same_ids(annotations: Entries, path: Path) -> None:
    """Notes how many annotations share an id, to which nothing refers."""
    ids = [str(entry["id"]) for entry in annotations if "id" in entry]
    if len(ids) > len(set(ids)):
        refusals.note(
            f"{path}: {len(ids) - len(set(ids))} of {len(ids)} annotations have an id "
            "that another has; all are kept, as different objects"
        )


def _name(entry: Mapping[str, Any], key: str, path: Path) -> str:
    if not isinstance(entry.get(key), str) or not entry[key]:
        raise errors.UserError(
            f"{path}: the entry with id {entry['id']}: {key} is {entry.get(key)!r}; "
            "allowed is a name. Fix: add it."
        )
    return entry[key]


def _sound(
    annotations: Entries,
    rows: Mapping[Any, int],
    categories: Mapping[int, int],
    path: Path,
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The annotations that can be right, and one problem of each of the others."""
    sound, problems = [], []
    tables = (("image_id", rows), ("category_id", categories))
    for place, entry in enumerate(annotations):
        wrong = [_reference(entry, key, table) for key, table in tables]
        wrong = [text for text in (*wrong, _box(entry)) if text]
        if wrong:
            where = f"{path}: annotations[{place}] (id {entry.get('id')})"
            problems.append(f"{where}: {wrong[0]}")
        else:
            sound.append(entry)
    return sound, problems


def _reference(
    entry: Mapping[str, Any], key: str, table: Mapping[Any, int]
) -> str | None:
    """The problem of the id under `key`; None if the table has the id."""
    id_ = entry.get(key)
    if isinstance(id_, int | str) and id_ in table:
        return None
    return (
        f"{key} is {id_!r}; allowed are the {len(table)} ids listed in the file: "
        f"{_some(table)}. Fix: correct the id or add its entry."
    )


def _some(ids: Iterable[Any]) -> str:
    named = [*map(str, ids)]
    return ", ".join(named[:8]) + (", ..." if len(named) > 8 else "")


def _sizes(images: Entries, path: Path) -> np.ndarray:
    """int [I, 2] height, width."""
    rows = []
    for place, entry in enumerate(images):
        size = [entry.get("height"), entry.get("width")]
        if not all(type(n) in (int, float) and 1 <= n < 1e6 for n in size):
            raise errors.UserError(
                f"{path}: images[{place}] (id {entry['id']}): height and width are "
                f"{size}; allowed are positive numbers. Fix: write the image's size."
            )
        rows.append(size)
    return np.array(rows, int)


def _box(entry: Mapping[str, Any]) -> str | None:
    """The problem of the box of an annotation, or None."""
    box = entry.get("bbox")
    right = isinstance(box, list) and len(box) == 4
    if right and all(type(x) in (int, float) for x in box):
        return None
    return (
        f"bbox is {box!r}; allowed are four numbers, x, y, width, height. Fix: correct "
        "it."
    )


def _corners(annotations: Entries) -> np.ndarray:
    """float64 [A, 4] x0, y0, x1, y1."""
    rows = [entry["bbox"] for entry in annotations]
    corners = np.array(rows, np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def _areas(annotations: Entries) -> np.ndarray:
    """float32 [A] square pixels of the segments, 0 = unknown."""
    given = [entry.get("area") for entry in annotations]
    known = [type(area) in (int, float) and 0 < area < np.inf for area in given]
    return np.array([a if k else 0 for a, k in zip(given, known)], np.float32)
