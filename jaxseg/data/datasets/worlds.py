"""Embedded worlds: rendered scenes of seven domains, two data sets each or three.

The labels of `scenes_*` say which world a picture is of. The facts of other sets of
single studies are in `render/studies.py`.

Deterministic by (variant, split, index), rendered once into the user's cache. They show
and test transfer between domains and do not replace real data.
"""

import dataclasses
import functools
import importlib
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import types, user_cache
from jaxseg.data.dataset import Dataset
from jaxseg.data.render import canvas as canvases
from jaxseg.data.render import store, studies, traffic, websearch

SIZE, LICENCE, OBTAIN = studies.SIZE, studies.LICENCE, studies.OBTAIN
VERSION = 2
SPLITS = {"train": 2000, "validation": 200}

# Options of the metrics (ours). A joint of an object 30 pixels high is a few
# pixels wide: COCO's sigma of a hip. Beyond 50 m there is sky.
PROTOCOL = {
    "detection": {"headline": "ap50"},
    "keypoints": {"sigmas": (0.1,) * len(canvases.KEYPOINTS)},
    "depth": {"maximum": 50.0},
}


def _world(domain, classes, mean, std, *, turn, background=None) -> Dataset:
    return Dataset(
        fields=("image", "segmentation", "boxes", "box_labels", "keypoints", "depth"),
        domain=domain,
        splits=SPLITS,
        version=VERSION,
        size=(SIZE, SIZE),
        classes=tuple(classes.split()),
        palette=studies.palette(6, turn),
        background=background,
        mean=mean,
        std=std,
        licence=LICENCE,
        obtain=OBTAIN,
        on_disk=False,
        protocol=PROTOCOL,
        keypoints=canvases.KEYPOINTS,
        flip_pairs=canvases.FLIP_PAIRS,
        skeleton=canvases.SKELETON,
    )


# mean and std: of the first 150 training images.
DATASETS = {
    "consumer_everyday": _world(
        "consumer",
        "surroundings building furniture vehicle plant person",
        (111.4, 115.2, 111.1),
        (46.2, 47.5, 51.0),
        turn=0.00,
        background=0,
    ),
    "consumer_travel": _world(
        "consumer",
        "scenery landmark bed boat palm dog",
        (115.9, 116.6, 118.1),
        (44.5, 46.6, 51.6),
        turn=0.07,
        background=0,
    ),
    "driving_day": _world(
        "driving",
        "open house tree wall car person",
        (112.1, 118.7, 121.2),
        (41.2, 47.7, 51.9),
        turn=0.14,
        background=0,
    ),
    "driving_night": _world(
        "driving",
        "dark tower fence shutter truck cyclist",
        (65.3, 60.9, 52.0),
        (44.6, 41.7, 35.1),
        turn=0.21,
        background=0,
    ),
    "indoor_home": _world(
        "indoor",
        "room sofa bookcase dresser table cat",
        (134.9, 123.2, 101.6),
        (67.1, 63.0, 54.1),
        turn=0.28,
        background=0,
    ),
    "indoor_office": _world(
        "indoor",
        "interior locker screen cabinet desk employee",
        (122.7, 134.5, 132.4),
        (64.4, 68.6, 67.1),
        turn=0.35,
        background=0,
    ),
    "aerial_city": _world(
        "aerial",
        "ground park house hall parking plane",
        (122.5, 131.4, 130.1),
        (26.5, 26.1, 27.0),
        turn=0.42,
    ),
    "aerial_farm": _world(
        "aerial",
        "pasture crop plough orchard barn cow",
        (126.9, 130.4, 106.0),
        (24.2, 23.1, 21.9),
        turn=0.49,
    ),
    "underwater_reef": _world(
        "underwater",
        "water coral sponge rock fish turtle",
        (57.0, 120.5, 116.6),
        (19.5, 33.5, 39.5),
        turn=0.56,
        background=0,
    ),
    "underwater_wreck": _world(
        "underwater",
        "deep hull kelp anemone wrasse diver",
        (41.7, 84.4, 83.2),
        (15.7, 25.9, 30.3),
        turn=0.63,
        background=0,
    ),
    "closeups_dogs": _world(
        "closeups",
        "garden dalmatian boxer collie poodle labrador",
        (108.3, 97.0, 90.4),
        (45.2, 44.0, 45.0),
        turn=0.70,
        background=0,
    ),
    "closeups_insects": _world(
        "closeups",
        "blur leaf ladybird wasp chafer beetle",
        (87.1, 95.2, 80.9),
        (45.3, 43.9, 45.3),
        turn=0.77,
        background=0,
    ),
    "synthetic_street": _world(
        "synthetic",
        "backdrop house tree car doll lantern",
        (114.2, 115.3, 119.5),
        (58.9, 62.3, 63.3),
        turn=0.84,
        background=0,
    ),
    "synthetic_gallery": _world(
        "synthetic",
        "room ball cone cube mannequin column",
        (116.3, 121.9, 118.1),
        (60.6, 62.1, 60.3),
        turn=0.91,
        background=0,
    ),
    "websearch": Dataset(
        fields=("image", "label"),
        domain="websearch",
        splits={"train": 4000, "validation": 400},
        version=VERSION,
        size=(SIZE, SIZE),
        classes=websearch.CLASSES,
        palette=studies.palette(len(websearch.CLASSES), 0.0),
        mean=(113.1, 113.3, 111.4),
        std=(47.7, 48.1, 47.5),
        licence=LICENCE,
        obtain=OBTAIN,
        on_disk=False,
    ),
}

