"""Tiny data sets of objects and depth on disk, in the layouts that readers expect."""

import json

import numpy as np
import scipy.io
from PIL import Image

from tests.data import trees

SIZE = (20, 40)  # height, width
VOC_OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin>"
    "<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def coco(count=2):
    """{split: content} with a dog (id 7) and a person (id 3) in the first image."""
    images = [
        {"id": 10 + i, "file_name": f"{i}.jpg", "height": 20, "width": 40}
        for i in range(count)
    ]
    points = [10, 5, 2, 12, 5, 1, 0, 0, 0]
    annotations = [
        {"id": 1, "image_id": 10, "category_id": 7, "bbox": [4, 2, 8, 10]},
        {"id": 2, "image_id": 10, "category_id": 3, "bbox": [30, 10, 30, 5]},
    ]
    annotations[1] |= {"iscrowd": 1, "keypoints": points}
    person = {"id": 3, "name": "person", "keypoints": ["left_eye", "right_eye", "nose"]}
    categories = [{"id": 7, "name": "dog"}, person]
    return dict(images=images, annotations=annotations, categories=categories)


def write_coco(root, content=None, kind="instances", images="train2017"):
    content = content or coco()
    for seed, image in enumerate(content["images"]):
        trees.write_image(root / images / str(image["file_name"]), SIZE, seed)
    path = root / f"annotations/{kind}_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_voc(root, names, objects=(("cat", 0, 1, 1, 40, 20),), folder="JPEGImages"):
    (root / "Annotations").mkdir(parents=True, exist_ok=True)
    body = "".join(VOC_OBJECT.format(*each) for each in objects)
    for seed, name in enumerate(names):
        trees.write_image(root / folder / f"{name}.jpg", SIZE, seed)
        text = f"<annotation><filename>x</filename>{body}</annotation>"
        (root / f"Annotations/{name}.xml").write_text(text)


def write_yolo(root, lines="0 0.5 0.5 0.25 0.5\n", names="names: [cat, 'a dog']"):
    (root / "data.yaml").parent.mkdir(parents=True, exist_ok=True)
    splits = "train: ../images/train\nval: images/val\n# test:\n"
    (root / "data.yaml").write_text(f"path: .\n{splits}{names}\n")
    for split, count in (("train", 3), ("val", 2)):
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            trees.write_image(root / f"images/{split}/{i}.png", SIZE, i)
        (root / f"labels/{split}/0.txt").write_text(lines)


def write_lsp(root, joints, count=None):
    root.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    for i in range(joints.shape[2] if count is None else count):
        trees.write_image(root / f"images/im{i + 1:05d}.jpg", SIZE, i)


def write_depth(path, values=(0, 1000, 65535), size=(12, 16), dtype=np.uint16):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.resize(np.array(values, dtype), size)).save(path)


def write_frames(root, numbers, suffix="png"):
    for n in numbers:
        trees.write_image(root / f"frame-{n:06d}.color.{suffix}", seed=n)
        write_depth(root / f"frame-{n:06d}.depth.png")
