"""Boxes in Pascal VOC's layout (Everingham 2010): one XML file per image.

Annotations/NAME.xml belongs to JPEGImages/NAME.jpg. Splits are train.txt, val.txt,
test.txt and trainval.txt in ImageSets/Main, a name first in each line; without them a
fifth is for validation, drawn with seed 0 from the sorted names. Pixels in the files
count from 1 and a box includes its last one, so x0 - 1, y0 - 1 is its upper left corner
and x1, y1 its lower right one. Boxes with xmax <= xmin or ymax <= ymin are clicks, not
boxes: they, and those without an area inside the image, are dropped and logged.

`boxes` is a user's folder, with its own splits and classes; `detection2007` is
VOC 2007 itself. The variants with masks are VOC 2012, in `voc_masks.py`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import defusedxml
import numpy as np
from defusedxml import ElementTree

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import refusals, subsets
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import (
    class_names,
    file_cache,
    imagenet,
    listing,
    objects,
    text_files,
    voc_masks,
)
from jaxseg.data.readers.objects import Record

DATASETS = {
    "boxes": Dataset(
        fields=("image", "boxes", "box_labels", "difficult"),
        domain="own",
        splits={},
        version=1,
        size=(256, 256),
        obtain="Your own folder in Pascal VOC's layout, or VOC 2007 or 2012 from "
        "host.robots.ox.ac.uk/pascal/VOC; root is the folder that holds Annotations/.",
        protocol={"detection": {"protocol": "voc"}},
    ),
    "detection2007": Dataset(
        fields=("image", "boxes", "box_labels", "difficult"),
        domain="consumer",
        splits={"train": 2501, "validation": 2510, "trainval": 5011, "test": 4952},
        version=1,
        size=(512, 512),
        classes=voc_masks.CLASSES,
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="VOC 2007 terms (Flickr)",
        obtain="Get VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar of "
        "host.robots.ox.ac.uk/pascal/VOC/voc2007; root is VOCdevkit/VOC2007.",
        protocol={"detection": {"protocol": "voc", "nms": 0.3}},
    ),
} | voc_masks.DATASETS
CLASSES_FROM = {"boxes": "names"}
PLACES = ("images", "annotations")
LISTS = {"train": "train", "validation": "val", "test": "test", "trainval": "trainval"}
MASKS = ("SegmentationClass", "SegmentationClassAug")
SIDES = ("xmin", "ymin", "xmax", "ymax")


class Annotation(NamedTuple):
    """The used content of one XML file."""

    size: tuple[int, int] | None  # height, width; None if missing
    names: tuple[str, ...]
    corners: tuple[tuple[float, ...], ...]  # as in the file
    difficult: tuple[bool, ...]


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    classes: Sequence[str] = (),
    images: str = "JPEGImages",
    annotations: str = "Annotations",
) -> Sequence[Record | voc_masks.Labelled | voc_masks.OfOne]:
    """The images of a split with their objects, in the order of its list.

    classes: names in the order of their ids; (): those of the files, sorted. images,
    annotations: the folders of the images and of the XML files, which may be one. All
    three are for `boxes` and `detection2007`, whose classes are fixed.
    """
    if variant in voc_masks.DATASETS:
        return voc_masks.records(variant, split, root)
    classes = DATASETS[variant].classes or classes
    splits = find_splits(root, annotations)
    contents = _read_all(root, annotations, _union(splits))
    labels = {name: i for i, name in enumerate(_classes(classes, contents, root))}
    files = listing.below(root, images)
    chosen = {name: f"{annotations}/{name}.xml" for name in splits[split]}
    if _lists(root):  # without lists all images count, and each needs an annotation
        files = {name: file for name, file in files.items() if name in chosen}
    else:
        chosen |= {
            n: f"{annotations}/{n}.xml" for names in splits.values() for n in names
        }
    listing.matched(root, files, chosen, "XML")
    made, dropped = [], []
    whole = [name for name in splits[split] if name in contents and name in files]
    for name in whole:
        where = str(root / annotations / f"{name}.xml")
        record, lost = _record(files[name], where, contents[name], labels, root)
        made.append(record)
        dropped += [files[name]] * lost
    total = sum(len(contents[name].names) for name in whole)
    if dropped:
        objects.report_dropped(len(dropped), total, root / annotations, dropped[0])
    return made


def parse(
    record: Record | voc_masks.Labelled | voc_masks.OfOne, root: Path, variant: str
) -> Example:
    if variant in voc_masks.DATASETS:
        return voc_masks.parse(record, root)
    return {
        "image": objects.read_image(record, root, "<size> of its XML"),
        "boxes": record.boxes,
        "box_labels": record.labels,
        "difficult": record.flags,
        "id": record.id,
    }


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts; for boxes with the splits and classes of this folder."""
    facts = DATASETS[variant]
    if variant in voc_masks.DATASETS:
        return voc_masks.describe(variant, root)
    splits = find_splits(root, options["annotations"])
    contents = _read_all(root, options["annotations"], _union(splits))
    return dataclasses.replace(
        facts,
        splits={split: len(names) for split, names in splits.items()},
        classes=_classes(facts.classes or options["classes"], contents, root),
    )


def files(
    root: Path, *, images: str, annotations: str, **_: Any
) -> tuple[list[str], list[str]]:
    """The images, and the XML files and lists."""
    labels = [*root.glob(f"{annotations}/*.xml"), *root.glob("ImageSets/*/*.txt")]
    there = root.glob(f"{images}/*")
    seen = [path for path in there if path.suffix.lower() in image_files.SUFFIXES]
    return tuple(
        [path.relative_to(root).as_posix() for path in paths]
        for paths in (seen, labels)
    )


