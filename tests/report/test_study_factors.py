import pytest

from jaxseg.report import claims, gains, workdir
from jaxseg.report.studies import factors
from jaxseg.report.view import View
from tests.report.test_shares import row, sure

WIDE = {"low": -60, "high": 90}


def verdicts(found):
    """{claim: verdict} of rows of study factors."""
    return {line["claim"]: line["verdict"] for line in lines(found)}


def lines(found):
    return claims.table(view([{**r, "setting": "small"} for r in found]))


def view(found, study="factors-paper"):
    """What a report knows of a study with these gains and nothing else."""
    return View(workdir.Study(study, "", "", "", ()), [], found)


def random(value, baseline=0.5, **more):
    """A random start with its baseline."""
    gain = gains.gain(value, baseline, True)
    given = {"source": gains.RANDOM, "value": value, "baseline": baseline}
    return row(gain, None, **given, **more)


def test_only_a_factors_study_is_held_to_them():
    found = [row(5, "driving") | {"setting": "small"}]
    assert claims.table(view(found, study="own")) == []
    whole = [claim.name for claim in factors.CLAIMS if not claim.settings]
    table = claims.table(view([]))  # there is no setting
    assert [line["claim"] for line in table] == whole
    assert {line["verdict"] for line in table} == {claims.UNMEASURED}


def test_the_settings_of_a_study_are_told_apart():
    found = [sure(30, "driving") | {"setting": s} for s in ("small", "full")]
    table = claims.table(view([*found, found[0]]))
    a7 = [line for line in table if line["claim"] == "A7"]
    assert [(line["setting"], line["count"]) for line in a7] == [
        ("small", 2),
        ("full", 1),
    ]
    (a4,) = [line for line in table if line["claim"] == "A4"]
    assert a4["setting"] == "small"  # the paper says nothing of full targets
    (a9,) = [line for line in table if line["claim"] == "A9"]
    assert a9["setting"] == ""  # over both


def test_every_claim_of_an_empty_study_is_not_measured():
    found = verdicts([row(None, "driving")])
    assert len(found) == len(factors.CLAIMS)
    assert set(found.values()) == {claims.UNMEASURED}


@pytest.mark.parametrize(
    "values, verdict",
    [((0.4, 0.3), claims.HELD), ((0.3, 0.51), claims.WEAKLY), ((0.6, 0.5), claims.NOT)],
)
def test_a1_pretraining_beats_scratch(values, verdict):
    assert verdicts([random(value) for value in values])["A1"] == verdict


def test_a1_tells_the_gain_of_the_pretraining():
    line = lines([random(0.4)])[0]
    assert line["measured"].startswith("+25.0 %, better") and line["count"] == 1


def test_a1_a_random_start_that_learned_nothing_speaks_for_pretraining():
    zero = random(0.0, several=True, learned_nothing=True)
    low = random(0.02, several=True, learned_nothing=True, **WIDE)
    line = lines([zero, low])[0]
    assert line["verdict"] == claims.HELD and line["count"] == 2
    assert line["measured"] == (
        "better on 2 of 2 targets, surely on 2, on 2 the random start learned nothing"
    )
    grey = random(0.0, baseline_learned=False, learned_nothing=True)
    assert verdicts([grey])["A1"] == claims.UNMEASURED


def test_a1_counts_what_is_sure_in_its_own_direction():
    worse = random(0.6, low=15, high=25)  # surely better than the baseline
    line = lines([worse, random(0.4, low=-30, high=-10)])[0]
    assert "better on 1 of 2 targets, surely on 1" in line["measured"]
    assert verdicts([worse])["A1"] == claims.NOT
    assert "surely on 0" in lines([worse])[0]["measured"]


def test_a1_is_undecided_where_nothing_is_sure():
    assert verdicts([random(0.4, **WIDE)])["A1"] == claims.UNDECIDED
    shaken = random(0.4, low=-30, high=-10, undecided=True)
    assert verdicts([shaken])["A1"] == claims.UNDECIDED


