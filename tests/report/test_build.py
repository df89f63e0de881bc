import csv
import re
import subprocess
import sys

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.report import __main__ as command
from jaxseg.report import build
from tests.report import workdirs


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = workdirs.small_study(tmp_path_factory.mktemp("study"))
    return folder, build.build(folder)


def test_the_files(study):
    folder, report = study
    assert sorted(path.name for path in (folder / "report").iterdir()) == [
        "claims.csv",
        "gains.csv",
        "index.html",
        "results.csv",
        "tables.csv",
        "tables.md",
        "tables.tex",
    ]
    for name, mark in (("tables.md", "## "), ("tables.tex", "% ")):
        text = report.files[name].read_text()
        assert all(f"{mark}{grid.title}\n" in text for grid in report.grids)
    with open(report.files["results.csv"], newline="") as file:
        assert len(list(csv.DictReader(file))) == 13
    with open(report.files["gains.csv"], newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["target"], row["source"]) for row in found] == [
        ("night", "day"),
        ("night", "random"),
        ("rooms", "day"),
        ("rooms", "random"),
    ]


def test_the_same_files_give_the_same_bytes(study):
    folder, report = study
    before = {name: path.read_bytes() for name, path in report.files.items()}
    again = build.build(folder)
    assert before == {name: path.read_bytes() for name, path in again.files.items()}


def test_the_page_fetches_nothing(study):
    text = workdirs.html_text(study[0])
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "http://" not in text and "https://" not in text and "//cdn" not in text
    assert not re.search(r"<(link|script src|img src=\"(?!data:))", text)
    assert "@import" not in text and "url(http" not in text
    assert "/tmp/" not in text  # nor does it say where it was made


def test_the_page_says_what_ran_and_what_did_not(study):
    text = workdirs.html_text(study[0])
    for part in (
        "13 done",
        "1 failed",
        "1 blocked",
        "embedded (procedural) data",
        "ValueError: &lt;loss&gt; is NaN",
        "needs source/reef, which failed",
        "228,000 of 230,000 (backbone ← backbone)",
        "nothing: random start",
        "a1b2c3d4e5f6",
        "jax 0.7.0",
        "1 x cpu, 2 cores",
        "vehicle",
        "held-out fifth",
        'src="data:image/png;base64,',
    ):
        assert part in text, part
    assert text.count("<svg") == 1 + 2 * 2  # a heat map, two curves for each target


def test_pieces_that_were_never_made_leave_holes(tmp_path):
    made = workdirs.Workdir(tmp_path)
    ids, image = np.zeros((16, 16), int), np.full((16, 16, 3), 120, np.uint8)
    for source, value in (("websearch", 0.3), ("day", 0.4)):
        files = workdirs.samples(ids, image, ids)
        del files["samples/000_truth.png"]
        label = workdirs.target("night", source)
        made.cell(label, value, files=files, curve=[], receipt=None)
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert text.count('<div class="hole">missing</div>') == 1
    assert "no receipt" in text and "Learning curves" not in text


def test_a_study_without_a_baseline(tmp_path):
    made = workdirs.Workdir(tmp_path, "single")
    made.cell(workdirs.target("night", "random", baseline=None), 0.31)
    report = build.build(made.plan())
    assert report.text() == "single: 1 done"
    assert "mIoU 0.310 on night, start: random." in workdirs.html_text(tmp_path)
    assert report.gains == []


def test_words_of_one_pair_that_loses(tmp_path):
    made = workdirs.Workdir(tmp_path)
    made.cell(workdirs.target("night", "websearch"), 0.5, floor=0.057)
    made.cell(workdirs.target("night", "day"), 0.4, floor=0.057, flops=2.5e9)
    report = build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert "learning nothing gives: night 0.057" in report.text()
    assert "learning nothing gives: night 0.057" in text and ">0.0570<" in text
    assert "0 of 1 pair positive" in text and "1 pairs" not in text
    assert "none gains anything, the smallest loss is 20.0 % on night" in text
    assert "I (insignificant)" in text and ">#<" not in text and ">2.5</td>" in text


