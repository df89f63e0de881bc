"""What a user's folder holds: format, task, options and splits, by its files."""

import dataclasses
import logging
import pprint
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, images
from jaxseg.data import sources
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import _coco as coco_file
from jaxseg.data.datasets import _csv, _labels, _pairs, coco, lsp, table
from jaxseg.data.datasets import _masks as masks_lib

MASKS = 60  # masks read to tell what their values mean
SPLIT_FOLDER = r"(train|val|test)(ing|idation|[_-]?\d+)?([_-].*)?"
BELOW = ("", "*/", "*/*/")  # how far below the folder files are looked for
TASKS = {  # the field that decides the task, the most telling first
    "keypoints": "keypoints",
    "boxes": "detection",
    "segmentation": "segmentation",
    "depth": "depth",
    "label": "classification",
}
LONG_SIDE, STEP = 256, 32  # of images without a training size: small enough to begin
CONFIG = '''"""{doc}

  python -m jaxseg.main --config={file} --plan
  python -m jaxseg.main --config={file}
"""

import sys
from pathlib import Path

import jaxseg

sys.path.insert(0, str(Path(jaxseg.__file__).parent.parent))  # where configs/ lies

from configs import common  # noqa: E402

DATA = {data}
TASK = {task}
EVALUATIONS = {evaluations}


def get_config(arg=""):
    """One model from random weights; `:steps=...,batch=...` changes how long."""
    arg = common.parse(arg, variant="tiny", steps=600, batch=16, lr=0.003)
    stage = common.train(
        DATA,
        task=TASK,
        model=common.hrnet(arg.variant, TASK["name"]),
        evaluations=EVALUATIONS,
        lr=arg.lr,
        steps=arg.steps,
        batch_size=arg.batch,
        eval_every=max(arg.steps // 10, 1),
        {keep},
        labels=[{{"setting": "own", "target": DATA["name"], "role": "target"}}],
    )
    return common.study("own", {{"model": stage}})
'''
_log = logging.getLogger(__name__)


class Guess(NamedTuple):
    """A reader that understands the folder."""

    name: str
    options: dict[str, Any]
    task: str
    facts: Dataset
    reason: str


def guess(root: Path) -> list[Guess]:
    """All readings of the folder, the likeliest first; UserError where none is."""
    if not root.is_dir():
        raise errors.UserError(f"{root}: not a folder. Fix: name one that exists.")
    found, refused = [], []
    for name, options, reason in _candidates(root):
        try:
            facts = _facts(name, root, options)
        except errors.UserError as error:
            refused.append(f"{name} ({reason}): {error}")
            continue
        found.append(Guess(name, options, _task(facts), facts, reason))
    if found:
        return found
    raise errors.UserError(
        "\n".join(refused)
        or f"{root}: found neither images with masks, depth maps or label files, nor a "
        "folder of images for each class. Fix: `python -m jaxseg.data list` names the "
        f"formats, `show NAME` says what each needs.{_no_masks(root)}"
    )


def _facts(name: str, root: Path, options: dict[str, Any]) -> Dataset:
    """The fact sheet with the splits that are there, as many as there are."""
    facts = sources.describe(name, root=root, options=options)
    if facts.own:
        return facts
    splits, why = {}, None
    for split in facts.splits:
        try:
            opened = sources.open(name, split=split, root=root, options=options)
            splits[split] = len(opened)
        except errors.UserError as error:
            why = error
    if why is not None and not splits:
        raise why
    return dataclasses.replace(facts, splits=splits)


def _no_masks(root: Path) -> str:
    """What folder/segmentation, which asks for the least, misses here."""
    try:
        _pairs.find_pairs(root, None, None)
    except errors.UserError as error:
        return f"\nAs folder/segmentation: {error}"
    return ""


def data_section(found: Guess, root: Path) -> dict[str, Any]:
    """The `data` of a training stage."""
    section: dict[str, Any] = {"name": found.name, "root": str(root.resolve())}
    if found.options:
        section["options"] = found.options
    section["size"] = training_size(found.facts)
    split = "train" if "train" in found.facts.splits else next(iter(found.facts.splits))
    if split != "train":
        section["split"] = split
    section["part"] = "fit"
    return section