@pytest.mark.parametrize(
    "found, verdict",
    [
        (sure(30, "driving"), claims.HELD),
        (row(30, "driving"), claims.HELD),  # one seed: by the mean
        (row(30, "driving", **WIDE), claims.WEAKLY),
        (row(30, "driving", low=20, high=40, undecided=True), claims.WEAKLY),
        (row(1, "driving", **WIDE), claims.UNDECIDED),
        (row(1, "driving"), claims.NOT),
        (sure(0.5, "driving"), claims.NOT),
    ],
)
def test_a2_and_a7_ask_for_half(found, verdict):
    found = verdicts([found])
    assert found["A2"] == found["A7"] == verdict


def test_a2_the_best_of_many_needs_more_than_its_own_interval():
    from tests.report.test_shares import group

    assert verdicts(group(1))["A2"] == claims.HELD
    assert verdicts(group(9))["A2"] == claims.WEAKLY


def test_a3_pairs_by_target():
    near = [row(30, "driving", "a"), row(20, "driving", "b")]
    far = [row(0, "indoor", "a"), row(-9, "indoor", "b")]
    assert verdicts(near + far)["A3"] == claims.HELD  # +30 and +29
    assert verdicts([*near, far[0]])["A3"] == claims.WEAKLY  # one target, no interval
    assert verdicts([row(1, "driving"), row(2, "indoor")])["A3"] == claims.NOT
    near[1] = row(-60, "driving", "b")  # +30 and -51
    assert verdicts(near + far)["A3"] == claims.UNDECIDED


def test_a3_of_one_target_without_a_sure_cell_is_undecided():
    wide = {"low": -45.0, "high": 43.0}
    near, far = row(1.0, "driving", **wide), row(2.0, "indoor", **wide)
    for pair in (
        [near, far],
        [row(2.0, "driving", **wide), row(1.0, "indoor", **wide)],
    ):
        assert verdicts(pair)["A3"] == claims.UNDECIDED
    text = next(
        line["measured"] for line in lines([near, far]) if line["claim"] == "A3"
    )
    assert text.endswith("within is 1.0 points behind, one target")


def test_a3_task_type():
    found = [row(9, "driving", source_task="depth"), row(-9, "indoor")]
    assert verdicts(found)["A3-task"] == claims.HELD
    found[0] = row(9, "driving", source_task="depth", **WIDE)
    assert verdicts(found)["A3-task"] == claims.UNDECIDED
    found[1] = sure(-9, "indoor")
    assert verdicts(found)["A3-task"] == claims.HELD


@pytest.mark.parametrize(
    "gain, ends, verdict",
    [
        (1, None, claims.HELD),
        (5, None, claims.NOT),
        (1, (-3, 1.9), claims.HELD),
        (1, (-3, 9), claims.WEAKLY),
        (5, (-3, 9), claims.UNDECIDED),
        (5, (3, 7), claims.NOT),
    ],
)
def test_a4_into_consumer(gain, ends, verdict):
    ends = dict(zip(("low", "high"), ends or (None, None)))
    found = row(gain, "indoor", **ends) | {"target_domain": "consumer"}
    assert verdicts([found])["A4"] == verdict


def test_a4_out_of_consumer():
    assert verdicts([row(5, "consumer")])["A4-out"] == claims.HELD
    assert verdicts([row(1, "consumer")])["A4-out"] == claims.WEAKLY
    assert verdicts([row(-1, "consumer")])["A4-out"] == claims.NOT
    assert verdicts([row(5, "consumer", **WIDE)])["A4-out"] == claims.WEAKLY
    assert verdicts([row(-1, "consumer", **WIDE)])["A4-out"] == claims.UNDECIDED


def sized(gain, source, **more):
    """A source of so many images on 30 of a set of 1000."""
    sizes = {"target_images": 30, "target_set_images": 1000, "source_images": source}
    return row(gain, "driving", **more) | sizes


def test_a8_compares_with_the_set_of_the_target():
    large, small = sized(9, 3000), sized(0, 100)
    assert verdicts([large, small])["A8"] == claims.HELD
    assert verdicts([large, small, sized(9, 20)])["A8"] == claims.HELD
    multi = sized(9, 3000) | {"source_dataset": "worlds/a + worlds/b"}
    assert verdicts([multi, small])["A8"] == claims.UNMEASURED
    assert verdicts([sized(0, 3000), small])["A8"] == claims.NOT
    assert verdicts([large])["A8"] == claims.UNMEASURED
    both = [sized(9, 3000, **WIDE), sized(0, 100, **WIDE)]
    assert verdicts(both)["A8"] == claims.UNDECIDED
