"""Cityscapes, German streets (Cordts et al., CVPR 2016), and patches cut from it.

leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png with the class of each pixel in
gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png. `33` are the classes of the factors
study, whose background is what has no class; `car` and `bus` one class against the rest
of the 19. `car_patches` are crops with a car or without one, with masks (decoder
study): a coin decides for each image, then crops are drawn until no pixel or a fifth
of them is car; the split is 70 to 30. Patch size and coin are ours, by the name of the
image.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors, images
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.datasets import _masks

# Names and colours in the order of the ids of the files.
LABELS = {
    "unlabeled": (0, 0, 0),
    "ego vehicle": (0, 0, 0),
    "rectification border": (0, 0, 0),
    "out of roi": (0, 0, 0),
    "static": (0, 0, 0),
    "dynamic": (111, 74, 0),
    "ground": (81, 0, 81),
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "parking": (250, 170, 160),
    "rail track": (230, 150, 140),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "guard rail": (180, 165, 180),
    "bridge": (150, 100, 100),
    "tunnel": (150, 120, 90),
    "pole": (153, 153, 153),
    "polegroup": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "caravan": (0, 0, 90),
    "trailer": (0, 0, 110),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
NAMES = tuple(LABELS)
TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
IDS_19 = dict.fromkeys(range(len(NAMES)), IGNORE)
IDS_19 |= {raw: place for place, raw in enumerate(TRAINED)}
CLASSES_19 = tuple(NAMES[raw] for raw in TRAINED)
CLASSES_33 = ("background", *(n for n in NAMES[1:] if n != "out of roi"))
IDS_33 = {raw: max(raw - (raw > 3), 0) for raw in range(len(NAMES))} | {3: 0}
CAR = NAMES.index("car")
PATCH, ENOUGH, TRIES = 256, 0.2, 200
FOLDERS = {"train": "train", "validation": "val"}
COMMON = dict(
    domain="driving",
    splits={"train": 2975, "validation": 500},
    version=1,
    size=(512, 1024),
    # On the scale of the image, from the code of the factors study.
    mean=(73.158, 82.909, 72.392),
    std=(47.676, 48.494, 47.737),
    licence="non-commercial; registration",
    obtain="Get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of "
    "cityscapes-dataset.com; root is the folder that holds leftImg8bit/ and gtFine/.",
)


def _one_against_rest(name: str) -> Dataset:
    raw = NAMES.index(name)
    ids = {k: IGNORE if v == IGNORE else int(k == raw) for k, v in IDS_19.items()}
    return _sheet(("background", name), ids)


def _sheet(classes: tuple[str, ...], ids: dict[int, int], **more) -> Dataset:
    palette = tuple(LABELS.get(name, (0, 0, 0)) for name in classes)
    fields = ("image", "segmentation")
    facts = COMMON | dict(fields=fields, classes=classes, palette=palette, ids=ids)
    return Dataset(**facts | more)


DATASETS = {
    "19": _sheet(CLASSES_19, IDS_19),
    "33": _sheet(CLASSES_33, IDS_33, background=0),
    "car": _one_against_rest("car"),
    "bus": _one_against_rest("bus"),
    "car_patches": _sheet(
        ("no car", "car"),
        {},
        fields=("image", "segmentation", "label"),
        splits={"train": 2432, "validation": 1043},
        size=(PATCH, PATCH),
    ),
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted by city and name."""
    if variant == "car_patches":
        both = [pair for folder in FOLDERS.values() for pair in _pairs(root, folder)]
        order = np.random.default_rng(0).permutation(len(both))
        border = round(0.7 * len(both))
        chosen = order[:border] if split == "train" else order[border:]
        return [both[place] for place in np.sort(chosen)]
    return _pairs(root, FOLDERS[split])


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image, ids = images.read(root / record[0]), images.read_ids(root / record[1])
    example = {"image": image, "segmentation": ids, "id": Path(record[0]).stem}
    return _cut_patch(example) if variant == "car_patches" else example


def _pairs(root: Path, folder: str) -> list[tuple[str, str]]:
    def mask_of(image: str) -> str:
        name = image.replace("leftImg8bit/", "gtFine/", 1)
        return name.replace("_leftImg8bit.png", "_gtFine_labelIds.png")

    pattern = f"leftImg8bit/{folder}/*/*_leftImg8bit.png"
    masks = f"gtFine/{folder}/*/*_gtFine_labelIds.png"
    return _masks.pairs(root, pattern, mask_of, masks)


def _cut_patch(example: Example) -> Example:
    """A crop with a car or without, whichever the coin says and the image has."""
    seed = hashlib.sha256(example["id"].encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    car = example["segmentation"] == CAR
    height, width = (min(PATCH, side) for side in car.shape)
    coin = bool(rng.integers(2))
    for wanted in (coin, not coin):
        for _ in range(TRIES):
            top = rng.integers(car.shape[0] - height + 1)
            left = rng.integers(car.shape[1] - width + 1)
            place = np.s_[top : top + height, left : left + width]
            share = car[place].mean()
            if share >= ENOUGH if wanted else share == 0:
                return {
                    "image": example["image"][place],
                    "segmentation": car[place].astype(np.int32),
                    "label": np.array(int(wanted), np.int32),
                    "id": example["id"],
                }
    raise errors.UserError(
        f"{example['id']}: found neither a crop of {height} x {width} pixels without a "
        f"car nor one with {ENOUGH:.0%} of them in {2 * TRIES} tries. Fix: leave the "
        "image out."
    )
