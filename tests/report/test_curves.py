import numpy as np
import pytest

from jaxseg.report import curves, figures

FIRST = [(10, 0.2), (20, 0.6)]
SECOND = [(10, 0.4), (30, 0.8), (40, 0.6)]


def test_the_mean_of_two_runs_by_hand():
    band = curves.average([FIRST, SECOND])
    assert band.x.tolist() == [10, 20, 30, 40] and band.runs == 2
    # at 20 the second is between 0.4 and 0.8; after 20 the first keeps its 0.6
    assert band.mean == pytest.approx([0.3, 0.6, 0.7, 0.6])
    assert band.low == pytest.approx([0.2, 0.6, 0.6, 0.6])
    assert band.high == pytest.approx([0.4, 0.6, 0.8, 0.6])


def test_a_run_counts_from_its_first_step():
    band = curves.average([FIRST, [(20, 1.0)]])
    assert band.mean == pytest.approx([0.2, 0.8])
    assert band.low == pytest.approx([0.2, 0.6])


def test_a_run_alone_is_its_own_mean():
    band = curves.average([SECOND])
    assert band.mean.tolist() == band.low.tolist() == band.high.tolist()
    assert band.mean.tolist() == [0.4, 0.8, 0.6]


def test_when_a_run_has_converged():
    points = [(5, 0.5), (10, 0.793), (15, 0.8), (20, 0.7)]
    assert curves.close(points) == pytest.approx(0.792)
    assert curves.reached(points, curves.close(points)) == 10
    assert curves.reached(points, 0.81) is None


def test_when_a_run_has_converged_whose_loss_falls():
    points = [(5, 2.0), (10, 1.009), (15, 1.0), (20, 1.4)]
    assert curves.close(points, higher_is_better=False) == pytest.approx(1 / 0.99)
    assert curves.reached(points, 1 / 0.99, higher_is_better=False) == 10
    assert curves.reached(points, 0.9, higher_is_better=False) is None


@pytest.mark.parametrize(
    "higher, expected", [(True, -0.5 / 0.99), (False, -2.0 * 0.99)]
)
def test_a_converged_value_below_0_is_not_better_than_the_best(higher, expected):
    points = [(1, -0.5), (2, -2.0)]
    assert curves.close(points, higher) == pytest.approx(expected)


def test_a_run_that_stopped_counts_with_its_last_value_not_its_best():
    band = curves.average([[(1, 0.9), (2, 0.5)], [(1, 0.1), (3, 0.3)]])
    assert band.mean.tolist() == pytest.approx([0.5, 0.35, 0.4])


def test_a_band_is_drawn_once_for_each_group():
    band = curves.average([FIRST, SECOND])
    lines = [("#112233", False, band), ("#445566", True, band)]
    svg = figures.bands(lines, "validation <IoU>", x="t")
    assert svg == figures.bands(lines, "validation <IoU>", x="t")
    assert "validation &lt;IoU&gt;" in svg
    assert svg.count("stroke-dasharray") == 1  # one mean is dashed
    assert svg.count("fill: #112233; fill-opacity") == 1  # its band
    assert np.isfinite(band.mean).all()
