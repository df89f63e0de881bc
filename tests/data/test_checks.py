"""Checks of whole datasets: what they refuse, what they only mention."""

import logging
import re
import shlex

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import CLASS_FIELDS, IGNORE
from jaxseg.data.tools import checks, statistics
from tests.data import trees


def example(place, **fields):
    image = np.random.default_rng(place).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return {"image": image, "id": str(place), **fields}


def masks(*rows, **facts):
    """A source with one mask for each row of ids."""
    made = [np.resize(np.array(row, np.int32), (8, 8)) for row in rows]
    found = [example(i, segmentation=mask) for i, mask in enumerate(made)]
    return trees.in_memory(found, **facts)


def objects(boxes, points=None, **facts):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    fields = {"boxes": boxes, "box_labels": np.zeros(len(boxes), np.int32)}
    if points is not None:
        fields["keypoints"] = np.array(points, np.float32)
    found = [example(0, **fields), example(1, **fields)]
    return trees.in_memory(found, fields=("image", *fields), **facts)


def depth(*values):
    made = [np.resize(np.array(row, np.float32), (8, 8)) for row in values]
    found = [example(i, depth=each) for i, each in enumerate(made)]
    return trees.in_memory(found, fields=("image", "depth"))


def kinds(source):
    return [(p.kind, p.fatal) for p in checks.check(source).problems]


def test_whole_labels_have_no_problems():
    assert kinds(masks([0, 1, 2], [0, 1, IGNORE], [2])) == []
    assert kinds(depth([0, 1.5], [3])) == []


WRONG_MASKS = {
    "zero_and_255": ([0, IGNORE], [0, 0], [IGNORE]),
    "one_value": ([1], [1, IGNORE], [1]),
    "ignored": ([IGNORE], [IGNORE], [IGNORE]),
}


@pytest.mark.parametrize("kind", WRONG_MASKS)
def test_masks_that_cannot_be_right_are_refused(kind):
    source = masks(*WRONG_MASKS[kind])
    assert (kind, True) in kinds(source)
    with pytest.raises(errors.UserError, match="cannot be right"):
        checks.quick(source)


def test_what_a_byte_cannot_name_is_counted():
    classes = tuple(f"c{place}" for place in range(300))
    ids = np.arange(64, dtype=np.int32).reshape(8, 8) + 236
    ids[0, 0] = IGNORE
    boxes = np.array([[0, 0, 0.5, 0.5]] * 3, np.float32)
    found = example(0, segmentation=ids, label=np.array(255, np.int32), boxes=boxes)
    found["box_labels"] = np.array([IGNORE, 255, 299], np.int32)
    source = trees.in_memory([found], fields=("image", *CLASS_FIELDS), classes=classes)
    report = statistics.measure(source)
    row = {"name": "c255", "images": 1, "pixels": 1, "share": 1 / 63, "objects": 1}
    assert report["classes"][255] == row and report["ignored"] == 1 / 64
    assert report["classes"][299]["objects"] == 1


def test_what_may_be_right_is_only_mentioned(caplog):
    assert kinds(masks([1, 2], [1], [2, 1])) == [("off_by_one", False)]
    source = masks([0, 1], [1], [IGNORE, 1])
    assert kinds(source) == [("unseen", False)]
    with caplog.at_level(logging.WARNING):
        checks.quick(source)
    assert "1 of 3 classes never seen: c" in caplog.text


def test_a_quick_check_reads_on_before_it_refuses():
    rare = [[0]] * 300  # no evenly spread 48 of these hold place 5
    rare[5] = [0, 1, 2]
    checks.quick(masks(*rare))
    with pytest.raises(errors.UserError, match="are 'a' and nothing else"):
        checks.quick(masks(*[[0]] * 300))


@pytest.mark.parametrize("count", [7, 8])
def test_few_labels_of_one_class_may_be_chance(count):
    labels = [{"label": np.array(0, np.int32)} | image() for _ in range(count)]
    source = trees.in_memory(labels, fields=("image", "label"), classes=("a", "b"))
    if count < checks.FEW:
        checks.quick(source)
    else:
        with pytest.raises(errors.UserError, match="all 8 examples are 'a'"):
            checks.quick(source)


