"""How a folder is read for a model that was trained on something else, or the same."""

import pytest

from jaxseg.core import errors
from jaxseg.data.tools import guess_like
from tests.data import layouts, trees

MASKS, SEGMENTATION = "folder/segmentation", ("segmentation",)


def test_the_training_says_what_labels_mean_and_the_folder_where_they_lie(tmp_path):
    trees.write_folder(tmp_path, range(5), images="photos", masks="gt", values=(0, 9))
    given = {"binary": False, "ids": {"9": 1}, "images": "x", "classes": ["a", "b"]}
    trained = {"name": MASKS, "options": given | {"masks": "y", "mask_size": "refuse"}}
    found = guess_like.like(tmp_path, SEGMENTATION, trained, ["a", "b"])
    expected = {"binary": False, "ids": {"9": 1}, "classes": ["a", "b"]}
    assert (found.name, found.options) == (MASKS, expected)
    assert "options of the training" in found.reason


def test_classes_that_a_folder_lacks_are_those_of_the_model(tmp_path):
    trees.write_folder(tmp_path, range(5), values=(0, 2))
    found = guess_like.like(tmp_path, SEGMENTATION, {}, ["a", "b", "c"])
    assert found.options == {"classes": ["a", "b", "c"]}  # not two of them: binary
    assert found.facts.classes == ("a", "b", "c")
    binary = guess_like.like(tmp_path, SEGMENTATION, {}, ["no", "yes"], binary=True)
    assert binary.options == {"binary": True, "classes": ["no", "yes"]}


def test_names_in_the_labels_are_sorted_as_the_model_has_them(tmp_path):
    layouts.write_voc(tmp_path, range(4), objects=[("wbc", 0, 1, 1, 40, 20)])
    fields = ("boxes", "box_labels")
    found = guess_like.like(tmp_path, fields, {"name": "worlds/x"}, ["rbc", "wbc"])
    assert found.name == "voc/boxes" and found.facts.classes == ("rbc", "wbc")
    with pytest.raises(errors.UserError, match=r"0\.xml: <name> is 'wbc'"):
        guess_like.like(tmp_path, fields, {}, ["rbc"])


def test_the_task_decides_among_several_readings(tmp_path):
    layouts.write_voc(tmp_path, ["a", "b", "c"])
    for name in "abc":
        trees.write_mask(tmp_path / f"SegmentationClass/{name}.png", layouts.SIZE)
    names = [
        guess_like.like(tmp_path, fields, {}, []).name
        for fields in (("boxes", "box_labels"), SEGMENTATION)
    ]
    assert names == ["voc/boxes", MASKS]
    with pytest.raises(errors.UserError, match=r"found voc/boxes .*labels of depth"):
        guess_like.like(tmp_path, ("depth",), {}, [])
    with pytest.raises(errors.UserError, match="no such folder"):
        guess_like.like(tmp_path / "no", SEGMENTATION, {}, [])


def test_what_no_guess_finds_is_read_as_in_training(tmp_path):
    for i in range(4):
        trees.write_image(tmp_path / f"a/{i}.jpg", seed=i)
        trees.write_mask(tmp_path / f"b/{i}.png")
    given = {"images": "a", "masks": "b", "classes": ["x", "y", "z"]}
    trained = {"name": MASKS, "options": given}
    found = guess_like.like(tmp_path, SEGMENTATION, trained, ["x", "y", "z"])
    assert (found.name, found.options) == (MASKS, given)


def test_a_list_of_names_in_another_order_is_refused(tmp_path):
    trees.write_folder(tmp_path, range(5), values=(0, 1, 2))
    names = tmp_path / "classes.txt"
    names.write_text("sky\nroad\ncar\n")
    trained = {"name": MASKS, "options": {"classes": ["sky", "car", "road"]}}
    for section in (trained, {"name": MASKS}, {}):
        with pytest.raises(errors.UserError) as found:
            guess_like.like(tmp_path, SEGMENTATION, section, ["sky", "car", "road"])
        assert "found the classes sky, road, car, the model has sky, car, road" in str(
            found.value
        )
    given = {"classes": ["sky", "car", "road"]}
    chosen = guess_like.like(tmp_path, SEGMENTATION, trained, ["a"], given=given)
    assert chosen.options == given
    names.write_text("Sky\nCar\nRoad\n")
    assert guess_like.like(tmp_path, SEGMENTATION, trained, ["sky", "car", "road"])


def test_masks_of_zero_and_255_are_none_of_four_classes(tmp_path):
    trees.write_folder(tmp_path, range(5), values=(0, 255))
    classes = list("abcd")
    for options in ({"classes": classes}, {}):
        trained = {"name": MASKS, "options": options}
        with pytest.raises(errors.UserError, match=r"masks hold the ids \[0, 255\]"):
            guess_like.like(tmp_path, SEGMENTATION, trained, classes)
    known = {"ids": {"255": 1}, "classes": classes}
    trained = {"name": MASKS, "options": known}
    assert guess_like.like(tmp_path, SEGMENTATION, trained, classes).options == known


def test_a_folder_of_other_labels_than_those_of_training_is_told_by_what_it_holds(
    tmp_path,
):
    layouts.write_voc(tmp_path / "voc", range(4))
    trees.write_folder(tmp_path / "masks", range(4))
    boxes = ("boxes", "box_labels")
    for kind, fields, name in (
        ("voc", SEGMENTATION, MASKS),
        ("masks", boxes, "voc/boxes"),
    ):
        expected = f"found .*the model needs labels of {', '.join(fields)}"
        with pytest.raises(errors.UserError, match=expected):
            guess_like.like(tmp_path / kind, fields, {"name": name}, ["a", "b"])
