"""V1 to V4 on rows made by hand: every verdict."""

import dataclasses

import pytest

from jaxseg.report import claims
from jaxseg.report.studies import _factors_variants as variants
from tests.report.test_factors_wide import row, view


def beside(gains, others, **changes):
    """A study of these gains with a smaller one of other gains and columns."""
    cells = ({},) * len(gains)
    ours = [row(g, source=f"s{i}") for i, g in enumerate(gains)]
    theirs = [row(g, source=f"s{i}") | changes for i, g in enumerate(others)]
    for one in [*ours, *theirs]:
        one["target_task"] = "segmentation"
    for one in theirs:
        one["value"] -= 0.1 * bool(changes.get("backbone"))
    other = view(theirs, planned=cells)
    return dataclasses.replace(view(ours, planned=cells), siblings=[other])


LARGE = {"resolution": "713x713"}


@pytest.mark.parametrize(
    "gains, others, verdict",
    [
        ((9, -9, 0), (5, -3, 9), claims.HELD),
        ((9, -9, 5, 7), (5, -3, 4, 0), claims.HELD),  # three quarters
        ((9, -9), (5, 0), claims.WEAKLY),
        ((9, -9), (-5, 0), claims.NOT),
        ((0, 1), (5, 5), claims.UNMEASURED),
    ],
)
def test_v1_one_resolution(gains, others, verdict):
    found = variants.v1(beside(gains, others, **LARGE))
    assert found[2] == verdict and found[1] == len(gains)


def test_v1_needs_a_plan_at_one_other_resolution():
    assert variants.v1(view([row(9)]))[2] == claims.UNMEASURED
    same = beside((9,), (9,))
    assert variants.v1(same)[2] == claims.UNMEASURED
    network = beside((9,), (9,), backbone="resnet/50", **LARGE)
    assert variants.v1(network)[2] == claims.UNMEASURED
    found = beside((9,), (9,), **LARGE)
    (other,) = found.siblings
    larger = dataclasses.replace(other, planned=({},) * 9)  # it compares with this one
    found = dataclasses.replace(found, siblings=[larger])
    assert variants.v1(found)[2] == claims.UNMEASURED


def test_v1_without_a_sure_cell_is_undecided():
    found = beside((9, -9), (5, -3), **LARGE)
    wide_ = [one | {"several": True, "effect": "I"} for one in found.gains]
    found = dataclasses.replace(found, gains=wide_)
    assert variants.v1(found)[2] == claims.UNDECIDED


NETWORK = {"backbone": "resnet/50"}


@pytest.mark.parametrize(
    "gains, others, verdict",
    [
        ((-9, 5), (5, 6), claims.WEAKLY),  # one target: lower without an interval
        ((-9, 5), (-5, 6), claims.WEAKLY),  # lower, but none turns
        ((9, 5), (-5, 6), claims.WEAKLY),
    ],
)
def test_v2_another_network(gains, others, verdict):
    assert variants.v2(beside(gains, others, **NETWORK))[2] == verdict


def test_v2_over_targets():
    found = beside((-9, 5, -9, 5), (5, 6, 5, 6), **NETWORK)
    (other,) = found.siblings
    for rows in (found.gains, other.gains):
        for number, one in enumerate(rows):
            one["target"] = f"t{number}"
    text, count, verdict = variants.v2(found)
    assert (count, verdict) == (4, claims.HELD)
    assert "2 of 2 N become P, 0 of 2 P become N; 2 of 4 sure P or N" in text
    for one in other.gains:
        one["value"] += 0.5  # better
    assert variants.v2(found)[2] == claims.WEAKLY
    for one in other.gains:
        one["mean_effect"] = "N"
    assert variants.v2(found)[2] == claims.NOT
    for number, one in enumerate(other.gains):
        one["value"] -= 0.5 + 0.4 * number
        one["value"] += 1.0
    for one in other.gains:
        one["mean_effect"] = "P"
    assert variants.v2(found)[2] == claims.UNDECIDED
    assert variants.v2(view([row(9)]))[2] == claims.UNMEASURED


PRETRAINED = {"source": "websearch", "baseline_source": "websearch"}
WITHOUT_LABELS = PRETRAINED | {"source_task": "simclr"}


def without_labels(found):
    """The same, where the pretraining of the smaller study has no labels."""
    (other,) = found.siblings
    planned = (WITHOUT_LABELS,) * len(other.planned)
    other = dataclasses.replace(other, planned=planned)
    return dataclasses.replace(found, siblings=[other])


@pytest.mark.parametrize(
    "gains, others, verdict",
    [
        ((9, 5, 3, -9), (3, 2, 4, 1), claims.HELD),
        ((9, 5, 3, -9), (1, 2, 4, 3), claims.NOT),  # now the worst of four
        ((-9, -5, -3, -1), (3, 2, 4, 1), claims.UNDECIDED),
        ((9, 5, 3), (3, 2, 4), claims.UNMEASURED),  # three of three say nothing
    ],
)
def test_v3_the_best_source_stays(gains, others, verdict):
    found = without_labels(beside(gains, others))
    for study, baseline in ((found, 0.5), (found.siblings[0], 0.51)):
        for one in study.gains:
            one["baseline"] = baseline
    assert variants.v3(found)[2] == verdict
    assert "mIoU +0.010" in variants.v3(found)[0]
    assert variants.v3(beside(gains, others))[2] == claims.UNMEASURED


@pytest.mark.parametrize(
    "gains, verdict",
    [((-5, -9), claims.HELD), ((5, -9), claims.WEAKLY), ((5, 9), claims.NOT)],
)
def test_v4_a_chain_without_labels(gains, verdict):
    rows = [row(gain, target=f"t{i}") for i, gain in enumerate(gains)]
    for one in rows:
        one |= {"source_task": "simclr", "target_task": "segmentation"}
        one["shared"] = [0]
        one["baseline"] = one["value"] / (1 + one["gain"] / 100)
    own = view(rows, planned=(WITHOUT_LABELS,))
    found = variants.v4(own)
    assert found[1:] == (2, verdict)
    labels = view(rows, planned=(PRETRAINED | {"source_task": "classification"},))
    assert variants.v4(labels)[2] == claims.UNMEASURED
    assert variants.v4(dataclasses.replace(labels, siblings=[own])) == found
