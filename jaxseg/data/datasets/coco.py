"""Objects, points, panoptic masks and image labels of COCO (Lin 2014, arXiv:1405.0312).

instances, keypoints and panoptic read any file in COCO's JSON format; those with
official names, annotations/{instances,person_keypoints,panoptic}_{train,val}*.json,
need no option. Classes are the categories of all splits in the order of their ids; an
unused id in between leaves no gap. `crowd` is iscrowd; `area` exists if any file has it
and is 0 if an annotation has none. Images without annotations are kept. Boxes are cut
at the image; those without an area left are dropped and their number is logged. Points
are pixels from the upper left corner; those outside become unknown.

The others are COCO 2017 itself, whose categories are checked. panoptic134 has void as
class 0, the background, as in the factors study; panoptic ignores void. classification
labels an image by the class that covers most of it, multilabel by all classes in it (1
or 0 per class, in `labels`); readers/coco_chairs.py describes chairs.
"""

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data import refusals
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import (
    class_names,
    coco_chairs,
    coco_files,
    coco_json,
    coco_labels,
    coco_names,
    coco_panoptic,
    file_cache,
    imagenet,
    labelled_images,
    objects,
)
from jaxseg.data.readers.coco_json import Content
from jaxseg.data.readers.objects import Record

OWN = {"domain": "own", "version": 1, "size": (256, 256), "splits": {}}
OWN["obtain"] = (
    "Your own images with a JSON file in COCO's format, or COCO 2017 from "
    "cocodataset.org; root is the folder that holds annotations/ and the images."
)
COCO = {"domain": "consumer", "version": 1, "size": (256, 256)}
COCO |= {"splits": {"train": 118287, "validation": 5000}}
COCO |= {"mean": imagenet.MEAN, "std": imagenet.STD}
COCO["licence"] = "CC BY 4.0 (annotations), Flickr's terms (images)"
COCO["obtain"] = (
    "Get train2017, val2017 and the annotations of COCO 2017 from cocodataset.org; "
    "root is the folder that holds annotations/, train2017/ and val2017/."
)
BOXES = ("image", "boxes", "box_labels", "crowd", "area")
THINGS = tuple(coco_names.THINGS.values())
OBJECTS = {"version": 2}  # since they have areas
DATASETS = {
    "instances": Dataset(fields=BOXES, **OWN | OBJECTS),
    "keypoints": Dataset(fields=(*BOXES, "keypoints"), **OWN | OBJECTS),
    "panoptic": Dataset(fields=("image", "segmentation"), **OWN),
    "boxes80": Dataset(fields=BOXES, classes=THINGS, **COCO | OBJECTS),
    "person17": Dataset(
        fields=(*BOXES, "keypoints"),
        classes=("person",),
        keypoints=coco_names.POINTS,
        flip_pairs=objects.flip_pairs(coco_names.POINTS),
        skeleton=objects.skeleton(coco_names.POINTS),
        **COCO | OBJECTS,
    ),
    "panoptic134": Dataset(
        fields=("image", "segmentation"),
        classes=("background", *coco_names.PANOPTIC.values()),
        background=0,
        **COCO,
    ),
    "chairs": Dataset(
        fields=("image", "segmentation"),
        classes=("background", "chair"),
        **COCO | {"size": (64, 64), "splits": {"train": 12774, "validation": 580}},
    ),
    "classification": Dataset(
        fields=("image", "label"),
        classes=THINGS,
        **COCO | {"size": (224, 224), "splits": {"train": 117266, "validation": 4952}},
    ),
    "multilabel": Dataset(
        fields=("image", "labels"), classes=THINGS, **COCO | {"size": (224, 224)}
    ),
}
PLACES = ("annotations", "images")
PREFIXES = dict.fromkeys(DATASETS, "instances")
PREFIXES |= dict.fromkeys(("keypoints", "person17"), "person_keypoints")
PREFIXES |= dict.fromkeys(("panoptic", "panoptic134"), "panoptic")
OFFICIAL = {
    "boxes80": coco_names.THINGS,
    "person17": {1: "person"},
    "panoptic134": coco_names.PANOPTIC,
    "classification": coco_names.THINGS,
    "multilabel": coco_names.THINGS,
}
Labelled = Record | coco_panoptic.Panoptic | coco_chairs.Chairs
Labelled |= labelled_images.Labelled | coco_labels.Several


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    annotations: Mapping[str, str] | None = None,
    images: Mapping[str, str] | str | None = None,
) -> Sequence[Labelled]:
    """The images of a split with their labels, in the order of the file.

    annotations: {split: JSON file below root}. images: their folder, or {split:
    folder}; None: searched by the name of the JSON file and beside it.
    """
    files = coco_files.find_files(PREFIXES[variant], root, annotations)
    contents = _read_all(variant, root, files)
    content = contents[split]
    folder = coco_files.find_images(
        root, files[split], content.files, coco_files.of_split(images, split)
    )
    if variant == "chairs":
        chairs = coco_chairs.read(file_cache.stamp(root / files[split]))
        return coco_chairs.place(chairs, folder)
    classes, points = _classes(variant, contents, files, root)
    if PREFIXES[variant] == "panoptic":
        void = 0 if variant == "panoptic134" else IGNORE
        return coco_panoptic.records(content, classes, files[split], folder, void)
    labels = {id_: label for label, id_ in enumerate(classes)}
    if variant == "classification":
        return coco_labels.dominant(content, folder, labels)
    if variant == "multilabel":
        return coco_labels.several(content, folder, labels)
    chosen = content.kept & np.isin(content.category, list(classes))
    keypoints = None
    if points:
        keypoints = _keypoints(content, chosen, len(points), root / files[split])
    return coco_json.ByImage(content, folder.as_posix(), chosen, labels, keypoints)


