import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data.dataset import IGNORE
from jaxseg.tasks import classification

LOGITS = jnp.asarray(np.log(np.array([[1, 3], [1, 3], [2, 2]], np.float32)))


def test_loss_and_top1_by_hand():
    built = classification.build(2)
    loss, logs = built.loss(LOGITS, {"label": jnp.array([1, 0, 0])})
    expected = -(np.log(3 / 4) + np.log(1 / 4) + np.log(1 / 2)) / 3
    assert float(loss) == pytest.approx(expected)
    assert float(logs["top1"]) == pytest.approx(2 / 3)  # of equals the first is taken


def test_unknown_labels_and_padding_do_not_count():
    built = classification.build(2)
    batch = {"label": jnp.array([1, 65535, 0]), "valid": jnp.array([True, True, False])}
    loss, logs = built.loss(LOGITS, batch)
    assert float(loss) == pytest.approx(-np.log(3 / 4))
    assert float(logs["top1"]) == 1.0
    assert built.update(built.decode(LOGITS), batch).tolist() == [1, 1, 0, 1]


def test_it_predicts_one_class_an_image():
    assert classification.build(2).decode(LOGITS).tolist() == [1, 1, 0]
    assert not classification.build(2).dense


def test_smoothed_labels():
    loss, _ = classification.build(2, label_smoothing=0.2).loss(
        LOGITS[:1], {"label": jnp.array([1])}
    )
    expected = -0.9 * np.log(3 / 4) - 0.1 * np.log(1 / 4)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_several_labels_per_image():
    built = classification.build(2, multilabel=True)
    logits = jnp.array([[2.0, -1.0], [0.5, 3.0], [1.0, 1.0]])
    valid = np.array([True, True, False])
    batch = {"labels": np.array([[1, 0], [-1, 1], [0, 0]]), "valid": valid}
    loss, _ = built.loss(logits, {k: jnp.asarray(x) for k, x in batch.items()})
    expected = np.log(1 + np.exp([-2.0, -1.0, -3.0])).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    predictions = built.decode(logits)
    assert built.update(predictions, batch) is None
    rows = built.rows(None, predictions, batch)
    state = built.metric().merge(built.metric().zeros(), rows)
    found = built.metric().compute(state, ("a", "b"))
    assert found == {"map": 1.0, "map/a": 1.0, "map/b": 1.0}
    assert built.headline in found
    assert built.as_fields(predictions[0], (1, 1))["labels"].tolist() == [1, 0]


@pytest.mark.parametrize("smoothing, multilabel", [(1.0, False), (0.1, True)])
def test_smoothing_that_cannot_be(smoothing, multilabel):
    with pytest.raises(errors.UserError, match="task/label_smoothing"):
        classification.build(2, multilabel=multilabel, label_smoothing=smoothing)


def test_an_image_mixed_with_one_of_unknown_class_counts_nowhere():
    built = classification.build(2)
    batch = {
        "label": jnp.array([1, 0, 1]),
        "other_label": jnp.array([0, -1, IGNORE]),
        "mix": jnp.full(3, 0.3),
    }
    loss, logs = built.loss(LOGITS, batch)
    one, other = built.loss(LOGITS[:1], {k: x[:1] for k, x in batch.items()})
    assert float(loss) == pytest.approx(float(one), rel=1e-6)
    assert float(logs["top1"]) == float(other["top1"])