# As `websearch`, but things are anywhere and smaller.
DATASETS["websearch_aside"] = dataclasses.replace(
    DATASETS["websearch"], mean=(117.8, 117.4, 117.0), std=(43.7, 46.6, 45.0)
)
# What the thing of each picture of such a set hides of the page.
DATASETS |= {
    f"{name}_masks": dataclasses.replace(
        DATASETS[name],
        fields=("image", "label", "segmentation"),
        classes=("page", *websearch.CLASSES),
        palette=studies.palette(1 + len(websearch.CLASSES), 0.0),
        background=0,
    )
    for name in ("websearch", "websearch_aside")
}

# The worlds behind each class of the data sets of scenes.
SCENES = {
    "scenes_domains": {
        domain: tuple(n for n, facts in DATASETS.items() if facts.domain == domain)
        for domain in ("consumer", "driving", "indoor", "aerial", "underwater",
                       "closeups", "synthetic")
    },
    "scenes_places": {
        "street": ("driving_day",),
        "night": ("driving_night",),
        "home": ("indoor_home",),
        "office": ("indoor_office",),
        "city": ("aerial_city",),
        "farm": ("aerial_farm",),
    },
    "scenes_things": {
        "motorbike": ("objects_motorbike",),
        "car": ("objects_car",),
        "cat": ("objects_cat",),
        "airplane": ("objects_airplane",),
    },
}  # fmt: skip
# {data set: the data set whose pictures it shows}.
PICTURES = {
    f"{kind}_{scene}": f"trimap_{scene}"
    for kind in ("binary", "breeds")
    for scene in ("dogs", "insects")
}
# {data set: that with the same pictures, which is drawn without its labels}.
STREAMS = {f"{name}_masks": name for name in ("websearch", "websearch_aside")}
# mean and std: of the first 150 training images.
DATASETS |= studies.DATASETS | {
    "scenes_domains": studies.sheet(
        "label", "websearch", SCENES["scenes_domains"],
        (99.8, 109.2, 104.2), (55.5, 50.7, 52.4), (4000, 400),
    ),
    "scenes_places": studies.sheet(
        "label", "consumer", SCENES["scenes_places"],
        (115.1, 116.5, 108.1), (52.1, 53.7, 52.7), (4000, 400),
    ),
    "scenes_things": studies.sheet(
        "label", "consumer", SCENES["scenes_things"],
        (118.0, 127.5, 120.3), (51.2, 56.0, 62.7), (4000, 400),
    ),
}  # fmt: skip


# A third data set of two domains, which the data sets of scenes do not show.
DATASETS |= {
    "consumer_market": _world(
        "consumer", "square arcade counter cart shrub visitor",
        (110.0, 116.6, 113.3), (44.2, 47.6, 51.0), turn=0.04, background=0,
    ),
    "driving_rain": _world(
        "driving", "wet block hedge hoarding vehicle walker",
        (98.3, 99.2, 98.9), (26.6, 27.3, 27.0), turn=0.18, background=0,
    ),
}  # fmt: skip


# Where pictures are larger than SIZE.
DEFAULTS = {
    name: {"size": facts.size[0]}
    for name, facts in DATASETS.items()
    if facts.size != (SIZE, SIZE)
}


def records(
    variant: str, split: str, root: Path | None, size: int = SIZE
) -> Sequence[tuple[str, int, int]]:
    """(split, index, size) of each example; nothing is rendered yet."""
    return [(split, index, size) for index in range(DATASETS[variant].splits[split])]


def describe(variant: str, root: Path | None, size: int = SIZE) -> Dataset:
    """The facts at another size of picture."""
    facts = DATASETS[variant]
    return dataclasses.replace(facts, size=(size, size))


def parse(
    record: tuple[str, int, int], root: Path | None, variant: str
) -> types.Example:
    """One example, from the cache or rendered into it."""
    split, index, size = record
    shown = PICTURES.get(variant, variant)
    picture = _store(shown, split, size, user_cache.folder())[index]
    example = {name: picture[name] for name in DATASETS[variant].fields}
    return example | {"id": f"{variant}/{split}/{index:06d}"}


def render(
    variant: str, split: str, index: int, size: int | None = None
) -> types.Example:
    """Example `index` of a split; the same on every call, for any index >= 0.

    size: of the picture; None: that of the fact sheet.
    """
    size = size or DATASETS[variant].size[0]
    variant = PICTURES.get(variant, variant)
    with_car = studies.PATCHES.get(variant)
    # Of one index the patches are the same, if the first one shows a car.
    stream = (
        "traffic_patches" if with_car is not None else STREAMS.get(variant, variant)
    )
    rng = np.random.default_rng([zlib.crc32(f"{stream}/{split}".encode()), index])
    if with_car is not None:
        return traffic.patch(rng, size, with_car=with_car)
    if variant not in SCENES:
        example, label = _draw(variant, rng, size)
        own = {} if label is None else {"label": np.array(label, np.int32)}
        return example | own
    label = int(rng.integers(len(SCENES[variant])))
    shown = list(SCENES[variant].values())[label]
    example, _ = _draw(shown[rng.integers(len(shown))], rng, size)
    return example | {
        "label": np.array(label, np.int32)
    }  # `parse` keeps only the variant's fields


def _draw(variant, rng, size) -> tuple[types.Example, int | None]:
    """One picture of a world, and its class or None."""
    module, _, scene = variant.partition("_")
    module = importlib.import_module(f"jaxseg.data.render.{module}")
    picture = canvases.Canvas(size, DATASETS[variant].classes)
    label = module.SCENES[scene](picture, rng)
    return picture.example(), label


@functools.lru_cache(maxsize=64)
def _store(variant: str, split: str, size: int, folder: Path) -> store.Store:
    name = f"{variant}-{split}-{size}-v{DATASETS[variant].version}.slots"
    draw = functools.partial(render, variant, split, size=size)
    return store.Store(folder / "worlds" / name, store.layout(size), draw)