def parse(record: Labelled, root: Path, variant: str) -> Example:
    if PREFIXES[variant] == "panoptic":
        return coco_panoptic.parse(record, root)
    if variant == "chairs":
        return coco_chairs.parse(record, root)
    if variant == "classification":
        return labelled_images.parse(record, root)
    if variant == "multilabel":
        return coco_labels.parse_several(record, root)
    example = {
        "image": objects.read_image(record, root, "its entry in the JSON"),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "crowd": record.flags,
        "area": record.areas,
        "id": record.id,
    }
    if record.keypoints is not None:
        example["keypoints"] = record.keypoints
    return example


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits, classes and keypoints of the JSON files."""
    facts = DATASETS[variant]
    files = coco_files.find_files(PREFIXES[variant], root, options["annotations"])
    if variant in ("chairs", "classification"):  # not one record for each image
        splits = {
            split: len(records(variant, split, root, **options)) for split in files
        }
        return dataclasses.replace(facts, splits=splits)
    contents = _read_all(variant, root, files)
    splits = {split: len(content.files) for split, content in contents.items()}
    classes, points = _classes(variant, contents, files, root)
    if variant in OFFICIAL:
        return dataclasses.replace(facts, splits=splits)
    where = ", ".join(str(root / file) for file in files.values())
    known = any(getattr(c, "areas", np.zeros(0)).any() for c in contents.values())
    return dataclasses.replace(
        facts,
        fields=tuple(name for name in facts.fields if name != "area" or known),
        splits=splits,
        classes=class_names.check_names(classes, f"{where}: categories"),
        keypoints=points,
        flip_pairs=objects.flip_pairs(points),
        skeleton=objects.skeleton(points),
    )


def files(
    root: Path,
    *,
    annotations: Mapping[str, str] | None,
    images: Mapping[str, str] | str | None,
) -> tuple[set[str], set[str]]:
    """The images, and the JSON files and panoptic masks."""
    if annotations is not None:
        tables = [coco_files.find_files("instances", root, annotations)]
    else:  # of either variant
        tables = [
            coco_files.by_name(prefix, root) for prefix in sorted({*PREFIXES.values()})
        ]
    seen: set[str] = set()
    labels = {file for table in tables for file in table.values()}
    for split, file in [pair for table in tables for pair in table.items()]:
        stamp = file_cache.stamp(root / file)
        panoptic = coco_panoptic.is_panoptic(stamp)
        content = (coco_panoptic if panoptic else coco_json).read(stamp)
        folder = coco_files.find_images(
            root, file, content.files, coco_files.of_split(images, split)
        )
        seen.update(posixpath.join(folder, name) for name in content.files)
        if panoptic:
            beside = PurePosixPath(file).with_suffix("")
            labels.update(posixpath.join(beside, name) for name in content.masks)
    return seen, labels


def _read_all(variant: str, root: Path, files: Mapping[str, str]) -> dict[str, Any]:
    """{split: content} of the JSON files; refuses annotations that cannot be right."""
    module = coco_panoptic if PREFIXES[variant] == "panoptic" else coco_json
    contents = {s: module.read(file_cache.stamp(root / f)) for s, f in files.items()}
    problems = [p for c in contents.values() for p in getattr(c, "problems", ())]
    refusals.refuse(*map(errors.UserError, problems))
    return contents


def _classes(
    variant: str,
    contents: Mapping[str, Any],
    files: Mapping[str, str],
    root: Path,
) -> tuple[dict[int, str], tuple[str, ...]]:
    """{category id: name} of all splits, sorted, and the names of the
    keypoints; for keypoints only categories that have some.
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
        points |= getattr(content, "points", {})
    if PREFIXES[variant] != "person_keypoints":
        names = dict(sorted(names.items()))
        _check_official(variant, names, root)
        return names, ()
    where = root / next(iter(files.values()))
    if len(set(points.values())) != 1:
        which = "no" if not points else "different"
        raise errors.UserError(
            f"{where}: the categories have {which} names under 'keypoints'; allowed "
            "are the same names in one or more of them. Fix: list the points of the "
            "category there, or read the file as coco/instances."
        )
    with_points = {id_: names[id_] for id_ in sorted(points)}
    point_names = next(iter(points.values()))
    _check_official(variant, with_points, root, point_names)
    return with_points, point_names


def _check_official(
    variant: str, names: Mapping[int, str], root: Path, points: tuple[str, ...] = ()
) -> None:
    """UserError for other data in place of a variant of COCO itself."""
    expected = OFFICIAL.get(variant, names)
    if names == expected and points in ((), DATASETS[variant].keypoints or points):
        return
    odd = sorted({*names.items()} ^ {*expected.items()})
    raise errors.UserError(
        f"{root}: coco/{variant} has the {len(expected)} categories of COCO 2017 and "
        f"its points; found {len(names)} categories, for example {odd[:2] or points}. "
        "Fix: read your own files as coco/instances, coco/keypoints or coco/panoptic."
    )


def _keypoints(
    content: Content, chosen: np.ndarray, count: int, path: Path
) -> np.ndarray:
    """float32 [A, K, 3] of the chosen annotations; 0 where an object has none."""
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
    return objects.known_points(points, content.sizes[content.places][:, None])
