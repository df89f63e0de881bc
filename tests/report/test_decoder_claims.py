"""Claims D1 to D8 of the decoder study get each verdict."""

import pytest

from jaxseg.report import claims
from jaxseg.report.studies import _decoder_cells as cells
from tests.report.decoder_claims import NAMES, NOISE, WIDE, Made

HELD, WEAKLY, NOT = claims.HELD, claims.WEAKLY, claims.NOT
UNDECIDED, UNMEASURED = claims.UNDECIDED, claims.UNMEASURED
UNLEARNED = claims.UNLEARNED
SEVEN = ("SimCLR", "Reconstruction", "ConRec", "Classification")
SEVEN += tuple(f"Segmentation {name}" for name in ("motorbike", "person", "car"))
QUICK, SLOW = [(1, 0.8), (2, 0.8), (4, 0.8)], [(1, 0.2), (2, 0.4), (4, 0.8)]


def test_nothing_is_measured_in_an_empty_study():
    found = claims.table(Made().view())
    assert [line["claim"] for line in found] == NAMES == [f"D{n}" for n in range(1, 9)]
    assert {line["verdict"] for line in found} == {UNMEASURED}
    assert {line["count"] for line in found} == {0}


def both(whole, alone, noise=NOISE, random=0.7, curves=(None, None)):
    """Scenario 3 and 4 of one pretext."""
    made = Made().at("cars", "bus", "random", random)
    made.at("cars", "bus", "Segmentation", whole, noise, curves[0])
    made.at("cars", "bus", "Segmentation-EncOnly", alone, curve=curves[1])
    return made


@pytest.mark.parametrize(
    "made, expected",
    [
        (both(0.801, 0.80), HELD),
        (both(0.85, 0.80), NOT),
        (both(0.80, 0.80, WIDE), UNDECIDED),
        (both(0.82, 0.80, random=0.7), HELD),  # margin: a third of ten points
        (both(0.82, 0.80, random=0.79), NOT),  # margin: one point
    ],
)
def test_d1(made, expected):
    assert made.verdict("D1") == expected


def test_d1_prints_margin_and_power():
    line = both(0.82, 0.80)
    words = line.line("D1")["measured"]
    assert "+2.00 (+2.00 to +2.00) points, margin 3.33, power 100 %" in words
    assert "alone, 0 of 1 cells differ by more (+2.0 to +2.0)" in words
    assert line.line("D1")["count"] == 3
    wide = both(0.80, 0.80, WIDE).line("D1")["measured"]
    assert int(wide.partition("power ")[2].partition(" %")[0]) < 20


@pytest.mark.parametrize(
    "curves, expected",
    [((QUICK, SLOW), HELD), ((SLOW, QUICK), NOT), ((None, None), UNMEASURED)],
)
def test_d2(curves, expected):
    made = both(0.8, 0.8, curves=curves)
    assert made.verdict("D2") == expected
    if expected == HELD:
        assert made.line("D2")["measured"].startswith("4.00 (4.00 to 4.00) times")


@pytest.mark.parametrize(
    "dice, expected",
    [
        ((0.80, 0.75, 0.70), HELD),
        ((0.80, 0.70, 0.75), WEAKLY),  # as in the paper's Table 4
        ((0.70, 0.75, 0.80), NOT),
    ],
)
def test_d3(dice, expected):
    made = Made().rebuilt("cityscapes", "Reconstruction", 0.5, 0.55, 0.52)
    names = ("Segmentation-EncOnly", "Reconstruction-EncOnly", "Classification")
    for name, value in zip(names, dice):
        made.at("cars", "bus", name, value)
    assert made.verdict("D3") == expected


def test_d3_of_a_reconstruction_that_did_not_learn():
    """What is left of the finding is judged; the gate is named."""
    made = Made().rebuilt("cityscapes", "Reconstruction", 0.9, 1.2)
    names = ("Segmentation-EncOnly", "Reconstruction-EncOnly", "Classification")
    for name, value in zip(names, (0.8, 0.9, 0.7)):
        made.at("cars", "bus", name, value)
    line = made.line("D3")
    assert line["verdict"] == HELD
    assert "left out: Reconstruction on cityscapes: its picture" in line["measured"]


def learned(made):
    good, bad = (0.8, 0.81, 0.8), (0.4, 0.42, 0.41)
    made.probe("cityscapes", SimCLR=good, ConRec=good, random=bad)
    for name in ("Reconstruction", "ConRec"):
        made.rebuilt("cityscapes", name, 0.5, 0.6, 0.55)
    return made


@pytest.mark.parametrize(
    "dice, expected",
    [
        ((0.75, 0.75, 0.76), HELD),
        ((0.75, 0.75, 0.74), WEAKLY),  # ConRec is worse by a point
        ((0.65, 0.65, 0.64), NOT),
    ],
)
def test_d4(dice, expected):
    made = learned(Made()).at("cars", "airplane", "random", 0.7)
    names = ("SimCLR", "Reconstruction-EncOnly", "ConRec-EncOnly")
    for name, value in zip(names, dice):
        made.at("cars", "airplane", name, value, noise=(0.0, 0.001, -0.001))
    assert made.verdict("D4") == expected


