"""Guesses the format, task, options and splits of a user's folder from its files."""

import dataclasses
import logging
import pprint
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxseg.core import errors, image_files, lookup, paths
from jaxseg.data import catalogue, refusals
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import lsp, table
from jaxseg.data.readers import (
    csv_tables,
    file_cache,
    folder_pairs,
    mask_files,
    mask_ids,
)
from jaxseg.data.tools import guess_masks, guess_objects

SPLIT_FOLDER = r"(train|val|test)(ing|idation|[_-]?\d+)?([_-].*)?"
BELOW = ("", "*/", "*/*/")  # how deep below the folder files are searched
TASKS = {  # the field that decides the task, the most specific first
    "keypoints": "keypoints",
    "boxes": "detection",
    "segmentation": "segmentation",
    "depth": "depth",
    "label": "classification",
}
LONG_SIDE, STEP = 256, 32  # of images without a training size: small enough for a start
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
        model=common.model(arg.variant, TASK["name"]),
        evaluations=EVALUATIONS,
        lr=arg.lr,
        steps=arg.steps,
        batch_size=arg.batch,
        eval_every=None,
        {keep},
        columns=[{{"setting": "own", "target": DATA["name"], "role": "target"}}],
    )
    return common.study({study!r}, {{"model": stage}})
