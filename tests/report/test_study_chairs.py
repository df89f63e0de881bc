"""The page, tables and figures of a chairs study."""

import csv
import html

import pytest

from jaxseg.report import build, claims
from jaxseg.report.studies import _chairs_figures, chairs
from tests.report import chairs_study, workdirs
from tests.report.chairs_claims import HELD, VGG


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = chairs_study.write(tmp_path_factory.mktemp("chairs"))
    return folder, build.build(folder)


def test_a_whole_study_holds_what_it_was_made_to(study):
    report = study[1]
    with open(report.files["claims.csv"], newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["claim"] for line in lines] == [c.name for c in chairs.CLAIMS]
    assert {line["verdict"] for line in lines} == {HELD}
    assert min(int(line["count"]) for line in lines) == 3
    assert {line["setting"] for line in lines} == {""}


def test_the_page_prints_a_rule_that_several_findings_share_once(study):
    text = html.unescape(workdirs.html_text(study[0]))
    assert text.count(claims.ABOVE) == text.count(claims.WORST) == 1
    assert "a part for each FCN; (a); not: the interval does not lie" in text
    assert ". (b); but weakly where some parts are not" in text
    with open(study[1].files["claims.csv"], newline="") as file:
        rules = [line["rule"] for line in csv.DictReader(file)]
    assert sum(claims.ABOVE in rule for rule in rules) == 7  # of all but C3 and C9
    assert claims.shortened([claims.ABOVE]) == ([claims.ABOVE], {})


def cells_of(report, title, row):
    table = next(table for table in report.tables if table.title == title)
    line = next(line for line in table.body if tuple(line[: len(row)]) == row)
    return dict(zip(table.header, line))


def test_tables_by_hand(study):
    report = study[1]
    one = cells_of(report, "Table 1: resolutions, chairs", ("U-Net", "32 px"))
    assert one["IoU per image"] == "77.40 ± 0.40 (3)"
    assert one["IoU per image, paper"] == "77.59"
    assert one["IoU pooled"] == "79.40 ± 0.40 (3)" and "IoU pooled, paper" not in one
    # 150 steps of 10 images in 150 images; 4 seconds; all 150 steps were taken
    assert one["epochs"] == "10.0 ± 0.0 (3)" and "stopped early, %" not in one
    assert one["minutes"] == "0.07 ± 0.00 (3)" and one["hours, paper"] == "0.4"
    assert "hours" not in one
    notes = next(t.notes for t in report.tables if t.title.startswith("Table 1"))
    assert "No run ended before its last planned step." in notes
    two = cells_of(report, "Table 2: models on chairs at 64 px", ("all background",))
    assert (two["precision"], two["precision, paper"]) == ("78.00", "78.01")
    assert (two["IoU per image"], two["IoU per image, paper"]) == ("0.00", "")
    two = cells_of(report, "Table 2: models on chairs at 64 px", ("U-Net",))
    assert two["IoU per image"] == "85.40 ± 0.40 (3)"
    assert two["IoU pooled"] == "87.40 ± 0.40 (3)"
    assert two["Dice per image"] == "90.40 ± 0.40 (3)"
    assert two["Dice pooled"] == "93.40 ± 0.40 (3)"
    notes = next(t.notes for t in report.tables if t.title.startswith("Table 2"))
    constant = "The best constant answer is all foreground: IoU per image 30.00; "
    assert constant + "a model that is no better has learned nothing." in notes
    row = ("U-Net", "chairs")
    three = cells_of(report, "Table 3: fine-tuning on objects", row)
    assert three["car: IoU per image"] == "86.40 ± 0.40 (3)"
    assert three["car: IoU per image, paper"] == "88.22"
    assert three["airplane: Dice per image, paper"] == "80.42"
    pooled = "Table 3, pooled: IoU and Dice of all pixels of a set together"
    three = cells_of(report, pooled, row)
    assert three["car: IoU pooled"] == "88.40 ± 0.40 (3)"
    assert three["car: Dice pooled"] == "94.40 ± 0.40 (3)"
    four = cells_of(report, "Table 4: the literature", ("Yuan et al.",))
    assert four["car: IoU"] == "" and four["car: IoU, paper"] == "0.72"
    four = cells_of(report, "Table 4: the literature", ("U-Net",))
    assert four["car: IoU"] == "0.80 ± 0.00 (3)"
    five = "Table 5: L2 distances of parameters (U-Net)"
    five = cells_of(report, five, ("segmentation",))
    # 400 + 1, 400 + 2, 400 + 2 on each of three sets
    assert five["Ft-Ft"] == "401.67 ± 0.50 (9)" and five["Ft-Ft, paper"] == "373.94"
    layer = cells_of(report, "Table 5 by layer", ("params/backbone",))
    assert layer["Ft-P"].startswith("240 ±")
    drawn = _chairs_figures.by_layer(report.views[0])
    assert drawn["Ft-P"].x.tolist() == [1, 2] and drawn["Ft-P"].runs == 9
    assert drawn["Ft-P"].mean.tolist() == [240, 180]  # 0.8 and 0.6 of 300
    assert drawn["Ri-P"].low.tolist() == [400, 300]  # of 500, 501 and 502
    assert drawn["Ri-P"].high.tolist() == pytest.approx([401.6, 301.2])
    path = cells_of(report, "Barriers of Fig. 7", ("Ri-Ri", "re-estimated"))
    assert path["loss"] == "0.5 ± 0 (3)" and path["fall of IoU, %"] == "50.0 ± 0.0 (3)"


