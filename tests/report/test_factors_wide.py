"""A9 to A14 on rows made by hand: every verdict."""

import dataclasses

import numpy as np
import pytest

from jaxseg.report import claims, workdir
from jaxseg.report.studies import _factors_distances as distances
from jaxseg.report.studies import _factors_wide as wide
from jaxseg.report.view import View
from tests.report import test_shares

WIDE = {"low": -60, "high": 90}


@dataclasses.dataclass(frozen=True)
class Known(View):
    """A view with these rows of measurements and these cells."""

    rows: tuple = ()
    planned: tuple = ()

    @property
    def measurements(self):
        return self.rows

    @property
    def cells(self):
        return self.planned


def view(gains=(), rows=(), **more):
    study = workdir.Study("factors", "", "", "", ())
    return Known(study, [], list(gains), rows=tuple(rows), **more)


def row(gain, setting="small", target="t", source="s", **more):
    """A gain; its artifact is one of its setting."""
    found = test_shares.row(gain, "driving", target, **more)
    value = {"value": found["value"], "artifact": f"{setting}/{target}/{source}"}
    found |= {"source": source, "setting": setting, "rows": {0: value}}
    return found | {
        "target_dataset": f"worlds/{target}",
        "source_dataset": f"worlds/{source}",
        "backbone": "hrnet/w48",
        "resolution": "64x64",
    }


def pair(one, other, source="s", second="full", target="t", **more):
    """A cell in the small setting and in another one."""
    return [
        row(gain, setting, target, source, **more)
        for gain, setting in ((one, "small"), (other, second))
    ]


def flat(*pairs):
    return [one for pair in pairs for one in pair]


@pytest.mark.parametrize(
    "pairs, verdict",
    [
        ([(9, 3), (9, 0), (-9, 0)], claims.HELD),
        ([(9, 3), (9, 0)], claims.WEAKLY),  # no small N: nothing is known of these
        ([(9, 3), (9, 0), (-9, 5)], claims.NOT),  # not more of small ones; one turned
        ([(9, 3), (9, 0), (9, 0), (-9, 5)], claims.WEAKLY),  # two of three
        ([(0, 3), (-9, 5)], claims.NOT),
        ([(0, 0)], claims.NOT),
    ],
)
def test_a9_small_and_full_targets(pairs, verdict):
    found = flat(*(pair(*both, source=f"s{i}") for i, both in enumerate(pairs)))
    _, count, own = wide.a9(view(found))
    assert (own, count) == (verdict, len(pairs))


def test_a9_is_undecided_or_not_measured():
    found = flat(pair(9, 3, **WIDE), pair(9, 0, "b", **WIDE), pair(-9, 0, "c", **WIDE))
    assert wide.a9(view(found))[2] == claims.UNDECIDED
    assert wide.a9(view([row(9)]))[2] == claims.UNMEASURED
    part = pair(9, 3, overlap="part")
    assert wide.a9(view(part))[2] == claims.UNMEASURED
    other = [row(9), row(9, "full", "u")]  # of another target
    assert wide.a9(view(other))[2] == claims.UNMEASURED


def few(gains, target="t"):
    """Cells with sources of all images and of few."""
    return flat(
        *(
            pair(*both, source=f"s{i}", second="small_source", target=target)
            for i, both in enumerate(gains)
        )
    )


SAME, MIXED = [(9, 5), (3, 2), (-9, 0)], [(9, 2), (3, 5), (-9, 0)]  # tau 1, 1/3
TURNED = [(9, 0), (3, 2), (-9, 5)]  # tau -1


@pytest.mark.parametrize(
    "targets, verdict",
    [
        ([SAME], claims.WEAKLY),  # one target: no interval
        ([TURNED], claims.NOT),
        ([SAME, SAME, SAME], claims.HELD),
        ([SAME, MIXED, SAME, SAME], claims.HELD),
        ([SAME, TURNED], claims.UNDECIDED),
        ([TURNED, TURNED], claims.NOT),
    ],
)
def test_a10_the_order_of_sources(targets, verdict):
    found = flat(*(few(gains, f"t{i}") for i, gains in enumerate(targets)))
    assert wide.a10(view(found))[2] == verdict


