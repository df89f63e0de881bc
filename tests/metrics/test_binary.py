import jax
import numpy as np
import pytest

from jaxseg.metrics import binary

BINARY = binary.Binary()
UPDATE = jax.jit(BINARY.update)


def update(predictions, labels, valid=None):
    """Of images of one row of pixels."""
    labels = np.array(labels, np.int32)[:, None]
    valid = labels != 65535 if valid is None else np.array(valid)[:, None]
    return UPDATE(np.array(predictions, np.int32)[:, None], labels, valid)


def values(*counts):
    state = BINARY.zeros()
    for one in counts:
        state = BINARY.merge(state, one)
    assert state.dtype == np.int64
    return BINARY.compute(state, ("background", "chair"))


def test_by_hand():
    counts = update(
        [[1, 1, 1, 0, 0], [0, 0, 0, 1, 1]], [[1, 0, 0, 1, 0], [0, 0, 0, 1, 1]]
    )
    assert counts.tolist() == [[1, 2, 1, 1], [2, 0, 0, 3]]
    assert values(counts) == pytest.approx(
        dict(
            iou_pooled=3 / 6,
            dice_pooled=6 / 9,
            pixel_accuracy=7 / 10,
            iou_per_image=(1 / 4 + 1) / 2,
            dice_per_image=(2 / 5 + 1) / 2,
            pixel_accuracy_per_image=(2 / 5 + 1) / 2,
        )
    )


def test_pixel_accuracy_is_of_foreground_and_background():
    found = values(update([[0, 0, 0, 0]], [[0, 0, 0, 1]]))
    assert found["pixel_accuracy"] == found["pixel_accuracy_per_image"] == 0.75
    assert found["iou_pooled"] == found["dice_per_image"] == 0.0


def test_nothing_there_and_nothing_predicted_is_right():
    empty = update([[0, 0]], [[0, 0]])
    assert set(values(empty).values()) == {1.0}
    half = update([[1, 1]], [[1, 0]])
    found = values(empty, half)
    assert found["iou_per_image"] == (1 + 1 / 2) / 2
    assert found["iou_pooled"] == 1 / 2  # the empty image has no say


def test_something_predicted_where_nothing_is():
    found = values(update([[1, 0]], [[0, 0]]))
    assert found["iou_per_image"] == found["dice_per_image"] == 0.0


def test_pixel_accuracy_over_images_of_unlike_valid_pixels():
    found = values(
        update([[1, 1, 1, 1], [0, 0, 0, 0]], [[1, 65535, 65535, 65535], [1] * 4])
    )
    assert found["pixel_accuracy"] == 1 / 5
    assert found["pixel_accuracy_per_image"] == 1 / 2


def test_pixels_that_are_not_valid_count_nowhere():
    counts = update([[1, 1, 0, 0]], [[1, 65535, 0, 1]], [[True, False, True, False]])
    assert counts.tolist() == [[1, 0, 0, 1]]


def test_pooled_dice_follows_from_pooled_iou():
    rng = np.random.default_rng(0)
    found = values(UPDATE(*rng.integers(0, 2, (2, 5, 8, 8)), np.ones((5, 8, 8), bool)))
    iou = found["iou_pooled"]
    assert found["dice_pooled"] == pytest.approx(2 * iou / (1 + iou))
    assert found["dice_per_image"] != pytest.approx(found["dice_pooled"])


def test_batches_their_order_and_rows_that_fill_up_change_nothing():
    rng = np.random.default_rng(1)
    guess, labels = rng.integers(0, 2, (2, 7, 4, 4))
    valid = np.ones((7, 4, 4), bool)
    whole = values(UPDATE(guess, labels, valid))
    parts = [UPDATE(*(x[i : i + 3] for x in (guess, labels, valid))) for i in (0, 3, 6)]
    assert values(*parts) == values(*map(np.asarray, parts)) == whole
    assert values(*reversed(parts)) == pytest.approx(whole, abs=1e-15)
    more = [np.concatenate([x, x[:2]]) for x in (guess, labels, valid)]
    more[2][7:] = False
    assert values(UPDATE(*more)) == whole


@pytest.mark.parametrize("name", binary.NAMES)
def test_the_floor_is_the_better_of_two_constant_answers(name):
    rng = np.random.default_rng(2)
    labels = (rng.random((6, 9)) < rng.random((6, 1))).astype(int)
    labels[0], labels[1, :4] = 0, 65535
    state = BINARY.merge(BINARY.zeros(), update(rng.integers(0, 2, (6, 9)), labels))
    constants = [values(update(np.full((6, 9), k), labels))[name] for k in (0, 1)]
    assert BINARY.floor(state, name) == pytest.approx(max(constants))
    assert BINARY.floor(BINARY.zeros(), name) is None


def test_an_empty_set():
    assert (
        values() == values(update([[1]], [[65535]])) == dict.fromkeys(binary.NAMES, 0.0)
    )
