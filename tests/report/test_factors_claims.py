"""A5 and A6 on rows made by hand: every verdict."""

import pytest

from jaxseg.report import claims
from jaxseg.report.studies import _factors_claims as measures
from tests.report.test_shares import row, sure

WIDE = {"low": -60, "high": 90}
MULTI = "worlds/rooms + worlds/day"


def of(gains, source="s", **more):
    """A row of one gain for each seed; its interval is 1 point wide on both sides."""
    ends = {} if len(gains) < 2 else {"low": gains[0] - 1, "high": gains[0] + 1}
    found = row(sum(gains) / len(gains), "driving", source=source, **ends, **more)
    seeds = dict(enumerate(gains))
    values = {seed: {"value": 0.5 * (1 + gain / 100)} for seed, gain in seeds.items()}
    return found | {"source": source, "shared": list(seeds), "rows": values}


def multi(*gains, **more):
    """The multi-source model on a target."""
    more |= {"source_dataset": MULTI, "source_images": 9000}
    return of(gains, "multi", **more) | {"source_domain": "driving + indoor"}


def single(*gains, source="day", images=500, **more):
    return of(gains, source, source_dataset="worlds/day", source_images=images, **more)


def on(target, *rows):
    return [one | {"target": target} for one in rows]


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([multi(5)], claims.HELD),  # one seed: by the mean
        ([multi(5, 5)], claims.HELD),
        ([*on("a", multi(5)), *on("b", multi(-1))], claims.WEAKLY),
        ([*on("a", multi(-5)), *on("b", multi(-1))], claims.NOT),
        ([multi(5, 5) | {"significant": False}], claims.UNDECIDED),
        ([multi(5, overlap="part")], claims.UNMEASURED),
        ([multi(5, source_task="depth")], claims.UNMEASURED),
        ([single(5)], claims.UNMEASURED),
    ],
)
def test_a5_a_multi_source_model_helps(found, verdict):
    assert measures.a5(found)[2] == verdict


def test_a5_counts_targets():
    found = [*on("a", multi(5, 6)), *on("b", multi(-5, -6))]
    text, count, verdict = measures.a5(found)
    assert (count, verdict) == (2, claims.WEAKLY)
    assert text == "-5.5 to +5.5 %, above 0 on 1 of 2 targets, surely on 1"


@pytest.mark.parametrize(
    "pairs, verdict",
    [
        ([((9,), (5,))], claims.HELD),  # one seed: 4 points by the mean
        ([((6,), (5,))], claims.NOT),  # 1 point
        ([((9, 9.1, 9), (5, 5, 5.1))], claims.HELD),
        ([((9, 9.1), (5, 5.1)), ((1, 1.1), (5, 5.1))], claims.HELD),  # one of two
        ([((4, 12), (5, 1))], claims.UNDECIDED),  # -1 and 11: half by the mean
        ([((5, 5.1), (5, 5))], claims.NOT),
    ],
)
def test_a5_the_largest_source_of_the_domain(pairs, verdict):
    found = []
    for number, (largest, model) in enumerate(pairs):
        small = single(*(0 for _ in model), source="few", images=20)
        found += on(f"t{number}", single(*largest), multi(*model), small)
    wanted = claims.WEAKLY if verdict == claims.UNDECIDED else verdict
    assert measures.a5_largest(found)[2] == wanted


def test_a5_the_largest_source_is_undecided_or_not_measured():
    found = [single(4, 8.0), multi(5, 4.5)]  # -1 and 3.5 points
    text, count, verdict = measures.a5_largest(found)
    assert (count, verdict) == (2, claims.UNDECIDED)
    assert text.startswith("better by more than 2 points on 0 of 1 targets, worse on 0")
    assert measures.a5_largest([multi(5)])[2] == claims.UNMEASURED
    part = [single(9), multi(5, overlap="part")]
    assert measures.a5_largest(part)[2] == claims.UNMEASURED
    far = [single(9) | {"source_domain": "indoor"}, multi(5)]
    assert measures.a5_largest(far)[2] == claims.UNMEASURED


def other(gain, domain="driving", **more):
    """A source of another task type."""
    return row(gain, domain, source_task="depth", **more)


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([other(5)], claims.HELD),
        ([other(5), other(-9, "indoor")], claims.HELD),
        ([other(5), other(9, "indoor")], claims.WEAKLY),  # it helps across as well
        ([other(0), other(-9, "indoor")], claims.WEAKLY),
        ([other(0), other(9, "indoor")], claims.NOT),
        ([other(1, **WIDE), other(-9, "indoor", **WIDE)], claims.UNDECIDED),
        ([other(-9, "indoor")], claims.UNMEASURED),
        ([row(5, "driving")], claims.UNMEASURED),
    ],
)
def test_a6_across_task_types(found, verdict):
    assert measures.a6(found)[2] == verdict


def test_a6_tells_the_shares():
    found = [other(5, target="a"), other(0, target="b"), other(-9, "indoor")]
    text, count, _ = measures.a6(found)
    assert text == (
        "best source within the domain: 50 % of 2 targets positive; across domains "
        "P/N 0/100 % of 1 pairs"
    )
    assert count == 3


def labels(same, another, base="day"):
    """A target from one set with labels of its own task type and of another."""
    return [
        of(same, base),
        of(another, f"{base}@depth", source_task="depth"),
    ]


@pytest.mark.parametrize(
    "found, verdict",
    [
        (labels([5], [2]), claims.HELD),
        (labels([2], [5]), claims.NOT),
        (labels([5, 5.2, 5], [2, 2, 2.2]), claims.HELD),
        ([*on("a", *labels([9, 9.1], [2, 2])), *on("b", *labels([2, 2], [2.1, 2.2]))],
         claims.WEAKLY),
        (labels([9, 0], [0, 5]), claims.UNDECIDED),  # 9 and -5
        (labels([0, 0.1], [2, 2]), claims.NOT),
        ([of([5], "day"), of([2], "night@depth", source_task="depth")],
         claims.UNMEASURED),
    ],
)  # fmt: skip
def test_a6_one_data_set_with_two_kinds_of_labels(found, verdict):
    assert measures.a6_same(found)[2] == verdict


def test_a6_same_leaves_multi_source_models_out():
    found = [multi(5), multi(2, source_task="depth") | {"source": "multi@depth"}]
    assert measures.a6_same(found)[2] == claims.UNMEASURED


def test_shares_in_the_full_setting_are_told_as_well():
    assert measures.a7([sure(30, "driving")])[2] == claims.HELD
