"""The stream of batches: deterministic, resumable, sharded, complete."""

import collections
import contextlib
import itertools
import multiprocessing
import threading

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import pipeline, transforms
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.normalization import Normalize
from tests.data import trees

FIELDS = ("image", "segmentation")
STEPS = (transforms.Flip(), transforms.Rescale(), transforms.Crop(8, 8))


def source(count=10, size=(12, 16)):
    rng = np.random.default_rng(0)
    return trees.in_memory(
        [
            {
                "id": str(i),
                "image": rng.integers(0, 256, (*size, 3), np.uint8),
                "segmentation": rng.integers(0, 3, size).astype(np.int32),
            }
            for i in range(count)
        ]
    )


def stream(**options):
    given = {"transforms": STEPS, "batch_size": 4, "seed": 0, "fields": FIELDS}
    data = options.pop("source", None) or source()
    return pipeline.train_batches(data, **given | options)


def take(count, **options):
    with contextlib.closing(stream(**options)) as batches:
        return list(itertools.islice(batches, count))


def assert_same(one, other):
    for (batch, ids), (batch_, ids_) in zip(one, other, strict=True):
        assert ids == ids_
        for name in FIELDS:
            np.testing.assert_array_equal(batch[name], batch_[name])


def test_batches_are_normalized_and_shaped():
    (batch, ids), *_ = take(1)
    assert batch["image"].shape == (4, 8, 8, 3) and batch["image"].dtype == np.float32
    assert batch["segmentation"].shape == (4, 8, 8)
    assert batch["segmentation"].dtype == np.int32 and len(ids) == 4
    assert abs(batch["image"].mean()) < 1.0


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_change_nothing(threads):
    assert_same(take(6), take(6, threads=threads, prefetch=2))


@pytest.mark.parametrize("start", [1, 2, 5])
def test_a_resumed_run_equals_an_unbroken_one(start):
    assert_same(take(8)[start:], take(8 - start, start=start))


@pytest.mark.parametrize("seed", range(4))
def test_a_stop_at_any_step_changes_no_epoch(seed):
    stop = int(np.random.default_rng(seed).integers(1, 14))
    unbroken = [i for _, ids in take(15) for i in ids]
    broken = take(stop) + take(15 - stop, start=stop)
    resumed = [i for _, ids in broken for i in ids]
    for epoch in range(6):
        own = slice(epoch * 10, epoch * 10 + 10)
        assert collections.Counter(resumed[own]) == collections.Counter(unbroken[own])
        assert set(collections.Counter(resumed[own]).values()) == {1}


def test_worker_processes_change_nothing():
    assert_same(take(4, start=3), take(4, start=3, workers=2))
    assert not multiprocessing.active_children()  # they end with the caller


def test_an_error_in_a_worker_process_arrives_as_it_was(tmp_path):
    trees.write_camvid(tmp_path)
    data = source_lib.open("camvid/11", split="train", root=tmp_path)
    (tmp_path / "train/1.png").write_bytes(b"")
    with pytest.raises(errors.UserError, match=r"train/1\.png: not a readable image"):
        take(2, source=data, workers=1)


def test_seeds_and_epochs_differ():
    one, other = ([i for _, ids in take(5, seed=s) for i in ids] for s in (0, 1))
    assert one != other and one[:10] != one[10:]
    first = take(1, source=source(1), batch_size=1)[0][0]["image"]
    again = take(2, source=source(1), batch_size=1)[1][0]["image"]
    assert (first != again).any()  # the same example, drawn anew


def test_every_epoch_holds_every_example_once():
    ids = [i for _, ids in take(15) for i in ids]
    for epoch in range(6):
        assert sorted(ids[epoch * 10 : epoch * 10 + 10]) == sorted(map(str, range(10)))


@pytest.mark.parametrize("start", [0, 3])
def test_shards_together_are_the_whole_batch(start):
    whole = take(5, start=start)
    parts = [take(5, start=start, shard=(p, 2)) for p in range(2)]
    trees.assert_shards(whole, parts)


def test_threads_end_with_the_caller():
    before = threading.active_count()
    for _ in range(5):
        stream = pipeline.train_batches(
            source(), transforms=STEPS, batch_size=4, seed=0, fields=FIELDS
        )
        next(stream)
        stream.close()
    for thread in threading.enumerate():
        if thread.name.startswith("grain"):
            thread.join(timeout=5)
    assert threading.active_count() <= before


def test_far_positions_are_as_near_as_close_ones():
    (_, ids), *_ = take(1, start=10**9)
    assert len(ids) == 4


def test_boxes_that_no_task_uses_choose_no_crops():
    image = np.arange(144, dtype=np.uint8).reshape(12, 12, 1)
    box = {"boxes": np.float32([[0, 0, 8 / 12, 8 / 12]]), "box_labels": np.int32([0])}
    example = {"id": "a", "image": image} | box
    data = trees.in_memory([example], fields=("image", *box), mean=(0.0,), std=(1.0,))
    corners = {}
    for fields in (("image",), ("image", *box)):
        crops = take(40, source=data, fields=fields, transforms=STEPS[2:], batch_size=1)
        corners[len(fields)] = {int(batch["image"][0, 0, 0, 0]) for batch, _ in crops}
    # The box keeps the 8 x 8 window at the corner; without it, all 5 x 5 places occur.
    assert corners[3] == {0} and max(corners[1]) > 40


