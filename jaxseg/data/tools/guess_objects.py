"""Finds boxes, keypoints and segments in a user's folder: COCO, VOC and YOLO files.

Each function yields (reader, its options, the reason for it), the likeliest first.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxseg.core import errors, image_files
from jaxseg.data.readers import (
    class_names,
    coco_files,
    coco_json,
    file_cache,
    folder_pairs,
    text_files,
)

Reading = tuple[str, dict[str, Any], str]
PREFIXES = {"person_keypoints": "keypoints"}  # of COCO's files: its variant
PREFIXES |= {name: name for name in ("panoptic", "instances")}
YAML = ("*.yaml", "*.yml")
_log = logging.getLogger(__name__)


def coco_readings(root: Path) -> Iterator[Reading]:
    """JSON files in COCO's format: under the official names, in root or below it."""
    for prefix, variant in PREFIXES.items():
        if any(root.glob(f"annotations/{prefix}_*.json")):
            yield f"coco/{variant}", {}, f"annotations/{prefix}_*.json"
    for prefix, variant in PREFIXES.items():
        for home in sorted({p.parent for p in root.glob(f"*/*/{prefix}_*.json")}):
            files = _by_split(sorted(home.glob(f"{prefix}_*.json")), root)
            where = home.relative_to(root).as_posix()
            yield f"coco/{variant}", {"annotations": files}, f"{where}/{prefix}_*.json"
    splits = sorted(root.glob("*/_annotations.coco.json"))  # Roboflow's
    splits += sorted(root.glob("annotations/*.json"))
    named = {s: f for s, f in _by_split(splits, root).items() if _points(root / f) >= 0}
    official = any(path.stem.startswith((*PREFIXES,)) for path in splits)
    if named and not official:
        points = max(_points(root / file) for file in named.values())
        variant = "coco/keypoints" if points else "coco/instances"
        yield variant, {"annotations": named}, ", ".join(named.values())
    for path in sorted(root.glob("*.json")):
        points = _points(path)
        if points >= 0:
            options = {"annotations": {"train": path.name}}
            yield "coco/keypoints" if points else "coco/instances", options, path.name


def voc_files(root: Path) -> Iterator[Reading]:
    """One XML file for each image, in a folder of any name."""
    if any(root.glob("Annotations/*.xml")) and (root / "JPEGImages").is_dir():
        yield "voc/boxes", _classes(root), "Annotations/*.xml"
        return
    homes = {path.parent for below in ("", "*/") for path in root.glob(f"{below}*.xml")}
    for home in sorted(home for home in homes if not home.name.startswith(".")):
        stems = {path.stem for path in home.glob("*.xml")}
        beside = [root, *(path for path in sorted(root.glob("*")) if path.is_dir())]
        shared = {path: len(stems & _stems(path)) for path in beside}
        best = max(beside, key=shared.__getitem__)
        if shared[best]:
            options = {
                "images": best.relative_to(root).as_posix(),
                "annotations": home.relative_to(root).as_posix(),
            }
            reason = f"{options['annotations']}/*.xml and {options['images']}/"
            yield "voc/boxes", options | _classes(root), reason


def yolo_files(root: Path) -> Iterator[Reading]:
    """Text files of numbers, with a YAML file or a list of names."""
    labels = any(any(root.glob(f"{p}labels/**/*.txt")) for p in ("", "*/"))
    yaml = [path for each in YAML for path in sorted(root.glob(each))]
    if yaml and labels:
        yield "yolo/boxes", {}, f"{yaml[0].name} and labels/*.txt"
    for path in [path for each in YAML for path in sorted(root.glob(f"*/{each}"))]:
        if any((path.parent / "labels").glob("**/*.txt")):
            home = path.parent.name
            options = {"names": f"{home}/{path.name}", "labels": f"{home}/labels"}
            yield "yolo/boxes", options, f"{home}/{path.name} and {home}/labels/*.txt"
    names = None if yaml else class_names.find(root)
    folders = _yolo_images(root) if names else {}
    if names and folders:
        options = {"images": folders, "classes": names.classes}
        yield "yolo/boxes", options, f"{names.file} and text files of numbers"


def _yolo_images(root: Path) -> dict[str, str]:
    """{split: folder of images} of a folder without a YAML file; {} if no text files
    of numbers belong to them.
    """
    splits = {
        split: f"images/{path.name}"
        for split, names in folder_pairs.SPLITS.items()
        for path in sorted(root.glob("images/*"))
        if path.is_dir() and path.name.lower().rstrip("0123456789") in names
    }
    home = "images" if (root / "images").is_dir() else "."
    folders = splits or {"train": home}
    for place in folders.values():
        labels = root / re.sub("^images", "labels", place)
        if any(_is_yolo(path) for path in sorted(labels.glob("*.txt"))):
            return folders
    return {}


def _is_yolo(path: Path) -> bool:
    """Whether a text file's first line is a class and four numbers or more."""
    try:
        first = text_files.read_text(path).partition("\n")[0].split()
    except errors.UserError as error:
        _log.info("%s", error)
        return False
    return len(first) >= 5 and all(re.fullmatch(r"[-+.\de]+", word) for word in first)


def _by_split(files: Sequence[Path], root: Path) -> dict[str, str]:
    """{split: file below root}, by the names of files or folders; the first of each."""
    splits: dict[str, str] = {}
    for path in files:
        words = re.split(r"[^a-z]+", f"{path.parent.name} {path.stem}".lower())
        for split in coco_files.SPLITS:
            if {*words} & {*folder_pairs.SPLITS[split]}:
                splits.setdefault(split, path.relative_to(root).as_posix())
    return {split: splits[split] for split in coco_files.SPLITS if split in splits}


def _points(path: Path) -> int:
    """How many categories of a COCO file have keypoints; -1 for another format."""
    try:
        return len(coco_json.read(file_cache.stamp(path)).points)
    except errors.UserError as error:
        _log.info("%s", error)
        return -1


def _classes(root: Path) -> dict[str, list[str]]:
    """The option `classes` if the folder has a list of names."""
    names = class_names.find(root)
    return {"classes": names.classes} if names else {}


def _stems(below: Path) -> set[str]:
    ends = image_files.SUFFIXES
    return {path.stem for path in below.glob("*") if path.suffix.lower() in ends}
