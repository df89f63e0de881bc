"""The page, tables, figures and claims of a SimMIM study."""

import csv

import numpy as np
import pytest

from jaxseg.report import build, claims
from jaxseg.report.studies import _simmim_cells as cells
from jaxseg.report.studies import _simmim_claims as measures
from jaxseg.report.studies import simmim
from tests.report import simmim_study, workdirs
from tests.report.test_study_chairs import cells_of


def judged(folder, **changes):
    simmim_study.write(folder, **changes)
    report = build.build(folder)
    with open(report.files["claims.csv"], newline="") as file:
        return report, {line["claim"]: line for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simmim")
    return folder, *judged(folder)


def changed(study, change):
    """The verdicts where the mIoU of some cells is another: change(cell, value)."""
    view = study[1].views[0]
    known = cells.values(view)
    values = {
        cell: {seed: change(cell, value) for seed, value in some.items()}
        for cell, some in known.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "values", lambda *_: values)
        return {claim.name: claim.measure(view) for claim in simmim.CLAIMS}


def test_a_whole_study_holds_what_it_was_made_to(study):
    lines = study[2]
    assert list(lines) == [claim.name for claim in simmim.CLAIMS]
    assert {line["verdict"] for line in lines.values()} == {claims.HELD}
    assert lines["S1"]["count"] == "18"  # six numbers of images, three seeds
    # Mean gain 7.58 points times the mean share, .55.
    s1 = lines["S1"]["measured"]
    assert s1.startswith("+4.2 (+4.2 to +4.2) points, above 0 at 6 of 6: +7.6 at 25, ")
    # With 25 images 7.58, with more .46 of it on average.
    assert "with 25 images minus with more +4.1 (" in lines["S2"]["measured"]
    # Steps up of 6, 2 and 0.75 times .55.
    assert lines["S3"]["measured"].startswith(
        "step from 0 to 450 minus that from 450 to 1000 +2.2 (+2.2 to +2.2) points; "
        "step from 450 to 1000 minus that from 1000 to 2000 +0.7 (+0.7 to +0.7) points"
    )
    assert lines["S5"]["measured"].startswith("+2.8 (+2.8 to +2.8) points")
    assert lines["S6"]["measured"].startswith("with 25 images minus with 600 +4.0 (")


def test_what_does_not_hold(study):
    found = changed(study, lambda cell, value: 50.0)
    assert {found[n][2] for n in ("S1", "S2", "S3", "S5", "S6")} == {claims.NOT}
    assert found["S4"][2] == claims.NOT  # none is sooner

    def up(cell, value):
        """Gains grow with the images; each pretraining brings more than the last."""
        more = {0: 0, 450: 1, 1000: 4, 2000: 12}[cell.start.images]
        return 10 + cell.images / 10 + more * cell.images / 600

    found = changed(study, up)
    assert found["S1"][2] == claims.HELD
    assert found["S2"][2] == found["S3"][2] == claims.NOT
    assert found["S4"][2] == claims.NOT  # mIoU rises by 20 points at the end


def test_one_number_of_images_where_pretraining_hurts(study):
    def hurt(cell, value):
        lost = cell.images == 600 and cell.start.images and not cell.start.classified
        return value - 5 * bool(lost)

    assert changed(study, hurt)["S1"][2] == claims.WEAKLY


def test_a_straight_fall_is_that_of_its_ends(study):
    """8 points at 25 images, 1.2 less with each doubling."""

    def falling(cell, value):
        doublings = np.log2(cell.images / 25)
        return 50 + bool(cell.start.images) * (8 - 1.2 * doublings)

    text, count, verdict = changed(study, falling)["S2"]
    assert "fall from 25 to 600 +5.5 (+5.5 to +5.5) points" in text  # 1.2 log2(24)
    assert (count, verdict) == (3, claims.HELD)


def test_cells_of_a_seed_are_one_observation(study):
    """A gain that scatters between seeds alone has the interval of three values."""

    def scattered(cell, value):
        return 50.0 + bool(cell.start.images) * 1.0

    view = study[1].views[0]
    known = {
        cell: {s: scattered(cell, x) + (s - 1) * bool(cell.start.images)
               for s, x in some.items()}
        for cell, some in cells.values(view).items()
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "values", lambda *_: known)
        text, _, verdict = measures.s1(view)
    assert text.startswith("+1.0 (-1.5 to +3.5) points")  # 4.303 / sqrt(3)
    assert verdict == claims.UNDECIDED


@pytest.mark.parametrize(
    "without", [(25, "450", 0), (25, "random", 1), (600, "2000 + scenes", 2)]
)
def test_seeds_that_not_all_cells_have_do_not_count(tmp_path, without):
    lines = judged(tmp_path, without=[without])[1]
    scenes = "scenes" in without[1]
    assert lines["S1"]["count"] == ("18" if scenes else "12")
    assert lines["S5"]["count"] == ("18" if without[1] == "random" else "12")
    assert {line["verdict"] for line in lines.values()} == {claims.HELD}


def test_a_cell_that_is_missing_leaves_no_claim_of_its_kind(tmp_path):
    """Means over other pretrainings at one size, or two steps as one, would mislead."""
    lines = judged(tmp_path, without=[(25, "450", seed) for seed in range(3)])[1]
    verdicts = {name: line["verdict"] for name, line in lines.items()}
    assert verdicts == dict.fromkeys(verdicts, claims.UNMEASURED)
    assert "have ended" in lines["S3"]["measured"]


@pytest.mark.parametrize(
    "values, doublings",
    [
        ([0.0, 95.0, 100.0], 1.0),  # at the second, 2 images
        ([0.0, 100.0, 90.0], 0.95),  # the best is not the last
        ([99.0, 100.0, 100.0], 0.0),
        ([0.0, 50.0, 100.0], 1.9),
    ],
)
def test_how_soon_a_plateau_is_reached(values, doublings):
    found = measures._reached({n: {3: x} for n, x in zip((1, 2, 4), values)})
    np.testing.assert_allclose(found[3], doublings)


def test_a_pretraining_that_was_not_learned_is_left_out(tmp_path):
    report, lines = judged(tmp_path, error=1.1)
    words = "the mean colour of all images by -11.5"
    assert {line["verdict"] for line in lines.values()} == {claims.UNLEARNED}
    why = f"after 450 images the squared error of the filling is below that of {words}"
    assert why in lines["S1"]["measured"]
    assert cells.values(report.views[0]).keys() == {
        cells.Cell(n, cells.Start(0, False)) for n in simmim_study.SIZES
    }


def test_tables_by_hand(study):
    line = cells_of(study[1], "Fig. 2 in numbers: mIoU", ("1000 images", "yes"))
    assert line["25 images"] == "33.0 ± 0.4 (3)"  # 30 + 8 - 5, and the seeds
    line = cells_of(study[1], "Pixel accuracy", ("nothing", "no"))
    assert line["600 images"] == "82.5 ± 0.4 (3)"
    title = "What pretrainings learned, and scenes after them"
    line = cells_of(study[1], title, ("2000 images", "yes"))
    assert line["below mean colour, %"] == "+78.5"  # errors .20 to .23 of 1
    assert line["below own mean colour, %"] == "+57.0"  # of .5
    assert line["accuracy on scenes, %"] == "80.0"


def test_figures(study):
    one, two, three = simmim.figures(study[1].views[0])
    ((_, sheet),) = one.sheets
    assert sheet["heads"] == [
        "original",
        "masked",
        "after 450",
        "after 1000",
        "after 2000",
    ]
    assert all(map(all, sheet["lines"]))
    assert len(two.panels) == 2 and len(two.legend) == 4
    assert three.sheets[0][1]["heads"][2:] == [s.name for s in simmim_study.starts()]
    assert two.title in workdirs.html_text(study[0])
