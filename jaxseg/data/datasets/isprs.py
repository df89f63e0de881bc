"""ISPRS Potsdam and Vaihingen, two cities from the air (Rottensteiner et al., 2014).

Potsdam (38 images of 6000 x 6000, red, green, blue) is for training, Vaihingen (33,
infrared, red, green) for validation, as in the factors study. To look alike, both have
the channels red, green and the mean of the two. Both are cut into tiles by the rule of
iSAID's devkit: 3800 and 437. Labels are one colour per class; some files of Potsdam
hold similar colours, so each channel counts as 0 or 255, whichever is nearer.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import listing, mask_files, tiles
from jaxseg.data.readers.tiles import Tile

CLASSES = {
    "impervious_surface": (255, 255, 255),
    "building": (0, 0, 255),
    "low_vegetation": (0, 255, 255),
    "tree": (0, 255, 0),
    "car": (255, 255, 0),
    "clutter": (255, 0, 0),
}
IDS = {color: i for i, color in enumerate(CLASSES.values())}


class City(NamedTuple):
    """Where the files of one city lie, and which channels are red and green."""

    images: str
    image_end: str
    masks: str
    mask_end: str
    red_green: tuple[int, int]


CITIES = {
    "train": City(
        "Potsdam/2_Ortho_RGB", "_RGB.tif", "Potsdam/5_Labels_all", "_label.tif", (0, 1)
    ),
    "validation": City(
        "Vaihingen/top",
        ".tif",
        "Vaihingen/ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE",
        ".tif",
        (1, 2),
    ),
}

DATASETS = {
    "potsdam_vaihingen": Dataset(
        fields=("image", "segmentation"),
        domain="aerial",
        splits={"train": 3800, "validation": 437},
        version=1,
        size=(800, 800),
        classes=tuple(CLASSES),
        palette=tuple(CLASSES.values()),
        background=5,  # the benchmark does not rank it
        licence="ISPRS benchmark, research only",
        obtain="Ask isprs.org for the 2D semantic labelling benchmark; root holds "
        "Potsdam/ and Vaihingen/ with the archives 2_Ortho_RGB, 5_Labels_all, top and "
        "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE unpacked, each in a "
        "folder of its name.",
    )
}


def records(variant: str, split: str, root: Path) -> Sequence[Tile]:
    """The tiles of a city, by the name of the image."""
    city = CITIES[split]
    files = sorted((root / city.images).glob(f"top_*{city.image_end}"))
    if not files:
        raise errors.UserError(
            f"{root / city.images}: found no images; allowed are "
            f"top_*{city.image_end}. Fix: unpack the archive there, or correct root."
        )
    masks = sorted((root / city.masks).glob(f"top_*{city.mask_end}"))
    pairs = listing.matched(
        root,
        {f.name.removesuffix(city.image_end): f"{city.images}/{f.name}" for f in files},
        {f.name.removesuffix(city.mask_end): f"{city.masks}/{f.name}" for f in masks},
    )
    return tiles.records(pairs, root)


def parse(record: Tile, root: Path, variant: str) -> Example:
    city = next(c for c in CITIES.values() if record.image.startswith(c.images))
    image = tiles.read_image(root / record.image, record.window)
    red, green = (image[..., channel] for channel in city.red_green)
    mean = ((red.astype(np.uint16) + green) // 2).astype(np.uint8)
    return {
        "image": np.stack([red, green, mean], axis=-1),
        "segmentation": tiles.read_ids(
            root / record.mask, record.window, _decode, "isprs/1"
        ),
        "id": record.id,
    }


def _decode(path: Path) -> np.ndarray:
    """int32 [H, W] of a label file."""
    pixels = np.where(image_files.read(path) > 127, 255, 0).astype(np.uint8)
    return mask_files.from_colors(pixels, IDS, path)
