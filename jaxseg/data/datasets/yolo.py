"""Boxes in the YOLO layout: one text file per image, `class x y width height` per line.

Numbers are relative to the image, x and y the centre of the box. The labels of
images/a/b.jpg are in labels/a/b.txt; an image without such a file has no objects. A
YAML file names the classes (`names`) and the folders of the splits (`train`, `val`,
`test`). A polygon in place of a box becomes its bounding box. Boxes are cut at the
image; those without an area left are dropped. Their number is logged, and that of label
files without an image.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import refusals
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import class_names, file_cache, objects, text_files
from jaxseg.data.readers.objects import Record

DATASETS = {
    "boxes": Dataset(
        fields=("image", "boxes", "box_labels"),
        domain="own",
        splits={},
        version=1,
        size=(256, 256),
        obtain="Your own folder in the YOLO layout; root is the folder that holds "
        "data.yaml and images/.",
    )
}
PLACES = ("images", "labels", "names")
SPLITS = {"train": "train", "validation": "val", "test": "test"}
FORMS = "names: [a, b], or names: with a line `0: a` or `- a` for each class"


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    images: Mapping[str, str] | None = None,
    labels: str | None = None,
    names: str | None = None,
    classes: Sequence[str] = (),
) -> Sequence[Record]:
    """The images of a split with their objects, sorted.

    images: {split: folder of images}; None: those of the YAML file. labels: replaces
    images/ in the paths of the label files. names: the YAML file, if it is not the one
    in root. classes: names in the order of their ids, instead of those of the file.
    """
    pairs = find_pairs(root, images, labels, names)[split]
    count = len(_classes(root, names, classes))
    made, lost, total, example = [], 0, 0, ""
    for image, label in pairs:
        try:
            rows = _rows(root / label, count) if label else np.zeros((0, 5))
        except errors.UserError as error:
            refusals.refuse(error)
            continue
        boxes, kept = objects.cut_boxes(rows[:, 1:], (1, 1))
        lost, total = lost + int((~kept).sum()), total + len(kept)
        example = example or (image if not kept.all() else "")
        known = rows[:, 0].astype(np.int32)[kept]
        nothing = np.zeros(len(known), bool)
        made.append(Record(image, image, None, boxes[kept], known, nothing))
    objects.report_dropped(lost, total, root, example)
    return made


def parse(record: Record, root: Path, variant: str) -> Example:
    return {
        "image": image_files.read(root / record.image),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "id": record.id,
    }


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits and classes that this folder has."""
    facts = DATASETS[variant]
    splits = find_pairs(root, options["images"], options["labels"], options["names"])
    return dataclasses.replace(
        facts,
        splits={split: len(pairs) for split, pairs in splits.items()},
        classes=_classes(root, options["names"], options["classes"]),
    )


def files(
    root: Path,
    *,
    images: Mapping[str, str] | None,
    labels: str | None,
    names: str | None,
    **_: Any,
) -> tuple[list[str], list[str]]:
    """The images, and the label files and the YAML file."""
    splits = find_pairs(root, images, labels, names)
    pairs = [pair for pairs in splits.values() for pair in pairs]
    texts = [label for _, label in pairs if label]
    yaml = _yaml(root, names)
    texts += [yaml.relative_to(root).as_posix()] if yaml else []
    return [image for image, _ in pairs], texts


# Finding the files.


def find_pairs(
    root: Path,
    images: Mapping[str, str] | None,
    labels: str | None,
    names: str | None,
) -> dict[str, list[tuple[str, str | None]]]:
    """{split: [(image, label file or None)]}, paths below root."""
    folders = _folders(root, images, names)
    result, known = {}, set()
    for split, folder in folders.items():
        files = sorted(
            path.relative_to(root).as_posix()
            for path in (root / folder).rglob("*")
            if path.suffix.lower() in image_files.SUFFIXES
        )
        paths = {image: _label_path(image, labels) for image in files}
        result[split] = [
            (image, path if (root / path).is_file() else None)
            for image, path in paths.items()
        ]
        _check_labels(root, folder, paths)
        known |= set(paths.values())
    _note_orphans(root, known)
    return result


def _folders(
    root: Path, images: Mapping[str, str] | None, names: str | None
) -> dict[str, str]:
    """{split: existing folder of images below root}."""
    yaml = None if images is not None else _yaml(root, names)
    if images is not None:
        given, where = dict(images), "option images"
    elif yaml is not None:
        text = text_files.read_text(yaml)
        given = {split: _value(text, key) for split, key in SPLITS.items()}
        where = str(yaml)
    else:
        raise errors.UserError(
            f"{root}: found no YAML file that names classes and splits. Fix: add "
            "data.yaml, or set names=FILE, or images={'train': FOLDER, ...} and "
            "classes=[...]."
        )
    unknown = sorted(set(given) - set(SPLITS))
    if unknown or not given.get("train", given.get("validation")):
        raise errors.UserError(
            f"{where}: found the splits {sorted(k for k, v in given.items() if v)}; "
            f"allowed are {', '.join(SPLITS)} with a folder of images each. Fix: "
            "correct them."
        )
    return {
        split: _folder(root, given[split], where) for split in given if given[split]
    }


