"""The whole report of a factors study made by hand, beside two variants of it."""

import re

import pytest

from jaxseg.report import build, claims, figures, workdir
from jaxseg.report.studies import factors
from jaxseg.report.view import View
from tests.report import factors_study, workdirs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("factors")
    factors_study.write(folder).plan()
    small = dict(settings=("small",), scale=0.9)
    variant = {"backbone": "resnet/50"}
    factors_study.write(
        folder, "factors-small-backbone.resnet", **small, **variant
    ).plan()
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return build.build(folder)


def lines(report, study="factors"):
    """{(claim, setting): line}."""
    return {
        (line["claim"], line["setting"]): line
        for line in report.claims
        if line["study"] == study
    }


def test_all_findings_are_measured(report):
    found = lines(report)
    verdicts = {place: line["verdict"] for place, line in found.items()}
    unmeasured = [p for p, verdict in verdicts.items() if verdict == claims.UNMEASURED]
    # Its only source of another size is the multi-source model, which A8 leaves out.
    unlike = [(f"V{n}", "") for n in (1, 3, 4)]  # no such study beside it
    assert unmeasured == [("A8", "small"), ("A8", "full"), *unlike]
    assert "one resolution" in found["V1", ""]["measured"]
    for name in ("A2", "A3", "A5", "A5-largest", "A6-same", "A7"):
        assert verdicts[name, "small"] == claims.HELD, name
    for name in ("A9", "A10", "A12", "A14"):
        assert verdicts[name, ""] == claims.HELD, name
    assert all(len(line["rule"]) > 40 for line in found.values())


def test_small_and_full_targets(report):
    line = lines(report)["A9", ""]
    assert line["measured"] == (
        "6 of 6 full P are small P, 6 of 8 small P are full P; 0 of 4 small N become P"
    )
    assert line["count"] == 12


def test_the_variant_is_compared_and_does_not_compare(report):
    line = lines(report)["V2", ""]
    assert "mIoU -0.04" in line["measured"]
    assert line["measured"].endswith("from segmentation to detection 1 P for 1")
    other = lines(report, "factors-small-backbone.resnet")
    assert other["V2", ""]["verdict"] == claims.UNMEASURED
    assert other["A2", "small"]["verdict"] == claims.HELD


def table(report, title):
    (found,) = [
        one
        for one in report.tables
        if one.title.startswith(title) and one.study == "factors"
    ]
    return [dict(zip(found.header, line)) for line in found.body], found.notes


def test_tables_7_and_8_have_the_papers_shares_beside_ours(report):
    lines, _ = table(report, "Table 7")
    assert len(lines) == 10
    near = lines[1]
    assert (near["target set"], near["domain"]) == ("small target set", "within")
    # Each of three targets of segmentation has a source of its domain and the multi-
    # source model, night@detection one source; day@depth has none of its task.
    assert (near["P, %"], near["VP, %"], near["number"]) == ("100", "100", "7")
    assert (near["P, %, paper"], near["number, paper"]) == ("69", "64")
    far = lines[4]
    assert (far["task type"], far["P, %"], far["N, %"]) == ("cross", "0", "100")
    best, notes = table(report, "Table 8")
    assert (best[0]["number"], best[0]["number, paper"]) == ("5", "27")
    assert any("pictures" in note for note in notes)


def test_table_9_is_sorted_by_domain(report):
    lines, _ = table(report, "Table 9")
    assert [line["target"] for line in lines] == [
        *("worlds/travel", "worlds/day", "worlds/night", "worlds/office")
    ]
    assert lines[2]["worlds/day"] == "1.00" and lines[2]["worlds/every"] == "2.00"


def test_table_10_and_the_correlations(report):
    lines, _ = table(report, "Table 10")
    assert [line["assignment"] for line in lines] == [
        *("one-to-one", "target to source", "source to target", "mean of both")
    ]
    assert [line["tau, paper"] for line in lines] == ["0.20", "0.42", "0.06", "0.27"]
    taus = [float(line["tau"]) for line in lines]
    assert taus[1] == max(taus) and lines[1]["pairs"] == "9"
    lines, _ = table(report, "Rank correlation of gains with")
    assert [line["tau, paper"] for line in lines] == ["0.40", "0.12"]