def test_a10_leaves_out_what_is_one_training():
    found = few(SAME)
    text, count, _ = wide.a10(view(found))
    assert count == 3 and text.startswith("mean tau +1.00 over 1 targets; 1 of 3 sure")
    for one in found:  # all sources have few images
        one["rows"] = {0: one["rows"][0] | {"artifact": one["source"]}}
    assert wide.a10(view(found))[2] == claims.UNMEASURED
    for one in found:
        if one["setting"] == "small":  # a second seed, which small sources lack
            one["rows"][1] = one["rows"][0] | {"artifact": "another"}
    assert wide.a10(view(found))[2] == claims.UNMEASURED


def table(values, analysis="domain_distance"):
    """Rows of distances {(target, source): (value, one_to_one)}."""
    return [
        {"analysis": analysis, "target": f"worlds/{t}", "source": f"worlds/{s}"}
        | dict(zip(("value", "one_to_one"), some))
        for (t, s), some in values.items()
    ]


GAINS = (9, 5, 3, -9)
NEAR, SIZES = (1, 2, 3, 4), (10, 40, 20, 30)


def sized(gains=GAINS, sizes=SIZES, target="t", setting="small"):
    found = [row(g, setting, target, f"s{i}") for i, g in enumerate(gains)]
    return [
        one | {"source_images": size} for one, size in zip(found, sizes, strict=True)
    ]


def near(values=NEAR, target="t", back=(1, 1, 1, 1)):
    """Distances of a target to its sources, and of these to it."""
    found = {(target, f"s{i}"): (value, 1.0) for i, value in enumerate(values)}
    found |= {(f"s{i}", target): (value, 1.0) for i, value in enumerate(back)}
    return table(found)


def test_a11_distance_against_source_size():
    """Gains fall with the distance, tau 1; with sizes 10, 40, 20, 30 tau is -1/3."""
    text, count, verdict = wide.a11(view(sized(), near()))
    assert text == (
        "tau +1.00 of distance, -0.33 of size over all pairs; difference within a "
        "target +1.33"
    )
    assert (count, verdict) == (4, claims.WEAKLY)  # one target
    two = sized() + sized(target="u"), near() + near(target="u")
    assert wide.a11(view(*two))[2] == claims.HELD


def test_a11_other_verdicts():
    far, large = (4, 3, 2, 1), (90, 50, 30, 10)
    assert wide.a11(view(sized(sizes=large), near(far)))[2] == claims.NOT
    mixed = sized() + sized(sizes=large, target="u"), near() + near(far, "u")
    assert wide.a11(view(*mixed))[2] == claims.UNDECIDED
    assert wide.a11(view(sized()))[2] == claims.UNMEASURED
    alike = view(sized(sizes=(5, 5, 5, 5)), near())
    assert wide.a11(alike)[2] == claims.UNMEASURED


def test_multi_source_models_have_no_distance():
    found = [one | {"source_dataset": "worlds/a + worlds/b"} for one in sized()]
    assert distances.measured(view(found, near())) == []


def cells(domains):
    return tuple(
        {"target_dataset": f"worlds/{name}", "target_domain": domain}
        for name, domain in domains.items()
    )


SETS = {"day": "driving", "night": "driving", "rooms": "indoor", "office": "indoor"}


def squares(within, across, sets=SETS):
    return {
        (t, s): (within if sets[t] == sets[s] else across, 1.0)
        for t in sets
        for s in sets
        if t != s
    }


def test_a12_the_nearest_set():
    plan = {"planned": cells(SETS)}
    text, count, verdict = wide.a12(view(rows=table(squares(1, 2)), **plan))
    assert (count, verdict) == (4, claims.HELD)  # 100 %, of 33 % by chance
    assert text == "nearest within the domain for 4 of 4 sets (33 % by chance)"
    assert wide.a12(view(rows=table(squares(2, 1)), **plan))[2] == claims.NOT
    half = squares(1, 2) | {("day", "rooms"): (0.5, 1), ("night", "rooms"): (0.5, 1)}
    half |= {("office", "day"): (0.5, 1.0)}
    text, _, verdict = wide.a12(view(rows=table(half), **plan))
    assert text.startswith("nearest within the domain for 1 of 4") and (
        verdict == claims.NOT
    )
    half.pop(("office", "day"))
    found = wide.a12(view(rows=table(half), **plan))
    assert found[2] == claims.WEAKLY  # half, but by chance a third
    assert wide.a12(view(**plan))[2] == claims.UNMEASURED
    alone = {"day": "driving", "rooms": "indoor"}
    rows = table(squares(1, 2, alone))
    found = view(rows=rows, planned=cells(alone))
    assert wide.a12(found)[2] == claims.UNMEASURED


