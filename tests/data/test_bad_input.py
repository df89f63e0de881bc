"""Input that cannot be right: refused with the file and the fix, or left out, counted.

An image without its labels, or labels without their image, is refused when the data are
opened; `check` names each file. What a format lets be left out is counted and told.
"""

import json

import pytest

from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import sources
from jaxseg.data.datasets import _labels
from tests.data import layouts, trees


@pytest.fixture(autouse=True)
def nothing_told():
    """Each test hears anew what was left out."""
    _labels.told.clear()


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = sources.open(name, split=split, root=root, options=options)
        for index in range(len(source)):
            source[index]


def checked(capsys, *arguments):
    """(exit code, lines) of the command `check`."""
    code = command.main(["check", *map(str, arguments)])
    return code, capsys.readouterr().out.splitlines()


# Images without labels, labels without an image.

CITY = ("leftImg8bit/train/a/{}_leftImg8bit.png", "gtFine/train/a/{}_gtFine_{}.png")
PAIRS = {  # where an image and its mask lie
    "cityscapes/19": (CITY[0], CITY[1].format("{}", "labelIds")),
    "idd/35": (CITY[0], CITY[1].format("{}", "labelids")),
    "bdd/20": ("images/10k/train/{}.jpg", "labels/sem_seg/masks/train/{}.png"),
    "kitti/segmentation": ("training/image_2/{}.png", "training/semantic/{}.png"),
    "mapillary/66": ("training/images/{}.jpg", "training/v1.2/labels/{}.png"),
    "ade20k/150": ("images/training/{}.jpg", "annotations/training/{}.png"),
    "suim/8": ("train_val/images/{}.jpg", "train_val/masks/{}.bmp"),
    "folder/segmentation": ("images/{}.jpg", "masks/{}.png"),
    "nyu/depth": ("images/train/{}.jpg", "annotations/train/{}.png"),
    "object_discovery/car": ("Data/Car100/{}.jpg", "Data/Car100/GroundTruth/{}.png"),
    "isaid/16": ("train/images/{}.png", "train/images/{}_instance_color_RGB.png"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_both_halves_of_a_misnamed_pair_are_named(tmp_path, name):
    image, mask = PAIRS[name]
    for number in range(4):
        trees.write_image(tmp_path / image.format(f"P{number}"))
        trees.write_mask(tmp_path / mask.format(f"P{number if number else 9}"))
    text = f"without [a-z ]+: 1, for example {image.format('P0')}; "
    text += f"[a-z ]+ without image: 1, for example {mask.format('P9')}.*Fix: restore"
    refused(name, tmp_path, text)


def test_check_lists_every_file_without_its_other_half(tmp_path, capsys):
    image, mask = PAIRS["bdd/20"]
    for number in range(6):
        trees.write_image(tmp_path / image.format(number))
        trees.write_mask(tmp_path / mask.format(number + 2))
    report = tmp_path / "report.json"
    arguments = ("bdd/20", "--root", tmp_path, "--split", "train", "--json", report)
    code, lines = checked(capsys, *arguments)
    assert code == 1
    alone = [image.format(n) for n in (0, 1)] + [mask.format(n) for n in (6, 7)]
    problems = json.loads(report.read_text())["splits"]["train"]["problems"]
    found = [each["text"] for each in problems if each["kind"] == "unpaired"]
    assert [text.split(": ")[1] for text in found] == alone
    assert all(any(file in line for line in lines) for file in alone)


def test_check_lists_them_where_no_split_can_be_told(tmp_path, capsys):
    trees.write_folder(tmp_path, range(5))
    for number in (1, 3):
        (tmp_path / f"images/{number}.jpg").unlink()
    report = tmp_path / "report.json"
    arguments = ("folder/segmentation", "--root", tmp_path, "--json", report)
    code, lines = checked(capsys, *arguments)
    assert code == 1 and "bad: masks/3.png: mask files without image" in lines
    files = json.loads(report.read_text())["unpaired"]
    assert [text.split(":")[0] for text in files] == ["masks/1.png", "masks/3.png"]


def test_the_misnamed_real_sample_is_named(real_data, capsys):
    root = real_data / "official_layouts/segmentation/pseudo_bdd100k_dataset"
    _, lines = checked(capsys, "bdd/20", "--root", root, "--split", "validation")
    (line,) = [line for line in lines if "no mask or image of their name" in line]
    assert "1 colour maps" in line and "val/7d2f7975-e0c1c5a7.png" in line


def test_voc_without_lists_asks_for_an_annotation_of_each_image(tmp_path):
    layouts.write_voc(tmp_path, range(4))
    trees.write_image(tmp_path / "JPEGImages/9.jpg")
    refused("voc/boxes", tmp_path, r"images without XML: 1, .*JPEGImages/9\.jpg")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("0\n1\n")
    assert len(sources.open("voc/boxes", split="train", root=tmp_path)) == 2


def test_check_counts_what_is_left_out(tmp_path, capsys):
    layouts.write_yolo(tmp_path / "yolo")
    for name in ("train/8", "train/9", "val/9"):
        (tmp_path / f"yolo/labels/{name}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    report = tmp_path / "report.json"
    arguments = ("yolo/boxes", "--root", tmp_path / "yolo", "--json", report)
    _, lines = checked(capsys, *arguments)
    text = "3 label files have no image and are left out, for example labels/train/8"
    assert any(line.startswith("note: ") and text in line for line in lines)
    assert text in json.loads(report.read_text())["left_out"][0]["text"]
