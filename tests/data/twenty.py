"""Tiny trees of the twenty data sets of the factors paper and of ILSVRC, in their
official layouts below a folder for $JAXSEG_DATA: COUNT images of each split.
"""

import itertools
import json

import numpy as np
import scipy.io

from jaxseg.data.datasets import bdd, dogs, isaid, isprs, mpii, suim, vgallery, vkitti
from jaxseg.data.datasets import kitti as kitti_facts
from jaxseg.data.datasets.camvid import CLASSES_32
from jaxseg.data.readers import coco_names
from tests.data import layouts, trees
from tests.data import test_catalogue_areas as areas
from tests.data import test_catalogue_indoor as indoor

COUNT, SIZE = 4, (20, 40)
TRAIN_VAL = ("train", "val")


def write(data):
    """All of them."""
    for writer in (ade20k, boxes_of_bdd, camvid, coco, context, extended_dogs, frames):
        writer(data)
    for writer in (ilsvrc, kitti, masks, people, scannet, suim_colors, sun, tiles):
        writer(data)
    for writer in (trash, voc):
        writer(data)


def pairs(root, image, label, values=(0, 1, 2), names=range(COUNT)):
    """Images and masks of ids; image, label: with {} for the name."""
    for seed, name in enumerate(names):
        trees.write_image(root / image.format(name), SIZE, seed)
        trees.write_mask(root / label.format(name), SIZE, values)


def ade20k(data):
    for split in ("training", "validation"):
        home = "{}/" + split + "/{}"
        image, label = (home.format(k, "{}") for k in ("images", "annotations"))
        pairs(data / "ade20k", f"{image}.jpg", f"{label}.png")


def masks(data):
    """Sets with one mask of ids for each image."""
    for split in TRAIN_VAL:
        city = f"leftImg8bit/{split}/a/{{}}_leftImg8bit.png"
        for name, ids in (("cityscapes", "labelIds"), ("idd", "labelids")):
            label = f"gtFine/{split}/a/{{}}_gtFine_{ids}.png"
            pairs(data / name, city, label, values=(7, 8, 11))
        label = f"labels/sem_seg/masks/{split}/{{}}.png"
        pairs(data / "bdd", f"images/10k/{split}/{{}}.jpg", label)
    for split in ("training", "validation"):
        home = data / "mapillary" / split
        pairs(home, "images/{}.jpg", "labels/{}.png")


def kitti(data):
    names = [
        *sorted(kitti_facts.NAMES)[:COUNT],
        *(f"000{n}_10" for n in range(200, 204)),
    ]
    home = data / "kitti/training"
    pairs(home, "image_2/{}.png", "semantic/{}.png", (7, 8, 11), names)


def camvid(data):
    stills, labels = "701_StillsRaw_full", "LabeledApproved_full"
    for split in ("train", "val", "test"):
        names = [f"{split}{i}" for i in range(COUNT)]
        for seed, name in enumerate(names):
            trees.write_image(data / f"camvid/{stills}/{name}.png", SIZE, seed)
            path = data / f"camvid/{labels}/{name}_L.png"
            areas.write_colors(path, list(CLASSES_32.values()), SIZE)
        pairs(
            data / "camvid", f"{split}/{{}}.png", f"{split}annot/{{}}.png", names=names
        )
        lines = [f"{split}/{n}.png {split}annot/{n}.png\n" for n in names]
        (data / f"camvid/{split}.txt").write_text("".join(lines))


def context(data):
    areas.write_context(data / "pascal_context")
    root = data / "pascal_context"
    label = np.resize(np.array((3, 61, 62), np.uint16), SIZE)
    for split in TRAIN_VAL:
        names = [f"{split}{i}" for i in range(COUNT)]
        areas.write_list(root / f"ImageSets/Main/{split}.txt", names)
        for seed, name in enumerate(names):
            trees.write_image(root / f"JPEGImages/{name}.jpg", SIZE, seed)
            scipy.io.savemat(root / f"trainval/{name}.mat", {"LabelMap": label})