'''
_log = logging.getLogger(__name__)


class Guess(NamedTuple):
    """A reader that can read the folder, and its options."""

    name: str
    options: dict[str, Any]
    task: str
    facts: Dataset
    reason: str
    problems: tuple[errors.UserError, ...]  # errors of single files


def guess(root: Path, given: Mapping[str, Any] | None = None) -> list[Guess]:
    """All readings of the folder, the likeliest first.

    UserError if there is none, or if a file makes the likeliest one impossible.
    """
    guesses = readings(root, given)
    if guesses[0].problems:
        raise errors.UserError(
            f"{refusals.joined(guesses[0].problems)}\n"
            f"`python -m jaxseg.data check {root}` lists all that is wrong."
        )
    return guesses


def readings(root: Path, given: Mapping[str, Any] | None = None) -> list[Guess]:
    """`guess`, with the errors of single files in `problems`.

    given: options of the reader; they override those that the folder suggests.
    """
    outside = bool((given or {}).get(catalogue.OUTSIDE))
    if not root.is_dir():
        raise no_folder(str(root))
    guesses, refused, before, notes = [], [], dict(refusals.notes), {}
    with refusals.setting_aside() as noted:
        for name, options, reason in candidates(paths.root(root, outside=outside)):
            options = options | dict(given or {})
            refusals.notes.clear()
            try:
                facts = describe(name, root, options)
            except errors.UserError as error:
                refused.append(f"{name} ({reason}): {error}")
            else:
                problems = tuple(noted.values())
                notes = notes if guesses else dict(refusals.notes)
                guesses.append(
                    Guess(name, options, _task(facts), facts, reason, problems)
                )
            noted.clear()
    refusals.notes.clear()  # notes of other formats do not matter
    refusals.notes.update(before | notes)
    if guesses:
        return guesses
    raise errors.UserError(
        "\n".join(refused)
        or f"{root}: found neither images with masks, depth maps or label files, nor a "
        "folder of images for each class. Fix: `python -m jaxseg.data list` names the "
        f"formats, `show NAME` says what each needs.{_no_masks(root)}"
    )


def no_folder(name: str) -> errors.UserError:
    """The error for a missing folder; suggests one of a similar name beside it."""
    path = Path(name)
    there = [each for each in path.parent.glob("*") if each.is_dir()]
    close = lookup.did_you_mean(path.name, [each.name for each in there])
    return errors.UserError(
        f"{name}: no such folder. Fix: name one that exists.{close}"
    )


def no_such_name(name: str) -> errors.UserError:
    """The error for a name that is neither a folder nor a data set."""
    above, below = Path(name).expanduser().parent, name.count("/") > 0
    if below and (name.count("/") > 1 or name[0] in "/.~" or above.is_dir()):
        return no_folder(name)
    try:
        catalogue.find(name)
    except errors.UserError as error:
        return errors.UserError(f"{name}: no such folder, and {error}")
    raise AssertionError(name)


def describe(name: str, root: Path, options: dict[str, Any]) -> Dataset:
    """The fact sheet with the splits that the folder has and their sizes."""
    facts = catalogue.describe(name, root=root, options=options)
    if facts.own:
        return facts
    splits, why = {}, None
    for split in facts.splits:
        try:
            opened = source_lib.open(name, split=split, root=root, options=options)
            splits[split] = len(opened)
        except errors.UserError as error:
            why = error
    if why is not None and not splits:
        raise why
    return dataclasses.replace(facts, splits=splits)


def _no_masks(root: Path) -> str:
    """Why folder/segmentation, which requires the least, cannot read the folder."""
    try:
        folder_pairs.find_pairs(root, None, None)
    except errors.UserError as error:
        return f"\nAs folder/segmentation: {error}"
    return ""


def data_section(reading: Guess, root: Path) -> dict[str, Any]:
    """The `data` of a training stage."""
    section: dict[str, Any] = {"name": reading.name, "root": str(root.resolve())}
    if reading.options:
        section["options"] = reading.options
    section["size"] = training_size(reading.facts)
    split = (
        "train" if "train" in reading.facts.splits else next(iter(reading.facts.splits))
    )
    if split != "train":
        section["split"] = split
    section["part"] = "train"
    return section


def config_text(reading: Guess, root: Path, file: Path) -> str:
    """A config for `python -m jaxseg.main` that trains on the folder."""
    task: dict[str, Any] = {"name": reading.task}
    if reading.options.get("binary"):
        task["binary"] = True
    data, split, study = data_section(reading, root), validation(reading), slug(root)
    holdout = {"split": data.get("split", "train"), "part": "holdout"}
    keep = 'keep="last"'  # the holdout part is reported, so it may not choose as well
    evaluations = {"validation": holdout}
    if split is not None:
        keep = 'keep="best",\n        choose_by="holdout"'
        evaluations = {"validation": {"split": split}, "holdout": holdout}
    return CONFIG.format(
        doc=f"{study}, read as {reading.name}, written by `jaxseg.data init`.",
        study=study,
        file=shlex.quote(str(file)),
        data=pprint.pformat(data, sort_dicts=False),
        task=pprint.pformat(task),
        evaluations=pprint.pformat(evaluations, sort_dicts=False),
        keep=keep,
    )


def slug(root: Path) -> str:
    """The name of a folder in the characters of a study's name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", root.resolve().name)
    return name.strip("_-") or "own"


def validation(reading: Guess) -> str | None:
    """The split to evaluate on; None: the holdout part of the training split."""
    known = [s for s in ("validation", "test") if s in reading.facts.splits]
    return next((split for split in known if len(reading.facts.splits) > 1), None)


def training_size(facts: Dataset) -> list[int]:
    """Height and width of the data set, large ones reduced, in steps of 32."""
    height, width = facts.size or (LONG_SIDE // 2, LONG_SIDE // 2)
    share = min(1.0, LONG_SIDE / max(height, width))
    return [max(STEP, round(side * share / STEP) * STEP) for side in (height, width)]


def _task(facts: Dataset) -> str:
    return next(task for field, task in TASKS.items() if field in facts.fields)


def candidates(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(reader, its options, the reason for it), the strongest reason first."""
    if _any(root, "*.color.jpg") or _any(root, "*.color.png"):
        yield "seven_scenes/depth", {}, "files named N.color and N.depth"
    if (root / "joints.mat").is_file():
        name = "lsp/extended"
        yield name, {}, f"joints.mat, {len(lsp.JOINTS)} joints a person"
    if (root / "leftImg8bit").is_dir() and _any(root / "gtFine", "*_labelIds.png"):
        yield "cityscapes/19", {}, "leftImg8bit/ and gtFine/*_labelIds.png"
    if (root / "images/10k").is_dir() and (root / "labels/sem_seg/masks").is_dir():
        yield "bdd/19", {}, "images/10k/ and labels/sem_seg/masks/"
    yield from guess_objects.coco_readings(root)
    yield from _tables(root)
    yield from guess_objects.voc_files(root)
    yield from guess_objects.yolo_files(root)
    if (root / "trainannot").is_dir() and (root / "train.txt").is_file():
        yield "camvid/11", {}, "trainannot/ and train.txt, as in SegNet's CamVid"
    if _any(root, "depth"):
        yield "depth/folder", {}, "a folder depth/"
    yield from _masks(root)
    if _class_folders(root) and not matched(root):
        yield "image_folder/classes", {}, "a folder of images for each class"


def _tables(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """CSV tables with a column of images and one of targets."""
    first = min(root.glob("*.csv"), default=None)  # other splits have the same columns
    if first is None:
        return
    try:
        columns = csv_tables.read(file_cache.stamp(first)).columns
    except errors.UserError as error:
        _log.info("%s", error)  # no table
        return
    for variant, column in table.COLUMNS.items():
        if {"image", column} <= {*columns}:
            reason = f"{first.name} with the columns image and {column}"
            yield f"table/{variant}", {}, reason


def _masks(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """folder/segmentation with options by the values and sizes of the masks."""
    pairs = matched(root)
    if not pairs:
        return
    try:
        held = mask_ids.ids_in([mask for _, mask in pairs], root)
    except errors.UserError as error:  # the reader raises it for each mask
        _log.info("%s", error)
        held = [frozenset()] * len(pairs)
    if 2 * sum(not ids for ids in held) > len(held):
        yield from _color_masks(root)
        yield "folder/segmentation", {}, "images and masks of the same names"
    else:
        yield "folder/segmentation", *guess_masks.options(root, pairs, held)


def _color_masks(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """folder/segmentation with each table of colours in the folder."""
    for path in sorted(root.glob("*")):
        if path.suffix.lower() in (".txt", ".csv"):
            try:
                mask_files.color_table(path.name, root)
            except errors.UserError as error:
                _log.info("%s", error)  # a list of files, or notes
                continue
            reason = f"images and masks in the colours of {path.name}"
            yield "folder/segmentation", {"colors": path.name}, reason


def matched(root: Path) -> list[tuple[str, str]]:
    """Pairs of image and mask as folder/segmentation expects them, perhaps none."""
    try:
        splits = folder_pairs.find_pairs(root, None, None)
    except errors.UserError as error:
        _log.info("%s", error)  # most folders hold no masks
        return []
    return [(i, m) for pairs in splits.values() for i, m in pairs if m is not None]


def _class_folders(root: Path) -> bool:
    """Whether images lie in CLASS/ or SPLIT/CLASS/, with two or more classes.

    Folders with names of images, masks or splits, or with label files beside the
    images, are no classes.
    """
    folders = root / "train" if (root / "train").is_dir() else root
    classes = set()
    for path in folders.glob("*/*"):
        if path.suffix.lower() in image_files.SUFFIXES:
            classes.add(path.parent.name)
        elif path.suffix.lower() in (".json", ".xml", ".mat"):
            return False
    other = f"{folder_pairs.IMAGE_FOLDER}|{folder_pairs.MASK_FOLDER}|{SPLIT_FOLDER}"
    odd = any(re.fullmatch(other, name.lower()) for name in classes)
    return len(classes) >= 2 and not odd


def _any(root: Path, pattern: str) -> bool:
    """Whether a file of that name lies in `root` or up to two folders below it."""
    return any(any(root.glob(f"{below}{pattern}")) for below in BELOW)
