import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxseg.report import pictures, sheets

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (5, 6, 3), np.uint8)


def read(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_pictures_come_back():
    grey = PICTURE[..., 0]
    shot = sheets.sheet([[PICTURE, grey], [None, PICTURE]], ["image", "mask"], "k")
    (first, second), (hole, last) = shot["lines"]
    np.testing.assert_array_equal(read(first), PICTURE)
    np.testing.assert_array_equal(read(second), grey)
    assert hole is None and last == first
    assert (shot["heads"], shot["keys"]) == (["image", "mask"], ["k", "k"])
    assert shot["values"] == ["", ""] and shot["legend"] == []


def test_it_has_all_that_the_page_draws():
    page = Path(pictures.__file__).with_name("index.html").read_text()
    macro = page[page.index("macro sheet(shot)") :]
    macro = macro[: macro.index("endmacro")]
    drawn = {a or b for a, b in re.findall(r"shot(?:\.(\w+)|\['(\w+)'\])", macro)}
    assert drawn == set(sheets.sheet([[PICTURE]], ["image"]))


def test_a_wide_picture_is_scaled_down():
    wide = np.full((10, 4 * pictures.WIDEST, 3), 7, np.uint8)
    ((uri,),) = sheets.sheet([[wide]], ["image"])["lines"]
    assert read(uri).shape == (2, pictures.WIDEST, 3)  # 2.5 rows
    assert (read(uri) == 7).all()


def test_lines_as_long_as_heads():
    with pytest.raises(ValueError, match="1 in a line, 2 heads"):
        sheets.sheet([[PICTURE]], ["image", "mask"])
    with pytest.raises(ValueError, match="2 in a line, 1 heads"):
        sheets.sheet([[PICTURE]], ["image"], values=["", ""])


def test_a_map_over_a_picture():
    heat = np.zeros((5, 6), np.float32)
    heat[0, :3] = 0.5, 1.0, 2.0
    found = sheets.overlaid(PICTURE, heat, strength=0.6)
    np.testing.assert_array_equal(found[1:], PICTURE[1:])
    brightest = np.array([252, 255, 164])  # of inferno
    expected = np.rint(0.6 * brightest + 0.4 * PICTURE[0, 1])
    np.testing.assert_allclose(found[0, 1], expected, atol=1)
    expected = np.rint(0.6 * brightest + 0.4 * PICTURE[0, 2])
    np.testing.assert_allclose(found[0, 2], expected, atol=1)  # 2 is seen as 1
    middle = np.array([188, 55, 84])  # of inferno
    expected = 0.3 * middle + 0.7 * PICTURE[0, 0]
    np.testing.assert_allclose(found[0, 0], expected, atol=1.5)
