"""Virtual KITTI 2 (Cabon et al. 2020, arXiv:2001.10773), and what it shares with
Virtual Gallery.

SceneNN/WEATHER/frames/{rgb,classSegmentation,depth}/Camera_N/{rgb_,classgt_,depth_}NNNNN,
classes as colours, depth in centimetres. As in the code of the factors study Scene18 is
for validation, the other four drives for training, with all weathers and both cameras.
Table 1 counts 9 classes; these are the 15 of that code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxseg.core import image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.readers import depth_maps, mask_files

CLASSES = {
    "Background": (0, 0, 0),
    "Terrain": (210, 0, 200),
    "Sky": (90, 200, 255),
    "Tree": (0, 199, 0),
    "Vegetation": (90, 240, 0),
    "Building": (140, 140, 140),
    "Road": (100, 60, 100),
    "GuardRail": (250, 100, 255),
    "TrafficSign": (255, 255, 0),
    "TrafficLight": (200, 200, 0),
    "Pole": (255, 130, 0),
    "Misc": (80, 80, 80),
    "Truck": (160, 60, 60),
    "Car": (255, 127, 80),
    "Van": (0, 139, 139),
}
HOLDOUT = "Scene18"
CENTIMETRES, TOO_FAR = 0.01, 65535  # also the value of the sky
COMMON = dict(
    domain="synthetic",
    splits={"train": 35740, "validation": 6780},
    version=1,
    size=(368, 1216),
    mean=(96.716, 98.823, 77.981),  # from the code of the factors study
    std=(68.916, 68.788, 69.105),
    licence="CC BY-NC-SA 3.0",
    obtain="Get vkitti_2.0.3_{rgb,depth,classSegmentation}.tar of Virtual KITTI 2 at "
    "europe.naverlabs.com; root is the folder that holds Scene01/.",
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
        fields=("image", "depth"), protocol={"depth": {"maximum": 80.0}}, **COMMON
    ),
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, label) paths below `root`, sorted."""
    both = pairs(root, "Scene*/*", variant, folder="classSegmentation")
    kept = split == "validation"
    return [pair for pair in both if pair[0].startswith(f"{HOLDOUT}/") == kept]


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    return read(record, root, variant, CLASSES)


def pairs(root: Path, above: str, variant: str, folder: str) -> list[tuple[str, str]]:
    """(image, label) of all frames; `folder` is that of the classes."""
    place, prefix = "depth", "depth_"
    if variant == "segmentation":
        place, prefix = folder, "classgt_"

    def label_of(image: str) -> str:
        name = image.replace("/rgb/", f"/{place}/", 1).replace("/rgb_", f"/{prefix}")
        return name.rsplit(".", 1)[0] + ".png"

    frames = f"{above}/frames"
    masks = f"{frames}/{place}/*/{prefix}*.png"
    return mask_files.pairs(root, f"{frames}/rgb/*/rgb_*.jpg", label_of, masks)


def read(
    record: tuple[str, str],
    root: Path,
    variant: str,
    classes: Mapping[str, tuple[int, int, int]],
) -> Example:
    """One frame with classes or depth."""
    example = {"image": image_files.read(root / record[0]), "id": record[0]}
    if variant == "depth":
        depth = depth_maps.read(root / record[1], CENTIMETRES, invalid=TOO_FAR)
        return example | {"depth": depth}
    colors = {color: place for place, color in enumerate(classes.values())}
    return example | {"segmentation": mask_files.read_colors(root / record[1], colors)}
