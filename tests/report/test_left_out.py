"""What is damaged is left out of a report and named; the rest stays as it was."""

import pytest

from jaxseg.report import __main__ as command
from jaxseg.report import build
from tests.report import workdirs


def test_what_is_gone_is_left_out_and_named(tmp_path):
    folder = workdirs.small_study(tmp_path)
    path = min(folder.glob("artifacts/*/receipt.json"))
    path.unlink()
    report = build.build(folder)
    assert len(report.results) == 12 and len(report.left_out) == 1
    assert f"left out, {path}: damaged" in report.text()
    text = workdirs.html_text(folder)
    assert '<span class="pill fail">left out</span>' in text and str(path) in text


@pytest.mark.parametrize("way", [workdirs.flip_byte, lambda path: path.unlink()])
def test_a_lost_picture_costs_no_number(tmp_path, capsys, way):
    folder = workdirs.small_study(tmp_path)
    whole = build.build(folder)
    tables = {n: p.read_bytes() for n, p in whole.files.items() if n != "index.html"}
    path = min(folder.glob("artifacts/*/samples/000_truth.png"))
    way(path)
    assert command.main([f"--workdir={folder}"]) == 1
    assert f"a picture left out, {path}: damaged" in capsys.readouterr().out
    assert tables == {name: whole.files[name].read_bytes() for name in tables}
    text = workdirs.html_text(folder)
    assert '<span class="pill weak">a picture left out</span>' in text
    assert str(path) in text and "13 done" in text


def test_a_page_of_nothing_says_what_was_left_out(tmp_path):
    made = workdirs.Workdir(tmp_path)
    made.cell(workdirs.target("night", "random", baseline=None), 0.3)
    build.build(made.plan())
    assert "0.300 on night" in workdirs.html_text(tmp_path)
    (path,) = tmp_path.glob("artifacts/*/receipt.json")
    path.unlink()
    build.build(tmp_path)
    text = workdirs.html_text(tmp_path)
    assert "1 left out." in text and "Nothing has been measured" not in text


def test_a_damaged_plan_leaves_out_its_study_alone(tmp_path, capsys):
    folder = workdirs.small_study(tmp_path)
    other = workdirs.Workdir(folder, "other")
    other.cell(workdirs.target("night", "random"), 0.3)
    path = other.plan() / "studies" / "other" / "plan.json"
    workdirs.flip_byte(path)
    assert command.main([f"--workdir={folder}"]) == 1
    out = capsys.readouterr().out
    assert f"other: left out, {path}: damaged" in out and "+32.8 [" in out
    text = workdirs.html_text(folder)
    assert "Studies left out" in text and f"{path}: damaged" in text
    workdirs.flip_byte(path)
    assert command.main([f"--workdir={folder}"]) == 0
    assert "Studies left out" not in workdirs.html_text(folder)


def test_the_rest_is_reported_beside_flipped_bytes(tmp_path, capsys):
    folder = workdirs.small_study(tmp_path)
    shown = sorted(folder.glob("artifacts/*/samples/000_prediction.png"))
    first, *_ = paths = [path.parents[1] / "metrics.jsonl" for path in shown]
    workdirs.flip_byte(first)
    assert command.main([f"--workdir={folder}"]) == 1
    assert f"{first}: damaged" in capsys.readouterr().out
    for sample in paths[1:]:
        workdirs.flip_byte(sample)
    assert command.main([f"--workdir={folder}"]) == 1
    out = capsys.readouterr().out
    assert all(f"{path}: damaged" in out for path in paths)
    assert "1 done, 13 failed" in out
