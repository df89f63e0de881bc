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


def test_a_folder_that_says_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(errors.UserError, match="found neither images with masks"):
        guess.guess(tmp_path)
    with pytest.raises(errors.UserError, match="not a folder"):
        guess.guess(tmp_path / "no")


def test_one_split_is_held_out_of(tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(5)])
    best = guess.guess(tmp_path)[0]
    assert guess.validation(best) is None
    assert guess.data_section(best, tmp_path)["part"] == "fit"
    assert "held_out" in guess.config_text(best, tmp_path, tmp_path / "c.py")


def test_init_overwrites_nothing(tmp_path, capsys):
    trees.write_folder(tmp_path, range(5))
    file = tmp_path / "c.py"
    file.write_text("mine")
    assert command.main(["init", str(tmp_path), "--output", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err and file.read_text() == "mine"
