"""The page, tables and figures of a decoder study."""

import csv

import pytest

from jaxseg.report import build, claims
from jaxseg.report.studies import decoder
from tests.report import decoder_study, workdirs
from tests.report.test_study_chairs import cells_of


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = decoder_study.write(tmp_path_factory.mktemp("decoder"))
    return folder, build.build(folder)


def test_a_whole_study_holds_what_it_was_made_to(study):
    with open(study[1].files["claims.csv"], newline="") as file:
        lines = {line["claim"]: line for line in csv.DictReader(file)}
    assert list(lines) == [claim.name for claim in decoder.CLAIMS]
    verdicts = {name: line["verdict"] for name, line in lines.items()}
    # The two encoders that are like the best one gain more than the others.
    assert verdicts.pop("D7") == claims.NOT
    assert set(verdicts.values()) == {claims.HELD}
    assert lines["D1"]["count"] == "48"  # 16 pairs of cells, three seeds
    assert lines["D2"]["measured"].startswith("3.00 (3.00 to 3.00) times as fast")
    assert lines["D5"]["measured"].startswith("0.80 (0.80 to 0.80) against 0.30")


def test_tables_by_hand(study):
    report = study[1]
    title = "Table 2: few labels of images that encoders have seen"
    two = cells_of(report, title, ("4 (seg-enc)", "ConRec-EncOnly"))
    assert two["flowers 1 %"] == "82.03 ± 0.35 (3)"  # 70 + 2 x 6, and the seeds
    assert (two["flowers 1 %, paper"], two["pets 20 %, paper"]) == ("84.70", "89.80")
    four = cells_of(
        report, "Table 4: encoders of streets", ("1 (random-init)", "random")
    )
    assert (four["bus, paper"], four["airplane, paper"]) == ("75.00", "65.80")
    five = cells_of(
        report, "Table 5: encoders of dogs", ("2 (cls-enc)", "Classification")
    )
    assert (five["cat, paper"], five["horse, paper"]) == ("76.00", "70.10")
    gates = cells_of(
        report, "What the pretexts learned", ("cityscapes", "ConRec", "yes")
    )
    assert gates["linear probe, points"] == "+30.0"
    assert gates["reconstruction, %"] == "+78.5"  # errors .20 to .23 of 1
    alike = cells_of(report, "Fig. 7 in numbers: CKA of encoders", ("ConRec", "SimCLR"))
    assert (alike["CKA"], alike["biased"]) == ("0.800", "0.900")


def test_figures(study):
    figures = decoder.figures(study[1].views[0])
    found = {figure.title.split(":")[0]: figure for figure in figures}
    assert {f"Fig. {n}" for n in ("2", "3", "4b", "5", "6", "7")} <= set(found)
    assert "60 % lies on cars, which are 20 %" in found["Fig. 5"].note
    rebuilt = dict(found["Fig. 3"].sheets)
    assert len(rebuilt["pets, ConRec"]["heads"]) == 5  # input and four targets
    assert len(rebuilt["pets, Reconstruction"]["heads"]) == 3
    # Of two images two lines each, outputs below targets, none below the input.
    lines = rebuilt["pets, ConRec"]["lines"]
    assert [[bool(shown) for shown in line] for line in lines] == [
        [True] * 5,
        [False] + [True] * 4,
    ] * 2
    assert len(found["Fig. 7"].panels) == 2
    (cat,) = found["Fig. 6"].sheets
    assert cat[1]["heads"][2:] == decoder_study.STARTS["dogs"]
    assert "Fig. 7" in workdirs.html_text(study[0])