def test_bad_calls_explain_themselves():
    with pytest.raises(errors.UserError, match="batch_size=4 does not divide among 3"):
        take(1, shard=(0, 3))
    with pytest.raises(errors.UserError, match="has no depth; it has image, segm"):
        take(1, fields=("image", "depth"))
    mixed = trees.in_memory([source(1)[0], source(1, (9, 9))[0]])
    with pytest.raises(errors.UserError, match=r"image: .* shapes .*Fix: .*crop"):
        take(1, source=mixed, transforms=())


def test_an_error_in_a_thread_arrives_as_it_was():
    class Broken(trees.Examples):
        def _read(self, index):
            raise errors.UserError("a.png: not a readable image")

    good = source()
    broken = Broken(good.dataset, [1, 2, 3])
    with pytest.raises(errors.UserError, match=r"^a\.png: not a readable image$"):
        take(1, source=broken)
    stream = evaluated(broken, (8, 8), 2)
    with pytest.raises(errors.UserError, match=r"^a\.png: not a readable image$"):
        next(stream)


def evaluated(data, size, batch_size, shard=(0, 1)):
    return pipeline.eval_batches(
        data,
        normalize=Normalize(),
        size=size,
        batch_size=batch_size,
        fields=FIELDS,
        shard=shard,
    )


@pytest.mark.parametrize(("shards", "batch"), [(1, 4), (2, 4), (2, 8), (4, 8)])
def test_evaluation_counts_every_example_once(shards, batch):
    data = source(9)
    streams = [
        list(evaluated(data, (6, 8), batch, shard=(p, shards))) for p in range(shards)
    ]
    assert len({len(stream) for stream in streams}) == 1
    seen = collections.Counter()
    for part in itertools.chain(*streams):
        assert part["image"].shape == (batch // shards, 6, 8, 3)
        assert (part["segmentation"][~part["valid"]] == IGNORE).all()
        for labels in part["segmentation"][part["valid"]]:
            seen[labels[:12, :16].tobytes()] += 1
    wanted = collections.Counter(data[i]["segmentation"].tobytes() for i in range(9))
    assert seen == wanted


def test_evaluation_is_in_order_with_labels_at_their_own_size():
    mixed = [source(1)[0], source(1, (70, 40))[0], source(1, (8, 8))[0]]
    data = trees.in_memory(mixed)
    first, second = evaluated(data, (8, 8), 2)
    assert first["label_size"].tolist() == [[12, 16], [70, 40]]
    assert first["scaled"].tolist() == [[6, 8], [8, 5]]
    assert first["segmentation"].shape == (2, 128, 128)
    np.testing.assert_array_equal(
        first["segmentation"][1, :70, :40], mixed[1]["segmentation"]
    )
    assert (first["segmentation"][0, 12:] == IGNORE).all()
    assert second["segmentation"].shape == (2, 8, 8)  # the usual size of this set
    assert second["valid"].tolist() == [True, False]


def test_evaluation_normalizes_by_what_it_is_told():
    """Whatever the mean and std of the set itself; the canvas is filled with it."""
    example = source(1)[0]
    (batch,) = pipeline.eval_batches(
        trees.in_memory([example]),
        normalize=Normalize((100.0,) * 3, (50.0,) * 3),
        size=(12, 20),
        batch_size=1,
        fields=("image",),
    )
    (image,) = batch["image"]
    wanted = (example["image"].astype(np.float32) - 100) / 50
    np.testing.assert_allclose(image[:, :16], wanted, atol=1e-6)
    assert (image[:, 16:] == 0).all()


def test_common_label_sizes_are_few():
    found = [pipeline.common_size([(n, 9)], (64, 64)) for n in range(1, 2049)]
    assert {height for height, _ in found} == {128, 256, 512, 1024, 2048}
    assert all(height >= n for n, (height, _) in enumerate(found, 1))
    assert pipeline.common_size([(64, 64)] * 2, (64, 64)) == (64, 64)
    assert pipeline.common_size([(64, 64), (300, 64)], (64, 64)) == (512, 128)


def test_numbers_of_objects_are_few():
    sizes = {pipeline.round_up(n) for n in range(1, 2049)}
    assert sizes == {64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048}
    assert all(pipeline.round_up(n) >= n for n in range(1, 2049))


def test_of_too_many_objects_crowds_and_the_largest_are_kept():
    sides = np.linspace(0.1, 0.9, 5, dtype=np.float32)
    corner = np.zeros((5, 2), np.float32)
    example = {
        "boxes": np.concatenate([corner, np.stack([sides, sides], axis=1)], axis=1),
        "box_labels": np.arange(5, dtype=np.int32),
        "crowd": np.array([False, True, False, False, False]),
    }
    (kept,) = pipeline.pad_objects([example], limit=3)
    assert kept["box_labels"].tolist() == [1, 3, 4]
