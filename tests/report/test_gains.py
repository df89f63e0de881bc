import csv
import io
import math

import numpy as np
import pytest
from scipy import stats

from jaxseg.core import errors
from jaxseg.report import gains, rows, workdir
from tests.report import workdirs

OLD = (  # in their places: other programs read them
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


def table(**starts):
    """{(source, seed): value} of source=(values by seed)."""
    return {
        (source, seed): value
        for source, values in starts.items()
        for seed, value in enumerate(values)
    }


def test_new_columns_come_after_the_old_ones():
    new = ["study", "backbone", "resolution", "variant", "note"]
    assert list(gains.COLUMNS) == [*OLD.split(", "), *new]


def test_two_studies_are_told_apart_in_the_file(tmp_path):
    cells = table(websearch=[0.5], day=[0.6])
    (row,) = measure(tmp_path, cells).values()
    (line,) = csv.DictReader(io.StringIO(rows.write_csv([row], gains.COLUMNS)))
    found = line["study"], line["backbone"], line["resolution"], line["variant"]
    assert found == ("factors", "hrnet/tiny", "64x64", "")


def test_a_gain_by_hand(tmp_path):
    cells = table(websearch=[0.2, 0.3, 0.25], day=[0.3, 0.36, 0.325])
    found = measure(tmp_path, cells)
    assert list(found) == ["day"]  # the baseline is not compared with itself
    row = found["day"]
    assert row["value"] == pytest.approx((0.3 * 0.36 * 0.325) ** (1 / 3))
    assert row["baseline"] == pytest.approx((0.2 * 0.3 * 0.25) ** (1 / 3))
    # Two starts: the layout is that of paired differences, ln 1.5, ln 1.2 and ln 1.3.
    logs = np.log([1.5, 1.2, 1.3])
    low, high = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    assert row["gain"] == pytest.approx(100 * math.expm1(logs.mean()))
    assert row["gain_low"] == pytest.approx(100 * math.expm1(low))
    assert row["gain_high"] == pytest.approx(100 * math.expm1(high))
    assert row["mean_effect"] == row["effect"] == "VP" and row["gain_low"] > 0
    assert row["seeds"] == 3 and row["significant"]


def test_all_starts_share_their_residual_variance(tmp_path):
    rng = np.random.default_rng(0)
    names = ["websearch", *(f"source{i}" for i in range(9))]
    values = {n: np.exp(0.05 * rng.normal(size=2) - 1) for n in names}
    found = measure(tmp_path, table(**values))
    assert {row["dof"] for row in found.values()} == {9}
    logs = np.log([values[name] for name in names])
    residuals = logs - logs.mean(0) - logs.mean(1, keepdims=True) + logs.mean()
    half = stats.t.ppf(0.975, 9) * math.sqrt(2 * (residuals**2).sum() / 9 / 2)
    difference = (logs[1] - logs[0]).mean()
    row = found["source0"]
    assert row["gain_low"] == pytest.approx(100 * math.expm1(difference - half))


def test_one_large_seed_does_not_set_a_gain_against_its_interval(tmp_path):
    """A ratio of means was -1.9 % here, a mean of ratios +24.1 to +60.9 %."""
    base = [0.9, *[0.02] * 7]
    ratios = [0.9, 1.5, 1.45, 1.55, 1.5, 1.4, 1.6, 1.5]
    day = [b * r for b, r in zip(base, ratios)]
    row = measure(tmp_path, table(websearch=base, day=day))["day"]
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert row["gain"] == pytest.approx(100 * (math.prod(ratios) ** (1 / 8) - 1))


@pytest.mark.parametrize("higher", [True, False])
def test_gain_interval_and_columns_never_contradict_each_other(tmp_path, higher):
    rng = np.random.default_rng(1)
    for number in range(4):
        names = ["websearch", "random", *"abcd"]
        cells = table(**{n: np.exp(rng.normal(size=3)) for n in names})
        kept = {k: v for k, v in cells.items() if rng.random() > 0.2}
        found = measure(tmp_path / str(number), kept, metric="rmse", higher=higher)
        for row in found.values():
            if row["gain"] is None:
                continue
            ratio = row["value"] / row["baseline"] - 1
            assert row["gain"] == 100 * (ratio if higher else -ratio)
            if row["gain_low"] is not None:
                assert row["gain_low"] <= row["gain"] <= row["gain_high"]
                assert row["significant"] <= (row["gain_low"] * row["gain_high"] > 0)


def test_lower_is_better_turns_the_sign(tmp_path):
    cells = {("websearch", 0): 0.5, ("day", 0): 0.4, ("random", 0): 0.8}
    found = measure(tmp_path, cells, metric="rmse", higher=False)
    assert found["day"]["gain"] == pytest.approx(20)
    assert found["random"]["gain"] == pytest.approx(-60)


def test_one_seed_is_eq_2_and_has_no_interval(tmp_path):
    found = measure(tmp_path, {("websearch", 0): 0.7, ("day", 0): 0.9})
    row = found["day"]
    assert row["gain"] == (0.9 / 0.7 - 1) * 100  # to the bit
    assert row["gain_low"] is None and row["gain_high"] is None
    assert row["effect"] == row["mean_effect"] == "VP" and not row["significant"]
    (line,) = csv.DictReader(io.StringIO(rows.write_csv([row], gains.COLUMNS)))
    assert (line["gain_low"], line["gain_high"], line["seeds"]) == ("", "", "1")


def test_only_shared_seeds_are_compared(tmp_path):
    cells = {("websearch", 0): 0.5, ("websearch", 1): 0.1, ("day", 0): 0.6}
    row = measure(tmp_path, cells)["day"]
    assert row["gain"] == pytest.approx(20) and row["seeds"] == 1
    assert row["baseline"] == 0.5  # of the shared seed, not of both
    assert row["mean_effect"] == "VP" and row["effect"] == "I"  # and no interval


def test_without_a_baseline_there_is_a_hole(tmp_path):
    row = measure(tmp_path, {("websearch", 1): 0.5, ("day", 0): 0.6})["day"]
    assert row["value"] == 0.6 and row["reason"] == "no baseline"
    assert row["gain"] is row["baseline"] is row["effect"] is None
    assert gains.gain(0.5, 0.0, True) is None


def test_a_baseline_of_zero_on_one_seed_has_no_gain(tmp_path):
    row = measure(tmp_path, table(websearch=[0.0, 0.5], day=[0.4, 0.6]))["day"]
    assert row["gain"] is row["effect"] is None and not row["significant"]
    assert row["note"] == "baseline not learned on 1 of 2 seeds: 0, 0.5"


def test_a_start_of_zero_is_minus_100_and_n(tmp_path):
    cells = table(websearch=[0.5, 0.6], day=[0.0, 0.0], home=[0.6, 0.7])
    row = measure(tmp_path, cells)["day"]
    assert (row["gain"], row["gain_low"], row["effect"]) == (-100, None, "N")
    assert row["note"] == "learned nothing" and not row["significant"]


def test_a_start_of_zero_on_one_seed_is_undecided(tmp_path):
    cells = table(websearch=[0.5, 0.6], day=[0.0, 0.7])
    row = measure(tmp_path, cells)["day"]
    assert row["gain"] is None and row["note"] == "undecided: scored 0 on 1 of 2 seeds"


@pytest.mark.parametrize(
    "value, floor, higher, found",
    [
        (0.3, 0.3, True, False),  # strictly better
        (0.31, 0.3, True, True),
        (0.3, 0.3, False, False),
        (0.29, 0.3, False, True),
        (0.0, None, True, False),
        (0.01, None, True, None),  # not known
        (9.0, None, False, None),
    ],
)
def test_learned_is_better_than_the_floor(value, floor, higher, found):
    row = {"value": value, "floor": floor, "higher_is_better": higher}
    assert gains.learned(row) is found
    assert gains.learned_nothing(row) is (found is False)


def test_of_a_mean_loss_nobody_knows_whether_it_was_learned(tmp_path):
    """Its gain stands; nothing says that baseline or start learned, or did not."""
    cells = table(websearch=[2.0, 2.2], day=[1.0, 1.2])
    row = measure(tmp_path, cells, metric="loss", higher=False)["day"]
    assert row["gain"] > 0 and row["reason"] == row["note"] == ""
    assert row["baseline_learned"] is None and row["learned_nothing"] is False
    known = measure(tmp_path / "floor", cells, floor=3.0, metric="loss", higher=False)
    assert known["day"]["baseline_learned"] is True
    assert known["day"]["gain"] == row["gain"]


def test_a_baseline_below_the_floor_has_no_gain_and_says_so(tmp_path):
    row = measure(tmp_path, table(websearch=[0.02], day=[0.4]), floor=0.05)["day"]
    assert row["gain"] is None and row["reason"] == "not learned"
    assert row["note"] == "baseline not learned: 0.02" and row["baseline"] == 0.02
    (line,) = csv.DictReader(io.StringIO(rows.write_csv([row], gains.COLUMNS)))
    assert line["note"] == "baseline not learned: 0.02" and line["effect"] == ""


def test_what_learned_nothing_and_the_random_start_are_not_in_the_pool(tmp_path):
    cells = table(websearch=[0.5, 0.6], a=[0.55, 0.66], b=[0.6, 0.7])
    calm = measure(tmp_path / "calm", cells, floor=0.1)["a"]
    cells |= table(random=[0.2, 0.6], c=[0.04, 0.09])
    found = measure(tmp_path / "wild", cells, floor=0.1)
    assert (found["a"]["error"], found["a"]["dof"]) == (calm["error"], 2)
    pairs = np.log([0.2 / 0.5, 0.6 / 0.6])
    assert found["random"]["error"] == pytest.approx(stats.sem(pairs))
    assert found["random"]["dof"] == found["c"]["dof"] == 1
    assert found["c"]["note"] == "learned nothing" and found["c"]["gain"] < -80


def test_a_baseline_that_scatters_leaves_its_target_undecided(tmp_path):
    cells = table(websearch=[0.1, 0.5], **{n: [0.6, 0.61 + i / 99] for i, n in
                  enumerate("abcdef")})  # fmt: skip
    found = measure(tmp_path, cells)
    assert all(row["undecided"] and not row["significant"] for row in found.values())
    row = found["a"]
    assert row["effect"] == "I" and row["mean_effect"] == "VP"
    assert row["note"].startswith("undecided: the baseline scatters ")
    assert row["note"] == row["baseline_note"]


def test_a_baseline_that_may_scatter_by_chance_decides(tmp_path):
    cells = table(websearch=[0.5, 0.6], a=[0.55, 0.55], b=[0.6, 0.61])
    found = measure(tmp_path, cells)  # 6 times as much, but of one degree of freedom
    assert not any(row["undecided"] or row["note"] for row in found.values())


def test_a_source_that_scatters_says_so_and_has_its_own_interval(tmp_path):
    calm = {n: [0.60, 0.61 + i / 99, 0.6] for i, n in enumerate("abcdef")}
    cells = table(websearch=[0.5, 0.51, 0.5], wild=[0.1, 0.5, 0.9], **calm)
    found = measure(tmp_path, cells)
    row = found["wild"]
    assert row["note"].startswith("scatters ") and row["note"].endswith("as the others")
    assert row["dof"] == 2 and not row["significant"] and not row["undecided"]
    assert (
        found["a"]["note"] == row["baseline_note"] == "" and found["a"]["significant"]
    )


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
