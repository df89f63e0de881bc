"""Tiny trees of the six sets of the decoder study (its Table 1), and of SUIM."""

import numpy as np
import scipy.io
from PIL import Image

from tests.data import test_catalogue_areas as areas
from tests.data import test_catalogue_classes as classes
from tests.data import trees, twenty

COUNT = 8
SINGLE = {
    "aeroplane": 1,
    "car": 7,
    "cat": 8,
    "horse": 13,
    "motorbike": 14,
    "person": 15,
}
DOGS, CATS = (5, 9), (1, 6)  # numbers of breeds


def write(data):
    """All below one folder, as $JAXSEG_DATA."""
    for one in (flowers, pets, cityscapes, voc, suim):
        one(data)


def flowers(data):
    """102 kinds, and masks of 17."""
    root = data / "flowers"
    numbers = range(1, 3 * COUNT + 1)
    for i in numbers:
        trees.write_image(root / f"jpg/image_{i:05d}.jpg", seed=i)
        trees.write_image(root / f"jpg/image_{i:04d}.jpg", seed=i)
        trees.write_mask(root / f"trimaps/image_{i:04d}.png", values=(0, 38, 14))
    labels = [[1 + i % 2 for i in numbers]]
    scipy.io.savemat(root / "imagelabels.mat", {"labels": labels})
    parts = np.array_split(list(numbers), 3)
    sets = dict(zip(("trnid", "valid", "tstid"), ([part] for part in parts)))
    scipy.io.savemat(root / "setid.mat", sets)
    scipy.io.savemat(root / "trimaps/imlist.mat", {"imlist": [list(numbers)]})


def pets(data):
    lists = {
        name: [
            (f"{name}_{kind}_{i}", kind) for kind in (*DOGS, *CATS) for i in range(4)
        ]
        for name in ("trainval", "test")
    }
    classes.write_pets(data / "pets", lists)


def cityscapes(data):
    """Streets with a car in one half and none in the other, buses in between."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for i in range(2 * COUNT):
            name = f"a_{split}{i}"
            home = data / "cityscapes"
            image = home / f"leftImg8bit/{split}/a/{name}_leftImg8bit.png"
            trees.write_image(image, (320, 640), seed=i)
            ids = np.full((320, 640), 7, np.uint8)
            ids[100:220, 40:280] = 26
            ids[rng.integers(0, 40) :, 300:320] = 28
            path = home / f"gtFine/{split}/a/{name}_gtFine_labelIds.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids).save(path)


def voc(data):
    """Each class alone in some images; persons also beside others."""
    root = data / "voc"
    lists = {"train": [], "val": []}
    for split, names in lists.items():
        for kind, id_ in SINGLE.items():
            for i in range(COUNT // 2):
                name = f"{split}_{kind}{i}"
                names.append(name)
                trees.write_image(root / f"JPEGImages/{name}.jpg", twenty.SIZE, i)
                mask = root / f"SegmentationClass/{name}.png"
                trees.write_mask(mask, twenty.SIZE, (0, id_, 15))
    lists["trainval"] = lists["train"] + lists["val"]
    for split, names in lists.items():
        areas.write_list(root / f"ImageSets/Segmentation/{split}.txt", names)


def suim(data):
    twenty.suim_colors(data)
