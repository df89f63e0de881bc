import csv
import io
import math

import pytest
from scipy import stats

from jaxseg.core import errors
from jaxseg.report import gains, rows, workdir
from tests.report import workdirs

SPEC = (
    "setting, target, source, metric, protocol, value, baseline, gain, gain_low, "
    "gain_high, effect, mean_effect, seeds"
)


def measure(tmp_path, cells, **more):
    """Gains of {(source, seed): value} on one target."""
    made = workdirs.Workdir(tmp_path)
    for (source, seed), value in cells.items():
        made.cell(workdirs.target("night", source, seed), value, **more)
    (study,) = workdir.load(made.plan())
    return {row["source"]: row for row in gains.gains(rows.results(study))}


def test_columns_are_those_of_the_spec():
    assert list(gains.COLUMNS) == SPEC.split(", ")


def test_a_gain_by_hand(tmp_path):
    cells = {("websearch", 0): 0.2, ("websearch", 1): 0.3, ("websearch", 2): 0.25}
    cells |= {("day", 0): 0.3, ("day", 1): 0.36, ("day", 2): 0.325}
    found = measure(tmp_path, cells)
    assert list(found) == ["day"]  # the baseline is not compared with itself
    row = found["day"]
    assert row["value"] == pytest.approx(0.985 / 3)
    assert row["baseline"] == pytest.approx(0.25)
    assert row["gain"] == pytest.approx((0.985 / 0.75 - 1) * 100)
    # Per seed +50, +20 and +30: mean 33.3, sd 15.28, t with 2 degrees of freedom 4.303.
    half = 4.302653 * math.sqrt(700 / 3) / math.sqrt(3)
    assert row["gain_low"] == pytest.approx(100 / 3 - half, rel=1e-5)
    assert row["gain_high"] == pytest.approx(100 / 3 + half, rel=1e-5)
    assert row["mean_effect"] == "VP" and row["effect"] == "I"  # it covers 0
    assert row["seeds"] == 3 and not row["significant"]


def test_the_interval_is_scipys():
    values = [3.0, 4.5, 4.0, 7.0]
    expected = stats.t.interval(0.95, 3, loc=4.625, scale=stats.sem(values))
    assert gains.interval(values) == pytest.approx(expected)
    assert gains.interval([3.0]) == (None, None)


def test_lower_is_better_turns_the_sign(tmp_path):
    cells = {("websearch", 0): 0.5, ("day", 0): 0.4, ("random", 0): 0.8}
    found = measure(tmp_path, cells, metric="rmse", higher=False)
    assert found["day"]["gain"] == pytest.approx(20)
    assert found["random"]["gain"] == pytest.approx(-60)


def test_one_seed_has_no_interval(tmp_path):
    found = measure(tmp_path, {("websearch", 0): 0.5, ("day", 0): 0.6})
    row = found["day"]
    assert row["gain_low"] is None and row["gain_high"] is None
    assert row["effect"] == row["mean_effect"] == "VP" and not row["significant"]
    (line,) = csv.DictReader(io.StringIO(rows.write_csv([row], gains.COLUMNS)))
    assert (line["gain_low"], line["gain_high"], line["seeds"]) == ("", "", "1")


def test_only_shared_seeds_are_compared(tmp_path):
    cells = {("websearch", 0): 0.5, ("websearch", 1): 0.1, ("day", 0): 0.6}
    row = measure(tmp_path, cells)["day"]
    assert row["gain"] == pytest.approx(20) and row["seeds"] == 1


def test_without_a_baseline_there_is_a_hole(tmp_path):
    row = measure(tmp_path, {("websearch", 1): 0.5, ("day", 0): 0.6})["day"]
    assert row["value"] == 0.6
    assert row["gain"] is row["baseline"] is row["effect"] is None
    assert gains.measured([row]) == []
    assert gains.gain(0.5, 0.0, True) is None


@pytest.mark.parametrize(
    "percent, level",
    [(10.1, "VP"), (10.0, "P"), (2.1, "P"), (2.0, "I"), (-2.0, "I"), (-2.1, "N")],
)
def test_levels_of_section_6(percent, level):
    assert gains.effect(percent) == level


def test_a_level_is_not_decided_by_rounding():
    assert (
        gains.gain(0.55, 0.5, True) > 10 and gains.effect(0.55 / 0.5 * 100 - 100) == "P"
    )


def test_two_artifacts_for_one_cell_are_refused(tmp_path):
    made = workdirs.Workdir(tmp_path)
    label = workdirs.target("night", "day")
    made.done("one", 0.5, [label])
    made.done("two", 0.6, [label])
    (study,) = workdir.load(made.plan())
    with pytest.raises(errors.UserError, match=r"both claim target 'night'.*`select`"):
        gains.gains(rows.results(study))


def row(gain, source_domain, target="t", source_task="segmentation", sure=False):
    """The fields of a gain row that the shares read."""
    found = dict.fromkeys((*gains.SAME, *gains.ABOUT, "effect")) | {
        "target": target,
        "source": "s",
        "gain": gain,
        "source_domain": source_domain,
        "target_domain": "driving",
        "source_task": source_task,
        "target_task": "segmentation",
        "significant": sure,
        "mean_effect": gains.effect(gain),
    }
    return found | {"effect": found["mean_effect"] if sure else "I"}


def test_shares_are_cumulative_as_in_table_7():
    found = [row(30, "driving", sure=True), row(5, "driving"), row(-9, "indoor")]
    found += [row(1, "indoor"), row(4, "driving", source_task="depth")]
    random = row(-50, None) | {"source": gains.RANDOM}
    table = {(r["domain"], r["task"]): r for r in gains.summary([*found, random])}
    every, within = table["all", "all"], table["within", "within"]
    assert every["count"] == 5 and every["mean"] == pytest.approx(31 / 5)
    assert (every["P"], every["VP"], every["N"]) == (60, 20, 20)
    assert (every["sure_P"], every["sure_N"]) == (20, 0)
    assert (within["count"], within["P"], within["VP"]) == (2, 100, 50)
    assert table["within", "cross"]["count"] == 1
    assert table["cross", "cross"] == {
        **dict.fromkeys(("mean", "P", "VP", "N", "sure_P", "sure_N")),
        "domain": "cross",
        "task": "cross",
        "count": 0,
    }


def test_best_sources_as_in_table_8():
    found = [row(30, "driving", "a"), row(5, "indoor", "a"), row(-9, "indoor", "b")]
    table = gains.summary(found, only_best=True)
    assert table[0]["count"] == 2 and table[0]["P"] == 50 and table[0]["N"] == 50
    cross = next(line for line in table if line["domain"] == "cross")
    assert cross["count"] == 2 and cross["VP"] == 0
