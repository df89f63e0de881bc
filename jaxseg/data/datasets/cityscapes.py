"""Cityscapes, German streets (Cordts et al., CVPR 2016), and patches cut from it.

leftImg8bit/{train,val}/CITY/NAME_leftImg8bit.png with the class of each pixel in
gtFine/{train,val}/CITY/NAME_gtFine_labelIds.png. `33` has the classes of the factors
study, with pixels without a class as background. The others are the decoder study's.
`car` and `bus` have the images with a pixel of the class; the rest of the 19 classes is
background; `trainval` has all of them (483 with a bus, by its Table 1). `car_patches`
are crops with or without a car, by the rule of `readers/patches.py`; the split is
70 to 30.
`car_patches_only` are the crops with a car. The patch size and the random bit, seeded
by the name of the image, are ours.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import mask_files, patches, present_ids

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
PATCH = 256
FOLDERS = {"train": ("train",), "validation": ("val",), "trainval": ("train", "val")}
AS_FOUND = dict.fromkeys(FOLDERS, 0)  # counted by `describe`
SINGLE = ("car", "bus")
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
    return _sheet(("background", name), ids, splits=AS_FOUND, version=2)


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
    "car_patches_only": _sheet(
        ("no car", "car"),
        {},
        splits={"train": 0, "validation": 0},
        size=(PATCH, PATCH),
    ),
}


def records(variant: str, split: str, root: Path) -> Sequence[tuple[str, str]]:
    """(image, mask) paths below `root`, sorted by city and name."""
    cut = variant.startswith("car_patches")
    folders = FOLDERS["trainval" if cut else split]
    both = [pair for folder in folders for pair in _pairs(root, folder)]
    if cut:
        order = np.random.default_rng(0).permutation(len(both))
        border = round(0.7 * len(both))
        chosen = order[:border] if split == "train" else order[border:]
        both = [both[place] for place in np.sort(chosen)]
    if variant in SINGLE:
        return _showing(both, NAMES.index(variant), root, image_files.read_ids, "ids")
    if variant == "car_patches_only":
        return _showing(
            both, 1, root, _patch_label, f"car patch {PATCH} {patches.ENOUGH}"
        )
    return both


def describe(variant: str, root: Path) -> Dataset:
    """The variant's facts with the number of images that show its class."""
    facts = DATASETS[variant]
    if any(facts.splits.values()):
        return facts
    there = [
        split
        for split in facts.splits
        if all((root / "leftImg8bit" / each).is_dir() for each in FOLDERS[split])
    ]
    splits = {split: len(records(variant, split, root)) for split in there or FOLDERS}
    return dataclasses.replace(facts, splits=splits)


def parse(record: tuple[str, str], root: Path, variant: str) -> Example:
    image, ids = (
        image_files.read(root / record[0]),
        image_files.read_ids(root / record[1]),
    )
    name = Path(record[0]).stem
    if not variant.startswith("car_patches"):
        return {"image": image, "segmentation": ids, "id": name}
    place, label = _patch(ids == CAR, name)
    patch = (ids == CAR)[place].astype(np.int32)
    example = {"image": image[place], "segmentation": patch, "id": name}
    if variant == "car_patches":
        example["label"] = np.array(label, np.int32)
    return example


def _showing(
    both: Sequence[tuple[str, str]],
    id_: int,
    root: Path,
    find: Callable[[Path], np.ndarray],
    rule: str,
) -> Sequence[tuple[str, str]]:
    """The pairs for whose mask `find` returns `id_`."""
    shown = present_ids.holds(root, [mask for _, mask in both], find, rule)[:, id_]
    return [pair for pair, shows in zip(both, shown) if shows]


def _pairs(root: Path, folder: str) -> list[tuple[str, str]]:
    def mask_of(image: str) -> str:
        name = image.replace("leftImg8bit/", "gtFine/", 1)
        return name.replace("_leftImg8bit.png", "_gtFine_labelIds.png")

    pattern = f"leftImg8bit/{folder}/*/*_leftImg8bit.png"
    masks = f"gtFine/{folder}/*/*_gtFine_labelIds.png"
    return mask_files.pairs(root, pattern, mask_of, masks)


def _patch_label(mask: Path) -> np.ndarray:
    """[1] if the patch of the image of this mask shows a car, else [0]."""
    name = mask.name.replace("_gtFine_labelIds.png", "_leftImg8bit")
    return np.array([_patch(image_files.read_ids(mask) == CAR, name)[1]])


def _patch(car: np.ndarray, name: str) -> tuple[tuple[slice, slice], int]:
    """Where to crop, and 1 with a car or 0 without: by the random bit, if possible."""
    seed = hashlib.sha256(name.encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "little"))
    found = patches.find(car, rng, PATCH)
    if found is None:
        raise errors.UserError(
            f"{name}: found neither a crop of {PATCH} x {PATCH} pixels without a car "
            f"nor one with {patches.ENOUGH:.0%} of them in {2 * patches.TRIES} tries. "
            "Fix: leave the image out."
        )
    return found