def config_text(found: Guess, root: Path, file: Path) -> str:
    """A config for `python -m jaxseg.main` that trains on the folder."""
    task: dict[str, Any] = {"name": found.task}
    if found.options.get("binary"):
        task["binary"] = True
    data, split = data_section(found, root), validation(found)
    held_out = {"split": data.get("split", "train"), "part": "held_out"}
    keep = 'keep="last"'  # what is held out is reported, and may not choose as well
    evaluations = {"validation": held_out}
    if split is not None:
        keep = 'keep="best",\n        choose_by="held_out"'
        evaluations = {"validation": {"split": split}, "held_out": held_out}
    return CONFIG.format(
        doc=f"{root.name}, read as {found.name}, written by `jaxseg.data init`.",
        file=file,
        data=pprint.pformat(data, sort_dicts=False),
        task=pprint.pformat(task),
        evaluations=pprint.pformat(evaluations, sort_dicts=False),
        keep=keep,
    )


def validation(found: Guess) -> str | None:
    """The split to evaluate on; None: a part of the training split, held out."""
    known = [s for s in ("validation", "test") if s in found.facts.splits]
    return next((split for split in known if len(found.facts.splits) > 1), None)


def training_size(facts: Dataset) -> list[int]:
    """Height and width of the dataset, large ones reduced, in steps of 32."""
    height, width = facts.size or (LONG_SIDE // 2, LONG_SIDE // 2)
    share = min(1.0, LONG_SIDE / max(height, width))
    return [max(STEP, round(side * share / STEP) * STEP) for side in (height, width)]


def _task(facts: Dataset) -> str:
    return next(task for field, task in TASKS.items() if field in facts.fields)


def _candidates(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(reader, its options, what speaks for it), the most telling signs first."""
    if _any(root, "*.color.jpg") or _any(root, "*.color.png"):
        yield "seven_scenes/depth", {}, "files named N.color and N.depth"
    if (root / "joints.mat").is_file():
        name = "lsp/extended"
        yield name, {}, f"joints.mat, {len(lsp.JOINTS)} joints a person"
    if (root / "leftImg8bit").is_dir() and _any(root / "gtFine", "*_labelIds.png"):
        yield "cityscapes/19", {}, "leftImg8bit/ and gtFine/*_labelIds.png"
    if (root / "images/10k").is_dir() and (root / "labels/sem_seg/masks").is_dir():
        yield "bdd/19", {}, "images/10k/ and labels/sem_seg/masks/"
    yield from _coco(root)
    yield from _tables(root)
    if any(root.glob("Annotations/*.xml")):
        yield "voc/boxes", {}, "Annotations/*.xml"
    if any(root.glob("*.yaml")) and _any(root / "labels", "*.txt"):
        yield "yolo/boxes", {}, "a YAML file and labels/*.txt"
    for path in sorted(root.glob("*/*.yaml")):
        if _any(path.parent / "labels", "*.txt"):
            home = path.parent.name
            options = {"names": f"{home}/{path.name}", "labels": f"{home}/labels"}
            yield "yolo/boxes", options, f"{home}/{path.name} and {home}/labels/*.txt"
    if (root / "trainannot").is_dir() and (root / "train.txt").is_file():
        yield "camvid/11", {}, "trainannot/ and train.txt, as in SegNet's CamVid"
    if _any(root, "depth"):
        yield "depth/folder", {}, "a folder depth/"
    yield from _masks(root)
    if _class_folders(root) and not _matched(root):
        yield "image_folder/classes", {}, "a folder of images for each class"


def _coco(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """JSON files in COCO's format: under the official names, in root or below it."""
    variants = {"person_keypoints": "keypoints"}
    variants |= {name: name for name in ("panoptic", "instances")}
    for prefix, variant in variants.items():
        if any(root.glob(f"annotations/{prefix}_*.json")):
            yield f"coco/{variant}", {}, f"annotations/{prefix}_*.json"
    for prefix, variant in variants.items():
        for home in sorted({p.parent for p in root.glob(f"*/*/{prefix}_*.json")}):
            files = _by_split(sorted(home.glob(f"{prefix}_*.json")), root)
            where = home.relative_to(root).as_posix()
            yield f"coco/{variant}", {"annotations": files}, f"{where}/{prefix}_*.json"
    for path in sorted(root.glob("*.json")):
        try:
            points = coco_file.read(_labels.stamp(path)).points
        except errors.UserError as error:
            _log.info("%s", error)  # another format
            continue
        options = {"annotations": {"train": path.name}}
        yield "coco/keypoints" if points else "coco/instances", options, path.name


def _by_split(files: list[Path], root: Path) -> dict[str, str]:
    """{split: file below root}, by the names; the first of each."""
    found: dict[str, str] = {}
    for path in files:
        for split, name in coco.SPLITS.items():
            if f"_{name}" in path.stem:
                found.setdefault(split, path.relative_to(root).as_posix())
    return found


def _tables(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """CSV tables with a column of images, and one of what the images are to give."""
    first = min(root.glob("*.csv"), default=None)  # other splits have its columns
    if first is None:
        return
    try:
        columns = _csv.read(_labels.stamp(first)).columns
    except errors.UserError as error:
        _log.info("%s", error)  # no table
        return
    for variant, column in table.COLUMNS.items():
        if {"image", column} <= {*columns}:
            reason = f"{first.name} with the columns image and {column}"
            yield f"table/{variant}", {}, reason


def _masks(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """folder/segmentation with what some of the masks say of their values and sizes."""
    pairs = _matched(root)
    if not pairs:
        return
    chosen = np.linspace(0, len(pairs) - 1, min(MASKS, len(pairs))).astype(int)
    values: set[int] = set()
    resize = False
    for image, mask in [pairs[i] for i in chosen]:
        try:
            ids = images.read_ids(root / mask)
        except errors.UserError:  # said by the reader, of each mask
            yield from _color_masks(root)
            break
        values.update(np.unique(ids).tolist())
        resize |= ids.shape != images.size(root / image)
    binary = len(values) == 2 and 0 in values
    options = {"binary": True} if binary else {}
    options |= {"mask_size": "resize"} if resize else {}
    shown = ", ".join(map(str, sorted(values)[:6])) + (", ..." * (len(values) > 6))
    reason = "images and masks of the same names"
    reason += f"; masks hold {shown}" if shown else ""
    yield "folder/segmentation", options, reason


def _color_masks(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """folder/segmentation with the tables of colours that lie in the folder."""
    for path in sorted(root.glob("*")):
        if path.suffix.lower() in (".txt", ".csv"):
            try:
                masks_lib.color_table(path.name, root)
            except errors.UserError as error:
                _log.info("%s", error)  # a list of files, or notes
                continue
            reason = f"images and masks in the colours of {path.name}"
            yield "folder/segmentation", {"colors": path.name}, reason


def _matched(root: Path) -> list[tuple[str, str]]:
    """Images and masks that lie as folder/segmentation expects; [] where none do."""
    try:
        splits = _pairs.find_pairs(root, None, None)
    except errors.UserError as error:
        _log.info("%s", error)  # most folders hold no masks
        return []
    return [(i, m) for found in splits.values() for i, m in found if m is not None]


def _class_folders(root: Path) -> bool:
    """Whether images lie in CLASS/ or SPLIT/CLASS/, with two or more classes.

    Folders called like images, masks or splits, or with label files beside the images,
    are no classes.
    """
    folders = root / "train" if (root / "train").is_dir() else root
    classes = set()
    for path in folders.glob("*/*"):
        if path.suffix.lower() in images.SUFFIXES:
            classes.add(path.parent.name)
        elif path.suffix.lower() in (".json", ".xml", ".mat"):
            return False
    other = f"{_pairs.IMAGE_FOLDER}|{_pairs.MASK_FOLDER}|{SPLIT_FOLDER}"
    odd = any(re.fullmatch(other, name.lower()) for name in classes)
    return len(classes) >= 2 and not odd


def _any(root: Path, pattern: str) -> bool:
    """Whether a file of that name lies in `root` or up to two folders below it."""
    return any(any(root.glob(f"{below}{pattern}")) for below in BELOW)
