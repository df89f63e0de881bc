import jax.numpy as jnp
import numpy as np

from jaxseg.metrics import classification, metric


def update(predictions, labels, valid):
    return classification.Accuracy().update(
        jnp.array(predictions), jnp.array(labels), jnp.array(valid)
    )


def test_right_and_all_of_the_valid_rows():
    counts = update([1, 2, 0, 3], [1, 0, 0, 3], [True, True, True, False])
    assert counts.tolist() == [2, 3]


def test_divided_once_at_the_end():
    accuracy = classification.Accuracy()
    counts = accuracy.zeros()
    for batch in (update([1], [1], [True]), update([0, 0, 0], [1, 1, 0], [True] * 3)):
        counts = metric.merge(counts, batch)
    assert counts.dtype == np.int64
    assert accuracy.compute(counts, ("a", "b")) == {"top1": 0.5}  # not (1 + 1/3) / 2


def test_an_empty_set():
    accuracy = classification.Accuracy()
    assert accuracy.compute(accuracy.zeros(), ()) == {"top1": 0.0}