def _folder(root: Path, value: str, where: str) -> str:
    """`value` below root; leading ../ are dropped: exporters write them wrongly."""
    plain = re.sub(r"^(\.\.?/)+", "", value)
    for folder in (value, plain):
        leaves = folder.startswith("..") or not (Path(root) / folder).is_relative_to(
            root
        )
        if not leaves and (root / folder).is_dir():
            return folder.rstrip("/")
    raise errors.UserError(
        f"{where}: {value!r} is not a folder below {root}; allowed is a folder of "
        "images (lists of images are not read). Fix: correct it, or set "
        "images={'train': FOLDER, ...}; if that is not below root, point root higher "
        "up and set names=FILE and labels=FOLDER."
    )


def _label_path(image: str, labels: str | None) -> str:
    """images/a/b.jpg -> labels/a/b.txt; the last folder of that name is replaced."""
    parts = PurePosixPath(image).with_suffix(".txt").parts
    if "images" not in parts[:-1]:
        return PurePosixPath(labels or "", *parts[-1:] if labels else parts).as_posix()
    place = len(parts) - 1 - parts[::-1].index("images")
    before = parts[:place] if labels is None else ()
    return PurePosixPath(*before, labels or "labels", *parts[place + 1 :]).as_posix()


def _check_labels(root: Path, folder: str, paths: Mapping[str, str]) -> None:
    """Refuses a split without images or without any label."""
    if not paths:
        raise errors.UserError(f"{root / folder}: found no images. Fix: add them.")
    if not any((root / path).is_file() for path in paths.values()):
        raise errors.UserError(
            f"{root / folder}: none of {len(paths)} images has a label file such as "
            f"{min(paths.values())}. Fix: set labels=FOLDER to what stands for images/ "
            "there."
        )


def _note_orphans(root: Path, known: set[str]) -> None:
    """Notes how many label files have no image: perhaps images are lost."""
    there = {
        path.relative_to(root).as_posix()
        for place in {PurePosixPath(path).parent for path in known}
        for path in (root / place).glob("*.txt")
        if path.name != "classes.txt"
    }
    orphans = sorted(there - known)
    if orphans:
        refusals.note(
            f"{root}: {len(orphans)} label files have no image and are left out, for "
            f"example {orphans[0]}"
        )


# Reading labels and names.


def _rows(path: Path, count: int) -> np.ndarray:
    """`read` for a set of `count` classes."""
    rows = read(file_cache.stamp(path))
    bad = rows[:, 0] >= count
    if bad.any():
        raise errors.UserError(
            f"{path}: found class {int(rows[bad][0, 0])}; allowed are 0 to {count - 1} "
            f"({count} classes). Fix: correct the line, or name all classes."
        )
    return rows


@file_cache.of_file(maxsize=1 << 18)
def read(file: tuple[str, int, int]) -> np.ndarray:
    """float64 [N, 5] class, x0, y0, x1, y1 in [0, 1] of the file with this stamp."""
    path, rows = Path(file[0]), []
    for number, line in enumerate(text_files.read_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = []
        polygon = len(row) >= 7 and len(row) % 2 == 1
        if not (len(row) == 5 or polygon) or row[0] < 0 or row[0] % 1:
            raise errors.UserError(
                f"{path}:{number}: found {line[:60]!r}; allowed is `class x y width "
                "height`, five numbers, or a class and the x y of three or more "
                "corners. Fix: correct the line."
            )
        if not polygon and min(row[3:]) < 0:
            raise errors.UserError(
                f"{path}:{number}: found {line[:60]!r}, a width or height below 0; "
                "allowed are numbers in [0, 1]. Fix: correct or remove the line."
            )
        rows.append([row[0], *_corners(row[1:])])
    table = np.array(rows, np.float64).reshape(-1, 5)
    pixels = np.abs(table[:, 1:])[np.isfinite(table[:, 1:])] > 2
    if pixels.any():
        raise errors.UserError(
            f"{path}: found a box that ends at {np.nanmax(np.abs(table[:, 1:])):g}; "
            "allowed are numbers relative to the image, in [0, 1]. Fix: divide pixels "
            "by the width and height of the image."
        )
    return table


def _corners(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a box or of the bounds of a polygon."""
    if len(numbers) == 4:
        x, y, width, height = numbers
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    across, down = numbers[::2], numbers[1::2]
    return min(across), min(down), max(across), max(down)


def _yaml(root: Path, names: str | None) -> Path | None:
    """The file that names classes and splits."""
    if names is not None:
        return root / names
    paths = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    named = [path for path in paths if path.stem == "data"]
    return (named or paths or [None])[0]


def _classes(root: Path, names: str | None, given: Sequence[str]) -> tuple[str, ...]:
    if given:
        table = dict(enumerate(given))
        return class_names.check_names(table, f"{root}: option classes")
    path = _yaml(root, names)
    if path is None:
        raise errors.UserError(
            f"{root}: found no YAML file with the names of the classes. Fix: set "
            "names=FILE or classes=[...]."
        )
    by_id = class_names.names_in_yaml(text_files.read_text(path))
    if sorted(by_id) != list(range(len(by_id))) or not by_id:
        raise errors.UserError(
            f"{path}: names holds the ids {sorted(by_id)[:8]}; allowed are 0, 1, ... "
            f"without gaps, as {FORMS}. Fix: write it so, or set classes=[...]."
        )
    return class_names.check_names(dict(sorted(by_id.items())), f"{path}: names")


def _value(text: str, key: str) -> str:
    """The text after `key:` at the start of a line, or ''."""
    match = re.search(rf"^{key}:[ \t]*(.*)$", text, re.MULTILINE)
    return class_names.plain_scalar(match[1]) if match else ""
