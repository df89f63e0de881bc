"""Fact sheets of the embedded sets that single studies need.

`trimap_*`, `binary_*` and `breeds_*` are the same pictures of one animal labelled in
three ways; `objects_*` show one kind of thing before a background; `traffic` is streets
with cars and buses, and `traffic_patches*` are cut from such pictures.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.render import closeups, textures, traffic

SIZE = 64
LICENCE = "part of jaxseg (Apache-2.0)"
OBTAIN = "rendered when first used"


def palette(count: int, turn: float) -> tuple[tuple[int, int, int], ...]:
    """Label colours: grey for class 0, then hues spread from `turn`."""
    hues = (turn + np.arange(count - 1) / (count - 1)).tolist()
    values = [0.95 if i % 2 else 0.7 for i in range(count - 1)]
    colours = [textures.hsv(hue, 0.75, value) for hue, value in zip(hues, values)]
    return ((70, 70, 70), *(tuple(int(255 * c) for c in colour) for colour in colours))


def sheet(
    field: str | Sequence[str],
    domain: str,
    classes: Collection[str],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    splits: Sequence[int],
    *,
    ids: Mapping[int, int] | None = None,
    size: int = SIZE,
) -> Dataset:
    """Facts; field: of the labels, one or several. splits: for training, validation and
    test, if it has one.
    """
    fields = (field,) if isinstance(field, str) else tuple(field)
    return Dataset(
        fields=("image", *fields),
        domain=domain,
        splits=dict(zip(("train", "validation", "test"), splits)),
        version=1,
        size=(size, size),
        classes=tuple(classes),
        palette=palette(len(classes), 0.3),
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
        f"trimap_{scene}": sheet("segmentation", classes=trimap, **facts),
        f"binary_{scene}": sheet("segmentation", classes=mask, ids=ids, **facts),
        f"breeds_{scene}": sheet("label", classes=kinds, **facts),
    }


# mean and std: of the first 150 training images.
DATASETS = {
    **_animals("dogs", "pet", closeups.DOGS, (109.0, 100.5, 91.6), (42.9, 43.5, 43.6)),
    **_animals(
        "insects", "insect", closeups.INSECTS, (91.7, 98.6, 88.0), (48.1, 45.6, 47.8)
    ),
}
# One kind of thing, for the studies of chair segments and of decoders: (thing, mean,
# std).
OBJECTS = {
    "objects_car": ("car", (105.8, 114.5, 111.1), (44.8, 49.5, 57.1)),
    "objects_horse": ("horse", (119.4, 130.5, 114.1), (46.6, 49.2, 63.7)),
    "objects_airplane": ("airplane", (147.0, 160.7, 165.9), (42.9, 41.6, 56.4)),
    "objects_chairs": ("chair", (120.1, 122.6, 110.3), (67.3, 69.4, 65.3)),
    "objects_motorbike": ("motorbike", (102.5, 110.1, 109.6), (46.5, 51.5, 58.3)),
    "objects_person": ("person", (113.6, 119.9, 113.3), (54.6, 55.9, 59.1)),
    "objects_cat": ("cat", (131.7, 134.1, 119.4), (59.0, 60.7, 66.1)),
}
DATASETS |= {
    name: sheet(
        "segmentation", "consumer", ("background", thing), *of, (2000, 200, 400)
    )
    for name, (thing, *of) in OBJECTS.items()
}
# {data set of patches: whether all show a car}. Those are half as many, since a random
# bit decides whether a patch shows one.
PATCHES = {"traffic_patches": False, "traffic_patches_car": True}
DATASETS |= {
    "traffic": sheet(
        "segmentation", "driving", traffic.CLASSES,
        (102.9, 110.8, 114.9), (38.4, 44.3, 49.0), (1000, 200, 400), size=2 * SIZE,
    ),
    "traffic_patches": sheet(
        ("segmentation", "label"), "driving", traffic.PATCH_CLASSES,
        (96.3, 101.1, 105.0), (42.2, 44.7, 46.6), (1400, 600),
    ),
    "traffic_patches_car": sheet(
        "segmentation", "driving", traffic.PATCH_CLASSES,
        (92.1, 94.7, 99.4), (44.4, 45.8, 47.6), (700, 300),
    ),
}  # fmt: skip
