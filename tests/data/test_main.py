"""python -m jaxseg.data: tables, sheets, checks, exit codes."""

import json

import pytest
from PIL import Image

from jaxseg.data import __main__ as command
from tests.data import trees


def test_list_names_every_dataset(capsys):
    assert command.main(["list"]) == 0
    text = capsys.readouterr().out
    assert "camvid/11" in text and "worlds/driving_day" in text and "rendered" in text


def test_show_says_what_it_needs(capsys):
    assert command.main(["show", "folder/segmentation"]) == 0
    assert "mask_size = 'refuse'" in capsys.readouterr().out
    assert command.main(["show", "camvid/11"]) == 0
    assert "CC BY-NC" in capsys.readouterr().out


def test_mistakes_end_with_2_and_a_message(capsys, tmp_path):
    for arguments, text in (
        (["show", "camvd/11"], "Did you mean 'camvid'"),
        (["check", "camvid/11", "--root", str(tmp_path / "no")], "is not a folder"),
        (["preview", "camvid/11", "--options", "binary"], "is not JSON"),
    ):
        assert command.main(arguments) == 2
        assert text in capsys.readouterr().err


@pytest.mark.parametrize("extra", [[], ["--augment"]])
def test_preview_draws_a_sheet(tmp_path, extra):
    trees.write_folder(tmp_path, range(5))
    path = tmp_path / "sheet.png"
    arguments = ["preview", "folder/segmentation", "--root", str(tmp_path)]
    assert (
        command.main([*arguments, "--output", str(path), "--count", "3", *extra]) == 0
    )
    with Image.open(path) as sheet:
        assert sheet.width > 900 and sheet.height > 150


def test_preview_of_scenes_with_all_labels(tmp_path):
    path = tmp_path / "sheet.png"
    arguments = ["preview", "worlds/driving_day", "--output", str(path)]
    assert command.main([*arguments, "--count", "2", "--augment"]) == 0
    assert path.exists()


def test_check_names_each_bad_record(capsys, tmp_path):
    trees.write_folder(tmp_path, range(10))
    arguments = ["check", "folder/segmentation", "--root", str(tmp_path)]
    assert command.main(arguments) == 0
    trees.write_mask(tmp_path / "masks/3.png", size=(5, 5))
    (tmp_path / "images/7.jpg").write_bytes(b"not a picture")
    capsys.readouterr()
    assert command.main([*arguments, "--options", '{"classes": ["a", "b", "c"]}']) == 1
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("bad: ")]
    assert len(lines) == 2 and "3.png: mask is 5 x 5" in "".join(lines)
    assert "7.jpg: not a readable image" in "".join(lines)


def test_check_names_each_bad_mask_before_the_classes_are_known(capsys, tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(4)])
    for place in (1, 2):
        (tmp_path / f"masks/train/{place}.png").write_bytes(b"not a picture")
    assert command.main(["check", "folder/segmentation", "--root", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert text.count("bad: ") == 2 and "1.png" in text and "2.png" in text


def test_check_counts_the_records(capsys, tmp_path):
    trees.write_camvid(tmp_path)
    assert command.main(["check", "camvid/11", "--root", str(tmp_path)]) == 1
    assert "found 3 records, the official set has 367" in capsys.readouterr().out


def test_check_of_a_folder_writes_a_report(capsys, tmp_path):
    trees.write_folder(tmp_path / "data", [f"train/{i}" for i in range(4)])
    trees.write_folder(tmp_path / "data", [f"val/{i}" for i in range(4)])  # the same
    report = tmp_path / "report.json"
    arguments = ["check", str(tmp_path / "data"), "--json", str(report)]
    assert command.main([*arguments, "--fix-report", "--limit", "1"]) == 1
    text = capsys.readouterr().out
    assert "read as folder/segmentation" in text and "are the same image" in text
    assert "and 3 more of kind leak" in text and "fix: 4 x leak" in text
    content = json.loads(report.read_text())
    assert content["ok"] is False and len(content["leaks"]) == 4
    assert content["splits"]["train"] == {"records": 4, "problems": []}


def test_check_across_two_folders(capsys, tmp_path):
    trees.write_folder(tmp_path / "a", range(6))
    trees.write_folder(tmp_path / "b", range(4))
    for i in range(4, 7):
        trees.write_image(tmp_path / f"c/images/{i}.jpg", seed=i + 10)
        trees.write_mask(tmp_path / f"c/masks/{i}.png")
    a, b, c = (str(tmp_path / name) for name in "abc")
    assert command.main(["check", "--across", a, b]) == 1
    assert "4 images in both" in capsys.readouterr().out
    assert command.main(["check", "--across", a, c]) == 0
    assert command.main(["check"]) == 2


def test_stats_counts(capsys, tmp_path):
    trees.write_folder(tmp_path / "data", range(5), values=(0, 1, 1, 255))
    report = tmp_path / "stats.json"
    arguments = ["stats", str(tmp_path / "data"), "--json", str(report)]
    assert command.main(arguments) == 0
    assert "class_1" in capsys.readouterr().out
    content = json.loads(report.read_text())
    assert content["examples"] == 4 and content["ignored"] == 0.25
    assert content["size"]["median"] == [12, 16] and len(content["mean"]) == 3
    assert [row["pixels"] for row in content["classes"]] == [4 * 48, 4 * 96]
