"""Guesses of what a folder holds, and the configs that `init` writes of them."""

import json

import pytest

from jaxseg import main
from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import catalogue
from jaxseg.data.tools import guess
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


@pytest.mark.slow
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


def test_one_split_is_holdout_of(tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(5)])
    best = guess.guess(tmp_path)[0]
    assert guess.validation(best) is None
    assert guess.data_section(best, tmp_path)["part"] == "train"
    text = guess.config_text(best, tmp_path, tmp_path / "c.py")
    assert "holdout" in text and 'keep="last"' in text and "choose_by" not in text


def test_validation_images_do_not_choose(tmp_path):
    """A fifth of the training images does, where both splits are there."""
    trees.write_folder(tmp_path, range(10))
    best = guess.guess(tmp_path)[0]
    assert guess.validation(best) == "validation"
    assert guess.data_section(best, tmp_path)["part"] == "train"
    file = tmp_path / "own.py"
    file.write_text(guess.config_text(best, tmp_path, file))
    spec = main.load_config(file, "").stages.model
    holdout = {"split": "train", "part": "holdout"}
    assert spec["evaluations"]["holdout"] == holdout
    assert (spec["keep"], spec["choose_by"]) == ("best", "holdout")
    assert spec["evaluations"]["validation"] == {"split": "validation"}


def test_init_overwrites_nothing(tmp_path, capsys):
    trees.write_folder(tmp_path, range(5))
    file = tmp_path / "c.py"
    file.write_text("mine")
    assert command.main(["init", str(tmp_path), "--output", str(file)]) == 2
    assert "exists already" in capsys.readouterr().err and file.read_text() == "mine"


# Lists of names, and ids that only other splits hold.


def write_splits(root, train=(0, 1, 2), validation=(0, 1, 2)):
    trees.write_folder(root, [f"train/{i}" for i in range(8)], values=train)
    trees.write_folder(root, [f"val/{i}" for i in range(4)], values=validation)


def test_classes_are_those_of_all_splits(tmp_path):
    write_splits(tmp_path, validation=(0, 3))
    best = guess.guess(tmp_path)[0]
    assert best.facts.classes == ("class_0", "class_1", "class_2", "class_3")


NAMES = {  # file: its text, of background, cat and a dog
    "classes.txt": "background\ncat\na dog\n",
    "labels.txt": "0 background\n1 cat\n2 a dog\n",
    "obj.names": "background\ncat\na dog\n",
    "classes.names": "background\r\ncat\r\na dog\r\n",
    "label_map.txt": "0: background\n1: cat\n2: a dog\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"
    "cat:128,0,0::\na dog:0,128,0::\n",
    "train/_classes.csv": "Pixel Value, Class\n0, background\n1, cat\n2, a dog\n",
    "class_dict.csv": "name,r,g,b\nbackground,0,0,0\ncat,128,0,0\na dog,0,128,0\n",
    "classes.csv": "name,id\na dog,2\ncat,1\nbackground,0\n",
    "label_map.json": '{"background": 0, "cat": 1, "a dog": 2}',
    "id2label.json": '{"0": "background", "1": "cat", "2": "a dog"}',
    "classes.json": '["background", "cat", "a dog"]',
    "data.yaml": "nc: 3\nnames: [background, cat, 'a dog']\n",
    "label_map.pbtxt": "item {\n id: 1\n name: 'cat'\n}\nitem { id: 2 name: 'a dog' }",
}