def voc(data):
    """VOC 2012 with the augmented masks, and the boxes of VOC 2007."""
    root, lists = data / "voc", {}
    for split in (*TRAIN_VAL, "test"):
        lists[split] = [f"{split}{i}" for i in range(COUNT)]
        image, label = "JPEGImages/{}.jpg", "SegmentationClass{}/{}.png"
        for kind in ("", "Aug"):
            path = label.format(kind, "{}")
            pairs(root, image, path, (0, 1, 15), lists[split])
    lists |= {"trainval": lists["train"] + lists["val"], "train_aug": lists["train"]}
    layouts.write_voc(
        root, lists["trainval"] + lists["test"], [("cat", 0, 1, 1, 30, 16)]
    )
    for split, names in lists.items():
        for kind in ("Segmentation", "Main"):
            areas.write_list(root / f"ImageSets/{kind}/{split}.txt", names)


def frames(data):
    """Virtual KITTI and Virtual Gallery."""
    for facts, name, homes, folder in (
        (vkitti, "vkitti", ("Scene01/clone", "Scene18/clone"), "classSegmentation"),
        (vgallery, "vgallery", ("training/a", "testing/a"), "classsegmentation"),
    ):
        for home, i in itertools.product(homes, range(COUNT)):
            base, place = data / name / home / "frames", f"camera_0/{{}}_{i:05d}"
            trees.write_image(base / f"rgb/{place.format('rgb')}.jpg", SIZE, i)
            path = base / f"{folder}/{place.format('classgt')}.png"
            areas.write_colors(path, list(facts.CLASSES.values()), SIZE)
            path = base / f"depth/{place.format('depth')}.png"
            layouts.write_depth(path, (0, 1000, 65535), SIZE)


def tiles(data):
    """ISPRS and iSAID: each image is one tile."""
    for city in isprs.CITIES.values():
        for i in range(COUNT):
            name = f"top_{i}"
            image = data / "isprs" / city.images / f"{name}{city.image_end}"
            areas.write_colors(image, [(10, 20, 31)], SIZE)
            mask = data / "isprs" / city.masks / f"{name}{city.mask_end}"
            areas.write_colors(mask, list(isprs.CLASSES.values()), SIZE)
    areas.write_isaid(data / "isaid", {f"P000{i}": SIZE for i in range(COUNT)})
    assert len(isaid.CLASSES) == 16


def suim_colors(data):
    for home, i in itertools.product(("train_val", "TEST"), range(COUNT)):
        root = data / "suim" / home
        trees.write_image(root / f"images/{i}.jpg", SIZE, i)
        areas.write_colors(root / f"masks/{i}.bmp", list(suim.CLASSES.values()), SIZE)


def sun(data):
    root = data / "sun_rgbd"
    indoor.write_sun(root, count=200)
    image, label = "image/train/img-{:06d}.jpg", "label37/train/img37labels-{:06d}.png"
    for i in range(1, COUNT + 1):
        trees.write_image(root / image.format(i), SIZE, i)
        indoor.write_ids(root / label.format(i), (0, 1, 37), SIZE)
        depth = root / f"depth/train/{i:08d}.png"
        layouts.write_depth(depth, indoor.turned([0, 1234, 9000]), SIZE)


