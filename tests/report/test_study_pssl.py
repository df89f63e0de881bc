"""The page, tables, figures and claims of a PSSL study."""

import csv

import pytest

from jaxseg.report import build, claims
from jaxseg.report.studies import _pssl_cells as cells
from jaxseg.report.studies import pssl
from tests.report import pssl_study


def judged(folder, **changes):
    pssl_study.write(folder, **changes)
    report = build.build(folder)
    with open(report.files["claims.csv"], newline="") as file:
        return report, {line["claim"]: line for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pssl")
    return folder, *judged(folder)


def changed(study, change):
    """The verdicts where the mIoU of some cells is another: change(cell, value)."""
    view = study[1].views[0]
    values = {
        cell: {seed: change(cell, value) for seed, value in some.items()}
        for cell, some in cells.values(view).items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "values", lambda *_: values)
        return {c.name: c.measure(view)[2] for c in pssl.CLAIMS}


def test_a_whole_study_holds_what_it_was_made_to(study):
    lines = study[2]
    assert list(lines) == [claim.name for claim in pssl.CLAIMS]
    assert {line["verdict"] for line in lines.values()} == {claims.HELD}
    said = {name: line["measured"] for name, line in lines.items()}
    # Weights between: -.1 points on average; smallest -2, largest -3.
    assert said["P1"].startswith("smallest +1.9 (")
    assert "largest +2.9 (" in said["P1"] and lines["P1"]["count"] == "6"
    assert said["P2"].startswith("+2.3 (") and "above 0 in 3 of 3" in said["P2"]
    assert "250 to 500 +3.0" in said["P2"]
    assert said["P3"].startswith("classifier minus 100 +4.0 (")
    assert "1000 minus classifier +3.0" in said["P3"]
    # (3 + 1.5 + 1) / 3
    assert said["P4"].startswith("+1.8 (") and "above 0 in 9 of 9" in said["P4"]
    assert lines["P4"]["count"] == "27"
    # 3 minus the mean of 1.5 and 1
    assert said["P5"].startswith("+1.8 (") and lines["P5"]["count"] == "9"
    assert "accuracy with twice the epochs minus with once +1.0 points" in said["P6"]
    assert "mIoU with once minus with twice +2.5 (" in said["P6"]
    # .6 - (.5 + .4) / 2, of the three images that have all maps.
    assert said["P7"].startswith("+15.0 (") and lines["P7"]["count"] == "3"
    assert "D8 ignored +1.0 (" in said["P8"] and "foreground +2.0 (" in said["P8"]


def test_where_saliency_finds_nothing_labels_say_nothing(tmp_path):
    _, lines = judged(tmp_path, lead=-0.1)
    assert {n for n, x in lines.items() if x["verdict"] != claims.UNMEASURED} == {"P7"}
    assert lines["P4"]["measured"].startswith(
        "saliency finds no objects: the IoU of the top decile minus that of a disc in "
        "the middle is -9.0 ("
    )


def test_each_finding_can_fail(study):
    ways = {
        "P1": lambda c, v: v + 9 * ("background 0.001" in c.start),
        "P2": lambda c, v: v - 9 * c.start.startswith("1000 samples"),
        "P3": lambda c, v: v + 9 * (c.start == cells.IMAGENET),
        "P4": lambda c, v: v - 9 * (c.start == cells.PSSL),
        "P5": lambda c, v: v + 9 * (c.target == "ADE20K" and c.start == cells.PSSL),
        "P6": lambda c, v: v + 9 * (c.start == cells.TWICE),
        "P8": lambda c, v: v + 9 * c.start.endswith("D8 ignored"),
    }
    for name, way in ways.items():
        found = changed(study, way)
        assert found[name] == claims.NOT, name


def test_a_cell_that_has_not_ended_leaves_what_needs_it_open(tmp_path):
    lost = cells.Cell(cells.ABLATED, "VOC-A", "250 samples, background 0.1")
    _, lines = judged(tmp_path, without={(lost, seed) for seed in range(3)})
    open_ = {n for n, x in lines.items() if x["verdict"] == claims.UNMEASURED}
    assert open_ == {"P2", "P3"}


def test_tables_have_what_the_paper_prints(study):
    tables = {
        table.title.split(":")[0]: table for table in pssl.tables(study[1].views[0])
    }
    assert list(tables)[:4] == [f"Table {n}" for n in range(1, 5)]
    first = {line[0]: line[1] for line in tables["Table 1"].body}
    assert first["100"].startswith("44.0 ± ")
    third = tables["Table 3"]
    assert len(third.rows) == 3
    assert third.paper[("CamVid",), "OCRNet, PSSL"] == 62.8
    assert third.paper[("ADE20K",), "DeepLabV3, ImageNet"] == 45.2
    fourth = tables["Table 4"]
    top1 = "accuracy, %"
    assert fourth.values[(cells.TWICE,), top1] == pytest.approx([78.6])
    assert fourth.values[(cells.IMAGENET,), top1] == pytest.approx([78.7])
    worth = tables["What the pseudo labels are worth"]
    assert worth.values[("consensus",), "IoU, %"] == pytest.approx([61.0])


def test_figures(study):
    maps, predictions = pssl.figures(study[1].views[0])
    ((_, sheet),) = maps.sheets
    assert sheet["heads"] == [
        "image", "resnet 0", "hrnet 0", "consensus", "deciles", "top decile"
    ]  # fmt: skip
    assert [name for name, _ in predictions.sheets] == list(pssl_study.TARGETS)
