"""Several sources by weight: shares, whole epochs, resumption; MixUp."""

import collections
import itertools

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import mixing, parallel, subsets, transforms
from tests.data import trees

FIELDS = ("image", "segmentation")


def source(name, count, mean=100.0):
    rng = np.random.default_rng(0)
    examples = [
        {
            "id": f"{name}{i}",
            "image": rng.integers(0, 256, (10, 12, 3), np.uint8),
            "segmentation": np.zeros((10, 12), np.int32),
        }
        for i in range(count)
    ]
    return trees.in_memory(examples, mean=(mean,) * 3)


SOURCES = (source("a", 6), source("b", 10))


def take(count, sources=SOURCES, weights=(3, 1), **options):
    given = {
        "transforms": (transforms.Flip(), transforms.Crop(8, 8)),
        "batch_size": 4,
        "seed": 0,
        "fields": FIELDS,
    }
    given |= options
    begin = {"start": given.pop("start", 0), "threads": given.pop("threads", 2)}
    made = mixing.numbered(sources, weights, **given)
    stream = parallel.ahead(made, what="a and b", workers=0, prefetch=2, **begin)
    return list(itertools.islice(stream, count))


def assert_same(one, other):
    for (batch, ids), (batch_, ids_) in zip(one, other, strict=True):
        assert ids == ids_
        for name in (*FIELDS, "source"):
            np.testing.assert_array_equal(batch[name], batch_[name])


def test_a_batch_is_of_one_source_and_the_shares_are_the_weights():
    schedule = mixing.Schedule(mixing.apportion((3, 1)), seed=0)
    counts = collections.Counter(schedule.place(n)[0] for n in range(2000))
    assert counts == {0: 1500, 1: 500}
    for batch, ids in take(20):
        assert len({i[0] for i in ids}) == len(set(batch["source"].tolist())) == 1
        assert ids[0][0] == "ab"[batch["source"][0]]


def test_examples_may_be_mixed_within_a_batch():
    taken = take(40, unit="example")
    assert any(len(set(batch["source"].tolist())) == 2 for batch, _ in taken)
    for batch, ids in taken:
        assert [i[0] for i in ids] == ["ab"[k] for k in batch["source"]]


@pytest.mark.parametrize("unit", subsets.UNITS)
def test_every_epoch_of_every_source_is_whole(unit):
    ids = [i for _, ids in take(60, unit=unit, weights=(1, 1)) for i in ids]
    for letter, length in (("a", 6), ("b", 10)):
        own = [i for i in ids if i[0] == letter]
        for first in range(0, len(own) - length + 1, length):
            assert len(set(own[first : first + length])) == length


@pytest.mark.parametrize("unit", subsets.UNITS)
@pytest.mark.parametrize("start", [1, 7, 1001])
def test_a_resumed_mixture_equals_an_unbroken_one(unit, start):
    whole = take(start + 3, unit=unit)[start:] if start < 100 else None
    resumed = take(3, unit=unit, start=start)
    if whole:
        assert_same(whole, resumed)
    assert_same(resumed, take(3, unit=unit, start=start, threads=0))


def test_the_place_of_a_draw_counts_those_before_it():
    schedule = mixing.Schedule(mixing.apportion((2, 5, 1)), seed=3)
    seen = collections.Counter()
    for number in range(2500):
        place, earlier = schedule.place(number)
        assert earlier == seen[place]
        seen[place] += 1


@pytest.mark.parametrize("unit", subsets.UNITS)
def test_shards_together_are_the_whole_batch(unit):
    whole = take(6, unit=unit)
    parts = [take(6, unit=unit, shard=(p, 2)) for p in range(2)]
    trees.assert_shards(whole, parts)


def test_every_row_is_normalized_by_its_own_source():
    flat = {"image": np.full((8, 8, 3), 100, np.uint8), "id": "x"}
    dark = trees.in_memory([flat], fields=("image",), mean=(100.0,) * 3)
    light = trees.in_memory([flat], fields=("image",), mean=(50.0,) * 3)
    options = {"sources": (dark, light), "weights": (1, 1), "fields": ("image",)}
    for batch, _ in take(10, unit="example", **options):
        wanted = np.where(batch["source"] == 0, 0.0, 1.0)
        np.testing.assert_allclose(batch["image"].mean((1, 2, 3)), wanted, atol=1e-6)


def test_bad_weights_explain_themselves():
    for weights in ((1,), (1, 0), (1, -1), (1, 1e-6), (1, float("nan"))):
        with pytest.raises(errors.UserError, match=r"found weights .* allowed .*Fix"):
            take(1, weights=weights)
    with pytest.raises(errors.UserError, match="unknown unit 'epoch'"):
        take(1, unit="epoch")


def test_shares_are_whole_and_add_up():
    assert mixing.apportion((1, 1, 1)) == (334, 333, 333)
    assert sum(mixing.apportion((0.2, 0.7, 0.13, 1.9))) == mixing.BLOCK


def test_mixup_mixes_images_and_names_both_labels():
    batch = {
        "image": np.arange(4, dtype=np.float32)[:, None, None, None]
        * np.ones((2, 2, 3)),
        "label": np.arange(4, dtype=np.int32),
    }
    mixed = mixing.mixup(batch, alpha=1.0, seed=0, step=5)
    share = mixed["mix"][0]
    assert 0 < share < 1 and sorted(mixed["other_label"].tolist()) == [0, 1, 2, 3]
    wanted = share * mixed["label"] + (1 - share) * mixed["other_label"]
    np.testing.assert_allclose(mixed["image"].mean((1, 2, 3)), wanted, atol=1e-5)
    again = mixing.mixup(batch, alpha=1.0, seed=0, step=5)
    np.testing.assert_array_equal(again["image"], mixed["image"])
    assert mixing.mixup(batch, alpha=1.0, seed=0, step=6)["mix"][0] != share
