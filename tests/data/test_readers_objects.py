"""Readers of boxes and keypoints: COCO, VOC, YOLO and LSP, whole and broken."""

import json
import logging

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import catalogue, pipeline, refusals
from jaxseg.data import source as source_lib
from jaxseg.data.normalization import Normalize
from jaxseg.data.readers import class_names, objects
from tests.data import layouts


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = opened(name, root, split, **options)
        for index in range(len(source)):
            source[index]


@pytest.fixture(autouse=True)
def told_again():
    """Each test hears of dropped boxes anew."""
    refusals.notes.clear()


# COCO


@pytest.mark.parametrize("images", ["train2017", "images/train2017", "images", "."])
def test_coco_boxes(tmp_path, images):
    layouts.write_coco(tmp_path, images=images)
    source = opened("coco/instances", tmp_path)
    assert source.dataset.classes == ("person", "dog")  # by id, not by place
    assert dict(source.dataset.splits) == {"train": 2}
    first, empty = source[0], source[1]
    np.testing.assert_allclose(
        first["boxes"], [[0.1, 0.1, 0.6, 0.3], [0.5, 0.75, 0.75, 1]], rtol=1e-6
    )
    assert first["box_labels"].tolist() == [1, 0] and first["id"] == "0.jpg"
    assert first["crowd"].tolist() == [False, True]
    assert empty["boxes"].shape == (0, 4) and empty["crowd"].shape == (0,)


@pytest.mark.parametrize("kind", ["instances", "person_keypoints"])
def test_coco_areas(tmp_path, kind):
    content = layouts.coco()
    content["annotations"][1]["area"] = 7.5
    layouts.write_coco(tmp_path, content, kind=kind)
    name = "coco/" + kind.removeprefix("person_")
    source = opened(name, tmp_path)
    assert "area" in source.dataset.fields
    expected = [0, 7.5] if kind == "instances" else [7.5]  # 0: the file does not say
    assert source[0]["area"].tolist() == expected
    assert source[0]["area"].dtype == source[1]["area"].dtype == np.float32
    assert source[1]["area"].shape == (0,)
    given = {"batch_size": 2, "fields": ("image", "boxes", "area"), "threads": 0}
    given["normalize"] = Normalize((100.0,) * 3, (50.0,) * 3)
    for size in ((64, 64), (10, 10)):  # in pixels of the image, whatever the canvas
        (batch,) = pipeline.eval_batches(source, size=size, **given)
        assert batch["area"][0, : len(expected)].tolist() == expected


def test_coco_without_areas(tmp_path):
    layouts.write_coco(tmp_path)
    assert "area" not in opened("coco/instances", tmp_path).dataset.fields


def test_coco_keypoints(tmp_path):
    layouts.write_coco(tmp_path, kind="person_keypoints")
    source = opened("coco/keypoints", tmp_path)
    facts, example = source.dataset, source[0]
    assert facts.classes == ("person",) and facts.flip_pairs == ((0, 1),)
    assert facts.keypoints == ("left_eye", "right_eye", "nose")
    expected = [[[0.25, 0.25, 2], [0.25, 0.3, 1], [0, 0, 0]]]
    np.testing.assert_allclose(example["keypoints"], expected, rtol=1e-6)
    assert example["box_labels"].tolist() == [0] and example["crowd"].tolist() == [True]
    assert source[1]["keypoints"].shape == (0, 3, 3)


def test_coco_options(tmp_path):
    layouts.write_coco(tmp_path, images="pictures")
    refused("coco/instances", tmp_path, r"'0\.jpg' are in none of train2017, .*Fix")
    given = {"train": "annotations/instances_train2017.json"}
    for images in ("pictures", {"train": "pictures"}):
        source = opened("coco/instances", tmp_path, annotations=given, images=images)
        assert len(source) == 2
    refused("coco/instances", tmp_path, "folder not found.*Fix", images="nowhere")
    refused(
        "coco/instances", tmp_path, r"splits \['trian'\]", annotations={"trian": ""}
    )
    refused("coco/instances", tmp_path, r"no\.json: file not found", annotations={
        "train": "no.json"})  # fmt: skip


