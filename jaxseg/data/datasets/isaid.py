"""iSAID, objects in aerial images (Waqas Zamir et al., CVPR Workshops 2019).

{train,val}/images/ hold P0000.png and P0000_instance_color_RGB.png, in which a colour
is a class. Both are cut into tiles by the devkit's rule; as in the devkit, P1527
and P1530 are left out. Train and validation are different images.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import listing, mask_files, tiles
from jaxseg.data.readers.tiles import Tile

CLASSES = {
    "background": (0, 0, 0),
    "ship": (0, 0, 63),
    "storage_tank": (0, 63, 63),
    "baseball_diamond": (0, 63, 0),
    "tennis_court": (0, 63, 127),
    "basketball_court": (0, 63, 191),
    "ground_track_field": (0, 63, 255),
    "bridge": (0, 127, 63),
    "large_vehicle": (0, 127, 127),
    "small_vehicle": (0, 0, 127),
    "helicopter": (0, 0, 191),
    "swimming_pool": (0, 0, 255),
    "roundabout": (0, 191, 127),
    "soccer_ball_field": (0, 127, 191),
    "plane": (0, 127, 255),
    "harbor": (0, 100, 155),
}
IDS = {color: i for i, color in enumerate(CLASSES.values())}
FOLDERS = {"train": "train", "validation": "val"}
SKIPPED = ("P1527", "P1530")
MASK = "_instance_color_RGB"

DATASETS = {
    "16": Dataset(
        fields=("image", "segmentation"),
        domain="aerial",
        # Tiles, rounded by the factors paper; `describe` counts those of the folder.
        splits={"train": 27_000, "validation": 9_000},
        version=1,
        size=(800, 800),
        classes=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        background=0,
        licence="academic use only; images of DOTA, terms of Google Earth",
        obtain="Get the images of DOTA v1.0 and the masks of iSAID from "
        "captain-whu.github.io/iSAID; root holds train/images/ and val/images/ with "
        "P0000.png and P0000_instance_color_RGB.png side by side.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[Tile]:
    """The tiles of a split, by image and then in the devkit's order."""
    home = f"{FOLDERS[split]}/images"
    names = sorted(path.stem for path in (root / home).glob("*.png"))
    chosen = [n for n in names if "_" not in n and n not in SKIPPED]
    if not chosen:
        raise errors.UserError(
            f"{root / home}: found no images; allowed are P0000.png and so on. Fix: "
            "point root at the folder that holds train/ and val/."
        )
    images = {name: f"{home}/{name}.png" for name in chosen}
    masks = {n.removesuffix(MASK): f"{home}/{n}.png" for n in names if n.endswith(MASK)}
    for name in SKIPPED:
        masks.pop(name, None)
    return tiles.records(listing.matched(root, images, masks), root)


def describe(variant: str, root: Path) -> Dataset:
    """The variant's facts with the number of tiles of each split."""
    facts = DATASETS[variant]
    splits = {split: len(records("16", split, root)) for split in FOLDERS}
    return dataclasses.replace(facts, splits=splits)


def parse(record: Tile, root: Path, variant: str) -> Example:
    decode = functools.partial(mask_files.read_colors, colors=IDS)
    ids = tiles.read_ids(root / record.mask, record.window, decode, "isaid/16")
    return {
        "image": tiles.read_image(root / record.image, record.window),
        "segmentation": ids.astype(np.int32, copy=False),
        "id": record.id,
    }