def image():
    return {"image": np.zeros((4, 4, 3), np.uint8), "id": "x"}


def test_an_unknown_id_is_refused_with_its_fix(tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(4)])
    trees.write_mask(tmp_path / "masks/train/2.png", values=(0, 3))
    given = {"root": tmp_path, "options": {"classes": ["a", "b", "c"]}}
    source = source_lib.open("folder/segmentation", split="train", **given)
    facts = catalogue.describe("folder/segmentation", **given)
    (problem,) = checks.check(source, facts=facts).problems
    assert problem.kind == "refused" and "holds ids 3" in problem.text
    assert problem.fix.startswith("name all classes")


def test_boxes():
    assert ("empty", True) in kinds(objects([]))
    assert ("boxes", True) in kinds(objects([[0.2, 0.2, 0.2, 0.5]]))
    found = kinds(objects([[0, 0, 0.5, 0.5]]))
    assert found == [("unseen", False)]


BOX = [[0, 0, 0.5, 0.5]]


@pytest.mark.parametrize(
    "points, kind",
    [
        ([[[0.1, 0.2, 2]]], "keypoints"),  # one of two
        ([[[0.1, 0.2, 3], [0, 0, 1]]], "keypoints"),
        ([[[0.1, 1.2, 2], [0, 0, 1]]], "keypoints"),
        ([[[0, 0, 0], [0, 0, 0]]], "empty"),
    ],
)
def test_keypoints(points, kind):
    good = [[[0.1, 0.2, 2], [0.3, 0.3, 1]]]
    whole = objects(BOX, good, keypoints=("nose", "tail"))
    assert not checks.check(whole).fatal
    bad = objects(BOX, points, keypoints=("nose", "tail"))
    assert (kind, True) in kinds(bad)


def test_sigmas_and_flips_belong_to_keypoints():
    protocol = {"keypoints": {"sigmas": (0.1,)}}
    source = objects(BOX, keypoints=("a", "b"), protocol=protocol, flip_pairs=((0, 2),))
    assert {"keypoints", "sigmas"} <= {
        p.kind for p in checks.check_facts(source.dataset)
    }


def test_depth():
    assert ("depth", True) in kinds(depth([0], [0]))
    assert ("depth", True) in kinds(depth([np.nan, 1], [1]))
    assert ("depth", True) in kinds(depth([-1, 1], [1]))
    assert kinds(depth([2000.0], [1])) == [("depth", False)]


def test_the_same_image_twice_and_in_another_split():
    one, other = masks([0, 1, 2], [0]), masks([1], [0, 1, 2])
    found = checks.check(one), checks.check(other)
    assert len(checks.overlap(*found, "train and test")) == 2
    twice = [example(1), example(1) | {"id": "again"}]
    for each in twice:
        each["segmentation"] = np.resize(np.arange(3, dtype=np.int32), (8, 8))
    assert kinds(trees.in_memory(twice)) == [("duplicate", False)]


def test_the_truth_has_to_score_one():
    source = masks([0, 1, 2])
    for value, count in ((1.0, 0), (0.9, 1)):
        found = checks.check(source, score=lambda _, v=value: {"iou": v})
        assert found.fatal == count


def test_a_quick_check_says_once_where_and_how_to_read_all(tmp_path, caplog):
    trees.write_folder(tmp_path, range(10), values=(0, 1))
    options = {"classes": ["a", "b", "c"]}
    given = {"split": "train", "root": tmp_path, "options": options}
    for part in ("train", "holdout"):
        checks.quick(source_lib.open("folder/segmentation", part=part, **given))
    assert caplog.text.count("classes never seen") == 1 and str(tmp_path) in caplog.text
    for mask in tmp_path.glob("masks/*"):
        trees.write_mask(mask, values=(0,))
    with pytest.raises(errors.UserError) as found:
        checks.quick(source_lib.open("folder/segmentation", **given))
    said = re.search("`python -m jaxseg.data (check .*)` reads", str(found.value))[1]
    assert command.main(shlex.split(said)) == 1
