import jax.numpy as jnp
import numpy as np
import pytest

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
    batch = {"label": jnp.array([1, 255, 0]), "valid": jnp.array([True, True, False])}
    loss, _ = built.loss(LOGITS, batch)
    assert float(loss) == pytest.approx(-np.log(3 / 4))
    assert built.update(built.decode(LOGITS), batch).tolist() == [1, 1]


def test_it_predicts_one_class_an_image():
    assert classification.build(2).decode(LOGITS).tolist() == [1, 1, 0]
    assert not classification.build(2).dense
