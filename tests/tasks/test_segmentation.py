import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import dataset
from jaxseg.tasks import segmentation

FACTS = dataset.Dataset(
    fields=("image", "segmentation"),
    domain="own",
    splits={"train": 1},
    version=1,
    classes=("a", "rest", "c"),
    background=1,
)
# Probabilities of the true class: 1/4, 1/2, 1/4 for labels 0, 1, 2.
LOGITS = jnp.asarray(np.log(np.array([[[[1, 2, 1]] * 3]], np.float32)))
LABELS = jnp.asarray([[[0, 1, 2]]])


def loss(labels, ignored=()):
    built = segmentation.build(3, ignored=ignored)
    return built.loss(LOGITS, {"segmentation": labels})[0]


def test_the_mean_is_over_valid_pixels():
    assert float(loss(LABELS)) == pytest.approx((np.log(4) + np.log(2) + np.log(4)) / 3)
    void = jnp.array([[[0, 1, 255]]])
    assert float(loss(void)) == pytest.approx((np.log(4) + np.log(2)) / 2)


def test_ignored_classes_are_not_in_the_loss_but_in_the_metric():
    value = loss(LABELS, ignored=(1,))
    assert float(value) == pytest.approx(np.log(4))
    built = segmentation.build(3, ignored=(1,))
    counts = built.update(built.decode(LOGITS), {"segmentation": LABELS})
    assert counts.tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_no_gradient_at_ignored_void_or_unknown_pixels():
    labels = jnp.array([[[1, 255, 2]]])

    def value(logits):
        built = segmentation.build(3, ignored=(1,))
        return built.loss(logits, {"segmentation": labels})[0]

    gradient = np.asarray(jax.jit(jax.grad(value))(LOGITS))
    assert (gradient[0, 0, :2] == 0).all() and (gradient[0, 0, 2] != 0).all()


def test_labels_outside_the_classes_do_not_count():
    labels = jnp.array([[[0, 7, -1]]])
    assert float(loss(labels)) == pytest.approx(np.log(4))
    built = segmentation.build(3)
    assert (
        built.update(jnp.ones((1, 1, 3), jnp.int32), {"segmentation": labels}).sum()
        == 1
    )


def test_background_is_the_data_sets_own():
    section = {"name": "segmentation", "ignored": "background"}
    assert segmentation.resolve(section, FACTS)["ignored"] == [1]
    without = dataclasses.replace(FACTS, background=None)
    assert segmentation.resolve(section, without)["ignored"] == []
    listed = {"name": "segmentation", "ignored": [0, 2]}
    assert segmentation.resolve(listed, FACTS) == listed


@pytest.mark.parametrize("ignored", ["backgroud", "1", [3], [-1], ["a"]])
def test_other_values_of_ignored_are_refused(ignored):
    with pytest.raises(errors.UserError, match=r"ignored: found .* from 0 to 2"):
        segmentation.resolve({"ignored": ignored}, FACTS)


def test_equal_numbers_of_classes_are_equal_tasks():
    """Data sets share programs: names of classes are no part of a task."""
    assert segmentation.build(3) == segmentation.build(3)
    assert segmentation.build(3) != segmentation.build(4)
    assert segmentation.build(3) != segmentation.build(3, ignored=(0,))