def find_splits(root: Path, annotations: str) -> dict[str, list[str]]:
    """{split: names}, from the lists or drawn."""
    folder = root / annotations
    every = sorted(path.stem for path in folder.glob("*.xml"))
    if not every:
        raise errors.UserError(
            f"{folder}: found no XML files; allowed is Pascal VOC's layout with one "
            "per image. Fix: correct root=DIR or the option annotations."
        )
    lists = _lists(root)
    if not lists:
        return subsets.drawn_splits(every, folder)
    splits, known = {}, set(every)
    for split, path in lists.items():
        splits[split] = text_files.read_lines(path)
        lost = [name for name in splits[split] if name not in known]
        if lost:
            error = errors.UserError(
                f"{path}: {len(lost)} of {len(splits[split])} names have no XML file "
                f"in {folder}: {_some(lost)}. Fix: add it or remove the line."
            )
            refusals.refuse(error)
            splits[split] = [name for name in splits[split] if name in known]
    return splits


def _lists(root: Path) -> dict[str, Path]:
    """{split: file} of the lists that exist."""
    folder = root / "ImageSets/Main"
    paths = {split: folder / f"{name}.txt" for split, name in LISTS.items()}
    return {split: path for split, path in paths.items() if path.is_file()}


def _union(splits: dict[str, list[str]]) -> list[str]:
    return sorted({name for names in splits.values() for name in names})


def _classes(
    given: Sequence[str], contents: dict[str, Annotation], root: Path
) -> tuple[str, ...]:
    """The given classes, or those of the files, sorted; UserError for unlisted ones."""
    first: dict[str, str] = {}
    for file, content in contents.items():
        for name in content.names:
            first.setdefault(name, file)
    if not given:
        return class_names.check_names({n: n for n in sorted(first)}, f"{root}: <name>")
    unknown = [
        errors.UserError(
            f"{root}: {first[name]}.xml: <name> is {name!r}; allowed are the classes "
            f"{', '.join(given)}. Fix: correct the file, or add it to the option "
            "classes and to the file of names."
        )
        for name in sorted(set(first) - set(given))
    ]
    refusals.refuse(*unknown)
    return class_names.check_names({n: n for n in given}, f"{root}: option classes")


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > refusals.NAMED else ""
    return ", ".join(map(repr, names[: refusals.NAMED])) + more


def _record(
    image: str, where: str, content: Annotation, labels: dict[str, int], root: Path
) -> tuple[Record, int]:
    """The record of one image, and how many of its boxes were dropped.

    where: the XML file.
    """
    corners = np.array(content.corners, np.float64).reshape(-1, 4)
    upright = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    turned = objects.turned(corners)
    corners[:, :2] -= 1
    size = content.size or listing.header_size(root / image)
    boxes, kept = objects.cut_boxes(corners, size or (1, 1))
    kept &= upright
    far = objects.odd_boxes(corners, size) if size else np.zeros_like(kept)
    odd = (turned | kept & far) if size else far
    for place in np.flatnonzero(odd)[:1]:
        refusals.refuse(objects.odd_box(where, content.corners[place], size))
    known = np.array([labels.get(name, -1) for name in content.names], np.int32)
    difficult = np.array(content.difficult, bool)
    dropped = int((~kept & ~odd).sum()) if size else 0  # parse refuses an unread image
    kept &= ~far & (known >= 0)
    id_ = Path(where).stem
    record = Record(image, id_, size, boxes[kept], known[kept], difficult[kept])
    return record, dropped


def _read_all(root: Path, annotations: str, names: list[str]) -> dict[str, Annotation]:
    """{name: content}; refuses files that cannot be read."""
    contents, problems = {}, []
    for name in names:
        try:
            contents[name] = read(file_cache.stamp(root / annotations / f"{name}.xml"))
        except errors.UserError as error:
            problems.append(error)
    refusals.refuse(*problems)
    return contents


@file_cache.of_file(maxsize=1 << 16)
def read(file: tuple[str, int, int]) -> Annotation:
    """The objects of the XML file with this stamp."""
    path = Path(file[0])
    try:
        tree = ElementTree.fromstring(path.read_bytes())
    except defusedxml.DefusedXmlException as error:
        raise errors.UserError(
            f"{path}: refused: it defines entities ({type(error).__name__}), which no "
            "annotation needs and which can fill the memory. Fix: replace the file."
        ) from None
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise errors.UserError(
            f"{path}: not whole XML ({error}). Fix: replace the file."
        ) from None
    entries = tree.findall("object")
    size = [tree.findtext(f"size/{key}", "0") for key in ("height", "width")]
    size = tuple(text_files.whole(n.strip()) or 0 for n in size)
    return Annotation(
        size=size if min(size) > 0 else None,
        names=tuple(_name(entry, path) for entry in entries),
        corners=tuple(_corners(entry, path) for entry in entries),
        difficult=tuple(
            entry.findtext("difficult", "0").strip() == "1" for entry in entries
        ),
    )


def _name(entry: Any, path: Path) -> str:
    name = entry.findtext("name", "").strip()
    if not name:
        raise errors.UserError(
            f"{path}: an <object> has no <name>; allowed is the name of its class. "
            "Fix: add it."
        )
    return name


def _corners(entry: Any, path: Path) -> tuple[float, ...]:
    """xmin, ymin, xmax, ymax as in the file."""
    texts = [entry.findtext(f"bndbox/{side}", "") for side in SIDES]
    try:
        return tuple(float(text) for text in texts)
    except ValueError:
        raise errors.UserError(
            f"{path}: <bndbox> of a {entry.findtext('name', '')!r} holds {texts}; "
            f"allowed are numbers for {', '.join(SIDES)}. Fix: correct them."
        ) from None