def test_a12_consumer_images_include_others():
    sets = SETS | {"photos": "consumer"}
    plan = {"planned": cells(sets)}
    near = squares(1, 3, sets) | {(t, "photos"): (2.0, 1.0) for t in SETS}
    text, _, verdict = wide.a12(view(rows=table(near), **plan))
    assert verdict == claims.HELD and text.endswith("by +1 (+1 to +1)")
    back = squares(1, 3, sets) | {("photos", t): (2.0, 1.0) for t in SETS}
    assert wide.a12(view(rows=table(back), **plan))[2] == claims.WEAKLY  # one part
    mixed = near | {("photos", t): (1.0, 1.0) for t in ("day", "office")}
    assert wide.a12(view(rows=table(mixed), **plan))[2] == claims.UNDECIDED


def assigned(near_, pairs, back, target):
    """Distances to four sources by three assignments; the fourth is their mean."""
    found = {}
    for i, (value, one, other) in enumerate(zip(near_, pairs, back)):
        found[target, f"s{i}"] = (value, one)
        found[f"s{i}", target] = (other, one)
    return table(found)


def assignments(*each):
    rows, gains = [], []
    for number, (near_, pairs, back) in enumerate(each):
        target = f"t{number}"
        rows += assigned(near_, pairs, back, target)
        gains += sized(target=target, setting="small_source")
    return view(gains, rows)


GOOD = ((1, 2, 3, 4), (1, 3, 2, 4), (40, 30, 20, 10))  # tau 1, 2/3, -1; mean -1
BAD = ((4, 3, 2, 1), (1, 2, 3, 4), (1, 2, 3, 40))  # tau -1, 1, 1; mean 1/3


def test_a13_four_assignments():
    text, count, verdict = wide.a13(assignments(GOOD))
    assert text == (
        "tau one-to-one +0.67, target to source +1.00, source to target -1.00, mean "
        "of both -1.00"
    )
    assert (count, verdict) == (4, claims.WEAKLY)  # one target
    assert wide.a13(assignments(GOOD, GOOD, GOOD))[2] == claims.HELD
    assert wide.a13(assignments(BAD))[2] == claims.NOT
    assert wide.a13(assignments(BAD, GOOD))[2] == claims.UNDECIDED
    assert wide.a13(view(sized(setting="small_source")))[2] == claims.UNMEASURED
    assert wide.a13(view(sized(), near()))[2] == claims.UNMEASURED  # large sources


def test_a13_needs_all_four():
    found = assignments(GOOD)
    for one in found.rows:
        del one["one_to_one"]  # of an older analysis
    assert wide.a13(found)[2] == claims.UNMEASURED


def features(*by_model, by_image=0.0, data="day"):
    """Rows of images whose silhouettes are these in two models."""
    return [
        {"analysis": "task_features", "data": data, "model": model, "image": i}
        | {"by_model": score, "by_image": by_image}
        for model in ("segmentation", "depth")
        for i, score in enumerate(by_model)
    ]


@pytest.mark.parametrize(
    "rows, verdict",
    [
        (features(0.5, 0.6, 0.5), claims.HELD),
        (features(0.5, 0.6) + features(-0.1, 0.0, data="rooms"), claims.WEAKLY),
        (features(0.5, -0.4, 0.1), claims.UNDECIDED),
        (features(0.1, 0.1, 0.12, by_image=0.5), claims.NOT),
        ([], claims.UNMEASURED),
    ],
)
def test_a14_features_by_model_or_image(rows, verdict):
    assert wide.a14(view(rows=rows))[2] == verdict


def test_a14_counts_models():
    text, count, _ = wide.a14(view(rows=features(0.5, 0.6, 0.7)))
    assert count == 2
    assert text.startswith(
        "silhouette by model +0.60, by image +0.00; difference +0.60"
    )


def test_distances_back_and_their_mean():
    found = distances.tables(view(rows=near((1, 2, 3, 4), back=(3, 4, 5, 6))))
    pair = "worlds/t", "worlds/s0"
    assert {name: table[pair] for name, table in found.items()} == {
        "one-to-one": 1.0,
        "target to source": 1,
        "source to target": 3,
        "mean of both": 2.0,
    }


def test_kendalls_tau_of_pairs_and_of_targets():
    two = sized() + sized(gains=(3, 5, 9, -9), target="u")
    found = distances.taus(view(two, near() + near(target="u")), distances.NEAREST)
    assert found.each == {"t": 1.0, "u": pytest.approx(0.0)}
    assert found.count == 8 and np.isfinite(found.all)
