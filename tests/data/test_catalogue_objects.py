"""COCO's own variants, MPII, StanfordExtra, Trash-ICRA19, Object Discovery."""

import json

import numpy as np
import pytest
import scipy.io
from PIL import Image
from pycocotools import mask as masks

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import dogs, mpii
from jaxseg.data.readers import coco_chairs, coco_names
from tests.data import layouts, trees

SIZE = (20, 40)


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = opened(name, root, split, **options)
        for index in range(len(source)):
            source[index]


def coco(annotations, categories=coco_names.THINGS, count=3):
    """Content with the official categories, out of order."""
    content = layouts.coco(count)
    content["annotations"] = [{"id": i, **a} for i, a in enumerate(annotations, 1)]
    entries = [{"id": id_, "name": name} for id_, name in categories.items()]
    return content | {"categories": entries[::-1]}


def box(image, category, bbox, **more):
    return {"image_id": image, "category_id": category, "bbox": bbox, **more}


# COCO


def test_coco_facts():
    boxes, person = catalogue.find("coco/boxes80"), catalogue.find("coco/person17")
    assert boxes.num_classes == 80 and boxes.classes[::79] == ("person", "toothbrush")
    assert dict(boxes.splits) == {"train": 118287, "validation": 5000}
    assert len(person.keypoints) == 17 and person.keypoints[-1] == "right_ankle"
    assert person.flip_pairs[0] == (1, 2) and len(person.flip_pairs) == 8
    panoptic = catalogue.find("coco/panoptic134")
    assert panoptic.num_classes == 134 and panoptic.background == 0
    assert panoptic.classes[133] == "rug-merged"


def test_coco_boxes80(tmp_path):
    content = coco([box(10, 90, [4, 2, 8, 10]), box(10, 3, [4, 2, 8, 10])])
    layouts.write_coco(tmp_path, content)
    source = opened("coco/boxes80", tmp_path)
    assert source[0]["box_labels"].tolist() == [79, 2]
    assert dict(source.dataset.splits) == {"train": 3}
    content["categories"][0]["name"] = "comb"
    layouts.write_coco(tmp_path / "other", content)
    refused("coco/boxes80", tmp_path / "other", "80 categories.*comb.*Fix.*instances")


def test_coco_person17(tmp_path):
    points = [0] * 51
    points[3:6] = [20, 10, 2]
    content = coco([box(10, 1, [4, 2, 8, 10], keypoints=points)], {1: "person"})
    content["categories"][0]["keypoints"] = list(coco_names.POINTS)
    layouts.write_coco(tmp_path, content, kind="person_keypoints")
    example = opened("coco/person17", tmp_path)[0]
    assert example["keypoints"].shape == (1, 17, 3)
    np.testing.assert_allclose(example["keypoints"][0, 1], [0.5, 0.5, 2])
    content["categories"][0]["keypoints"][0] = "snout"
    layouts.write_coco(tmp_path / "other", content, kind="person_keypoints")
    refused("coco/person17", tmp_path / "other", "snout.*Fix")


def test_coco_image_labels(tmp_path):
    entries = [
        box(10, 90, [0, 0, 40, 20], area=5),  # a wide box, and little in it
        box(10, 3, [4, 2, 3, 3]),
        box(10, 3, [9, 2, 3, 3]),
        box(12, 2, [1, 1, 5, 5]),
    ]
    layouts.write_coco(tmp_path, coco(entries))
    source = opened("coco/classification", tmp_path)
    assert [int(source[i]["label"]) for i in range(len(source))] == [2, 1]
    assert source[1]["id"] == "train2017/2.jpg"
    assert dict(source.dataset.splits) == {"train": 2}  # the empty one is left out
    several = opened("coco/multilabel", tmp_path)
    assert np.flatnonzero(several[0]["labels"]).tolist() == [2, 79]
    assert several[1]["labels"].sum() == 0 and several[1]["labels"].shape == (80,)


