"""Several draws of one record, and its image before colors change."""

import contextlib
import itertools

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import colors, draws, mixing, pipeline, transforms
from jaxseg.data.dataset import IGNORE
from jaxseg.data.normalization import Normalize
from tests.data import trees

MOVED = (transforms.Flip(), transforms.Rescale(), transforms.Crop(8, 8))
STEPS = (*MOVED, colors.Blur(), colors.Jitter())
FIELDS = ("image", "segmentation")
SEED = 3


def source(count=5, offset=0):
    rng = np.random.default_rng(offset)
    examples = [
        {
            "id": str(offset + i),
            "image": rng.integers(0, 256, (12, 16, 3), np.uint8),
            "segmentation": rng.integers(0, 3, (12, 16)).astype(np.int32),
        }
        for i in range(count)
    ]
    return trees.in_memory(examples)


def take(count, **options):
    given = dict(transforms=STEPS, batch_size=4, seed=SEED, fields=FIELDS)
    with contextlib.closing(pipeline.train_batches(source(), **given | options)) as it:
        return list(itertools.islice(it, count))


def drawn(steps, example, *seed):
    """(image, labels) of one example by a generator of this seed."""
    rng = np.random.default_rng(seed)
    facts = source().dataset
    for step in transforms.fuse([step.for_dataset(facts) for step in steps]):
        example = step(example, rng)
    image = (example["image"].astype(np.float32) - 100) / 50
    return image, example["segmentation"]


def test_the_first_view_is_the_only_one_and_the_others_have_seeds_of_their_own():
    number, one_view = 0, take(2)
    for (batch, ids), (alone, alone_ids) in zip(take(2, views=3), one_view):
        assert batch["image"].shape == (4, 3, 8, 8, 3) and ids == alone_ids
        assert batch["segmentation"].shape == (4, 3, 8, 8)
        for row, name in enumerate(ids):
            for field in FIELDS:
                np.testing.assert_array_equal(batch[field][row, 0], alone[field][row])
            example = dict(source()[int(name)])
            for view in (1, 2):
                image, labels = drawn(STEPS, example, SEED, number, 0, view)
                np.testing.assert_allclose(batch["image"][row, view], image, atol=1e-5)
                np.testing.assert_array_equal(batch["segmentation"][row, view], labels)
            number += 1
        views = np.moveaxis(batch["image"], 1, 0)
        assert not any(
            np.array_equal(a, b) for a, b in itertools.combinations(views, 2)
        )


def test_the_clean_image_moves_with_its_view_and_keeps_its_colors():
    ((batch, ids),) = take(1, views=2, clean=True)
    assert batch["clean"].shape == batch["image"].shape
    assert batch["clean"].dtype == np.float32
    for row, name in enumerate(ids):
        for view, rest in enumerate([(), (0, 1)]):
            image, _ = drawn(MOVED, dict(source()[int(name)]), SEED, row, *rest)
            np.testing.assert_allclose(batch["clean"][row, view], image, atol=1e-5)
    assert np.abs(batch["clean"] - batch["image"]).max() > 0.1
    ((alone, _),) = take(1, clean=True)
    np.testing.assert_array_equal(alone["clean"], batch["clean"][:, 0])


def test_a_rotated_clean_image_stays_with_its_own():
    steps = (transforms.Rotate(), transforms.Crop(8, 8))
    ((batch, _),) = take(1, transforms=steps, clean=True)
    np.testing.assert_array_equal(batch["clean"], batch["image"])


def test_views_of_mixed_sets_differ_between_the_sets():
    """Source 1 would else repeat as its first view what source 0 has as its second."""
    both = (source(), source())
    batches = mixing.numbered(
        both,
        (1, 1),
        transforms=STEPS,
        batch_size=4,
        seed=SEED,
        fields=FIELDS,
        unit="example",
        views=2,
    )
    batch, _ = batches(0)
    assert batch["image"].shape == (4, 2, 8, 8, 3) and set(batch["source"]) == {0, 1}
    draw = [
        draws.Draw.of(one, STEPS, (SEED, k), FIELDS, 2) for k, one in enumerate(both)
    ]
    views = np.concatenate([one.of_record(0, 7)["image"] for one in draw])
    assert len({view.tobytes() for view in views}) == 4


def test_every_example_once_with_its_own_views():
    draw = draws.Draw.of(source(), STEPS, (0,), FIELDS, views=2, normalize=Normalize())
    once = lambda: list(pipeline.once(draw, batch_size=2))
    batches = once()
    assert [batch["valid"].tolist() for batch in batches] == [
        [True, True],
        [True, True],
        [True, False],
    ]
    assert (batches[2]["segmentation"][1] == IGNORE).all()
    wanted = draw.of_record(3, 3)["image"].astype(np.float32)
    np.testing.assert_array_equal(batches[1]["image"][1], wanted)
    for batch, again in zip(batches, once(), strict=True):
        np.testing.assert_array_equal(batch["image"], again["image"])
    parts = [list(pipeline.once(draw, batch_size=2, shard=(p, 2))) for p in (0, 1)]
    for whole, *rows in zip(batches, *parts, strict=True):
        joined = np.concatenate([row["image"] for row in rows])
        np.testing.assert_array_equal(joined, whole["image"])


def test_what_has_no_views_is_refused():
    boxes = {"boxes": np.zeros((1, 4), np.float32), "box_labels": np.zeros(1, np.int32)}
    data = trees.in_memory([dict(source()[0]) | boxes], fields=("image", *boxes))
    with pytest.raises(
        errors.UserError, match="found 2 views with fields image, boxes"
    ):
        draws.Draw.of(data, STEPS, (0,), ("image", "boxes"), 2)
    with pytest.raises(errors.UserError, match="found 0 views"):
        draws.Draw.of(source(), STEPS, (0,), FIELDS, 0)
    with pytest.raises(errors.UserError, match=r"image: .* shapes .*Fix: .*crop"):
        take(1, transforms=(transforms.Rescale(),), views=2)