def test_d4_where_no_pretext_was_learned():
    made = Made().at("cars", "airplane", "random", 0.7)
    made.at("cars", "airplane", "SimCLR", 0.9)
    made.probe("cityscapes", SimCLR=(0.4, 0.5, 0.3), random=(0.4, 0.42, 0.41))
    line = made.line("D4")
    assert line["verdict"] == UNLEARNED
    assert (
        "SimCLR on cityscapes: its linear probe leads random encoders"
        in (line["measured"])
    )


def segmentations(one, other):
    return one.startswith("Seg") and other.startswith("Seg")


def self_supervised(one, other):
    return {one, other} <= set(SEVEN[:3])


@pytest.mark.parametrize(
    "name, alike", [("D5", segmentations), ("D6", self_supervised)]
)
def test_d5_and_d6(name, alike):
    made = Made().cka(SEVEN, lambda *pair: 0.6 if alike(*pair) else 0.3)
    assert made.verdict(name) == HELD
    assert made.line(name)["measured"].startswith("0.60 (0.60 to 0.60) against 0.30")
    made = Made().cka(SEVEN, lambda *pair: 0.2 if alike(*pair) else 0.3)
    assert made.verdict(name) == NOT


def test_d5_weakly_where_the_ranges_meet():
    value = {"person": 0.5}
    made = Made().cka(
        SEVEN,
        lambda a, b: value.get(b.split()[-1], 0.8) if segmentations(a, b) else 0.55,
    )
    assert made.verdict("D5") == WEAKLY


def ranked(order):
    """Encoders of a target with gains by SEVEN, CKA to the best by `order`."""
    made = Made().at(cells.SIMILARITY, "horse", "random", 0.5)
    for place, name in enumerate(SEVEN):
        made.at(cells.SIMILARITY, "horse", name, 0.9 - 0.05 * place)
    near = dict(zip(SEVEN[1:], order))
    return made.cka(SEVEN, lambda a, b: near[b] if a == SEVEN[0] else 0.1)


def test_d7():
    made = ranked([0.9, 0.8, 0.7, 0.5, 0.6, 0.4])
    line = made.line("D7")
    assert "mean tau +0.87" in line["measured"] and line["verdict"] == NOT
    assert ranked([0.4, 0.6, 0.5, 0.7, 0.8, 0.9]).verdict("D7") == HELD  # -0.87
    assert ranked([0.9, 0.4, 0.8, 0.5, 0.7, 0.6]).verdict("D7") == UNDECIDED


@pytest.mark.parametrize(
    "gains, expected", [((0.1, 0.05, 0.01), HELD), ((0.01, 0.05, 0.1), NOT)]
)
def test_d8(gains, expected):
    made = Made()
    for setting, gain in zip(cells.LABELS, gains):
        made.at(setting, "pets", "random", 0.7)
        made.at(setting, "pets", "Reconstruction-EncOnly", 0.7 + gain)
    made.rebuilt("pets", "Reconstruction", 0.5, 0.55, 0.52)
    assert made.verdict("D8") == expected
    words = "+10.0 at 1 %, +5.0 at 5 %, +1.0 at 20 %"
    assert (words in made.line("D8")["measured"]) == (expected == HELD)


def test_d8_takes_seeds_that_are_there_both_times():
    made = Made().rebuilt("pets", "Reconstruction", 0.5, 0.55, 0.52)
    for setting in ("1 %", "20 %"):
        made.at(setting, "pets", "random", 0.7, noise=(0.0, 0.0, 0.0))
        made.at(setting, "pets", "Reconstruction-EncOnly", 0.7, noise=(0.05, 0.1, 0.2))
    made.rows = [
        r for r in made.rows if (r["setting"], r["seed"]) != ("20 %", 0)
    ]  # has not run
    line = made.line("D8")
    assert line["count"] == 2 and "falls by +0.0 (+0.0 to +0.0)" in line["measured"]


def test_starts_of_a_target_share_the_scatter_of_its_random_runs():
    """Three encoders that differ from random weights by the same: three values, not
    nine.
    """
    noise = (0.0, 0.02, -0.02)
    made = learned(Made()).at("cars", "airplane", "random", 0.7, noise=noise)
    for name in ("SimCLR", "Reconstruction-EncOnly", "ConRec-EncOnly"):
        made.at("cars", "airplane", name, 0.75, noise=(0.0, 0.0, 0.0))
    half = 4.302653 * 2 / 3**0.5
    expected = f"over random weights: +5.0 ({5 - half:+.1f} to {5 + half:+.1f})"
    line = made.line("D4")
    assert line["measured"].startswith(expected) and line["count"] == 3


def test_a_probe_counts_with_its_interval():
    """Two means of three values: 2.776 x s x sqrt(2 / 3), by hand."""
    view = Made().probe("voc", SimCLR=(0.5, 0.6, 0.7), random=(0.4, 0.4, 0.4)).view()
    found = cells.probed(view, "voc", "SimCLR")
    half = 2.776445 * (200 / 4) ** 0.5 * (2 / 3) ** 0.5
    assert found.mean == pytest.approx(20)
    assert found.high - found.mean == pytest.approx(half, rel=1e-5)
    assert not cells.not_learned(view, "voc", "SimCLR")