def test_dropped_boxes_are_counted(tmp_path, caplog):
    content = layouts.coco()
    boxes = [[1, 1, 0, 5], [1, 1, 5, 0], [1, float("nan"), 5, 5], [50, 1, 5, 5]]
    for number, box in enumerate(boxes, 3):
        content["annotations"].append(
            {"id": number, "image_id": 11, "category_id": 3, "bbox": box}
        )
    path = layouts.write_coco(tmp_path, content)
    with caplog.at_level(logging.WARNING):
        source = opened("coco/instances", tmp_path)
        assert len(source[1]["boxes"]) == 0 and len(source[0]["boxes"]) == 2
    expected = f"{path}: 4 of 6 boxes have no area within their image"
    assert [record.message.startswith(expected) for record in caplog.records] == [True]


def test_points_outside_are_unknown():
    points = np.array([[[-1, 5, 2], [41, 5, 2], [np.nan, 5, 2], [40, 20, 1]]])
    known = objects.known_points(points, (20, 40))
    np.testing.assert_array_equal(known[0], [[0] * 3, [0] * 3, [0] * 3, [1, 1, 1]])


def break_coco(content, where, value):
    *keys, last = where
    for key in keys:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(
    ("where", "value", "text"),
    [
        (
            ("annotations", 0, "category_id"),
            9,
            r"annotations\[0\] .*category_id is 9; a",
        ),
        (("annotations", 0, "category_id"), [7], r"category_id is \[7\]"),
        (("annotations", 1, "image_id"), 99, r"\(id 2\): image_id is 99; .*10, 11"),
        (("annotations", 1, "bbox"), [1, 2, 3], r"bbox is \[1, 2, 3\]; .*four numbers"),
        (("annotations", 1, "bbox"), None, "bbox is None"),
        (("images", 1, "id"), 10, r"images\[1\]: id is 10; .*no other"),
        (("images", 1, "width"), 0, r"images\[1\].*height and width are \[20, 0\]"),
        (("images", 1, "file_name"), None, "id 11: file_name is None"),
        (("images", 1, "height"), 21, r"image is 20 x 40 .* JSON says 21 x 40"),
        (("images", 1, "file_name"), "no.jpg", r"no\.jpg: file not found"),
        (("categories", 0, "name"), "person", r"\['person'\] more than once"),
        (("categories",), {}, "'categories' is missing, empty or not a list"),
        (("images",), [], "'images' is missing, empty"),
    ],
)
def test_broken_coco(tmp_path, where, value, text):
    content = layouts.coco()
    path = layouts.write_coco(tmp_path, content)
    break_coco(content, where, value)
    path.write_text(json.dumps(content))
    refused("coco/instances", tmp_path, text)


@pytest.mark.parametrize(
    ("points", "text"),
    [([1, 2], "2 values; allowed"), ([1, 2, 3] * 3, "9 values"), (["x"] * 9, "9 val")],
)
def test_broken_keypoints(tmp_path, points, text):
    content = layouts.coco()
    content["annotations"][1]["keypoints"] = points
    layouts.write_coco(tmp_path, content, kind="person_keypoints")
    refused("coco/keypoints", tmp_path, text)


def test_coco_files_that_are_not_right(tmp_path):
    refused("coco/instances", tmp_path, r"found no annotations/instances_train\*\.json")
    path = layouts.write_coco(tmp_path)
    path.write_text(path.read_text()[:-30])
    refused("coco/instances", tmp_path, "not whole JSON")
    path.write_text("[]")
    refused("coco/instances", tmp_path, "'images' is missing")
    content = layouts.coco()
    del content["categories"][1]["keypoints"]
    layouts.write_coco(tmp_path, content, kind="person_keypoints")
    path.unlink()
    refused("coco/keypoints", tmp_path, "have no names under 'keypoints'.*Fix")
    other = path.with_name("person_keypoints_train2014.json")
    other.write_text("{}")
    refused("coco/keypoints", tmp_path, "for split 'train'; allowed is one file")


def test_splits_must_agree_on_the_classes(tmp_path):
    path = layouts.write_coco(tmp_path)
    content = layouts.coco()
    content["categories"][0]["name"] = "wolf"
    path.with_name("instances_val2017.json").write_text(json.dumps(content))
    text = "category 7 is 'wolf', in another split 'dog'"
    refused("coco/instances", tmp_path, text, images="train2017")


