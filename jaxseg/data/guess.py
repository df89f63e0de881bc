"""What a user's folder holds: format, task, options and splits, by its files."""

import logging
import pprint
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, images
from jaxseg.data import sources
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import folder, lsp

MASKS = 60  # masks read to tell what their values mean
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
        keep="best",
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
            facts = sources.describe(name, root=root, options=options)
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
        "formats, `show NAME` says what each needs."
    )


def data_section(found: Guess, root: Path) -> dict[str, Any]:
    """The `data` of a training stage."""
    section: dict[str, Any] = {"name": found.name, "root": str(root.resolve())}
    if found.options:
        section["options"] = found.options
    section["size"] = training_size(found.facts)
    split = "train" if "train" in found.facts.splits else next(iter(found.facts.splits))
    if split != "train":
        section["split"] = split
    if validation(found) is None:
        section["part"] = "fit"
    return section


def config_text(found: Guess, root: Path, file: Path) -> str:
    """A config for `python -m jaxseg.main` that trains on the folder."""
    task: dict[str, Any] = {"name": found.task}
    if found.options.get("binary"):
        task["binary"] = True
    split = validation(found)
    own = {"split": "train", "part": "held_out"} if split is None else {"split": split}
    return CONFIG.format(
        doc=f"{root.name}, read as {found.name}, written by `jaxseg.data init`.",
        file=file,
        data=pprint.pformat(data_section(found, root), sort_dicts=False),
        task=pprint.pformat(task),
        evaluations=pprint.pformat({"validation": own}),
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
    for prefix, variant in (
        ("person_keypoints", "keypoints"),
        ("panoptic", "panoptic"),
        ("instances", "instances"),
    ):
        if any(root.glob(f"annotations/{prefix}_*.json")):
            yield f"coco/{variant}", {}, f"annotations/{prefix}_*.json"
    if any(root.glob("Annotations/*.xml")):
        yield "voc/boxes", {}, "Annotations/*.xml"
    if any(root.glob("*.yaml")) and _any(root / "labels", "*.txt"):
        yield "yolo/boxes", {}, "a YAML file and labels/*.txt"
    if (root / "trainannot").is_dir() and (root / "train.txt").is_file():
        yield "camvid/11", {}, "trainannot/ and train.txt, as in SegNet's CamVid"
    if _any(root, "depth"):
        yield "depth/folder", {}, "a folder depth/"
    yield from _masks(root)
    if _class_folders(root) and not _pairs(root):
        yield "image_folder/classes", {}, "a folder of images for each class"


def _masks(root: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """folder/segmentation with what some of the masks say of their values and sizes."""
    pairs = _pairs(root)
    if not pairs:
        return
    chosen = np.linspace(0, len(pairs) - 1, min(MASKS, len(pairs))).astype(int)
    values: set[int] = set()
    resize = False
    for image, mask in [pairs[i] for i in chosen]:
        ids = images.read_ids(root / mask)
        values.update(np.unique(ids).tolist())
        resize |= ids.shape != images.size(root / image)
    binary = len(values) == 2 and 0 in values
    options = {"binary": True} if binary else {}
    options |= {"mask_size": "resize"} if resize else {}
    shown = ", ".join(map(str, sorted(values)[:6])) + (", ..." * (len(values) > 6))
    reason = f"images and masks of the same names; masks hold {shown}"
    yield "folder/segmentation", options, reason


def _pairs(root: Path) -> list[tuple[str, str]]:
    """Images and masks that lie as folder/segmentation expects; [] where none do."""
    try:
        splits = folder.find_pairs(root, None, None)
    except errors.UserError as error:
        _log.info("%s", error)  # most folders hold no masks
        return []
    return [(i, m) for found in splits.values() for i, m in found if m is not None]


def _class_folders(root: Path) -> bool:
    """Whether images lie in CLASS/ or SPLIT/CLASS/, with two or more classes."""
    folders = root / "train" if (root / "train").is_dir() else root
    classes = {
        path.parent
        for path in folders.glob("*/*")
        if path.suffix.lower() in images.SUFFIXES
    }
    return len(classes) >= 2


def _any(root: Path, pattern: str) -> bool:
    """Whether a file of that name lies in `root` or up to two folders below it."""
    return any(any(root.glob(f"{below}{pattern}")) for below in BELOW)
