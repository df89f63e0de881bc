"""What curves are drawn of."""

import re

import pytest

from jaxseg.report import curves, figures


def test_a_curve_is_of_one_evaluation():
    """Beside the one in between, all evaluations have a line of the last step."""
    lines = [
        {"kind": kind, "step": step, "split": split, "metrics": {"miou": value}}
        for kind, step, split, value in [
            ("train", 1, "", 0.9),
            ("evaluation", 1, "holdout", 0.1),
            ("evaluation", 2, "holdout", 0.2),
            ("evaluation", 2, "validation", 0.7),
        ]
    ]
    assert curves.evaluated(lines, "miou") == [(1, 0.1), (2, 0.2)]
    assert curves.evaluated(lines[:1], "miou") == []


def test_the_weights_that_are_kept_are_no_second_point_of_the_last_step():
    lines = [
        {"kind": "evaluation", "step": step, "split": "x", "metrics": {"miou": value}}
        for step, value in [(1, 0.3), (2, 0.2), (2, 0.3)]
    ]
    assert curves.evaluated(lines, "miou") == [(1, 0.3), (2, 0.2)]


@pytest.mark.parametrize("scale", [1.0, 0.0123, 12345.0])
def test_no_digit_of_a_tick_is_cut(scale):
    points = [(step, scale * (1 + step / 1000)) for step in range(20)]
    svg = figures.curves([("best", points)], "loss")
    found = re.findall(r'text-anchor: end[^>]* x="([-.0-9]+)"[^>]*>([^<]+)<', svg)
    ticks = [(float(right), text) for right, text in found]
    assert ticks
    for right, text in ticks:  # 9 pt digits are 5.7 wide
        assert right - 5.7 * len(text) > 0, (right, text)
