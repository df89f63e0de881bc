import json

import numpy as np
import pytest
from scipy import special

from jaxseg.core import errors
from jaxseg.report import build, claims, workdir
from jaxseg.report.claims import HELD, NOT, UNDECIDED, WEAKLY
from jaxseg.report.view import View, where
from tests.report import workdirs


def study(folder, **more):
    """A cell of two metrics at two seeds, and a measurement of two rows."""
    made = workdirs.Workdir(folder)
    for seed in (0, 1):
        label = workdirs.target("night", "day", seed)
        made.cell(label, 0.4 + seed / 10, others={"pixel_accuracy": 0.9}, **more)
    rows = [
        {"target": "worlds/night", "source": "worlds/day", "value": 3.5},
        {"target": "worlds/night", "source": "worlds/reef", "value": 4.0},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    spec = {"analysis": {"name": "domain_distance"}}
    given = {"kind": "measure", "spec": spec, "files": {"rows.jsonl": text}}
    made.done("distances", None, [{"role": "measure", "pair": "a-b"}], **given)
    made.stage("later", kind="measure")
    return made


def view(made):
    return build.read(made.plan()).views[0]


def test_all_metrics_of_every_stage(tmp_path):
    found = view(study(tmp_path)).metrics
    assert [(row["seed"], row["metric"], row["value"]) for row in found] == [
        (0, "miou", 0.4),
        (0, "pixel_accuracy", 0.9),
        (1, "miou", 0.5),
        (1, "pixel_accuracy", 0.9),
    ]
    assert all(row["reported"] and row["target"] == "night" for row in found)
    assert {row["evaluation"] for row in found} == {"validation"}


def test_measurements_have_the_columns_of_their_stage(tmp_path):
    found = view(study(tmp_path)).measurements
    assert [(row["source"], row["value"]) for row in found] == [
        ("worlds/day", 3.5),
        ("worlds/reef", 4.0),
    ]
    assert all(row["pair"] == "a-b" for row in found)
    assert {row["analysis"] for row in found} == {"domain_distance"}


def test_measurements_become_a_table(tmp_path):
    made = study(tmp_path)
    build.build(made.plan())
    text = (tmp_path / "report" / "tables.csv").read_text()
    assert "Table 9: distances between sets of images (Eq. 1)" in text
    assert 'driving, worlds/night",worlds/day,3.5,' in text
    assert "worlds/reef" not in text  # no source of this plan
    assert "Table 9" in workdirs.html_text(tmp_path)


def test_curves_of_a_row(tmp_path):
    own = view(study(tmp_path))
    row = where(own.results, seed=1)[0]
    assert own.curve(row, "miou")[-1] == (150, 0.5)
    assert own.curve(row, "loss")[0] == (10, 2 / 1.25)
    assert own.manifest(row)["steps"] == 150


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    made = study(tmp_path)
    made.study = "mine"  # that of factors has read them for its table
    own = view(made)
    key = made.stages[2]["key"][:20]
    workdirs.flip_byte(tmp_path / "artifacts" / key / "rows.jsonl")
    assert len(own.metrics) == 4
    with pytest.raises(errors.Damaged):
        assert own.measurements


def test_a_study_without_a_file_has_no_claims(tmp_path):
    made = study(tmp_path)
    made.study = "mine"
    own = view(made)
    assert own.own is None and claims.table(own) == []


def test_a_plan_that_cannot_be_read_has_no_claims():
    broken = workdir.Study("chairs", "", "", "", (), "no such version")
    assert claims.table(View(broken, [], [])) == []


def test_intervals_by_hand():
    each, overall = claims.means({"a": [1.0, 3.0], "b": [5.0, 7.0]})
    # squares 2 + 2, 2 degrees of freedom: deviation sqrt(2), t 4.3027
    assert each["a"].mean == 2 and each["b"].mean == 6 and overall.mean == 4
    assert each["a"].high - 2 == pytest.approx(4.3027 * 1.0, abs=1e-3)
    assert overall.high - 4 == pytest.approx(4.3027 / 2**0.5, abs=1e-3)
    assert claims.means({"a": [1.0], "b": [2.0]})[1] == (1.5, None, None)


@pytest.mark.parametrize(
    "groups, margin, expected",
    [
        ({"a": [1.0, 1.1], "b": [2.0, 2.1]}, 0.0, HELD),
        ({"a": [-0.5, -0.4], "b": [9.0, 9.1]}, 0.0, WEAKLY),
        ({"a": [-1.0, -1.1]}, 0.0, NOT),
        ({"a": [0.1, 0.11, 0.09]}, 1.0, HELD),  # small, and surely above 0
        ({"a": [0.3, -0.3, 0.1]}, 1.0, NOT),  # surely below what counts
        ({"a": [0.3, -0.3, 0.1]}, 0.0, UNDECIDED),
        ({"a": [1.0], "b": [2.0]}, 0.0, HELD),
        ({"a": [-1.0], "b": [2.0]}, 0.0, WEAKLY),
        ({"a": [-1.0], "b": [0.5]}, 0.0, NOT),
    ],
)
def test_above(groups, margin, expected):
    assert claims.above(groups, margin) == expected


@pytest.mark.parametrize(
    "values, expected",
    [  # 90 % intervals of 3 values: t(2) = 2.920, half-width 0.169 of these
        ((0.4, 0.5, 0.6), HELD),  # 0.33 to 0.67
        ((-0.6, -0.5, -0.4), HELD),
        ((0.75, 0.85, 0.95), UNDECIDED),  # 0.68 to 1.02
        ((0.72, 0.82, 0.92), HELD),  # to 0.99, where the 95 % interval ends at 1.07
        ((1.1, 1.2, 1.3), NOT),  # from 1.03
        ((-1.3, -1.2, -1.1), NOT),
        ((0.0, -9.0, 9.0), UNDECIDED),
        ((0.9,), HELD),
        ((1.0,), NOT),
    ],
)
def test_equal(values, expected):
    assert claims.equal({"a": list(values)}, 1.0) == expected


@pytest.mark.parametrize("margin", [0.4, 0.8, 1.2])
def test_power_by_simulation(margin):
    """Groups of 3, 3 and 2 values that scatter by exactly 0.7, and others drawn from
    normal distributions of that deviation: how often `equal` holds.
    """
    shapes, rng = {"a": 3, "b": 3, "c": 2}, np.random.default_rng(0)
    values = {name: np.arange(n) - (n - 1) / 2 for name, n in shapes.items()}
    factor = 0.7 / np.sqrt(sum((x**2).sum() for x in values.values()) / 5)
    power = claims.power({n: list(factor * x) for n, x in values.items()}, margin)

    def verdict():
        drawn = {n: rng.normal(0, 0.7, size).tolist() for n, size in shapes.items()}
        return claims.equal(drawn, margin)

    share = np.mean([verdict() == HELD for _ in range(4000)])
    assert 0.05 < power < 0.995
    assert power == pytest.approx(share, abs=0.025)  # three standard errors


def test_power_at_its_limits():
    assert claims.power({"a": [1.0], "b": [2.0]}, 1.0) is None
    assert claims.power({"a": [1.0, 1.0]}, 0.1) == 1
    assert claims.power({"a": [-1.0, 1.0]}, 1e-6) == pytest.approx(0, abs=1e-9)
    assert claims.power({"a": [-1.0, 1.0]}, 1e6) == pytest.approx(1, abs=1e-4)
    # of many values the error is known: |D| < margin - 1.645 errors
    many = {"a": np.tile([-1.0, 1.0], 5000).tolist()}
    expected = 1 - 2 * special.ndtr(special.ndtri(0.95) - 3)
    assert claims.power(many, 0.03) == pytest.approx(expected, abs=1e-3)


def test_kendall_by_hand():
    # of 10 pairs 9 agree and 1 does not
    found = claims.kendall([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    # atanh(0.8) = 1.0986, 1.96 sqrt(0.437 / 1) = 1.2956: tanh(-0.197), tanh(2.394)
    assert found == pytest.approx((0.8, -0.1945, 0.9835), abs=1e-4)
    assert claims.kendall([1, 2, 3, 4], [1, 2, 4, 3]).low is None  # four things
    reverse = claims.kendall(range(5), [5, 4, 3, 2, 1])
    assert reverse.mean == pytest.approx(-1) and reverse.low is None
    # of 3 pairs one is tied in the second: 2 / sqrt(3 x 2)
    assert claims.kendall([1, 2, 3], [1, 1, 2]).mean == pytest.approx(0.8165, abs=1e-4)


def test_one_sample_of_groups_of_one():
    assert claims.above({"a": [1.0], "b": [9.0]}) == HELD
    assert claims.above({"a": [1.0], "b": [9.0]}, sample=[1.0, 9.0]) == UNDECIDED
