"""What made readers fail with exceptions that were not ours, a test for each rule."""

import json

import numpy as np
import pytest
import scipy.io
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import dataset
from jaxseg.data import source as source_lib
from jaxseg.data.readers import text_files
from tests.data import layouts, trees
from tests.robustness import readers

BIG = "9" * 400
NO_DIGITS = ["²", "٣", "1_0", "+1", "", " 1", "9" * 19, "9" * 5000]


def refused(name, root, text, **options):
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        source = readers.opened(name, root, options)
        for index in range(len(source)):
            source[index]


@pytest.mark.parametrize(
    "text", ["²", "٣", "1_0", "+1", "", " 1", "9" * 19, "9" * 5000]
)
def test_only_plain_digits_are_numbers(text):
    assert text_files.whole(text) is None


def test_plain_digits_are_numbers():
    assert [text_files.whole(text) for text in ("0", "007", "9" * 18)] == [
        0,
        7,
        10**18 - 1,
    ]


READ = r"train2017\.json: cannot be read \(OverflowError"
BAD = {  # what a value of the JSON file becomes, and what is said
    "bbox": ('"bbox": [4, 2, 8, 10]', f'"bbox": [4, 2, {BIG}, 10]', READ),
    "area": ('"id": 1,', f'"id": 1, "area": {BIG},', READ),
    "size": ('"height": 20', f'"height": {BIG}', r"json: images\[0\].* height and"),
    "name": ('"0.jpg"', r'"a\u0000.jpg"', "cannot be "),
    "half": ('"0.jpg"', r'"\ud800.jpg"', "cannot be "),
    "long": ('"id": 7', f'"id": {"9" * 5000}', r"train2017\.json: not whole JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_numbers_and_names_of_coco(tmp_path, name):
    path = layouts.write_coco(tmp_path)
    before, after, text = BAD[name]
    path.write_text(path.read_text().replace(before, after, 1))
    assert after in path.read_text()
    refused("coco/instances", tmp_path, text)


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "a.jpg", "labels": [1.5]},
        {"name": "a.jpg", "labels": [{"category": {}, "box2d": {}}]},
        {"name": "a.jpg", "labels": [{"category": "car", "box2d": {"x1": "dog"}}]},
        {"name": "a.jpg", "labels": 7},
    ],
)
def test_wrong_types_in_bdd_name_the_image(tmp_path, entry):
    path = tmp_path / "labels/det_20/det_train.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([entry]))
    refused(
        "bdd/detection", tmp_path, r"det_train\.json: a\.jpg: cannot be read .*box2d"
    )
    path.write_text(json.dumps([3]))
    refused("bdd/detection", tmp_path, r"det_train\.json: found no list of images")


def test_lists_that_are_no_text(tmp_path):
    trees.write_folder(tmp_path, "abc")
    (tmp_path / "train.txt").write_bytes(b"a\n\xff\n")
    refused("folder/segmentation", tmp_path, r"train\.txt: cannot be read as UTF-8")
    trees.write_camvid(tmp_path / "camvid")
    (tmp_path / "camvid/train.txt").write_bytes(b"\xff")
    refused("camvid/11", tmp_path / "camvid", r"train\.txt: cannot be read as UTF-8")


def test_a_superscript_is_a_name_not_a_number(tmp_path):
    for i in range(2):
        trees.write_image(tmp_path / f"{i}.png")
    (tmp_path / "train.csv").write_text("image,label\n0.png,²\n1.png,x\n")
    source = readers.opened("table/classification", tmp_path, {})
    assert source.dataset.classes == ("x", "²")


def test_a_name_too_long_for_the_disk(tmp_path):
    layouts.write_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text(f"train: {'x' * 5000}\nnames: [cat, dog]\n")
    refused("yolo/boxes", tmp_path, "name too long")


def test_a_negative_id_names_its_mask(tmp_path):
    for split in ("training", "validation"):
        trees.write_image(tmp_path / f"images/{split}/a.jpg")
        trees.write_mask(tmp_path / f"annotations/{split}/a.png")
    ids = Image.fromarray(np.full((12, 16), -3, np.int32))
    ids.save(tmp_path / "annotations/training/a.png", "TIFF")
    refused("ade20k/150", tmp_path, r"annotations/training/a\.png.* holds ids -3")


@pytest.mark.parametrize("value", [0.25, np.inf, 7])
def test_a_visibility_that_is_none_is_refused(tmp_path, value):
    joints = np.zeros((14, 3, 5))
    joints[0], joints[13] = [[10], [4], [value]], [[30], [14], [1]]
    layouts.write_lsp(tmp_path, joints)
    refused("lsp/extended", tmp_path, r"im0000.\.jpg.*keypoint .*visibility 0, 1 or 2")


def test_a_variable_of_another_type(tmp_path):
    readers._nyu(tmp_path)
    scipy.io.savemat(tmp_path / "splits.mat", {"trainNdxs": "text"})
    refused("nyu/depth", tmp_path, r"nyu/depth train: .*cannot be read \(ValueError")


FACTS = dataset.Dataset(
    fields=("image",), domain="own", splits={}, version=1, classes=("a", "b")
)
IMAGE = {"image": np.zeros((4, 6, 3), np.uint8), "id": "x"}


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("depth", np.full((4, 6), np.nan, np.float32), "depth is nan"),
        ("depth", np.full((4, 6), -1, np.float32), "depth is -1 to -1"),
        ("depth", np.zeros((4, 6)), "depth is float64"),
        ("segmentation", np.zeros((4, 6), np.uint8), "segmentation is uint8"),
        ("boxes", np.zeros((2, 5), np.float32), r"boxes is float32 \[2, 5\]"),
        (
            "label",
            np.zeros(1, np.int32),
            r"label is int32 \[1\]; .* int32 \[\]",
        ),
        ("crowd", np.zeros(2, np.int32), r"crowd is int32 \[2\]; allowed is bool"),
        ("keypoints", np.zeros((1, 3, 3), np.float32), "keypoints is"),
    ],
)
def test_the_vocabulary_is_checked(field, value, text):
    with pytest.raises(errors.UserError, match=f"here: {text}"):
        dataset.check(IMAGE | {field: value}, FACTS, where="here")


def test_a_reader_that_fails_by_mistake_is_told_with_its_line(tmp_path, monkeypatch):
    from jaxseg.data.datasets import folder

    trees.write_folder(tmp_path, "abc")
    monkeypatch.setattr(folder, "parse", lambda *_: {}["gone"])
    source = source_lib.open("folder/segmentation", split="train", root=tmp_path)
    with pytest.raises(
        errors.UserError, match=r"record 0 .*KeyError: 'gone'"
    ) as caught:
        source[0]
    assert str(tmp_path) in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)
