"""Input that cannot be right: refused with the file and the fix, or left out, counted.

An image without its labels, or labels without their image, is refused when the data are
opened; `check` names each file. What a format lets be left out is counted and told.
"""

import json
import re

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import catalogue, refusals
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from tests.data import layouts, trees


@pytest.fixture(autouse=True)
def nothing_told():
    """Each test hears anew what was left out."""
    refusals.notes.clear()


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = source_lib.open(name, split=split, root=root, options=options)
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
    line = "bad: masks/3.png: mask files without image. Fix: "
    assert code == 1 and any(each.startswith(line) for each in lines)
    problems = json.loads(report.read_text())["whole"]
    files = [each["text"].split(":")[0] for each in problems]
    assert files == ["masks/1.png", "masks/3.png"]


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
    assert len(source_lib.open("voc/boxes", split="train", root=tmp_path)) == 2


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


def test_check_counts_the_boxes_without_area_of_bccd(real_data, capsys):
    _, lines = checked(capsys, "voc/boxes", "--root", real_data / "bccd")
    told = [re.search(r"(\d+) of \d+ boxes have no area", line) for line in lines]
    assert sum(int(found[1]) for found in told if found) >= 2


# Ids.


def test_an_unknown_id_is_named_with_its_mask(tmp_path):
    trees.write_folder(tmp_path, range(5))
    trees.write_mask(tmp_path / "masks/3.png", values=(0, 1, 7))
    text = r"masks/3\.png\).*segmentation holds ids 7; allowed are 0 to 2 .*ids=\{raw"
    for split in ("train", "validation"):  # whichever it was drawn into
        source = source_lib.open(
            "folder/segmentation",
            split=split,
            root=tmp_path,
            options={"classes": ["a", "b", "c"]},
        )
        for line, index in zip(source.listing(), range(len(source))):
            if "3.png" in line:
                with pytest.raises(errors.UserError, match=text):
                    source[index]
                return
    raise AssertionError("no split holds it")


def test_ids_that_occur_twice_in_json(tmp_path):
    for key in ("images", "categories"):
        content = layouts.coco()
        content[key][1]["id"] = content[key][0]["id"]
        layouts.write_coco(tmp_path, content)
        text = rf"{key}\[1\]: id is \d+; allowed is a number that no other.*Fix"
        refused("coco/instances", tmp_path, text)
    content = layouts.coco()
    content["annotations"][1]["id"] = content["annotations"][0]["id"]
    layouts.write_coco(tmp_path, content)
    source_lib.open("coco/instances", split="train", root=tmp_path)
    assert any(
        "1 of 2 annotations have an id that another" in x for x in refusals.notes
    )


def write_panoptic(root, images, categories, segments=((1, 5),)):
    listed = [{"id": s, "category_id": c} for s, c in segments]
    annotation = {"image_id": 1, "file_name": "a.png", "segments_info": listed}
    content = {"images": images, "categories": categories, "annotations": [annotation]}
    path = root / "annotations/panoptic_train2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    trees.write_image(root / "train2017/a.jpg")
    colors = np.zeros((12, 16, 3), np.uint8)
    colors[:6, :, 0], colors[6:, :, 0] = segments[0][0], segments[-1][0]
    (root / "annotations/panoptic_train2017").mkdir(exist_ok=True)
    Image.fromarray(colors).save(root / "annotations/panoptic_train2017/a.png")


def test_ids_that_occur_twice_in_panoptic_json(tmp_path):
    image, other = ({"id": 1, "file_name": name} for name in ("a.jpg", "b.jpg"))
    classes = [{"id": 5, "name": "road"}, {"id": 9, "name": "sky"}]
    write_panoptic(tmp_path, [image, other], classes)
    refused("coco/panoptic", tmp_path, r"images\[1\]: id is 1; .*no other.*Fix")
    write_panoptic(tmp_path, [image], [classes[0], classes[1] | {"id": 5}])
    refused("coco/panoptic", tmp_path, r"categories\[1\]: id is 5; .*no other.*Fix")


def test_categories_with_gaps_become_classes_without(tmp_path):
    image = {"id": 1, "file_name": "a.jpg"}
    classes = [{"id": 200, "name": "sky"}, {"id": 5, "name": "road"}]
    write_panoptic(tmp_path, [image], classes, segments=((1, 5), (2, 200)))
    source = source_lib.open("coco/panoptic", split="train", root=tmp_path)
    assert source.dataset.classes == ("road", "sky")
    ids = source[0]["segmentation"]
    assert ids[0, 0] == 0 and ids[-1, 0] == 1 and not (ids == IGNORE).any()


