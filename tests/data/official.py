"""Tiny trees of official data sets, each below a folder for $JAXSEG_DATA.

Their images show what their masks say: a coloured box on a grey ground.
"""

import json

import numpy as np
from PIL import Image

from jaxseg.data.readers import coco_names

SIZE = (48, 64)  # height, width
CHAIR = next(id_ for id_, name in coco_names.THINGS.items() if name == "chair")


def write_box(path, window, seed, color=(200, 60, 30)):
    """An image with noise and a box; window: top, left, bottom, right in pixels."""
    top, left, bottom, right = window
    pixels = np.random.default_rng(seed).integers(90, 130, (*SIZE, 3), np.uint8)
    pixels[top:bottom, left:right] = color
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def windows(count):
    """Boxes of several places and sizes."""
    return [(4 + i % 9, 3 + 2 * i % 17, 30 + i % 11, 36 + i % 23) for i in range(count)]


def object_discovery(data, count=20):
    """`count` images of each kind; a fifth of them validates and a fifth tests."""
    for start, kind in enumerate(("Car", "Horse", "Airplane")):
        home = data / f"object_discovery/Data/{kind}100"
        for i, (top, left, bottom, right) in enumerate(windows(count)):
            window = (top, left, bottom, right)
            write_box(home / f"{i:04d}.jpg", window, seed=1000 * start + i)
            mask = np.zeros(SIZE, np.uint8)
            mask[top:bottom, left:right] = 255
            (home / "GroundTruth").mkdir(exist_ok=True)
            Image.fromarray(mask).save(home / f"GroundTruth/{i:04d}.png")


def coco_chairs(data, count=4):
    """`count` images with a chair each for training, and as many for validation."""
    names = coco_names.THINGS.items()
    for split in ("train2017", "val2017"):
        content = {"images": [], "annotations": []}
        content["categories"] = [{"id": id_, "name": name} for id_, name in names]
        for i, (top, left, bottom, right) in enumerate(windows(count)):
            window = (top, left, bottom, right)
            write_box(data / f"coco/{split}/{i}.jpg", window, seed=100 + i)
            image = {"id": i, "file_name": f"{i}.jpg", "height": 48, "width": 64}
            content["images"].append(image)
            corners = [left, top, right, top, right, bottom, left, bottom]
            chair = {"id": i + 1, "image_id": i, "category_id": CHAIR, "iscrowd": 0}
            chair["bbox"] = [left, top, right - left, bottom - top]
            chair |= {"segmentation": [corners], "area": chair["bbox"][2] * 9}
            content["annotations"].append(chair)
        path = data / f"coco/annotations/instances_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
