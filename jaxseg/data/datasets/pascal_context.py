"""Pascal Context, things and stuff in VOC 2010 (Mottaghi et al., CVPR 2014).

root is VOCdevkit/VOC2010 with JPEGImages/ and ImageSets/Main/{train,val}.txt, and what
trainval.tar.gz of the annotations holds: trainval/NAME.mat, ids of 459 classes in
`LabelMap`, and labels.txt with their names, `ID: NAME` per line. 59 of them are classes
here, found by name; all others are background.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import file_cache, mat_files, text_files

_CLASSES = """
    aeroplane bicycle bird boat bottle bus car cat chair cow table dog horse motorbike
    person pottedplant sheep sofa train tvmonitor bag bed bench book building cabinet
    ceiling cloth computer cup door fence floor flower food grass ground keyboard light
    mountain mouse curtain platform sign plate road rock shelves sidewalk sky snow
    bedclothes track tree truck wall water window wood
"""
CLASSES = tuple(_CLASSES.split())
LISTS = {"train": "train", "validation": "val"}
FACTS = dict(
    fields=("image", "segmentation"),
    domain="consumer",
    splits={"train": 4998, "validation": 5105},
    version=1,
    size=(420, 420),  # section 4.1 of the factors paper
    licence="VOC 2010 terms (Flickr), annotations for research",
    obtain="Get VOC2010 of host.robots.ox.ac.uk/pascal/VOC/voc2010, trainval.tar.gz of "
    "cs.stanford.edu/~roozbeh/pascal-context; root is VOCdevkit/VOC2010 with "
    "trainval/ and labels.txt put into it.",
)
DATASETS = {
    "60": Dataset(classes=("background", *CLASSES), background=0, **FACTS),
    "59": Dataset(
        classes=CLASSES,
        ids={0: IGNORE} | {n: n - 1 for n in range(1, len(CLASSES) + 1)},
        **FACTS,
    ),
}


def records(variant: str, split: str, root: Path) -> Sequence[str]:
    """The names of the images, in the order of the list."""
    return text_files.read_lines(root / f"ImageSets/Main/{LISTS[split]}.txt")


def parse(record: str, root: Path, variant: str) -> Example:
    (image,), labels = reads(record, root, variant)
    path, names = (root / name for name in labels)
    table = _table(file_cache.stamp(names))
    raw = np.asarray(mat_files.read(path, ("LabelMap",))["LabelMap"]).astype(np.int64)
    if raw.min() < 0 or raw.max() >= len(table):
        raise errors.UserError(
            f"{path}: LabelMap holds ids {raw.min()} to {raw.max()}; allowed are 0 to "
            f"{len(table) - 1}, as in labels.txt. Fix: get the official file again."
        )
    return {
        "image": image_files.read(root / image),
        "segmentation": table[raw],
        "id": record,
    }


def reads(record: str, root: Path, variant: str) -> tuple[Sequence[str], Sequence[str]]:
    """The image; its labels and the names of all labels."""
    return [f"JPEGImages/{record}.jpg"], [f"trainval/{record}.mat", "labels.txt"]


@file_cache.of_file(maxsize=8)
def _table(file: tuple[str, int, int]) -> np.ndarray:
    """int32 [ids], the class of the 60 of each id of labels.txt."""
    path = Path(file[0])
    names = {}
    for number, line in enumerate(text_files.read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        id_, colon, name = line.partition(":")
        raw = text_files.whole(id_.strip())
        if not colon or raw is None:
            raise errors.UserError(
                f"{path}:{number}: found {line!r}; allowed is `ID: NAME`. Fix: get the "
                "official file again."
            )
        names[name.strip()] = raw
    missing = [name for name in CLASSES if name not in names]
    if missing:
        raise errors.UserError(
            f"{path}: found {len(names)} names without {', '.join(missing[:8])}; "
            "allowed are the 459 official ones. Fix: get the official file again."
        )
    table = np.zeros(max(names.values()) + 1, np.int32)
    for label, name in enumerate(CLASSES, 1):
        table[names[name]] = label
    return table
