"""Virtual Gallery, a museum drawn by a game engine (Weinzaepfel et al., CVPR 2019).

{training,testing}/LOOP/frames/{rgb,classsegmentation,depth}/camera_N/..., files as in
Virtual KITTI 2. Table 1 of the factors study counts 8 classes; these are the 10 of its
code.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import vkitti

CLASSES = {
    "Background": (0, 0, 0),
    "Wall": (255, 127, 80),
    "Ceiling": (255, 248, 220),
    "Sky": (0, 255, 255),
    "Door": (189, 183, 107),
    "Light": (230, 230, 250),
    "Floor": (233, 150, 122),
    "Misc": (80, 80, 80),
    "Painting": (128, 0, 0),
    "Human": (0, 255, 0),
}
FOLDERS = {"train": "training", "validation": "testing"}
COMMON = dict(
    domain="synthetic",
    splits={"train": 44000, "validation": 12000},  # rounded; `describe` counts
    version=1,
    size=(512, 912),
    mean=(101.411, 90.075, 65.353),  # from the code of the factors study
    std=(73.362, 74.664, 75.366),
    licence="CC BY-NC-SA 3.0",
    obtain="Get Virtual Gallery at europe.naverlabs.com; root is the folder that holds "
    "training/ and testing/.",
)
DATASETS = {
    "segmentation": Dataset(
        fields=("image", "segmentation"),
        classes=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        background=0,
        **COMMON,
    ),
    "depth": Dataset(
        fields=("image", "depth"), protocol={"depth": {"maximum": 15.0}}, **COMMON
    ),
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, label) paths below `root`, sorted."""
    above = f"{FOLDERS[split]}/*"
    return vkitti.pairs(root, above, variant, folder="classsegmentation")


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return vkitti.read(record, root, variant, CLASSES)


def describe(variant: str, root: Path, **_: Any) -> Dataset:
    """The variant's facts with the number of frames in the folder."""
    facts = DATASETS[variant]
    splits = {split: len(records(variant, split, root)) for split in FOLDERS}
    return dataclasses.replace(facts, splits=splits)