def coco(data):
    """Boxes, points of persons, and masks of panoptic segments."""
    thing = [{"id": n, "name": name} for n, name in coco_names.THINGS.items()]
    every = [{"id": n, "name": name} for n, name in coco_names.PANOPTIC.items()]
    person = [{"id": 1, "name": "person", "keypoints": list(coco_names.POINTS)}]
    for split in TRAIN_VAL:
        files = [f"{split}{i}.jpg" for i in range(COUNT)]
        images = [
            {"id": i, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
            for i, name in enumerate(files)
        ]
        root = data / "coco"
        for seed, name in enumerate(files):
            trees.write_image(root / f"{split}2017/{name}", SIZE, seed)
        entry = dict(category_id=1, bbox=[4, 2, 30, 16], iscrowd=0, area=480.0)
        entry |= {"keypoints": [8, 6, 2] * 17, "num_keypoints": 17}
        entry |= {"segmentation": [[4, 2, 34, 2, 34, 18, 4, 18]]}
        entries = [entry | {"id": i + 1, "image_id": i} for i in range(COUNT)]
        for kind, categories in (("instances", thing), ("person_keypoints", person)):
            content = dict(images=images, annotations=entries, categories=categories)
            path = root / f"annotations/{kind}_{split}2017.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        segments = []
        for i in range(COUNT):
            path = root / f"annotations/panoptic_{split}2017/{split}{i}.png"
            areas.write_colors(path, [(0, 0, 0), (1, 0, 0), (2, 0, 0)], SIZE)
            info = [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 200}]
            segments.append(
                {"image_id": i, "file_name": path.name, "segments_info": info}
            )
        content = dict(images=images, annotations=segments, categories=every)
        path = root / f"annotations/panoptic_{split}2017.json"
        path.write_text(json.dumps(content))


def boxes_of_bdd(data):
    box = {"category": "car", "box2d": {"x1": 99, "y1": 99, "x2": 900, "y2": 600}}
    for split in TRAIN_VAL:
        entries = [{"name": f"{split}{i}.jpg", "labels": [box]} for i in range(COUNT)]
        path = data / f"bdd/labels/det_20/det_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entries))
        for seed, entry in enumerate(entries):
            image = data / f"bdd/images/100k/{split}/{entry['name']}"
            trees.write_image(image, bdd.SIZE, seed)


def trash(data):
    size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></size>"
    body = layouts.VOC_OBJECT.format("rov", 0, 4, 3, 36, 18)
    for split, i in itertools.product((*TRAIN_VAL, "test"), range(COUNT)):
        home = data / f"underwater_trash/dataset/{split}"
        trees.write_image(home / f"{i}.jpg", SIZE, i)
        (home / f"{i}.xml").write_text(f"<annotation>{size}{body}</annotation>")


def people(data):
    """MPII by its JSON, of which a fifth is held out."""
    from tests.data import test_catalogue_objects as objects

    joints = [(8 + i, 4 + i // 2, i) for i in range(len(mpii.JOINTS))]
    known = objects.person(joints, [1] * len(joints))
    root = data / "mpii"
    root.mkdir(parents=True)
    objects.write_mpii(root, [[known]] * (5 * COUNT), [1] * (5 * COUNT))


def extended_dogs(data):
    joints = [[8 + i, 3 + i // 2, 1] for i in range(dogs.LISTED)]
    entry = dict(img_width=40, img_height=20, joints=joints, img_bbox=[4, 2, 30, 16])
    names = [f"n1-beagle/n1_{i}.jpg" for i in range(3 * COUNT)]
    home = data / "dogs/StanfordExtra_V12"
    home.mkdir(parents=True)
    for seed, name in enumerate(names):
        trees.write_image(data / f"dogs/Images/{name}", SIZE, seed)
    path = home / "StanfordExtra_v12.json"
    path.write_text(json.dumps([entry | {"img_path": name} for name in names]))
    for place, split in enumerate((*TRAIN_VAL, "test")):
        split = home / f"{split}_stanford_StanfordExtra_v12.npy"
        np.save(split, np.arange(place * COUNT, (place + 1) * COUNT))


def scannet(data):
    for split in TRAIN_VAL:
        scene = f"scene_{split}"
        home = data / f"scannet/scannet_frames_25k/{scene}"
        for i in range(COUNT):
            trees.write_image(home / f"color/{i:06d}.jpg", SIZE, i)
            path = home / f"label/{i:06d}.png"
            indoor.write_ids(path, (0, 1, 39, 40), SIZE, np.uint16)
        (data / f"scannet/scannetv2_{split}.txt").write_text(f"{scene}\n")


def ilsvrc(data):
    for split, i in itertools.product(TRAIN_VAL, range(COUNT)):
        for kind in ("n01440764", "n15075141"):
            path = data / f"ilsvrc/{split}/{kind}/{kind}_{i}.JPEG"
            trees.write_image(path, SIZE, i)
