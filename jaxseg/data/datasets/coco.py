"""Objects and keypoints in COCO's JSON format (Lin 2014, arXiv:1405.0312).

Any file with `images`, `annotations` and `categories` will do; those under the official
names, annotations/{instances,person_keypoints}_{train,val}*.json, are found. Classes
are the categories of all splits in the order of their ids; an unnamed id in between
leaves no gap. `crowd` is iscrowd. Images without annotations are kept. Boxes are cut at
the image; those without an area left are dropped and their number is logged. Points
are taken as pixels from the upper left corner; those outside become unknown.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import _coco, _labels
from jaxseg.data.datasets._coco import Content
from jaxseg.data.datasets._labels import Record

OBTAIN = (
    "Your own images with a JSON file in COCO's format, or COCO 2017 from "
    "cocodataset.org; root is the folder that holds annotations/ and the images."
)
DATASETS = {
    "instances": Dataset(
        fields=("image", "boxes", "box_labels", "crowd"),
        domain="own",
        splits={},
        version=1,
        size=(256, 256),
        obtain=OBTAIN,
    ),
    "keypoints": Dataset(
        fields=("image", "boxes", "box_labels", "crowd", "keypoints"),
        domain="own",
        splits={},
        version=1,
        size=(256, 256),
        obtain=OBTAIN,
    ),
}
PREFIXES = {"instances": "instances", "keypoints": "person_keypoints"}
SPLITS = {"train": "train", "validation": "val", "test": "test"}
TRIED = 20  # images that are looked for to find their folder: some may be missing


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    annotations: Mapping[str, str] | None = None,
    images: Mapping[str, str] | str | None = None,
) -> Sequence[Record]:
    """The images of a split with their objects, in the file's order.

    annotations: {split: JSON file below root}. images: their folder, or {split:
    folder}; None: it is looked for by the name of the JSON file and beside it.
    """
    files = find_files(variant, root, annotations)
    contents = {
        name: _coco.read(_labels.stamp(root / file)) for name, file in files.items()
    }
    classes, points = _classes(variant, contents, files, root)
    content, path = contents[split], root / files[split]
    folder = find_images(root, files[split], content, _of_split(images, split))
    chosen = content.kept & np.isin(content.category, list(classes))
    keypoints = None
    if variant == "keypoints":
        keypoints = _keypoints(content, chosen, len(points), path)
    labels = {id_: label for label, id_ in enumerate(classes)}
    return _by_image(content, folder, chosen, labels, keypoints)


def parse(record: Record, root: Path, variant: str) -> Example:
    example = {
        "image": _labels.read_image(record, root, "its entry in the JSON"),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "crowd": record.flags,
        "id": record.id,
    }
    if variant == "keypoints":
        example["keypoints"] = record.keypoints
    return example


def describe(facts: Dataset, root: Path, **options: Any) -> Dataset:
    """`facts` with the splits, classes and keypoints of the JSON files."""
    variant = "keypoints" if "keypoints" in facts.fields else "instances"
    files = find_files(variant, root, options["annotations"])
    contents = {
        name: _coco.read(_labels.stamp(root / file)) for name, file in files.items()
    }
    classes, points = _classes(variant, contents, files, root)
    where = ", ".join(str(root / file) for file in files.values())
    return dataclasses.replace(
        facts,
        splits={split: len(content.files) for split, content in contents.items()},
        classes=_labels.check_names(classes, f"{where}: categories"),
        keypoints=points,
        flip_pairs=_labels.flip_pairs(points),
    )


def digest(
    root: Path,
    *,
    annotations: Mapping[str, str] | None,
    images: Mapping[str, str] | str | None,
) -> str:
    """SHA-256 of the JSON files and of the names and sizes of their images."""
    if annotations is not None:
        tables = [find_files("instances", root, annotations)]
    else:  # whichever variant is meant
        tables = [_by_name(variant, root) for variant in DATASETS]
    seen: set[str] = set()
    for split, file in [pair for table in tables for pair in table.items()]:
        content = _coco.read(_labels.stamp(root / file))
        folder = find_images(root, file, content, _of_split(images, split))
        seen.update((folder / name).as_posix() for name in content.files)
    return _labels.digest(root, seen, {f for table in tables for f in table.values()})


# Finding the files.


def find_files(
    variant: str, root: Path, annotations: Mapping[str, str] | None
) -> dict[str, str]:
    """{split: JSON file below root}."""
    if annotations is None:
        found = _by_name(variant, root)
        if not found:
            raise errors.UserError(
                f"{root}: found no annotations/{PREFIXES[variant]}_train*.json, nor "
                "one of val or test. Fix: point root at the folder that holds "
                "annotations/, or name the files: annotations={'train': FILE, ...}."
            )
        return found
    unknown = sorted(set(annotations) - set(SPLITS))
    if unknown or not annotations:
        raise errors.UserError(
            f"annotations: found the splits {unknown or 'none'}; allowed are "
            f"{', '.join(SPLITS)}. Fix: annotations={{'train': FILE, ...}}."
        )
    return {split: annotations[split] for split in SPLITS if split in annotations}


def find_images(
    root: Path, file: str, content: Content, given: str | None
) -> PurePosixPath:
    """The folder below root that the file names of a JSON file are relative to."""
    if given is not None:
        if not (root / given).is_dir():
            raise errors.UserError(
                f"{root / given}: folder not found; images={given!r} must be a folder "
                f"below {root}. Fix: correct it."
            )
        return PurePosixPath(given)
    name = PurePosixPath(file).stem.rsplit("_", 1)[-1]
    beside = PurePosixPath(file).parent
    candidates = [PurePosixPath(p) for p in (name, f"images/{name}", "images", ".")]
    candidates.append(beside)
    for folder in candidates:
        if any((root / folder / image).is_file() for image in content.files[:TRIED]):
            return folder
    raise errors.UserError(
        f"{root / file}: images such as {content.files[0]!r} are in none of "
        f"{', '.join(map(str, candidates))} below {root}. Fix: add them, or name their "
        "folder with images=FOLDER."
    )


def _by_name(variant: str, root: Path) -> dict[str, str]:
    """{split: JSON file} of those under the official names."""
    files = {}
    for split, name in SPLITS.items():
        pattern = f"annotations/{PREFIXES[variant]}_{name}*.json"
        found = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
        if len(found) > 1:
            raise errors.UserError(
                f"{root}: found {', '.join(found)} for split {split!r}; allowed is one "
                f"file. Fix: say which with annotations={{{split!r}: FILE}}."
            )
        if found:
            files[split] = found[0]
    return files


def _of_split(images: Mapping[str, str] | str | None, split: str) -> str | None:
    return images.get(split) if isinstance(images, Mapping) else images


# From the files of all splits to the records of one.


def _classes(
    variant: str,
    contents: Mapping[str, Content],
    files: Mapping[str, str],
    root: Path,
) -> tuple[dict[int, str], tuple[str, ...]]:
    """{category id: name} of all splits, sorted; for keypoints only those that have
    them, and the names of the points.
    """
    names: dict[int, str] = {}
    points: dict[int, tuple[str, ...]] = {}
    for split, content in contents.items():
        for id_, name in content.categories.items():
            if names.setdefault(id_, name) != name:
                raise errors.UserError(
                    f"{root / files[split]}: category {id_} is {name!r}, in another "
                    f"split {names[id_]!r}. Fix: give it one name."
                )
        points |= content.points
    if variant == "instances":
        return dict(sorted(names.items())), ()
    where = root / next(iter(files.values()))
    if len(set(points.values())) != 1:
        found = "no" if not points else "different"
        raise errors.UserError(
            f"{where}: the categories have {found} names under 'keypoints'; allowed "
            "are the same names in one or more of them. Fix: list the points of the "
            "category there, or read the file as coco/instances."
        )
    with_points = {id_: names[id_] for id_ in sorted(points)}
    return with_points, next(iter(points.values()))


def _keypoints(
    content: Content, chosen: np.ndarray, count: int, path: Path
) -> np.ndarray:
    """float32 [A, K, 3] of the chosen annotations; 0 where there are none."""
    points = np.zeros((len(chosen), count, 3), np.float64)
    for place in np.flatnonzero(chosen):
        row = content.keypoints[place]
        if not row:
            continue
        try:
            values = np.array(row, np.float64).reshape(count, 3)
        except (TypeError, ValueError):
            values = np.full((1, 3), -1.0)
        if not np.isin(values[:, 2], (0, 1, 2)).all():
            raise errors.UserError(
                f"{path}: annotations[{place}]: keypoints has {len(row)} values; "
                f"allowed are x, y and 0, 1 or 2 for each of {count} points. Fix: "
                "correct it."
            )
        points[place] = values
    return _labels.known_points(points, content.sizes[content.places][:, None])


def _by_image(
    content: Content,
    folder: PurePosixPath,
    chosen: np.ndarray,
    labels: Mapping[int, int],
    keypoints: np.ndarray | None,
) -> list[Record]:
    """A record per image with the chosen annotations in their order."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(content.places[rows], kind="stable")]
    borders = np.searchsorted(content.places[rows], np.arange(len(content.files) + 1))
    found = []
    for place, name in enumerate(content.files):
        mine = rows[borders[place] : borders[place + 1]]
        known = [labels[int(id_)] for id_ in content.category[mine]]
        found.append(
            Record(
                image=(folder / name).as_posix(),
                id=name,
                size=tuple(content.sizes[place].tolist()),
                boxes=content.boxes[mine],
                labels=np.array(known, np.int32),
                flags=content.crowd[mine],
                keypoints=None if keypoints is None else keypoints[mine],
            )
        )
    return found