def test_what_is_drawn_is_not_taken_for_photographs(study):
    tables = {table.title: table.notes for table in study[1].tables}
    note = "Measured on images that jaxseg draws; the paper's are photographs."
    assert note in tables["Table 1: resolutions, chairs"]  # of data set chairs/64
    assert note not in tables["Table 3: fine-tuning on objects"]  # of data set car


def test_a_value_of_a_seed_that_learned_nothing_is_marked(tmp_path):
    made = workdirs.Workdir(tmp_path, "chairs")
    for model, value in (("U-Net", 0.8), (VGG, 0.299)):  # the floor is 0.3
        for seed in (0, 1):
            place = (model, "composites", "chairs/64", "random", seed)
            chairs_study.train(made, chairs_study.columns(*place), value + 0.1 * seed)
    report = build.build(made.plan())
    title = "Table 1: resolutions, chairs"
    net, vgg = (cells_of(report, title, (m, "64 px")) for m in ("U-Net", VGG))
    assert net["IoU per image"] == "85.00 ± 7.07 (2)"
    assert vgg["IoU per image"] == "34.90 ± 7.07 (2) †"
    two = cells_of(report, "Table 2: models on chairs at 64 px", (VGG,))
    assert two["IoU per image"] == "34.90 ± 7.07 (2) †" and "†" not in two["precision"]
    legends = [table.legend for table in report.tables]
    words = "† on at least one seed no better than the best constant answer"
    assert [words in legend for legend in legends] == [True, True]
    assert "$\\dagger$" in report.files["tables.tex"].read_text()


def test_the_share_of_runs_that_stopped_early(tmp_path):
    made = workdirs.Workdir(tmp_path, "chairs")
    for seed, steps in enumerate((100, 150)):
        place = ("U-Net", "composites", "chairs/64", "random", seed)
        chairs_study.train(made, chairs_study.columns(*place), 0.8, steps)
    report = build.build(made.plan())
    one = cells_of(report, "Table 1: resolutions, chairs", ("U-Net", "64 px"))
    assert one["stopped early, %"] == "50"
    # converged at steps 100 and 150 of 10 images: 6.67 and 10 epochs
    assert one["epochs"].startswith("8.3 ± 2.4")


def test_the_page_shows_tables_figures_and_findings(study):
    text = workdirs.html_text(study[0])
    for part in (
        "Table 5 by layer",
        "Fig. 3: chairs, and chairs in scenes",
        "Fig. 4: the models on chairs at 64 px",
        "Fig. 6: fine-tuning of the U-Net",
        "car: validation IoU, 3/3/3 runs",
        "Table 5 by layer, drawn",
        "arXiv 2012.01250",
        "not reproduced",
    ):
        assert part in text, part
    heads = [
        text.index(f"FCN-{name}<br>") for name in ("ResNet-50", "ResNet-101", "VGG-16")
    ]
    assert heads == sorted(heads)  # the rows of Fig. 4
    for file in ("tables.md", "tables.tex", "tables.csv"):
        assert "Table 2: models on chairs at 64 px" in study[1].files[file].read_text()
