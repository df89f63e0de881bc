import csv
import io

import pytest

from jaxseg.report import absolute, build
from jaxseg.report.absolute import Column, Table
from tests.report import workdirs

NET, FLAT = ("net_1", "64 px"), ("flat", "64 px")


def table(**more):
    """Two models with a metric that the paper has for one, and one that it has not."""
    values = {(NET, "IoU"): [80.0, 82.0, 84.0], (NET, "hours"): [0.5]}
    paper = {(FLAT, "IoU"): 61.09}
    columns = [Column("IoU"), Column("hours", "{:.1f}")]
    heads = ("model", "size")
    given = {"notes": ["a & b"]} | more
    return Table("own", "Table 1", heads, [NET, FLAT], columns, values, paper, **given)


def test_the_paper_has_a_column_of_its_own():
    assert table().header == ["model", "size", "IoU", "IoU, paper", "hours"]
    assert table().body == [
        ["net_1", "64 px", "82.00 ± 2.00 (3)", "", "0.5"],
        ["flat", "64 px", "", "61.09", ""],
    ]
    assert "beside it what the paper prints" in table().legend
    assert "over pairs (their number)" in table(over="pairs").legend


def test_markdown_latex_and_csv_have_the_same_numbers():
    text = absolute.markdown(table())
    assert "## Table 1\n" in text and "- a & b" in text
    assert "| net_1 | 64 px | 82.00 ± 2.00 (3) |  | 0.5 |\n" in text
    assert "| --- | --- | ---: | ---: | ---: |\n" in text
    text = absolute.latex(table())
    assert "net\\_1 & 64 px & 82.00 $\\pm$ 2.00 (3) &  & 0.5 \\\\\n" in text
    assert "\\begin{tabular}{llrrr}" in text and "% a & b" in text
    lines = list(csv.DictReader(io.StringIO(absolute.csv([table()]))))
    assert [(line["row"], line["column"]) for line in lines] == [
        ("net_1, 64 px", "IoU"),
        ("net_1, 64 px", "hours"),
        ("flat, 64 px", "IoU"),
    ]
    first, second, third = lines
    assert (first["mean"], first["std"], first["count"]) == ("82.0", "2.0", "3")
    assert (second["mean"], second["std"], second["paper"]) == ("0.5", "", "")
    assert (third["mean"], third["count"], third["paper"]) == ("", "0", "61.09")


def test_every_gain_table_has_a_twin_of_values(tmp_path):
    report = build.build(workdirs.small_study(tmp_path))
    twin = absolute.twin(report.grids[0])
    assert twin.title == report.grids[0].title + ", absolute" and twin.measured
    assert twin.header == ["domain", "target", "websearch", "day", "reef", "random"]
    night = next(line for line in twin.body if line[1] == "night")
    # seeds 0 and 1: 0.30 and 0.31, 0.40 and 0.41; reef failed
    assert night[2:5] == ["0.305 ± 0.007 (2)", "0.405 ± 0.007 (2)", ""]
    text = workdirs.html_text(tmp_path)
    assert "The values behind these gains" in text and "0.405 ± 0.007 (2)" in text
    assert "0.405 ± 0.007 (2)" in report.files["tables.md"].read_text()
    lines = csv.DictReader(io.StringIO(report.files["tables.csv"].read_text()))
    line = next(
        li for li in lines if (li["row"], li["column"]) == ("driving, night", "day")
    )
    assert float(line["mean"]) == pytest.approx(0.405) and line["count"] == "2"