def test_what_selections_did_without_is_not_wrong(tmp_path):
    made = workdirs.Workdir(tmp_path)
    lost = made.failed("lr10", error="loss is nan", state="diverged")
    best = made.done("lr0.1", 0.4)
    label = workdirs.target("night", "websearch")
    made.done("best", 0, [label], "select", [lost, best], winner=best)
    report = build.build(made.plan())
    assert "diverged, and not needed: lr10" in report.text()
    text = workdirs.html_text(tmp_path)
    assert "Candidates left out" in text and "<h2>Errors</h2>" not in text
    made.stage("child", parents=[lost])
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert "<h2>Errors</h2>" in text and "Candidates left out" not in text


def own_data(folder, **more):
    """Two seeds of a model for own data, named as a baseline of nothing."""
    made = workdirs.Workdir(folder, "finetune")
    ids, image = np.zeros((16, 16), int), np.full((16, 16, 3), 120, np.uint8)
    files = workdirs.samples(ids, image, ids)
    for seed, value in ((0, 0.3), (1, 0.4)):
        label = workdirs.target("own", "random", seed, "own", baseline="random")
        made.cell(label | more, value, floor=0.35, files=files)
    return made.plan()


@pytest.mark.parametrize("baseline", ["random", None])
def test_what_is_compared_with_nothing_is_shown(tmp_path, baseline):
    report = build.build(own_data(tmp_path, baseline=baseline))
    text = workdirs.html_text(tmp_path)
    assert report.gains == [] and report.text() == "finetune: 2 done"
    assert "mIoU 0.350 ± 0.071 on own, start: random." in text
    assert "0: 0.3000" in text and "1: 0.4000" in text
    assert ">0.3500<" in text  # what learning nothing gives
    assert text.count("<svg") == 2 and "data:image/png" in text
    assert "No source has been compared" not in text
    assert "start: random<br>" in text and "Random start of each target" in text


def test_a_baseline_that_is_the_random_start_has_its_picture(tmp_path):
    made = workdirs.Workdir(tmp_path, "finetune")
    ids, image = np.zeros((16, 16), int), np.full((16, 16, 3), 120, np.uint8)
    for source, value in (("random", 0.3), ("start", 0.4)):
        label = workdirs.target("own", source, baseline="random")
        made.cell(label, value, files=workdirs.samples(ids, image, ids))
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert "baseline: random" in text and "best source: start" in text
    assert "Baseline and best source of each target" in text


def test_nothing_has_run_yet(tmp_path):
    made = workdirs.Workdir(tmp_path)
    for source in ("websearch", "day"):
        made.stage(source, [workdirs.target("night", source)])
    report = build.build(made.plan())
    assert "(pending)" in report.text() and "2 pending" in report.text()


def test_large_samples_are_scaled_down(tmp_path):
    made = workdirs.Workdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (400, 640, 3), np.uint8)
    ids = np.zeros((400, 640), int)
    label = workdirs.target("night", "websearch", target_dataset="camvid/11")
    made.cell(label, 0.3, files=workdirs.samples(ids, noise, ids))
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert len(text) < 500_000 and "real data: camvid/11" in text


def test_a_folder_that_cannot_be_written(tmp_path):
    folder = workdirs.small_study(tmp_path)
    (folder / "report").write_text("a file where the folder should be")
    with pytest.raises(errors.UserError, match="cannot write the report"):
        build.build(folder)


