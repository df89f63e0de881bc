import numpy as np
import pytest

from jaxseg.report import gains, shares


def row(gain, source_domain, target="t", source_task="segmentation", **more):
    """A gain of one seed; low and high: several seeds with this interval."""
    low, high = more.get("low"), more.get("high")
    found = dict.fromkeys((*gains.SAME, *gains.ABOUT)) | {
        "target": target,
        "source": "s",
        "metric": "miou",
        "higher_is_better": True,
        "baseline": 0.5,
        "value": 0.5 * (1 + (gain or 0) / 100),
        "gain": gain,
        "gain_low": low,
        "gain_high": high,
        "error": None if low is None else 0.01,
        "dof": None if low is None else 9,
        "several": low is not None,
        "undecided": False,
        "baseline_learned": True,
        "learned_nothing": False,
        "source_domain": source_domain,
        "target_domain": "driving",
        "source_task": source_task,
        "target_task": "segmentation",
    }
    found |= {name: value for name, value in more.items() if name in found}
    found |= {"shared": [0], "rows": {0: {"value": found["value"]}}}
    return found | gains.verdict(found) | {"baseline_source": "websearch"}


def sure(gain, *about, **more):
    return row(gain, *about, low=gain - 1, high=gain + 1, **more)


def test_shares_are_cumulative_as_in_table_7():
    wide = {"low": -50, "high": 90}
    found = [sure(30, "driving"), row(5, "driving", **wide), row(-9, "indoor", **wide)]
    found += [row(1, "indoor"), row(4, "driving", source_task="depth", **wide)]
    random = row(-50, None, source=gains.RANDOM)
    table = {(r["domain"], r["task"]): r for r in shares.summary([*found, random])}
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
    table = shares.summary(found, only_best=True)
    assert table[0]["count"] == 2 and table[0]["P"] == 50 and table[0]["N"] == 50
    cross = next(line for line in table if line["domain"] == "cross")
    assert cross["count"] == 2 and cross["VP"] == 0


def test_what_has_no_gain_is_in_no_share():
    grey = row(None, "driving") | {"reason": "not learned"}
    assert shares.measured([grey]) == []
    assert shares.summary([grey])[0]["count"] == 0


def group(size):
    """A best start 2.4 standard errors above the baseline, among `size`."""
    error = np.log(1.1) / 2.4
    half = 2.262 * error
    ends = {"low": 110 * np.exp(-half) - 100, "high": 110 * np.exp(half) - 100}
    rows = [row(10, "driving", **ends) | {"error": error}]
    return rows + [row(0, "driving", low=-9, high=9) for _ in range(size - 1)]


def test_the_best_of_many_is_not_one_of_one():
    (one,), (many,) = shares.best(group(1)), shares.best(group(9))
    assert one["significant"] and one["effect"] == "P" and one["among"] == 1
    assert group(9)[0]["significant"]  # by its own interval
    assert not many["significant"] and many["effect"] == "I" and many["among"] == 9
    assert many["gain_low"] < one["gain_low"] and many["gain_high"] == one["gain_high"]
    table = shares.summary(group(9), only_best=True)
    assert table[0]["sure_P"] == 0 and shares.summary(group(1))[0]["sure_P"] == 100


def test_what_chance_alone_makes_sure():
    found = [
        *group(9),
        *group(1),
        row(-50, None, source=gains.RANDOM, low=-60, high=-40),
    ]
    cells, mean, deviation = shares.chance(found)
    assert cells == 10 and mean == pytest.approx(0.5)
    assert deviation > (10 * 0.05 * 0.95) ** 0.5  # cells of a target go together
    normal = np.random.default_rng(0).normal(size=(11, 200_000))
    chi = np.sqrt(np.random.default_rng(1).chisquare(9, 200_000) / 9)
    marked = np.abs((normal[1:] - normal[0]) / np.sqrt(2) / chi) > 2.262157
    assert deviation == pytest.approx(marked.sum(0).std(), rel=0.02)
    assert shares.chance([row(5, "driving")]) == (0, 0, 0)


@pytest.mark.parametrize("unknown", ["unknown", None])
def test_a_source_of_unknown_origin_is_neither_within_nor_cross(unknown):
    one = row(5.0, unknown, source_task=unknown)
    for what in ("within", "cross"):
        assert shares.select([one], what) == shares.select([one], "all", what) == []
    assert shares.select([one]) == [one]
    assert shares.side(row(5.0, "driving"), "domain") == "within"
    assert shares.side(row(5.0, "indoor"), "domain") == "cross"
    assert shares.side(row(5.0, "indoor + driving"), "domain") == "within"
    assert shares.side(row(5.0, "indoor + synthetic"), "domain") == "cross"


def test_sources_of_two_baselines_are_not_one_choice():
    found = [row(20, "driving"), row(50, "driving") | {"baseline_source": "scratch"}]
    best = [(line["gain"], line["among"]) for line in shares.best(found)]
    assert best == [(20, 1), (50, 1)]
    assert shares.summary(found, only_best=True)[0]["count"] == 2
