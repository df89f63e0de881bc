import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.metrics import classification, metric


def update(predictions, labels, valid):
    return classification.Accuracy(4).update(
        jnp.array(predictions), jnp.array(labels), jnp.array(valid)
    )


def test_right_and_all_of_the_valid_rows():
    counts = update([1, 2, 0, 3], [1, 0, 0, 3], [True, True, True, False])
    assert counts.tolist() == [2, 3, 2, 1, 0, 0]


def test_divided_once_at_the_end():
    accuracy = classification.Accuracy(4)
    counts = accuracy.zeros()
    for batch in (update([1], [1], [True]), update([0, 0, 0], [1, 1, 0], [True] * 3)):
        counts = metric.add(counts, batch)
    assert counts.dtype == np.int64
    assert accuracy.compute(counts, ("a", "b")) == {"top1": 0.5}  # not (1 + 1/3) / 2
    assert accuracy.floor(counts, "top1") == 3 / 4  # of 1, 1, 1, 0


def test_an_empty_set():
    accuracy = classification.Accuracy(4)
    assert accuracy.compute(accuracy.zeros(), ()) == {"top1": 0.0}
    assert accuracy.floor(accuracy.zeros(), "top1") is None


def multi_label(*batches, classes=("a", "b")):
    metric_ = classification.MultiLabel(len(classes))
    state = metric_.zeros()
    for scores, labels, *valid in batches:
        rows = dict(
            scores=np.array(scores, np.float32),
            labels=np.array(labels, np.int32),
            valid=np.array(valid[0] if valid else [True] * len(scores)),
        )
        state = metric_.merge(state, rows)
    return metric_.compute(state, classes)


SCORES = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
LABELS = [[1, 1], [0, 0], [1, 0], [0, 1]]
EXPECTED = {"map/a": (1 + 2 / 3) / 2, "map/b": (1 + 2 / 4) / 2}


def test_average_precision_by_hand():
    found = multi_label((SCORES, LABELS))
    mean = sum(EXPECTED.values()) / 2
    assert found == pytest.approx(EXPECTED | {"map": mean})


def test_unknown_labels_are_left_out_of_their_class():
    labels = [[1, 1], [-1, 0], [1, -1], [0, 1]]
    found = multi_label((SCORES, labels))
    assert found["map/a"] == 1.0 and found["map/b"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_class_without_positives_is_left_out():
    found = multi_label((SCORES, [[1, 0], [0, -1], [0, 0], [0, 0]]))
    assert found == {"map": 1.0, "map/a": 1.0}


def test_equal_scores_are_ranked_in_list_order():
    scores = [[0.5]] * 3
    for labels, ap in (([1, 0, 0], 1.0), ([0, 1, 0], 1 / 2), ([0, 0, 1], 1 / 3)):
        batch = (scores, [[label] for label in labels])
        assert multi_label(batch, classes=("a",))["map"] == pytest.approx(ap)


def test_batches_and_rows_that_fill_up_change_nothing():
    whole = multi_label((SCORES, LABELS))
    parts = [(SCORES[:3], LABELS[:3]), ([*SCORES[3:], [9, 9]], [*LABELS[3:], [0, 0]])]
    parts[1] = (*parts[1], [True, False])
    assert multi_label(*parts) == multi_label(*reversed(parts)) == whole


def test_the_floor_of_several_labels_is_how_often_they_are_there():
    counter = classification.MultiLabel(3)
    labels = [[1, 0, 0], [1, 0, -1], [1, 1, 0], [0, 0, 0]]  # the last never occurs
    rows = {"scores": np.zeros((4, 3), np.float32), "labels": np.array(labels)}
    state = counter.merge(counter.zeros(), rows | {"valid": np.ones(4, bool)})
    assert counter.floor(state, "map") == (3 / 4 + 1 / 4) / 2
    assert counter.floor(counter.zeros(), "map") is None


def test_average_precision_of_an_empty_set():
    assert multi_label() == multi_label((SCORES, [[0, 0]] * 4)) == {"map": 0.0}


def test_average_precision_is_the_sum_over_thresholds():
    rng = np.random.default_rng(0)
    scores, labels = rng.permutation(200)[:, None] / 200, rng.integers(0, 2, (200, 1))
    expected, recall = 0.0, 0.0
    for threshold in np.sort(scores.ravel())[::-1]:
        chosen = labels[scores >= threshold]
        now = chosen.sum() / labels.sum()
        expected += (now - recall) * chosen.mean()
        recall = now
    found = multi_label((scores, labels), classes=("a",))
    assert found["map"] == pytest.approx(expected)
