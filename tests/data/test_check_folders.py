"""`check` on folders with several defects names every file of them in one run."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from tests.data import layouts, trees


def check(capsys, *arguments):
    code = command.main(["check", *map(str, arguments)])
    return code, capsys.readouterr().out.splitlines()


def named(lines, *parts, mark="bad: "):
    """Whether a line with that mark holds all parts."""
    return any(x.startswith(mark) and all(p in x for p in parts) for x in lines)


def cut(path, share=2):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // share])


def write_binary(root, count=40):
    """Images and masks of 0 and 255 in train/ and val/."""
    for i in range(count):
        split = "train" if i < 3 * count // 4 else "val"
        trees.write_image(root / f"images/{split}/{i}.jpg", seed=i)
        trees.write_mask(root / f"masks/{split}/{i}.png", values=(0, 255, 255))


def plant_masks(root):
    """{file: what `check` says of it}, ten defects of as many kinds."""
    images, masks = root / "images", root / "masks"
    (images / "train/0.jpg").write_bytes(b"not a picture")
    cut(images / "train/1.jpg")
    trees.write_mask(masks / "train/2.png", size=(6, 8), values=(0, 255))
    trees.write_mask(masks / "train/3.png", values=(0, 255, 7))
    (masks / "train/4.png").unlink()
    (images / "train/5.jpg").unlink()
    Image.new("RGB", (16, 12)).save(masks / "train/6.png")
    (images / "val/31.jpg").write_bytes((images / "train/7.jpg").read_bytes())
    cut(masks / "val/32.png")
    (masks / "val/33.png").write_bytes(b"")
    return {
        "images/train/0.jpg": "not a readable image",
        "images/train/1.jpg": "not a readable image",
        "masks/train/2.png": "mask is 6 x 8",
        "masks/train/3.png": "holds the ids 0, 7, 255",
        "images/train/4.jpg": "without mask",
        "masks/train/5.png": "without image",
        "masks/train/6.png": "found RGB pixels",
        "images/val/31.jpg": "same image",
        "masks/val/32.png": "not a readable image",
        "masks/val/33.png": "not a readable image",
    }


def test_ten_defects_of_masks_in_one_run(tmp_path, capsys):
    write_binary(tmp_path / "people")
    expected = plant_masks(tmp_path / "people")
    report = tmp_path / "report.json"
    code, lines = check(capsys, tmp_path / "people", "--json", report)
    assert code == 1 and len(expected) == 10
    missed = [file for file, what in expected.items() if not named(lines, file, what)]
    assert not missed, "\n".join([*missed, "", *lines])
    assert sum(line.startswith("bad: ") for line in lines) == 10  # none twice
    content = json.loads(report.read_text())
    assert not content["ok"] and set(content["splits"]) == {"train", "validation"}
    assert content["splits"]["train"]["records"] == 28  # all that have both halves


def test_ten_defects_of_real_people(real_data, tmp_path, capsys):
    """The same, of photographs, with lists of splits and masks of other sizes."""
    source = real_data / "human_segmentation"
    for folder, suffix in (("Training_Images", ".jpg"), ("Ground_Truth", ".png")):
        (tmp_path / folder).mkdir()
        for n in range(1, 31):
            data = (source / folder / f"{n}{suffix}").read_bytes()
            (tmp_path / folder / f"{n}{suffix}").write_bytes(data)
    (tmp_path / "train.txt").write_text("".join(f"{n}\n" for n in range(1, 21)))
    (tmp_path / "val.txt").write_text("".join(f"{n}\n" for n in range(20, 32)))
    images, masks = tmp_path / "Training_Images", tmp_path / "Ground_Truth"
    cut(images / "3.jpg")
    (masks / "4.png").unlink()
    (images / "5.jpg").unlink()
    Image.new("L", (40, 90)).save(masks / "6.png")  # another shape
    stray = np.array(Image.open(masks / "7.png"))
    stray[0, 0] = 100
    Image.fromarray(stray).save(masks / "7.png")
    Image.open(masks / "8.png").convert("RGB").save(masks / "8.png")
    (images / "9.jpg").write_bytes(b"")
    cut(masks / "10.png")
    (images / "25.jpg").write_bytes((images / "2.jpg").read_bytes())
    code, lines = check(capsys, tmp_path)
    expected = ("3.jpg", "4.jpg", "train.txt:5", "6.png", "7.png", "8.png")
    expected += ("9.jpg", "10.png", "25.jpg", "val.txt:12", "20.jpg")  # twice listed
    missed = [file for file in expected if not named(lines, file)]
    assert code == 1 and not missed, "\n".join([*missed, "", *lines])


def plant_voc(root):
    voc, images = root / "annotations", root / "images"
    texts = {n: (voc / f"{n}.xml").read_text() for n in range(40)}
    (voc / "0.xml").write_text(texts[0][:-20])
    (voc / "1.xml").write_text(texts[1].replace("<name>cat<", "<name>catt<"))
    (voc / "2.xml").write_text(texts[2].replace(">40</xmax>", ">9999</xmax>"))
    (voc / "3.xml").unlink()
    (images / "4.jpg").unlink()
    cut(images / "5.jpg")
    (images / "6.jpg").write_bytes(b"")
    size = "<size><width>80</width><height>40</height></size><object>"
    (voc / "7.xml").write_text(texts[7].replace("<object>", size, 1))
    (voc / "8.xml").write_text(texts[8].replace("<name>cat</name>", ""))
    (voc / "9.xml").write_text(texts[9].replace(">20</ymax>", ">wide</ymax>"))
    drawn = np.random.default_rng(0).permutation(39)  # of the XML files left
    return drawn


def write_voc(root, count=40):
    layouts.write_voc(root, range(count), folder="images")
    (root / "Annotations").rename(root / "annotations")


def test_ten_defects_of_voc_in_one_run(tmp_path, capsys):
    write_voc(tmp_path)
    plant_voc(tmp_path)
    code, lines = check(capsys, tmp_path)
    expected = {
        "annotations/0.xml": "not whole XML",
        "annotations/1.xml: its class 'catt'": "'cat' of",
        "annotations/2.xml": "9999",
        "images/3.jpg": "without XML",
        "annotations/4.xml": "without image",
        "images/5.jpg": "not a readable image",
        "images/6.jpg": "not a readable image",
        "images/7.jpg": "image is 20 x 40",
        "annotations/8.xml": "no <name>",
        "annotations/9.xml": "wide",
    }
    missed = [file for file, what in expected.items() if not named(lines, file, what)]
    assert code == 1 and not missed, "\n".join([*missed, "", *lines])


def test_defects_of_yolo_in_one_run(tmp_path, capsys):
    for i in range(12):
        split = "train" if i < 8 else "val"
        trees.write_image(tmp_path / f"images/{split}/{i}.png", layouts.SIZE, i)
        (tmp_path / f"labels/{split}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"labels/{split}/{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.2 0.5\n")
    (tmp_path / "classes.txt").write_text("cat\na dog\n")  # and no YAML file
    for name, text in {
        "train/0": "2 0.5 0.5 0.2 0.5\n",
        "train/1": "0 20 10 8 10\n",
        "train/2": "0 0.5 0.5\n",
        "val/8": "cat 0.5 0.5 0.2 0.2\n",
    }.items():
        (tmp_path / f"labels/{name}.txt").write_text(text)
    (tmp_path / "images/train/3.png").write_bytes(b"")
    cut(tmp_path / "images/val/9.png")
    (tmp_path / "images/val/10.png").write_bytes(
        (tmp_path / "images/train/4.png").read_bytes()
    )
    code, lines = check(capsys, tmp_path)
    expected = ("labels/train/0.txt", "labels/train/1.txt", "labels/train/2.txt:1")
    expected += ("labels/val/8.txt:1", "images/train/3.png", "images/val/9.png")
    missed = [file for file in (*expected, "val/10.png") if not named(lines, file)]
    assert code == 1 and not missed, "\n".join([*missed, "", *lines])


def test_defects_of_coco_in_one_run(tmp_path, capsys):
    content = layouts.coco(40)
    content["categories"].append({"id": 9, "name": "dgo"})
    content["annotations"] = [
        {"id": i, "image_id": 10 + i, "category_id": 7, "bbox": [4, 2, 8, 10]}
        for i in range(40)
    ]
    content["annotations"][1]["bbox"] = [4, 2, 9999, 10]
    content["annotations"][2]["category_id"] = 9
    content["annotations"][3]["bbox"] = [1, 2, 3]
    content["annotations"][4]["category_id"] = 77
    layouts.write_coco(tmp_path, content)
    (tmp_path / "train2017/5.jpg").unlink()
    cut(tmp_path / "train2017/6.jpg")
    trees.write_image(tmp_path / "train2017/7.jpg", (10, 20))
    code, lines = check(capsys, tmp_path)
    expected = (
        "of 1.jpg: found a box",
        "annotations[3]",
        "annotations[4]",
        "train2017/5.jpg",
    )
    expected += ("train2017/6.jpg", "train2017/7.jpg")
    missed = [file for file in expected if not named(lines, file)]
    assert code == 1 and not missed, "\n".join([*missed, "", *lines])
    assert named(
        lines, "2.jpg: its class 'dgo'", mark="note: "
    )  # listed, so perhaps meant
    assert named(lines, "no validation split", mark="note: ")


def test_defects_of_depth_in_one_run(tmp_path, capsys):
    for i in range(10):
        trees.write_image(tmp_path / f"images/{i}.png", seed=i)
        (tmp_path / "depth").mkdir(exist_ok=True)
        np.save(tmp_path / f"depth/{i}.npy", np.full((12, 16), 1.5, np.float32))
    np.save(tmp_path / "depth/0.npy", np.full((12, 16), np.nan, np.float32))
    np.save(tmp_path / "depth/1.npy", np.full((12, 16), -1, np.float32))
    np.save(tmp_path / "depth/2.npy", np.full((6, 8), 1, np.float32))
    cut(tmp_path / "depth/3.npy")
    (tmp_path / "depth/4.npy").unlink()
    (tmp_path / "images/5.png").unlink()
    code, lines = check(capsys, tmp_path)
    expected = ("depth/1.npy", "images/2.png", "depth/3.npy", "images/4.png")
    missed = [file for file in (*expected, "depth/5.npy") if not named(lines, file)]
    assert code == 1 and not missed, "\n".join([*missed, "", *lines])
    assert named(lines, "images/0.png", "unknown (0) at every pixel", mark="note: ")


def test_training_stops_where_check_goes_on(tmp_path):
    write_binary(tmp_path / "masks")
    plant_masks(tmp_path / "masks")
    write_voc(tmp_path / "voc")
    plant_voc(tmp_path / "voc")
    for name, root in (("folder/segmentation", "masks"), ("voc/boxes", "voc")):
        given = {"annotations": "annotations", "images": "images"}
        given = given if root == "voc" else {"binary": True}
        with pytest.raises(errors.UserError, match="Fix"):
            source_lib.open(name, split="train", root=tmp_path / root, options=given)


@pytest.mark.parametrize(
    "given, text",
    [
        ("data/humen", "Did you mean 'human'"),
        ("/no/such/place", "no such folder"),
        ("humen", "no such folder"),
        ("./humen/", "no such folder"),
        ("camvid/12", "no such folder, and unknown dataset 'camvid/12'"),
    ],
)
def test_a_mistyped_path_is_no_such_folder(given, text, tmp_path, monkeypatch, capsys):
    (tmp_path / "data/human").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for action in ("check", "preview", "stats"):
        assert command.main([action, given]) == 2
        assert text in capsys.readouterr().err
    assert command.main(["init", given]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_a_missing_validation_split_is_said(tmp_path, capsys):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(5)])
    code, lines = check(capsys, tmp_path)
    assert code == 0 and named(lines, "no validation split, only train", mark="note: ")


def test_a_stray_id_among_more_than_two(tmp_path, capsys):
    trees.write_folder(tmp_path, range(10))
    trees.write_mask(tmp_path / "masks/3.png", values=(0, 1, 77))
    code, lines = check(capsys, tmp_path)
    assert code == 1 and named(lines, "masks/3.png", "id 77")
    with pytest.raises(errors.UserError, match=r"masks/3\.png.*classes\.txt"):
        catalogue.describe("folder/segmentation", root=tmp_path)


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 9)])
def test_a_stray_id_among_two(values, tmp_path, capsys):
    trees.write_folder(tmp_path, range(10), values=values)
    trees.write_mask(tmp_path / "masks/3.png", values=(*values, 7))
    code, lines = check(capsys, tmp_path)
    assert code == 1 and named(lines, "masks/3.png: holds the ids 0,")
    assert not any("class_" in line for line in lines)


def test_rare_names_that_are_listed_are_right(tmp_path, capsys):
    write_voc(tmp_path)
    text = (tmp_path / "annotations/1.xml").read_text()
    (tmp_path / "annotations/1.xml").write_text(text.replace(">cat<", ">cart<"))
    assert check(capsys, tmp_path)[0] == 1
    (tmp_path / "classes.txt").write_text("cart\ncat\n")
    code, lines = check(capsys, tmp_path)
    assert code == 0 and named(lines, "its class 'cart'", mark="note: ")


@pytest.mark.parametrize("kind", ["voc", "yolo", "coco"])
def test_every_file_with_a_box_turned_round_is_bad(kind, tmp_path, capsys):
    """One without an area, as of a click, is only counted."""
    if kind == "voc":
        write_voc(tmp_path, 6)
        files = [tmp_path / f"annotations/{n}.xml" for n in range(3)]
        for file, right in zip(files, (0, -3, 1)):
            text = re.sub(r"(<xmin>).*?(<)", r"\g<1>1\2", file.read_text())
            file.write_text(re.sub(r"<xmax>.*?<", f"<xmax>{right}<", text))
    elif kind == "yolo":
        layouts.write_yolo(tmp_path)
        files = [tmp_path / f"labels/train/{n}.txt" for n in range(3)]
        for file, width in zip(files, (-0.2, -0.1, 0)):
            file.write_text(f"0 0.5 0.5 {width} 0.2\n")
    else:
        content = layouts.coco()
        boxes = ([9, 9, -5, 4], [9, 9, 4, -1], [9, 9, 4, 0])
        for number, box in enumerate(boxes, 100):
            row = content["annotations"][0] | {"id": number, "bbox": box}
            content["annotations"].append(row)
        layouts.write_coco(tmp_path, content)
    code, lines = check(capsys, tmp_path)
    bad = [line for line in lines if re.search("found a box|below 0", line)]
    assert code == 1 and len(bad) == 2, "\n".join(lines)
    assert any("no area" in line for line in lines if line.startswith("note: "))
    if kind != "coco":
        assert all(str(file) in "\n".join(bad) for file in files[:2])


def link(path, to):
    path.unlink()
    path.symlink_to(to)


def fifo(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "plant",
    [
        lambda root: link(root / "images/train/7.jpg", "nowhere.jpg"),
        lambda root: link(root / "images/train/7.jpg", "7.jpg"),
        lambda root: link(root / "images/train/7.jpg", "/nowhere/7.jpg"),
        lambda root: link(root / "masks/train/7.png", "nowhere.png"),
        lambda root: link(root / "masks/train/7.png", "/etc/passwd"),
        lambda root: fifo(root / "images/train/7.jpg"),
        lambda root: fifo(root / "masks/train/7.png"),
    ],
    ids=[
        "dangling",
        "loop",
        "dangling_outside",
        "mask",
        "outside",
        "fifo",
        "fifo_mask",
    ],
)
def test_a_file_that_cannot_be_opened_hides_no_other_defect(plant, tmp_path, capsys):
    write_binary(tmp_path)
    (tmp_path / "images/train/0.jpg").write_bytes(b"not a picture")
    plant(tmp_path)
    code, lines = check(capsys, tmp_path)
    assert code == 1
    assert named(lines, "train/0.jpg", "not a readable image")
    assert sum(x.startswith("bad: ") and "train/7." in x for x in lines) == 1, lines
    with pytest.raises(errors.UserError, match="train/7"):
        source_lib.open("folder/segmentation", split="train", root=tmp_path)


def test_a_list_that_leads_outside_hides_no_other_defect(tmp_path, capsys):
    trees.write_folder(tmp_path, "abcdef")
    (tmp_path / "images/b.jpg").write_bytes(b"not a picture")
    (tmp_path / "train.txt").write_text("a\n../../x.png ../y.png\nzz\nb\n")
    (tmp_path / "val.txt").write_text("c\nd\n")
    code, lines = check(capsys, tmp_path)
    assert code == 1
    assert named(lines, "train.txt:2", "x.png", "outside")
    assert named(lines, "train.txt:3", "'zz' names 0 images")
    assert named(lines, "images/b.jpg", "not a readable image")


def test_a_mistyped_split_is_a_mistake_of_whoever_asks(tmp_path, capsys):
    trees.write_folder(tmp_path, range(5))
    assert command.main(["check", str(tmp_path), "--split=trian"]) == 2
    assert "Did you mean 'train'?" in capsys.readouterr().err


def test_images_without_any_mask_or_no_images_at_all(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert command.main(["check", str(tmp_path / "empty")]) == 2
    said = capsys.readouterr().err
    assert "found no image files. Fix" in said
    write_voc(tmp_path / "voc", 4)
    with pytest.raises(errors.UserError, match=r"4 images and no masks.*data init"):
        catalogue.describe("folder/segmentation", root=tmp_path / "voc")


def test_what_init_says_next_can_be_pasted(tmp_path, capsys):
    folder = tmp_path / "my own, data"
    trees.write_folder(folder, range(5))
    output = tmp_path / "my config.py"
    assert command.main(["init", str(folder), f"--output={output}"]) == 0
    said = capsys.readouterr().out
    assert f"check '{folder}'" in said and f"--config='{output}' --plan" in said
    assert f"--config='{output}'" in output.read_text()


def test_one_problem_is_counted_once(tmp_path, capsys):
    trees.write_folder(tmp_path, range(8), values=(0, 1, 2))
    trees.write_mask(tmp_path / "masks/3.png", values=(0, 1, 7))
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    code, lines = check(capsys, tmp_path)
    assert code == 1 and "problems: 1, notes: 0" in lines[-1]
    assert any("0 more problems in" in line for line in lines)


def test_notes_of_one_folder_are_not_those_of_the_next(tmp_path, capsys):
    layouts.write_yolo(tmp_path / "a")
    (tmp_path / "a/labels/train/9.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    trees.write_folder(tmp_path / "b", range(8), values=(0, 1, 2))
    said = [check(capsys, tmp_path / name)[1] for name in "aba"]
    assert ["left out" in "\n".join(lines) for lines in said] == [True, False, True]


def test_lists_of_splits_one_level_below_are_not_passed_over(tmp_path, capsys):
    """Read from above, images and masks are found, and splits drawn anew."""
    inner = tmp_path / "people"
    for i in range(10):
        trees.write_image(inner / f"images/{i}.jpg", seed=i)
        trees.write_mask(inner / f"masks/{i}.png", values=(0, 255, 255))
    code, lines = check(capsys, tmp_path)
    assert code == 0 and not named(lines, "people/")  # the same from both
    (inner / "train.txt").write_text("".join(f"{i}\n" for i in range(7)))
    (inner / "val.txt").write_text("7\n8\n9\n")
    assert check(capsys, inner)[0] == 0
    for _ in range(2):  # the only folder, and one of two
        code, lines = check(capsys, tmp_path)
        assert code == 1
        assert named(lines, "train 8, validation 2", "people/ on its own")
        assert named(lines, "train 7, validation 3", f"Fix: name {inner}")
        assert sum(line.startswith("bad: ") for line in lines) == 1
        (tmp_path / "notes").mkdir(exist_ok=True)


def test_a_folder_that_cannot_be_read_names_the_one_in_it_that_can(tmp_path, capsys):
    for i in range(6):
        trees.write_image(
            tmp_path / f"pets/{'cat' if i % 2 else 'dog'}/{i}.jpg", seed=i
        )
    assert command.main(["check", str(tmp_path)]) == 2
    text = f"{tmp_path / 'pets'} can be read, as image_folder/classes. Fix: name that"
    assert text in capsys.readouterr().err
