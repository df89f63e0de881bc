"""Guesses of what a folder holds, and the configs that `init` writes of them."""

import pytest

from jaxseg import main
from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import guess
from tests.data import layouts, trees

REAL = {  # folder of the real samples: reader, options, task
    "human_segmentation": (
        "folder/segmentation",
        {"binary": True, "mask_size": "resize"},
        "segmentation",
    ),
    "coco128": ("coco/instances", {}, "detection"),
    "bccd": ("voc/boxes", {}, "detection"),
    "clothing_small": ("image_folder/classes", {}, "classification"),
    "rgbd_7scenes": ("seven_scenes/depth", {}, "depth"),
    "lsp_extended": ("lsp/extended", {}, "keypoints"),
    "camvid": ("camvid/11", {}, "segmentation"),
}


@pytest.mark.parametrize("folder", REAL)
def test_init_on_real_samples_plans(real_data, folder, tmp_path, monkeypatch, capsys):
    root, file = real_data / folder, tmp_path / "elsewhere" / "mine.py"
    file.parent.mkdir()
    best = guess.guess(root)[0]
    assert (best.name, best.options, best.task) == REAL[folder]
    monkeypatch.chdir(tmp_path)
    assert command.main(["init", str(root), "--output", str(file)]) == 0
    assert best.name in capsys.readouterr().out
    assert main.main([f"--config={file}", "--plan"]) == 0
    assert "model" in capsys.readouterr().out


def test_small_trees(tmp_path):
    trees.write_folder(tmp_path / "many", range(5))
    trees.write_folder(tmp_path / "two", range(5), values=(0, 7))
    layouts.write_yolo(tmp_path / "yolo")
    layouts.write_voc(tmp_path / "voc", ["a", "b"])
    for kind in ("cat", "dog"):
        for i in range(3):
            trees.write_image(tmp_path / f"classes/{kind}/{i}.jpg", seed=i)
    for i in range(3):
        trees.write_image(tmp_path / f"depth/images/{i}.png", seed=i)
        layouts.write_depth(tmp_path / f"depth/depth/{i}.png")
    found = {p.name: guess.guess(p)[0] for p in tmp_path.iterdir()}
    assert {name: each.name for name, each in found.items()} == {
        "many": "folder/segmentation",
        "two": "folder/segmentation",
        "yolo": "yolo/boxes",
        "voc": "voc/boxes",
        "classes": "image_folder/classes",
        "depth": "depth/folder",
    }
    assert found["two"].options == {"binary": True} and found["many"].options == {}


def test_coco_files_below_the_root_and_beside_the_images(tmp_path):
    layouts.write_coco(tmp_path / "deep/sub", images="../images/train2017")
    (tmp_path / "beside").mkdir()
    layouts.write_coco(tmp_path / "beside", images="").rename(
        tmp_path / "beside/x.json"
    )
    deep, beside = (guess.guess(tmp_path / name)[0] for name in ("deep", "beside"))
    file = "sub/annotations/instances_train2017.json"
    assert deep.options == {"annotations": {"train": file}}
    assert beside.options == {"annotations": {"train": "x.json"}}
    assert (deep.name, beside.name) == ("coco/instances", "coco/keypoints")


def test_tables_and_yaml_files_below(tmp_path):
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv/list.csv").write_text("image,label\na.jpg,cat\nb.jpg,dog\n")
    layouts.write_yolo(tmp_path / "yolo/sub")
    (tmp_path / "yolo/sub/images").rename(tmp_path / "yolo/images")
    assert guess.guess(tmp_path / "csv")[0].name == "table/classification"
    best = guess.guess(tmp_path / "yolo")[0]
    assert best.options == {"names": "sub/data.yaml", "labels": "sub/labels"}
    assert dict(best.facts.splits) == {"train": 3, "validation": 2}


@pytest.mark.parametrize(
    "images, masks, stem",
    [("imgs", "gts", "{}_img"), ("img_dir", "ann_dir", "{}"), ("x_rgb", "anns", "{}")],
)
def test_pairs_are_not_classes(tmp_path, images, masks, stem):
    for i in range(4):
        trees.write_image(tmp_path / images / f"{stem.format(i)}.jpg", seed=i)
        name = stem.format(i).replace("_img", "_gt")
        trees.write_mask(tmp_path / masks / f"{name}.png")
    found = guess.guess(tmp_path)
    assert [each.name for each in found] == ["folder/segmentation"]


@pytest.mark.parametrize("names", [("img", "v1.2"), ("train2017", "val2017")])
def test_folders_that_are_no_classes(tmp_path, names):
    for place, name in enumerate(names):
        for i in range(3 * place, 3 * place + 3):
            trees.write_image(tmp_path / name / f"{i}.jpg", seed=i)
    with pytest.raises(errors.UserError, match="neither images with masks"):
        guess.guess(tmp_path)


OFFICIAL = "official_layouts/segmentation/pseudo_{}_dataset"
SAMPLES = {  # of benchmarks in their layout
    OFFICIAL.format("cityscapes"): ("cityscapes/19", {"validation": 1}),
    OFFICIAL.format("bdd100k"): ("bdd/19", {"train": 3, "validation": 3}),
    "official_layouts/segmentation/pseudo_dataset": (
        "folder/segmentation",
        {"train": 4, "validation": 1},
    ),
    "official_layouts/keypoints/ap10k": ("coco/keypoints", {"train": 2}),
}


@pytest.mark.parametrize("path", SAMPLES)
def test_real_samples_in_official_layouts(real_data, path):
    best = guess.guess(real_data / path)[0]
    assert (best.name, dict(best.facts.splits)) == SAMPLES[path]


def test_real_panoptic_files_below_the_root(real_data):
    found = {each.name: each for each in guess.guess(real_data / "coco128")}
    assert set(found) == {"coco/instances", "coco/panoptic", "yolo/boxes"}
    assert dict(found["coco/panoptic"].facts.splits) == {
        "train": 100,
        "validation": 100,
    }


def test_a_folder_that_says_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(errors.UserError, match="found neither images with masks"):
        guess.guess(tmp_path)
    with pytest.raises(errors.UserError, match="no such folder"):
        guess.guess(tmp_path / "no")


def test_one_split_is_held_out_of(tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(5)])
    best = guess.guess(tmp_path)[0]
    assert guess.validation(best) is None
    assert guess.data_section(best, tmp_path)["part"] == "fit"
    text = guess.config_text(best, tmp_path, tmp_path / "c.py")
    assert "held_out" in text and 'keep="last"' in text and "choose_by" not in text


def test_validation_images_do_not_choose(tmp_path):
    """A fifth of the training images does, where both splits are there."""
    trees.write_folder(tmp_path, range(10))
    best = guess.guess(tmp_path)[0]
    assert guess.validation(best) == "validation"
    assert guess.data_section(best, tmp_path)["part"] == "fit"
    file = tmp_path / "own.py"
    file.write_text(guess.config_text(best, tmp_path, file))
    spec = main.load_config(file, "").stages.model
    held_out = {"split": "train", "part": "held_out"}
    assert spec.evaluations.held_out.to_dict() == held_out
    assert (spec.keep, spec.choose_by) == ("best", "held_out")
    assert spec.evaluations.validation.to_dict() == {"split": "validation"}


def test_init_overwrites_nothing(tmp_path, capsys):
    trees.write_folder(tmp_path, range(5))
    file = tmp_path / "c.py"
    file.write_text("mine")
    assert command.main(["init", str(tmp_path), "--output", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err and file.read_text() == "mine"