def test_coco_chairs(tmp_path):
    runs = masks.encode(np.asfortranarray(np.eye(20, 40, dtype=np.uint8)))
    entries = [
        box(10, 62, [10, 5, 10, 10], segmentation=[[10, 5, 20, 5, 20, 15, 10, 15]]),
        box(10, 62, [0, 0, 2, 2], segmentation=[[0, 0, 2, 0, 2, 2, 0, 2]]),
        box(
            10,
            62,
            [0, 0, 40, 20],
            iscrowd=1,
            segmentation={"size": [20, 40], "counts": runs["counts"].decode()},
        ),
        box(11, 62, [0, 0, 9, 9], iscrowd=1, segmentation={}),
        box(12, 1, [0, 0, 9, 9], segmentation=[[0, 0, 9, 0, 9, 9]]),
    ]
    layouts.write_coco(tmp_path, coco(entries))
    source = opened("coco/chairs", tmp_path)
    assert len(source) == 1  # a crowd alone and a person alone are no chairs
    mask = source[0]["segmentation"]
    assert mask.shape == (12, 12)  # rows 4 to 15, columns 9 to 20
    assert (mask[1:11, 1:11] == 1).all()  # a chair is in front of the crowd
    assert [(mask == value).sum() for value in (0, 1, IGNORE)] == [42, 100, 2]


def test_run_lengths_are_those_of_pycocotools():
    random = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = np.asfortranarray(random.random((300, 200)) < share)
        runs = masks.encode(mask.astype(np.uint8))["counts"]
        counts = coco_chairs._run_lengths(runs)
        found = np.repeat(np.arange(len(counts)) % 2, counts).reshape(200, 300).T
        np.testing.assert_array_equal(found, mask)


