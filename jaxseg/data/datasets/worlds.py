"""Embedded worlds: rendered scenes of seven domains, two data sets each or three.

Single studies also need: `trimap_*`, `binary_*` and `breeds_*`, the same
pictures of one animal labelled in three ways; `scenes_*`, which world a picture is of;
`objects_*`, foreground and background of one kind of thing, and chairs in rooms.

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
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.render import canvas as canvases
from jaxseg.data.render import closeups, store, textures, websearch

SIZE = 64
VERSION = 2
SPLITS = {"train": 2000, "validation": 200}
LICENCE = "part of jaxseg (Apache-2.0)"
OBTAIN = "rendered when first used"


# Options of the metrics (ours). A joint of an object 30 pixels high is a few
# pixels wide: COCO's sigma of a hip. Beyond 50 m there is sky.
PROTOCOL = {
    "detection": {"headline": "ap50"},
    "keypoints": {"sigmas": (0.1,) * len(canvases.KEYPOINTS)},
    "depth": {"maximum": 50.0},
}


def _palette(count: int, turn: float) -> tuple[tuple[int, int, int], ...]:
    """Label colours: grey for class 0, then hues spread from `turn`."""
    hues = (turn + np.arange(count - 1) / (count - 1)).tolist()
    values = [0.95 if i % 2 else 0.7 for i in range(count - 1)]
    colours = [textures.hsv(hue, 0.75, value) for hue, value in zip(hues, values)]
    return ((70, 70, 70), *(tuple(int(255 * c) for c in colour) for colour in colours))


def _world(domain, classes, mean, std, *, turn, background=None) -> Dataset:
    return Dataset(
        fields=("image", "segmentation", "boxes", "box_labels", "keypoints", "depth"),
        domain=domain,
        splits=SPLITS,
        version=VERSION,
        size=(SIZE, SIZE),
        classes=tuple(classes.split()),
        palette=_palette(6, turn),
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
        palette=_palette(len(websearch.CLASSES), 0.0),
        mean=(113.1, 113.3, 111.4),
        std=(47.7, 48.1, 47.5),
        licence=LICENCE,
        obtain=OBTAIN,
        on_disk=False,
    ),
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
}  # fmt: skip
# {data set: the data set whose pictures it shows}.
PICTURES = {
    f"{kind}_{scene}": f"trimap_{scene}"
    for kind in ("binary", "breeds")
    for scene in ("dogs", "insects")
}


def _extra(field, domain, classes, mean, std, splits, ids=None) -> Dataset:
    return Dataset(
        fields=("image", field),
        domain=domain,
        splits=dict(zip(("train", "validation", "test"), splits)),
        version=1,
        size=(SIZE, SIZE),
        classes=tuple(classes),
        palette=_palette(len(classes), 0.3),
        ids=ids,
        mean=mean,
        std=std,
        licence=LICENCE,
        obtain=OBTAIN,
        on_disk=False,
    )


def _animals(scene, animal, kinds, mean, std) -> dict[str, Dataset]:
    """Data sets of one animal per picture: trimap, binary mask or kind as label."""
    facts = {"domain": "closeups", "mean": mean, "std": std, "splits": (6000, 1000)}
    trimap, mask = (animal, "background", "border"), ("background", animal)
    ids = {0: 1, 1: 0, 2: IGNORE}
    return {
        f"trimap_{scene}": _extra("segmentation", classes=trimap, **facts),
        f"binary_{scene}": _extra("segmentation", classes=mask, ids=ids, **facts),
        f"breeds_{scene}": _extra("label", classes=kinds, **facts),
    }


# mean and std: of the first 150 training images.
DATASETS |= {
    **_animals("dogs", "pet", closeups.DOGS, (109.0, 100.5, 91.6), (42.9, 43.5, 43.6)),
    **_animals(
        "insects", "insect", closeups.INSECTS, (91.7, 98.6, 88.0), (48.1, 45.6, 47.8)
    ),
    "scenes_domains": _extra(
        "label", "websearch", SCENES["scenes_domains"],
        (99.8, 109.2, 104.2), (55.5, 50.7, 52.4), (4000, 400),
    ),
    "scenes_places": _extra(
        "label", "consumer", SCENES["scenes_places"],
        (115.1, 116.5, 108.1), (52.1, 53.7, 52.7), (4000, 400),
    ),
}  # fmt: skip
# One kind of thing, for the study of chair segments: (thing, mean, std).
OBJECTS = {
    "objects_car": ("car", (105.8, 114.5, 111.1), (44.8, 49.5, 57.1)),
    "objects_horse": ("horse", (119.4, 130.5, 114.1), (46.6, 49.2, 63.7)),
    "objects_airplane": ("airplane", (147.0, 160.7, 165.9), (42.9, 41.6, 56.4)),
    "objects_chairs": ("chair", (120.1, 122.6, 110.3), (67.3, 69.4, 65.3)),
}
DATASETS |= {
    name: _extra(
        "segmentation", "consumer", ("background", thing), *of, (2000, 200, 400)
    )
    for name, (thing, *of) in OBJECTS.items()
}


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


def render(variant: str, split: str, index: int, size: int = SIZE) -> types.Example:
    """Example `index` of a split; the same on every call, for any index >= 0."""
    variant = PICTURES.get(variant, variant)
    rng = np.random.default_rng([zlib.crc32(f"{variant}/{split}".encode()), index])
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