def test_table_11_by_pairs_of_task_types(report):
    lines, notes = table(report, "Table 11")
    line = lines[0]
    assert line["from → to"] == "seg → obj det"
    # night@detection from day, and from the multi-source model.
    assert (line["number, same domain"], line["P, %, same domain"]) == ("2", "50")
    assert (line["number, same domain, paper"], line["number, same data set"]) == (
        "8",
        "",
    )
    depth = next(line for line in lines if line["from → to"] == "seg → depth")
    assert (depth["number, same data set"], depth["P, %, same data set"]) == (
        "1",
        "100",
    )
    assert "sum up to 43" in notes[1]


def test_sources_that_are_no_better_than_their_random_start(report):
    lines, notes = table(report, "Sources against")
    found = {line["source"]: line for line in lines}
    assert set(found) == {"day", "day@detection", "day@keypoints"}
    assert found["day"]["better by, %"] == "+40.0"
    assert notes[1] == "Not good enough: day@detection."
    assert found["day@keypoints"]["better by, %"] == ""
    assert notes[2].endswith("learned nothing, beaten by any: day@keypoints.")


def test_hours_of_sources(report):
    lines, notes = table(report, "Hours of training")
    assert [(line["of"], line["from"]) for line in lines] == [
        *(("day", "websearch"), ("day", "random")),
        *(("day@detection", "websearch"), ("day@detection", "random")),
        *(("day@keypoints", "websearch"), ("day@keypoints", "random")),
    ]
    assert {line["measured"] for line in lines} == {"0.000778"}  # 2.8 s on one device
    assert "17% of 123 TFLOP/s" in notes[0]


def stage(name, role, flops, parents=()):
    """A stage that has not run."""
    row = {"role": role, "target": name, "source": None, "seed": 0}
    row |= {"source": "ilsvrc"} if role == "source" else {}
    parents = {f"candidate{i}": key for i, key in enumerate(parents)}
    columns = (row,) if role else ()
    given = (name, name, "train", parents, columns, "pending", "", None)
    return workdir.Stage(*given, flops=flops)


def test_hours_of_what_has_not_run():
    """At 17 % of 123 TFLOP/s; of a selection one of its candidates."""
    hour = int(0.17 * 123e12 * 3600)
    stages = (
        stage("ilsvrc", "pretraining", 300 * hour),
        stage("coco/lr1", "", 80 * hour),
        stage("coco", "source", None, ["coco/lr1"]),
        stage("own", "source", None),
    )
    own = View(workdir.Study("factors", "", "", "", stages), [], [])
    found = next(t for t in factors.tables(own) if t.title.startswith("Hours"))
    assert found.body == [
        ["pretraining", "ilsvrc", "random", "", "300", "364"],
        ["source", "coco", "ilsvrc", "", "80", "92"],
    ]


def test_the_page_draws_them(report, folder):
    text = workdirs.html_text(folder)
    titles = [
        *(
            "Fig. 3a: sets of images by domain",
            "Fig. 3b and c",
            "Gains over source size",
        )
    ]
    for title in (*titles, "Gains over the distance", "Table 10", "Table 11"):
        assert title in text, title
    assert "images of this set, with other labels" in text
    assert "as in Tables 4c and A.7a" in text and "as in Tables 6 and A.5c" in text
    build.build(folder)
    assert workdirs.html_text(folder) == text


def test_a_point_for_each_image_and_pair(report):
    view = next(v for v in report.views if v.study.name == "factors")
    drawn = {figure.title: figure for figure in view.own.figures(view)}
    count = lambda svg: len(re.findall("<use ", svg))
    first = drawn["Fig. 3a: sets of images by domain"]
    ticks = 0  # no axes
    assert count(first.panels[0][1]) == 6 * 3 + ticks  # 5 places, of which 2 are NaN
    assert {name for _, name in first.legend} == {"consumer", "driving", "indoor"}
    assert figures.DOMAIN_COLOURS["indoor"] in {colour for colour, _ in first.legend}
    assert [name for name, _ in drawn["Gains over source size"].panels] == [
        *("full", "small", "small_source")
    ]