def write_panoptic(root, segments, pixels, categories=coco_names.PANOPTIC):
    layouts.write_coco(root, coco([], categories, count=1))
    (root / "annotations/instances_train2017.json").unlink()
    colours = np.stack([pixels % 256, pixels // 256 % 256, pixels // 65536], axis=-1)
    (root / "annotations/panoptic_train2017").mkdir()
    image = Image.fromarray(colours.astype(np.uint8))
    image.save(root / "annotations/panoptic_train2017/0.png")
    content = coco([], categories, count=1)
    content["annotations"] = [
        {"image_id": 10, "file_name": "0.png", "segments_info": segments}
    ]
    (root / "annotations/panoptic_train2017.json").write_text(json.dumps(content))


def test_coco_panoptic(tmp_path):
    pixels = np.zeros(SIZE, int)
    pixels[:5], pixels[5:10] = 70000, 300
    segments = [{"id": 70000, "category_id": 200}, {"id": 300, "category_id": 1}]
    write_panoptic(tmp_path, segments, pixels)
    ids = opened("coco/panoptic134", tmp_path)[0]["segmentation"]
    assert ids[::5, 0].tolist() == [133, 1, 0, 0]
    own = opened("coco/panoptic", tmp_path)
    assert own[0]["segmentation"][::5, 0].tolist() == [132, 0, IGNORE, IGNORE]
    assert own.dataset.num_classes == 133
    before = catalogue.fingerprint("coco/panoptic", root=tmp_path)
    write_panoptic(tmp_path / "b", segments[:1], pixels)
    assert catalogue.fingerprint("coco/panoptic", root=tmp_path / "b") != before
    refused("coco/panoptic", tmp_path / "b", r"segments \[300\].*Fix")
    write_panoptic(tmp_path / "c", segments, pixels, {1: "person", 200: "rug"})
    assert opened("coco/panoptic", tmp_path / "c").dataset.classes == ("person", "rug")
    refused("coco/panoptic134", tmp_path / "c", "134|133 categories.*Fix")


def test_coco_panoptic_refuses_what_the_file_does_not_list(tmp_path):
    write_panoptic(tmp_path, [{"id": 5, "category_id": 12}], np.full(SIZE, 5))
    refused("coco/panoptic", tmp_path, r"annotations\[0\].*\[12\].*Fix")
    write_panoptic(tmp_path / "b", [{"id": 5}], np.full(SIZE, 5))
    refused("coco/panoptic", tmp_path / "b", "KeyError.*segments_info.*Fix")


def test_coco_panoptic_of_more_classes_than_a_byte_names(tmp_path):
    many = {id_: f"c{id_}" for id_ in range(1, 257)}
    pixels = np.zeros(SIZE, int)
    pixels[:5] = 9
    write_panoptic(tmp_path, [{"id": 9, "category_id": 256}], pixels, many)
    source = opened("coco/panoptic", tmp_path)
    assert source.dataset.num_classes == 256
    assert source[0]["segmentation"][::5, 0].tolist() == [255, *[IGNORE] * 3]


def test_real_panoptic(real_data):
    home = "panoptic_segmentation/annotations/panoptic"
    files = {"train": f"{home}_train2017.json", "validation": f"{home}_val2017.json"}
    root = real_data / "coco128"
    for split in files:
        source = opened("coco/panoptic134", root, split, annotations=files)
        plain = opened("coco/panoptic", root, split, annotations=files)
        assert len(source) == 100
        for index in range(0, 100, 10):
            ids, others = (x[index]["segmentation"] for x in (source, plain))
            np.testing.assert_array_equal(
                np.where(others == IGNORE, 0, others + 1), ids
            )
            assert (ids > 0).mean() > 0.5


def test_real_boxes(real_data):
    source = opened("coco/boxes80", real_data / "coco128", "validation")
    assert len(source) == 128
    assert sum(len(source._records[i].boxes) for i in range(128)) == 898


# MPII


def test_mpii_facts():
    facts = catalogue.find("mpii/person")
    assert len(facts.keypoints) == 16 and len(facts.flip_pairs) == 6
    assert facts.keypoints[6:10] == ("pelvis", "thorax", "upper_neck", "head_top")


def person(joints, seen, scale=0.1):
    points = [
        {"x": x, "y": y, "id": id_, "is_visible": see}
        for (x, y, id_), see in zip(joints, seen, strict=True)
    ]
    place = {"x": 11.0, "y": 11.0}
    return {"annopoints": {"point": points}, "objpos": place, "scale": scale}


def write_mpii(root, rects, train):
    images = [{"name": f"{i}.jpg"} for i in range(len(rects))]
    entries = [{"image": i, "annorect": r} for i, r in zip(images, rects, strict=True)]
    for seed in range(len(rects)):
        trees.write_image(root / f"images/{seed}.jpg", SIZE, seed)
    release = {"annolist": entries, "img_train": np.array(train)}
    scipy.io.savemat(root / mpii.MAT, {"RELEASE": release})


def test_mpii(tmp_path):
    nobody = np.zeros((0, 0))
    known = person([(21, 11, 0), (5, 6, 9)], [1, 0])
    other = person([(21, 11, 15), (1, 1, 8)], [nobody, nobody])
    unplaced = person([(21, 11, 0)], [1]) | {"scale": nobody}
    rects = [[known, other], [known], nobody, known | {"annopoints": nobody}, known]
    rects += [[unplaced]]
    write_mpii(tmp_path, rects, [1, 1, 1, 1, 0, 1])
    examples = [opened("mpii/person", tmp_path, s)[0] for s in ("train", "validation")]
    assert {example["id"] for example in examples} == {"0", "1"}
    two = next(example for example in examples if example["id"] == "0")
    np.testing.assert_allclose(two["boxes"][0], [0, 0, 1, 0.5])  # 20 pixels, cut
    np.testing.assert_allclose(two["keypoints"][0, 0], [0.5, 0.5, 2])
    np.testing.assert_allclose(two["keypoints"][0, 9], [0.25, 0.1, 1])
    assert two["keypoints"][1, [8, 15], 2].tolist() == [2, 2]
    assert two["keypoints"][..., 2].astype(bool).sum() == 4
    (tmp_path / mpii.MAT).write_bytes(b"no")
    refused("mpii/person", tmp_path, "not MPII's RELEASE.*Fix")
    (tmp_path / mpii.MAT).unlink()
    refused("mpii/person", tmp_path, "file not found.*annotations=")


def test_real_mpii(real_data):
    root = real_data / "official_layouts/keypoints/mpii"
    files = {"train": "test_mpii.json"}
    source = opened("mpii/person", root, annotations=files, images=".")
    assert len(source) == 5 and dict(source.dataset.splits) == {"train": 5}
    for index in range(5):
        example = source[index]
        assert example["keypoints"].shape == (len(example["boxes"]), 16, 3)
        points = example["keypoints"][0][example["keypoints"][0, :, 2] > 0]
        low, high = example["boxes"][0, :2], example["boxes"][0, 2:]
        assert ((points[:, :2] >= low) & (points[:, :2] <= high)).mean() > 0.9


# StanfordExtra


def write_dogs(root, joints, places=(1, 0)):
    entries = [
        {
            "img_path": f"n1-beagle/n1_{i}.jpg",
            "img_width": 40,
            "img_height": 20,
            "joints": joints,
            "img_bbox": [10, 5, 20, 10],
        }
        for i in range(3)
    ]
    for i in range(3):
        trees.write_image(root / f"Images/n1-beagle/n1_{i}.jpg", SIZE, i)
    home = root / "StanfordExtra_V12"
    home.mkdir(exist_ok=True)
    (home / "StanfordExtra_v12.json").write_text(json.dumps(entries))
    np.save(home / "train_stanford_StanfordExtra_v12.npy", np.array(places))


def test_dogs(tmp_path):
    facts = catalogue.find("dogs/keypoints")
    assert len(facts.keypoints) == 20 and len(facts.flip_pairs) == 8
    assert dict(facts.splits) == {"train": 6773, "validation": 4062, "test": 1703}
    joints = [[0, 0, 0]] * 24
    joints[0], joints[16] = [20, 10, 1], [10, 5, 0]
    write_dogs(tmp_path, joints)
    source = opened("dogs/keypoints", tmp_path)
    assert [source[i]["id"][-5] for i in range(2)] == ["1", "0"]
    points = source[0]["keypoints"]
    assert points.shape == (1, 20, 3) and points[..., 2].sum() == 3
    np.testing.assert_allclose(points[0, [0, 16]], [[0.5, 0.5, 2], [0.25, 0.25, 1]])
    np.testing.assert_allclose(source[0]["boxes"], [[0.25, 0.25, 0.75, 0.75]])
    refused("dogs/keypoints", tmp_path, "test_stanford.*Fix", split="test")
    write_dogs(tmp_path, joints, places=(3,))
    refused("dogs/keypoints", tmp_path, "places of 0 to 2.*Fix")
    write_dogs(tmp_path, joints[:20])
    refused("dogs/keypoints", tmp_path, r"json\[0\].*24 joints.*Fix")
    refused("dogs/keypoints", tmp_path / "Images", "file not found.*Fix")


def test_dogs_joints_are_in_the_published_order():
    assert dogs.JOINTS[3] == "left_rear_paw" and dogs.JOINTS[6] == "right_front_paw"
    assert dogs.JOINTS[16:18] == ("nose", "chin")


# Trash-ICRA19


def write_trash(root, objects):
    body = "".join(layouts.VOC_OBJECT.format(name, 0, *b) for name, b in objects)
    home = root / "dataset/val"
    trees.write_image(home / "a.jpg", SIZE)
    size = "<size><width>40</width><height>20</height></size>"
    (home / "a.xml").write_text(f"<annotation>{size}{body}</annotation>")


def test_underwater_trash(tmp_path):
    facts = catalogue.find("underwater_trash/boxes")
    assert facts.classes == ("plastic", "bio", "rov")
    assert dict(facts.splits) == {"train": 5720, "validation": 820, "test": 1144}
    assert facts.protocol["detection"] == {"protocol": "voc", "nms": 0.3}
    whole = (1, 1, 40, 20)
    objects = [("rov", (1, 1, 20, 10)), ("platstic", whole), ("timestamp", whole)]
    write_trash(tmp_path, objects)
    example = opened("underwater_trash/boxes", tmp_path, "validation")[0]
    assert example["box_labels"].tolist() == [2, 0]
    np.testing.assert_allclose(example["boxes"], [[0, 0, 0.5, 0.5], [0, 0, 1, 1]])
    name = "underwater_trash/boxes"
    refused(name, tmp_path, "dataset/train: folder not found.*Fix")
    write_trash(tmp_path, [("plane", whole)])
    refused(name, tmp_path, "'plane'; allowed are plastic.*Fix", "validation")
    (tmp_path / "dataset/val/a.xml").unlink()
    refused(name, tmp_path, "a.xml: file not found.*Fix", "validation")


# Object Discovery


def test_object_discovery(tmp_path):
    home = tmp_path / "Data/Horse100"
    for i in range(10):
        trees.write_image(home / f"{i:04d}.jpg", SIZE, i)
        values = (0,) if i == 0 else (0, 255)
        trees.write_mask(home / f"GroundTruth/{i:04d}.png", SIZE, values)
    found = [
        opened("object_discovery/horse", tmp_path, split)
        for split in ("train", "validation", "test")
    ]
    assert [len(source) for source in found] == [6, 2, 2]
    every = {source[i]["id"]: source[i] for source in found for i in range(len(source))}
    assert len(every) == 10 and every["0000"]["segmentation"].max() == 0
    assert set(np.unique(every["0001"]["segmentation"])) == {0, 1}
    (home / "GroundTruth/0003.png").unlink()
    refused("object_discovery/horse", tmp_path, "without mask: 1, .*0003.*Fix")
    refused("object_discovery/car", tmp_path, "Car100.*folder not found.*Fix")
