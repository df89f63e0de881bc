"""Rows and arrays of any analysis reach the page."""

import io
import json
import re

import numpy as np
import pytest

from jaxseg.core import arrays
from jaxseg.report import build, figures, measured, workdir
from tests.report import workdirs

ARRAYS = {
    "loss on the path": np.array([0.5, 2.5, 1.5], np.float32),
    "distance by layer": np.array([[1.0, np.nan], [3.0, 9.0]]),
    "saliency": np.full((4, 6, 3), 200, np.uint8),
    "maps": np.zeros((2, 3, 4, 5), np.float32),
    "stress": np.array(0.25),
}


def study(folder, given=ARRAYS, count=3):
    made = workdirs.Workdir(folder, "mine")
    lines = [{"analysis": "paths", "t": i / 2, "kind": "raw"} for i in range(count)]
    file = io.BytesIO()
    np.savez(file, **given)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    files = {"rows.jsonl": text.encode()}
    files |= {arrays.FILE: file.getvalue()} if given else {}
    spec = {"analysis": {"name": "paths"}}
    key = made.done("first", None, [], kind="measure", spec=spec, files=files)
    made.stage("the same artifact", kind="measure", key=key)
    made.stage("later", kind="measure")
    return made.plan()


def shown(folder):
    return measured.shown(workdir.load(folder)[0])


def test_what_is_shown_of_a_measurement(tmp_path):
    (line,) = shown(study(tmp_path))
    assert (line["name"], line["analysis"]) == ("first", "paths")
    assert (line["heads"], line["numeric"], line["rows"]) == (["t", "kind"], [0], 3)
    assert line["body"] == [["0", "raw"], ["0.5", "raw"], ["1", "raw"]]
    assert [name for name, _ in line["panels"]] == list(ARRAYS)[:3]
    assert line["others"] == ["maps: [2, 3, 4, 5], 0 to 0", "stress: 0.25"]


def test_they_stand_on_the_page(tmp_path):
    folder = study(tmp_path)
    build.build(folder)
    text = workdirs.html_text(folder)
    assert "<h2>Measurements</h2>" in text
    assert "loss on the path: [3], 0.5 to 2.5" in text
    assert "distance by layer: [2, 2], 1 to 9" in text
    assert "Arrays without a panel: maps: [2, 3, 4, 5], 0 to 0; stress: 0.25." in text
    assert text.count("data:image/png") == 2  # a heat map and a picture
    build.build(folder)
    assert workdirs.html_text(folder) == text


def test_many_rows_and_arrays_are_shown_in_part(tmp_path):
    many = {f"x{i}": np.arange(3.0) for i in range(measured.MAX_PANELS + 1)}
    line = shown(study(tmp_path, many, measured.MAX_ROWS + 1))[0]
    assert len(line["panels"]) == measured.MAX_PANELS
    assert line["others"] == [f"x{measured.MAX_PANELS}: [3], 0 to 2"]
    assert len(line["body"]) == measured.MAX_ROWS
    build.build(tmp_path)
    assert "The first 100 of 101 rows" in workdirs.html_text(tmp_path)


def test_a_study_without_measurements_has_no_such_part(tmp_path):
    folder = workdirs.small_study(tmp_path)
    build.build(folder)
    assert "<h2>Measurements</h2>" not in workdirs.html_text(folder)


def test_a_line_has_the_heights_of_its_values():
    svg = figures.array(np.array([0.0, 1.0, 4.0]), "x")
    (path,) = re.findall(r'<path d="M ([^"]*)" clip-path[^>]*stroke-width: 1.6', svg)
    heights = [float(point.split()[1]) for point in path.split("L")]
    rises = heights[0] - heights[1], heights[0] - heights[2]  # down is up in SVG
    assert rises[1] == pytest.approx(4 * rises[0], rel=1e-4) and rises[0] > 0


def test_what_cannot_be_drawn():
    for values in (
        np.zeros((2, 2, 2)),
        np.array([1.0]),
        np.array([np.nan, np.inf]),
        np.array(["a", "b"]),
        np.array([1j, 2.0]),
    ):
        assert figures.array(values, "x") is None
    large = figures.array(np.random.default_rng(0).random((3000, 700)), "large")
    assert "[3000, 700]" in large and len(large) < 150_000
