import pytest

from jaxseg.report import claims, gains
from tests.report.test_gains import row


def verdicts(found):
    """{claim: verdict} of rows of study factors."""
    found = [{**r, "study": "factors", "setting": "small"} for r in found]
    return {line["claim"]: line["verdict"] for line in claims.table(found)}


def random(value, baseline=0.5):
    """A random start with its baseline."""
    gain = gains.gain(value, baseline, True)
    more = {"source": gains.RANDOM, "value": value, "baseline": baseline}
    return row(gain, None) | more | {"higher_is_better": True}


def test_only_a_factors_study_is_held_to_them():
    assert (
        claims.table([row(5, "driving") | {"study": "own", "setting": "small"}]) == []
    )


def test_every_claim_of_an_empty_study_is_not_measured():
    found = verdicts([row(None, "driving")])
    assert len(found) == len(claims.CLAIMS)
    assert set(found.values()) == {claims.UNMEASURED}


@pytest.mark.parametrize(
    "values, verdict",
    [((0.4, 0.3), claims.HELD), ((0.3, 0.51), claims.WEAKLY), ((0.6, 0.5), claims.NOT)],
)
def test_a1_pretraining_beats_scratch(values, verdict):
    assert verdicts([random(value) for value in values])["A1"] == verdict


def test_a1_tells_the_gain_of_the_pretraining():
    found = [random(0.4) | {"study": "factors", "setting": "small"}]
    line = claims.table(found)[0]
    assert line["measured"].startswith("+25.0 to +25.0 %") and line["count"] == 1


@pytest.mark.parametrize(
    "sure, gain, verdict",
    [(True, 30, claims.HELD), (False, 30, claims.WEAKLY), (False, 1, claims.NOT)],
)
def test_a2_and_a7_ask_for_half(sure, gain, verdict):
    found = verdicts([row(gain, "driving", sure=sure)])
    assert found["A2"] == found["A7"] == verdict


def test_a3_pairs_by_target():
    near = [row(30, "driving", "a"), row(20, "driving", "b")]
    far = [row(0, "indoor", "a"), row(-9, "indoor", "b")]
    assert verdicts(near + far)["A3"] == claims.HELD  # +30 and +29
    assert verdicts([*near, far[0]])["A3"] == claims.WEAKLY  # one target, no interval
    assert verdicts([row(1, "driving"), row(2, "indoor")])["A3"] == claims.NOT


def test_a3_task_type():
    found = [row(9, "driving", source_task="depth"), row(-9, "indoor")]
    assert verdicts(found)["A3, task"] == claims.HELD


@pytest.mark.parametrize(
    "gain, low, sure, verdict",
    [
        (1, -3, False, claims.HELD),
        (5, -3, False, claims.WEAKLY),
        (5, None, False, claims.NOT),
        (5, 3, True, claims.NOT),
    ],
)
def test_a4_into_consumer(gain, low, sure, verdict):
    found = row(gain, "indoor", sure=sure)
    found |= {"target_domain": "consumer", "gain_low": low}
    assert verdicts([found])["A4, into"] == verdict


def test_a4_out_of_consumer():
    assert verdicts([row(5, "consumer")])["A4, out of"] == claims.HELD
    assert verdicts([row(1, "consumer")])["A4, out of"] == claims.WEAKLY
    assert verdicts([row(-1, "consumer")])["A4, out of"] == claims.NOT


def test_a8_size():
    large = row(9, "driving") | {"source_images": 900, "target_images": 150}
    small = row(0, "driving") | {"source_images": 90, "target_images": 150}
    assert verdicts([large, small])["A8"] == claims.HELD
    assert (
        verdicts([large | {"gain": 0, "mean_effect": "I"}, small])["A8"] == claims.NOT
    )
    assert verdicts([large])["A8"] == claims.UNMEASURED