def test_the_command(study, tmp_path, capsys):
    folder, _ = study
    assert command.main([f"--workdir={folder}"]) == 0
    shown = capsys.readouterr().out
    assert str(folder / "report" / "index.html") in shown and "+32.8 [" in shown
    assert "source/reef: ValueError: <loss> is NaN" in shown
    assert command.main([f"--workdir={tmp_path}"]) == 2
    assert command.main([f"--workdir={tmp_path / 'none'}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("jaxseg: ") for line in lines)


def test_no_jax_and_no_machine_needed(study):
    folder, _ = study
    code = (
        "import sys, jaxseg.report.build\n"
        "from jaxseg.report import __main__ as command\n"
        f"assert command.main(['--workdir={folder}']) == 0\n"
        "heavy = {'jax', 'flax', 'orbax', 'grain', 'tensorflow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_improvement_is_called_one(tmp_path):
    made = workdirs.Workdir(tmp_path)
    more = {"metric": "rmse", "higher": False}
    for source, value in (("websearch", 0.5), ("day", 0.45)):
        made.cell(workdirs.target("office", source), value, **more)
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert "alone improved RMSE by 10.0 % on average" in text and "changed" not in text
    assert "RMSE, lower is better" in text
    made.cell(workdirs.target("office", "reef"), 0.8, **more)
    build.build(made.plan())
    assert "alone worsened RMSE by 25.0 % on average" in workdirs.html_text(tmp_path)


def test_an_artifact_of_two_entries_costs_once(tmp_path):
    made = workdirs.Workdir(tmp_path)
    label = workdirs.target("night", "websearch")
    key = made.done("table4/night", 0.5, [label], seconds=50.0)
    made.stage("table7/night", [label | {"setting": "full"}], key=key)
    report = build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert len(report.results) == 2 and "the same as table4/night" in text
    assert "<b>50.0 s</b><span>in 1 finished stage<" in text


def test_licences_stand_on_the_page_and_non_commercial_ones_are_marked(tmp_path):
    made = workdirs.Workdir(tmp_path)
    free = {"of": "worlds", "licence": "Apache-2.0", "noncommercial": False}
    tied = {"of": "cityscapes", "licence": "own terms", "noncommercial": True}
    made.done("a", 0.5, [workdirs.target("a", "websearch")], licences=[free])
    made.done("b", 0.5, [workdirs.target("b", "websearch")], licences=[tied, free])
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert text.count(">non-commercial<") == 1 and text.count("Apache-2.0") == 1
    assert text.index("own terms") < text.index("Apache-2.0")
    made = workdirs.Workdir(tmp_path / "old")
    made.done("a", 0.5, [workdirs.target("a", "websearch")])
    build.build(made.plan())
    assert "Licences" not in workdirs.html_text(tmp_path / "old")


def test_table_page_and_csv_agree(study):
    folder, report = study
    page, text = workdirs.html_text(folder).replace("\u2212", "-"), report.text(200)
    with open(report.files["gains.csv"], newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        gain = f"{float(row['gain']):+.1f}"
        assert gain in text and f">{gain}</td>" in page and f">{gain}<" in page
        value, baseline = float(row["value"]), float(row["baseline"])
        assert f">{value:.4f}</td>" in page and f"{baseline:.3f}" in text
        low, high = float(row["gain_low"]), float(row["gain_high"])
        assert f">{low:+.1f} to {high:+.1f}</td>" in page


def test_what_chance_would_give_is_said(tmp_path):
    made = workdirs.Workdir(tmp_path)
    rng = np.random.default_rng(0)
    for source in ("websearch", "random", *"abcdefgh"):
        for seed in (0, 1):
            made.cell(workdirs.target("night", source, seed), 0.3 + rng.random() / 50)
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert "Of 8 source cells with an interval" in text
    assert "chance alone would mark 0.4 &plusmn; 1.0 of them" in text
    assert "Intervals hold for the one source model that was trained" in text
    assert ", as the best of 8)" in text


@pytest.mark.parametrize("unknown", ["unknown", None])
def test_a_start_of_unknown_origin_is_not_given_one(tmp_path, unknown):
    made = workdirs.Workdir(tmp_path, "finetune")
    about = dict.fromkeys(("source_task", "source_domain", "source_dataset"), unknown)
    for source, value in (("random", 0.3), ("start", 0.33)):
        more = about if source == "start" else {}
        made.cell(workdirs.target("own", source, baseline="random", **more), value)
    build.build(made.plan())
    text = workdirs.html_text(tmp_path)
    assert "another image domain" not in text and "scratch" not in text
    assert ">cross<" not in text and ">None<" not in text and ">unknown<" in text
    assert "instead of random weights improved mIoU by 10.0 % on average" in text