@pytest.mark.parametrize("file", NAMES)
def test_the_usual_lists_of_names(tmp_path, file):
    write_splits(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(NAMES[file].encode())
    best = guess.guess(tmp_path)[0]
    assert best.facts.classes == ("background", "cat", "a dog")
    assert best.options["classes"] == ["background", "cat", "a dog"]
    assert file in best.reason


WRONG = {  # masks of training, of validation, the list: what is said
    (
        (0, 1, 2),
        (0, 3),
        "a\nb\nc\n",
    ): r"masks/val/0\.png: holds the ids 3; .*classes\.tx",
    ((0, 1), (0, 1), "a\n"): None,  # and the background
    ((0, 255), (0, 255), "a\nb\nc\n"): r"classes\.txt: names 3 classes, but .* 0, 255",
    ((0, 1, 2), (0, 1), "a\nb\na\n"): r"classes\.txt: found 3 classes, \['a'\] more",
    ((0, 1, 2), (0, 1), "0 a\n1 b\n5 c\n"): r"classes\.txt: names the classes 0, 1, 5",
    ((0, 1, 2), (0, 1), "a\nb\nc\nd\n"): None,  # one of them is rare
}


@pytest.mark.parametrize("train, validation, text", WRONG)
def test_masks_and_names_that_disagree(tmp_path, train, validation, text, capsys):
    write_splits(tmp_path, train, validation)
    (tmp_path / "classes.txt").write_text(text)
    expected = WRONG[train, validation, text]
    if expected is None:
        assert guess.guess(tmp_path)[0].options["classes"]
        return
    with pytest.raises(errors.UserError, match=expected):
        guess.guess(tmp_path)
    file = tmp_path / "c.py"
    assert command.main(["init", str(tmp_path), "--output", str(file)]) == 2
    assert not file.exists() and "data check" in capsys.readouterr().err
    assert command.main(["check", str(tmp_path)]) == 1
    assert "bad: " in capsys.readouterr().out


def test_names_of_two_classes_keep_masks_binary(tmp_path):
    write_splits(tmp_path, (0, 255), (0, 255))
    (tmp_path / "classes.txt").write_text("person\n")
    best = guess.guess(tmp_path)[0]
    assert best.options == {"binary": True, "classes": ["background", "person"]}


@pytest.mark.parametrize("annotations", ["annotations", "xmls", "labels", "images"])
@pytest.mark.parametrize("images", ["images", "JPEGImages", "."])
def test_voc_in_folders_of_other_names(tmp_path, annotations, images):
    layouts.write_voc(tmp_path, range(5), folder=images)
    (tmp_path / annotations).mkdir(exist_ok=True)
    for path in (tmp_path / "Annotations").iterdir():
        path.rename(tmp_path / annotations / path.name)
    (tmp_path / "Annotations").rmdir()
    best = guess.guess(tmp_path)[0]
    expected = {"images": images, "annotations": annotations}
    assert (best.name, best.options) == ("voc/boxes", expected)
    assert dict(best.facts.splits) == {"train": 4, "validation": 1}


@pytest.mark.parametrize("where", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_yolo_without_a_yaml_file(tmp_path, where):
    layouts.write_yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / where).write_text("cat\na dog\n")
    best = guess.guess(tmp_path)[0]
    images = {"train": "images/train", "validation": "images/val"}
    assert best.options == {"images": images, "classes": ["cat", "a dog"]}
    assert dict(best.facts.splits) == {"train": 3, "validation": 2}


def test_yolo_with_a_folder_for_each_split(tmp_path):
    for split, n in (("train", 3), ("valid", 2)):
        for i in range(n):
            trees.write_image(tmp_path / f"{split}/images/{i}.jpg", layouts.SIZE, i)
            (tmp_path / f"{split}/labels").mkdir(exist_ok=True)
            (tmp_path / f"{split}/labels/{i}.txt").write_text("0 .5 .5 .2 .2\n")
    text = "train: ../train/images\nval: ../valid/images\nnames: ['cat']\n"
    (tmp_path / "data.yaml").write_text(text)
    best = guess.guess(tmp_path)[0]
    assert best.name == "yolo/boxes"
    assert dict(best.facts.splits) == {"train": 3, "validation": 2}


@pytest.mark.parametrize(
    "file",
    ["{}/_annotations.coco.json", "annotations/{}.json", "annotations/x_{}.json"],
)
def test_coco_files_of_other_names(tmp_path, file):
    for split in ("train", "valid"):
        home = tmp_path / "images"
        if file.startswith("{}"):
            home = tmp_path / split
        content = layouts.coco(3)
        for entry in content["images"]:
            entry["file_name"] = f"{split}{entry['file_name']}"
            trees.write_image(home / entry["file_name"], layouts.SIZE, entry["id"])
        path = tmp_path / file.format(split)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    best = guess.guess(tmp_path)[0]
    assert best.name == "coco/keypoints"
    assert dict(best.facts.splits) == {"train": 3, "validation": 3}


def test_a_config_is_named_after_its_folder(tmp_path, capsys):
    trees.write_folder(tmp_path / "my cells (2)", range(5))
    file = tmp_path / "c.py"
    assert (
        command.main(["init", str(tmp_path / "my cells (2)"), "--output", str(file)])
        == 0
    )
    assert main.load_config(file, "").study == "my_cells_2"
    assert "runs/my_cells_2" in capsys.readouterr().out


def test_the_reader_itself_takes_the_list_of_names(tmp_path):
    """So a config by hand has the rule of `init`, `check` and `evaluate`."""
    trees.write_folder(tmp_path, range(5), values=(0, 1, 2))
    names = tmp_path / "classes.txt"
    names.write_text("sky\nroad\ncar\ntree\n")

    def classes(**options):
        found = catalogue.describe(
            "folder/segmentation", root=tmp_path, options=options
        )
        return found.classes

    assert classes() == ("sky", "road", "car", "tree")
    assert classes(classes=["a", "b", "c"]) == ("a", "b", "c")
    assert classes(ids={"2": 1}) == ("class_0", "class_1")
    before = catalogue.fingerprint("folder/segmentation", root=tmp_path)
    names.write_text("sky\nroad\n")
    assert catalogue.fingerprint("folder/segmentation", root=tmp_path) != before
    with pytest.raises(errors.UserError, match=r"holds the ids 2; .*names 2 classes"):
        classes()
