"""No reader of own data opens what lies outside of its folder, unless it is allowed."""

import json
import os
import shutil

import pytest

from jaxseg.core import errors
from jaxseg.data import __main__ as command
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.tools import guess
from tests.data import layouts, test_containers, trees
from tests.data.owns import OWN


def read(name, root, **options):
    options = dict(OWN[name].options) | options
    source = source_lib.open(name, split="train", root=root, options=options)
    return [source[i] for i in range(len(source))]


def refused(name, root, text="outside of the folder.*Fix.*outside=True"):
    with pytest.raises(errors.UserError, match=text):
        read(name, root)


def moved(root, name):
    """Puts a file or folder elsewhere and a link to it in its place."""
    away = root.parent / "away" / name
    away.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(root / name, away)
    (root / name).symlink_to(away)


@pytest.mark.parametrize("kind", ["image", "label", "text", "folder"])
@pytest.mark.parametrize("name", OWN)
def test_links_that_lead_outside(tmp_path, name, kind):
    own, root = OWN[name], tmp_path / "data"
    file = own.image.partition("/")[0] if kind == "folder" else getattr(own, kind)
    if file is None or (kind == "folder" and "/" not in own.image):
        pytest.skip("has none")
    own.write(root)
    before = read(name, root)
    moved(root, file)
    if kind == "folder" and name in ("folder/segmentation", "depth/folder"):
        refused(name, root, "Fix")  # which do not look into linked folders
        return
    refused(name, root)
    assert len(read(name, root, outside=True)) == len(before)


def test_an_image_that_a_json_file_names_elsewhere(tmp_path):
    trees.write_image(tmp_path / "secret.jpg", layouts.SIZE)
    secret = str(tmp_path / "secret.jpg")
    for file in ("../../secret.jpg", secret):
        content = layouts.coco()
        layouts.write_coco(tmp_path / "data", content)
        content["images"][1]["file_name"] = file
        path = tmp_path / "data/annotations/instances_train2017.json"
        path.write_text(json.dumps(content))
        refused("coco/instances", tmp_path / "data")
        assert len(read("coco/instances", tmp_path / "data", outside=True)) == 2
    content["images"][1]["file_name"] = str(tmp_path / "data/train2017/1.jpg")
    path.write_text(json.dumps(content))
    assert len(read("coco/instances", tmp_path / "data")) == 2


@pytest.mark.parametrize("column", ["image", "mask", "depth"])
def test_files_that_a_table_names_elsewhere(tmp_path, column):
    test_containers.write_table(tmp_path / "data", test_containers.LINES)
    table, away = tmp_path / "data/train.csv", tmp_path / "x.png"
    (tmp_path / "data/classes.txt").write_text("a\nb\n")
    for name in (f"table/{k}" for k in ("segmentation", "depth")):
        where = {"image": "a b/1.jpg", "mask": "masks/1.png", "depth": "depth/1.png"}
        shutil.copy(tmp_path / "data" / where[column], away)
        lines = [test_containers.line(0, "a"), test_containers.line(1, "b")]
        lines = [line.replace(where[column], "../x.png") for line in lines]
        table.write_text("\n".join(["image,mask,label,depth", *lines, ""]))
        refused(name, tmp_path / "data")
    below = tmp_path / "data/tables/train.csv"
    below.parent.mkdir()
    below.write_text("image,label\n../a b/0.jpg,a\n../a b/1.jpg,b\n")
    options = {"tables": {"train": "tables/train.csv"}}
    assert len(read("table/classification", tmp_path / "data", **options)) == 2


def test_files_that_lists_and_yaml_files_name_elsewhere(tmp_path):
    trees.write_image(tmp_path / "x.jpg")
    trees.write_mask(tmp_path / "x.png")
    trees.write_folder(tmp_path / "data", "ab")
    for line in ("../x.jpg ../x.png", f"{tmp_path / 'x.jpg'} masks/a.png"):
        (tmp_path / "data/train.txt").write_text(f"a\n{line}\n")
        refused("folder/segmentation", tmp_path / "data")
    layouts.write_yolo(tmp_path / "yolo")
    layouts.write_yolo(tmp_path / "other")
    for folder in ("../other/images/train", str(tmp_path / "other/images/train")):
        text = f"train: {folder}\nval: images/val\nnames: [a]\n"
        (tmp_path / "yolo/data.yaml").write_text(text)
        refused("yolo/boxes", tmp_path / "yolo", "is not a folder below")


def test_a_guess_opens_nothing_outside(tmp_path):
    for name in ("folder/segmentation", "table/segmentation", "yolo/boxes"):
        own, root = OWN[name], tmp_path / name
        own.write(root)
        for kind in filter(None, (own.label, own.text)):
            moved(root, kind)
        with pytest.raises(errors.UserError, match=r"outside of the folder.*Fix"):
            guess.guess(root)


def test_outside_is_an_option_of_what_lies_on_disk():
    assert catalogue.bind_options("camvid/11", {"outside": True}) == {"outside": True}
    assert catalogue.bind_options("camvid/11", {"outside": False}) == {}
    for value in ("yes", 1):
        with pytest.raises(errors.UserError, match=r"outside: found .*allowed: bool"):
            catalogue.bind_options("camvid/11", {"outside": value})
    with pytest.raises(errors.UserError, match="outside"):
        catalogue.bind_options("worlds/indoor_home", {"outside": True})


def test_a_pipe_in_place_of_a_file_is_no_hang(tmp_path):
    for number, (name, own) in enumerate(OWN.items()):
        for kind in filter(None, (own.image, own.label, own.text)):
            root = tmp_path / f"{number} {kind.replace('/', '-')}"
            own.write(root)
            (root / kind).unlink()
            os.mkfifo(root / kind)
            refused(name, root, "named pipe.*Fix")


@pytest.mark.parametrize("name", [name for name in OWN if "shards" not in name])
def test_check_names_a_link_that_leads_outside_among_other_defects(name, tmp_path):
    own, root = OWN[name], tmp_path / "data"
    own.write(root)
    moved(root, own.image)
    report = tmp_path / "report.json"
    arguments = ["check", name, f"--root={root}", f"--json={report}"]
    options = json.dumps(dict(own.options))
    assert command.main([*arguments, f"--options={options}"]) == 1
    report = json.loads(report.read_text())
    assert "splits" in report, report["error"]  # all of them were read
    problems = [
        *report["whole"],
        *(p for s in report["splits"].values() for p in s["problems"]),
    ]
    said = [p for p in problems if "leads to" in p["text"]]
    assert said and own.image in said[0]["text"]


def test_a_folder_with_trusted_links_is_checked_and_begun(tmp_path, capsys):
    root, config = tmp_path / "data", tmp_path / "config.py"
    trees.write_folder(root, "abcdef")
    moved(root, "images/a.jpg")
    assert command.main(["check", str(root)]) == 1
    assert """--options '{"outside": true}'""" in capsys.readouterr().out
    given = ["--options", '{"outside": true}']
    for arguments in (["check"], ["stats"], ["preview", f"--output={tmp_path}/p.png"]):
        assert command.main([arguments[0], str(root), *arguments[1:], *given]) == 0
    assert command.main(["init", str(root), f"--output={config}"]) == 2
    assert command.main(["init", str(root), f"--output={config}", *given]) == 0
    assert "'options': {'outside': True}" in config.read_text()
    assert "check" in capsys.readouterr().out