def test_fingerprints_follow_the_labels(tmp_path):
    def fingerprint(root):
        return catalogue.fingerprint("coco/instances", root=root)

    for name in ("one", "two"):
        layouts.write_coco(tmp_path / name)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
    content = layouts.coco()
    content["annotations"][0]["bbox"] = [4, 2, 8, 9]
    layouts.write_coco(tmp_path / "two", content)
    assert fingerprint(tmp_path / "one") != fingerprint(tmp_path / "two")


# Pascal VOC


def test_voc_boxes(tmp_path, caplog):
    boxes = [
        ("dog", 1, 1, 1, 40, 20),
        ("cat", 0, 11, 6, 20, 10),
        ("cat", 0, 5, 5, 5, 9),  # a click
        ("cat", 0, 41, 5, 50, 9),  # outside
    ]
    layouts.write_voc(tmp_path, range(10), boxes)
    with caplog.at_level(logging.WARNING):
        source = opened("voc/boxes", tmp_path)
    assert "16 of 32 boxes have no area" in caplog.text
    assert source.dataset.classes == ("cat", "dog")
    assert dict(source.dataset.splits) == {"train": 8, "validation": 2}
    example = source[0]
    np.testing.assert_allclose(
        example["boxes"], [[0, 0, 1, 1], [0.25, 0.25, 0.5, 0.5]], rtol=1e-6
    )
    assert example["box_labels"].tolist() == [1, 0]
    assert example["difficult"].tolist() == [True, False]


def test_voc_lists_and_classes(tmp_path):
    layouts.write_voc(tmp_path, ["a", "b", "c"])
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("c  1\na -1\n\n")
    (lists / "val.txt").write_text("b\n")
    source = opened("voc/boxes", tmp_path, classes=["dog", "cat"])
    assert [source[i]["id"] for i in range(len(source))] == ["c", "a"]
    assert source[0]["box_labels"].tolist() == [1]
    refused(
        "voc/boxes", tmp_path, "is 'cat'; allowed are the classes dog", classes=["dog"]
    )
    (lists / "val.txt").write_text("z\n")
    refused("voc/boxes", tmp_path, r"val\.txt: 1 of 1 names have no XML .*'z'\. Fix")


BOMB = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "refused: it defines entities.*Fix"),
        ("<annotation><object>", "not whole XML"),
        ("", "not whole XML"),
        ("<annotation><object></object></annotation>", "an <object> has no <name>"),
        (
            "<annotation><object><name>cat</name></object></annotation>",
            r"<bndbox> of a 'cat' holds \['', '', '', ''\]; allowed are numbers",
        ),
        (
            "<annotation><size><width>9</width><height>8</height></size></annotation>",
            "image is 20 x 40 .* XML says 8 x 9",
        ),
    ],
)
def test_broken_voc(tmp_path, text, message):
    layouts.write_voc(tmp_path, range(4))
    for place in (1, 2, 3):
        (tmp_path / f"Annotations/{place}.xml").write_text(text)
    refused("voc/boxes", tmp_path, message)


def test_voc_without_its_files(tmp_path):
    refused("voc/boxes", tmp_path, "found no XML files")
    layouts.write_voc(tmp_path, range(4))
    refused("voc/boxes", tmp_path, "nowhere: folder not found", images="nowhere")
    for path in (tmp_path / "JPEGImages").iterdir():
        path.unlink()
    refused(
        "voc/boxes",
        tmp_path,
        r"XML files without image: 4, for example Annotations/0\.xml.*Fix",
    )


# YOLO


def test_yolo_boxes(tmp_path, caplog):
    lines = "0 0.5 0.5 0.25 0.5\n\n1 0.1 0.2 0.3 0.2 0.3 0.6\n1 1.5 0.5 0.1 0.1\n"
    layouts.write_yolo(tmp_path, lines)
    (tmp_path / "labels/train/9.txt").write_text("")
    with caplog.at_level(logging.WARNING):
        source = opened("yolo/boxes", tmp_path)
    assert "1 label files have no image" in caplog.text
    assert "1 of 3 boxes have no area" in caplog.text
    assert source.dataset.classes == ("cat", "a dog")
    assert dict(source.dataset.splits) == {"train": 3, "validation": 2}
    expected = [[0.25, 0.375, 0.75, 0.625], [0.2, 0.1, 0.6, 0.3]]
    np.testing.assert_allclose(source[0]["boxes"], expected, rtol=1e-6)
    assert source[0]["box_labels"].tolist() == [0, 1]
    assert source[1]["boxes"].shape == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "names: [cat, 'a dog']  # two\nnc: 2",
        'names: ["cat",\n  "a dog"]',
        "nc: 2\nnames:\n  0: cat\n  1: a dog # wild\n",
        "names:\n- cat\n- 'a dog'\nroboflow:\n  version: 1\n",
        "names:  # both\n\n  # first\n  - cat\n  - a dog",
    ],
)
def test_names_of_yaml_files(text):
    assert class_names.names_in_yaml(text) == {0: "cat", 1: "a dog"}


