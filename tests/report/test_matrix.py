import re

import numpy as np
import pytest

from jaxseg.report import matrix

NAMES = ["VOC person", "<SimCLR> & $x$"]
VALUES = np.array([[1.0, -0.034], [-0.034, np.nan]])


def cells(svg):
    """[(fill of the cell, colour of its text, its text)] in rows."""
    fills = re.findall(r'id="patch_\d+">\s*<path [^>]*style="fill: (#\w+)', svg)
    texts = re.findall(r"<text ([^>]*text-anchor: middle[^>]*)>([^<]*)</text>", svg)
    inks = [re.search(r"fill: (#\w+)", style) for style, _ in texts]
    inks = [ink[1] if ink else "#000000" for ink in inks]
    return list(zip(fills[-len(texts) :], inks, (text for _, text in texts)))


def test_numbers_and_their_colours():
    svg = matrix.matrix(VALUES, NAMES, "CKA")
    found = cells(svg)
    assert [text for *_, text in found] == [
        "1.00",
        "\N{MINUS SIGN}0.03",
        "\N{MINUS SIGN}0.03",
        "none",
    ]
    assert [fill for fill, *_ in found] == ["#1b6e3c", "#ffffff", "#ffffff", "#f0c9c4"]
    assert [ink for _, ink, _ in found] == ["#ffffff", *["#1d2733"] * 3]


def test_names_stand_at_both_sides_as_they_are():
    svg = matrix.matrix(VALUES, NAMES, "CKA")
    assert svg.startswith("<svg") and svg.count(">VOC person</text>") == 2
    assert svg.count("&lt;SimCLR&gt; &amp; $x$</text>") == 2
    assert svg.count(">CKA</text>") == 1


def test_equal_numbers_give_equal_bytes():
    one, same = (matrix.matrix(VALUES, NAMES, "CKA") for _ in range(2))
    assert one == same
    assert one != matrix.matrix(VALUES + 0.01, NAMES, "CKA")


def test_names_for_all():
    with pytest.raises(ValueError, match=r"\[2, 2\] numbers, 1 names"):
        matrix.matrix(VALUES, NAMES[:1], "CKA")
