"""Oxford-IIIT Pets, 37 breeds of cats and dogs with trimaps (Parkhi, CVPR 2012).

annotations/{trainval,test}.txt hold `NAME CLASS SPECIES BREED` per line, counted from
1, for images/NAME.jpg and annotations/trimaps/NAME.png: 1 pet, 2 background, 3 border.
The splits train and test are the official ones; random_train and random_test draw 1000
of all 7349 for testing, with seed 0 from the sorted names, as the SimMIM study does.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files, lookup
from jaxseg.core.types import Example
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import imagenet, text_files

BREEDS = (
    "Abyssinian",
    "american_bulldog",
    "american_pit_bull_terrier",
    "basset_hound",
    "beagle",
    "Bengal",
    "Birman",
    "Bombay",
    "boxer",
    "British_Shorthair",
    "chihuahua",
    "Egyptian_Mau",
    "english_cocker_spaniel",
    "english_setter",
    "german_shorthaired",
    "great_pyrenees",
    "havanese",
    "japanese_chin",
    "keeshond",
    "leonberger",
    "Maine_Coon",
    "miniature_pinscher",
    "newfoundland",
    "Persian",
    "pomeranian",
    "pug",
    "Ragdoll",
    "Russian_Blue",
    "saint_bernard",
    "samoyed",
    "scottish_terrier",
    "shiba_inu",
    "Siamese",
    "Sphynx",
    "staffordshire_bull_terrier",
    "wheaten_terrier",
    "yorkshire_terrier",
)
DOGS = tuple(name for name in BREEDS if name[0].islower())  # as the set writes them
BORDERS = {"ignore": IGNORE, "pet": 1, "background": 0}
LISTS = {"train": ("trainval",), "test": ("test",)}
LISTS |= dict.fromkeys(("all", "random_train", "random_test"), ("trainval", "test"))
RANDOM_TEST = 1000


def _facts(*fields: str, dogs: bool = False, **facts: Any) -> Dataset:
    splits = {"train": 3680, "test": 3669, "all": 7349}
    splits |= {"random_train": 6349, "random_test": RANDOM_TEST}
    if dogs:
        splits = {"train": 2492, "test": 2486, "all": 4978}
    return Dataset(
        fields=("image", *fields),
        domain="consumer",
        splits=splits,
        version=1,
        size=(128, 128),
        mean=imagenet.MEAN,
        std=imagenet.STD,
        licence="CC BY-SA 4.0",
        obtain="Get images.tar.gz and annotations.tar.gz of "
        "robots.ox.ac.uk/~vgg/data/pets; root holds images/ and annotations/.",
        **facts,
    )


TRIMAP = ("pet", "background", "border")
BINARY = {"classes": ("background", "pet"), "ids": {1: 1, 2: 0, 3: IGNORE}}
DATASETS = {
    "trimap": _facts("segmentation", classes=TRIMAP, ids={1: 0, 2: 1, 3: 2}),
    "binary": _facts("segmentation", **BINARY),
    "breeds": _facts("label", classes=BREEDS),
    "dogs": _facts("label", classes=DOGS, dogs=True),
    "dogs_binary": _facts("segmentation", **BINARY, dogs=True),
}


class Pet(NamedTuple):
    name: str
    label: int  # of the classes of the variant


def records(
    variant: str, split: str, root: Path, *, border: str = "ignore"
) -> Sequence[Pet]:
    """The pets of a split, in the order of its list, or sorted if it is drawn.

    border: the class of the border in a binary mask, "ignore", "pet" or "background".
    """
    pets = [pet for name in LISTS[split] for pet in _read(root, name)]
    if variant.startswith("dogs"):
        return [
            Pet(pet.name, DOGS.index(BREEDS[pet.label]))
            for pet in pets
            if BREEDS[pet.label] in DOGS
        ]
    return _drawn(sorted(pets), split, root) if split.startswith("random") else pets


def parse(record: Pet, root: Path, variant: str) -> Example:
    (image,), trimaps = reads(record, root, variant)
    example = {"image": image_files.read(root / image), "id": record.name}
    if not trimaps:
        return example | {"label": np.array(record.label, np.int32)}
    trimap = root / trimaps[0]
    ids = image_files.read_ids(trimap)
    if not ((ids >= 1) & (ids <= 3)).all():  # 0 would silently stay background
        raise errors.UserError(
            f"{trimap}: found the ids {np.unique(ids).tolist()[:8]}; allowed are 1, 2 "
            "and 3. Fix: get annotations.tar.gz again."
        )
    return example | {"segmentation": ids}


def reads(record: Pet, root: Path, variant: str) -> tuple[Sequence[str], Sequence[str]]:
    """The image; its trimap if that is the label."""
    masked = "segmentation" in DATASETS[variant].fields
    trimaps = [f"annotations/trimaps/{record.name}.png"] * masked
    return [f"images/{record.name}.jpg"], trimaps


def describe(variant: str, root: Path, *, border: str) -> Dataset:
    """The variant's facts with the class of the border if masks are binary."""
    facts = DATASETS[variant]
    value = lookup.pick(BORDERS, border, kind="border")
    if "pet" not in facts.classes or "border" in facts.classes:
        return facts
    return dataclasses.replace(facts, ids={1: 1, 2: 0, 3: value})


def _read(root: Path, name: str) -> list[Pet]:
    path = root / f"annotations/{name}.txt"
    pets = []
    for number, line in enumerate(text_files.read_text(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        class_ = text_files.whole(words[1]) if len(words) == 4 else None
        if class_ not in range(1, len(BREEDS) + 1):
            raise errors.UserError(
                f"{path}:{number}: found {line!r}; allowed is `NAME CLASS SPECIES "
                f"BREED` with a class of 1 to {len(BREEDS)}. Fix: get the list again."
            )
        pets.append(Pet(words[0], class_ - 1))
    return pets


def _drawn(pets: list[Pet], split: str, root: Path) -> list[Pet]:
    if len(pets) <= RANDOM_TEST:
        raise errors.UserError(
            f"{root}: the lists hold {len(pets)} pets; allowed for {split} are more "
            f"than {RANDOM_TEST}. Fix: use the splits train and test."
        )
    order = np.random.default_rng(0).permutation(len(pets))
    test = split == "random_test"
    rows = order[:RANDOM_TEST] if test else order[RANDOM_TEST:]
    return [pets[i] for i in sorted(rows)]