def test_yolo_options(tmp_path):
    layouts.write_yolo(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "boxes")
    refused(
        "yolo/boxes", tmp_path, r"none of 3 images has a label file .*labels=FOLDER"
    )
    source = opened("yolo/boxes", tmp_path, labels="boxes")
    assert len(source[0]["boxes"]) == 1
    (tmp_path / "data.yaml").unlink()
    refused("yolo/boxes", tmp_path, "found no YAML file", labels="boxes")
    given = {"images": {"train": "images/val"}, "labels": "boxes"}
    refused("yolo/boxes", tmp_path, "found no YAML file with the names", **given)
    assert len(opened("yolo/boxes", tmp_path, classes=["cat"], **given)) == 2
    given["images"] = {"train": "images/no"}
    refused("yolo/boxes", tmp_path, "'images/no' is not a folder", **given)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("2 0.5 0.5 0.1 0.1", r"0\.txt: found class 2; allowed are 0 to 1"),
        ("0 0.5 0.5\n", r"0\.txt:1: found '0 0\.5 0\.5'; allowed is `class x"),
        ("0 0.5 0.5 0.1 0.1\ncat 0 0 1 1", r"0\.txt:2: found 'cat 0"),
        ("0 320 200 50 60", r"a box that ends at 345; allowed .* relative"),
        ("0.5 0.5 0.5 0.1 0.1", r"0\.txt:1: found '0\.5"),
    ],
)
def test_broken_yolo(tmp_path, lines, text):
    layouts.write_yolo(tmp_path, lines)
    refused("yolo/boxes", tmp_path, text)


def test_yolo_names_with_gaps(tmp_path):
    layouts.write_yolo(tmp_path, names="names:\n  0: cat\n  2: dog")
    refused("yolo/boxes", tmp_path, r"names holds the ids \[0, 2\]; allowed")
    layouts.write_yolo(tmp_path, names="names: [cat, cat]")
    refused("yolo/boxes", tmp_path, r"\['cat'\] more than once")


# LSP


def test_lsp(tmp_path):
    joints = np.zeros((14, 3, 5))
    joints[0], joints[13] = [[10], [4], [1]], [[30], [14], [1]]
    joints[5] = [[100], [5], [1]]  # outside
    joints[13, 2, 4] = 0  # one point is no person
    layouts.write_lsp(tmp_path, joints)
    found = {}
    for split, count in (("train", 4), ("validation", 1)):
        source = opened("lsp/extended", tmp_path, split)
        assert len(source) == count and source.dataset.domain == "consumer"
        found |= {source[i]["id"]: source[i] for i in range(count)}
    assert sorted(found) == [f"im{i:05d}" for i in range(1, 6)]
    example = found["im00001"]
    np.testing.assert_allclose(example["boxes"], [[0.1, 0.2, 0.8, 0.8]], rtol=1e-6)
    assert example["keypoints"][0, :, 2].tolist() == [2] + [0] * 12 + [2]
    np.testing.assert_allclose(example["keypoints"][0, 13, :2], [0.7, 0.75], rtol=1e-6)
    assert found["im00005"]["keypoints"].shape == (0, 14, 3)


def test_broken_lsp(tmp_path):
    refused("lsp/extended", tmp_path, r"joints\.mat: file not found")
    (tmp_path / "joints.mat").write_bytes(b"not a matrix at all" * 20)
    refused("lsp/extended", tmp_path, "not a MATLAB 5 file")
    layouts.write_lsp(tmp_path, np.zeros((3, 14, 4)), count=0)
    refused("lsp/extended", tmp_path, r"\[3, 14, 4\]; allowed are numbers \[14, 3")
    layouts.write_lsp(tmp_path, np.zeros((14, 3, 4)), count=0)
    refused("lsp/extended", tmp_path, r"im0000.\.jpg: file not found")