# Depth, files and links.


def test_depth_that_is_no_number_is_unknown(tmp_path):
    metres = np.full((12, 16), 2, np.float32)
    metres[0, :3] = np.nan, np.inf, -np.inf
    (tmp_path / "depth").mkdir()
    for number in range(2):
        trees.write_image(tmp_path / f"images/{number}.png", seed=number)
        np.save(tmp_path / f"depth/{number}.npy", metres)
    source = source_lib.open("depth/folder", split="train", root=tmp_path)
    assert source[0]["depth"][0, :4].tolist() == [0, 0, 0, 2]
    np.save(tmp_path / "depth/0.npy", -metres)
    np.save(tmp_path / "depth/1.npy", -metres)
    refused("depth/folder", tmp_path, r"\.npy: found the depth -2; .*Fix")


BOMB = '<!DOCTYPE a [<!ENTITY b "{}"><!ENTITY c "{}">]><annotation>&c;</annotation>'


def test_an_xml_bomb_is_refused_by_every_reader_of_xml(tmp_path):
    layouts.write_voc(tmp_path / "voc", range(4))
    text = BOMB.format("ha" * 50, "&b;" * 50)
    for number in range(4):
        (tmp_path / f"voc/Annotations/{number}.xml").write_text(text)
    trash = tmp_path / "trash/dataset/train"
    trees.write_image(trash / "a.jpg")
    (trash / "a.xml").write_text(text)
    for name in ("voc/boxes", "underwater_trash/boxes"):
        root = tmp_path / ("voc" if "voc" in name else "trash")
        refused(name, root, r"\.xml: refused: it defines entities.*Fix")


def write_classes(root):
    for name in "ab":
        for number in range(2):
            trees.write_image(root / f"train/{name}/{number}.jpg", seed=number)


LINKED = {  # how to write it, a folder of it, and how many images it has
    "yolo/boxes": (layouts.write_yolo, "images/train", 3),
    "image_folder/classes": (write_classes, "train/a", 4),
    "voc/boxes": (lambda root: layouts.write_voc(root, range(5)), "JPEGImages", 4),
}


@pytest.mark.parametrize("name", LINKED)
def test_links_in_a_circle_end(tmp_path, name):
    write, below, count = LINKED[name]
    write(tmp_path)
    (tmp_path / below / "up").symlink_to(tmp_path)
    (tmp_path / below / "self").symlink_to(tmp_path / below / "self")
    assert len(source_lib.open(name, split="train", root=tmp_path)) == count


def test_links_among_class_folders(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "train/self").symlink_to(tmp_path / "train/self")
    assert (
        len(source_lib.open("image_folder/classes", split="train", root=tmp_path)) == 4
    )
    (tmp_path / "train/a/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    refused("image_folder/classes", tmp_path, r"gone\.jpg: cannot be opened .*Fix")


@pytest.mark.parametrize("stem", ["übung 漢字 é", "a" * 240])
@pytest.mark.parametrize("name", ["voc/boxes", "yolo/boxes", "table/classification"])
def test_any_file_name_will_do_in_lists_and_labels(tmp_path, name, stem):
    if name == "voc/boxes":
        layouts.write_voc(tmp_path, [stem, "b", "c"])
    elif name == "yolo/boxes":
        layouts.write_yolo(tmp_path)
        trees.write_image(tmp_path / f"images/train/{stem}.png")
        (tmp_path / f"labels/train/{stem}.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    else:
        trees.write_image(tmp_path / f"{stem}.png")
        trees.write_image(tmp_path / "b.png")
        lines = f"image,label\n{stem}.png,a\nb.png,b\n{stem}.png,a\nb.png,b\n"
        (tmp_path / "train.csv").write_text(lines, encoding="utf-8")
    found = {}
    for split in catalogue.describe(name, root=tmp_path).splits:
        source = source_lib.open(name, split=split, root=tmp_path)
        found |= {source[i]["id"]: source[i] for i in range(len(source))}
    assert any(stem in id_ for id_ in found)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_boxes_go_with_the_upright_image(tmp_path, orientation):
    layouts.write_coco(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "train2017/0.jpg"
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)
    if orientation == 3:  # half a turn: of the size that the labels say
        source = source_lib.open("coco/instances", split="train", root=tmp_path)
        assert source[0]["image"].shape == (20, 40, 3)
    else:  # the labels are of the image as it lies in the file
        text = r"image is 40 x 20 \(height x width, upright\), .* says 20 x 40.*Fix"
        refused("coco/instances", tmp_path, text)
