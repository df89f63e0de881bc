import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import binding, errors
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
    void = jnp.array([[[0, 1, 65535]]])
    assert float(loss(void)) == pytest.approx((np.log(4) + np.log(2)) / 2)


def test_ignored_classes_are_neither_in_the_loss_nor_in_the_metric():
    value = loss(LABELS, ignored=(1,))
    assert float(value) == pytest.approx(np.log(4))
    built = segmentation.build(3, ignored=(1,))
    counts = built.update(built.decode(LOGITS), {"segmentation": LABELS})
    assert counts.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    known = built.metric().compute(np.array(counts, np.int64), ("a", "b", "c"))
    assert set(known) == {"miou", "pixel_accuracy", "iou/a", "iou/c"}
    assert built.counting(FACTS, None) == ("without background",)
    assert segmentation.build(3, uncounted=(0, 2)).counting(FACTS, None) == (
        "without a and c",
    )


def test_what_the_metric_counts_can_be_said():
    built = segmentation.build(3, ignored=(1,), uncounted=())
    counts = built.update(built.decode(LOGITS), {"segmentation": LABELS})
    assert counts.tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert built.counting(FACTS, None) == ()


def test_no_gradient_at_ignored_void_or_unknown_pixels():
    labels = jnp.array([[[1, 65535, 2]]])

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


def resolved(facts=FACTS, **options):
    section = {"name": "segmentation"} | options
    given = {"num_outputs": 1}
    bound = binding.bind(
        segmentation.build, section=section, where="x", given=given, named=True
    )
    return segmentation.resolve(bound, facts)


def test_background_is_the_data_sets_own():
    assert resolved(ignored="background")["ignored"] == [1]
    without = dataclasses.replace(FACTS, background=None)
    assert resolved(without, ignored="background")["ignored"] == []
    assert resolved(ignored=[0, 2])["ignored"] == [0, 2]


def test_the_metric_follows_the_loss_unless_told():
    assert resolved()["uncounted"] == []
    assert resolved(ignored="background")["uncounted"] == [1]
    assert resolved(ignored="background", uncounted=[])["uncounted"] == []
    assert resolved(uncounted="background")["uncounted"] == [1]
    assert resolved(uncounted="background")["ignored"] == []


@pytest.mark.parametrize("found", ["backgroud", "1", [3], [-1]])
@pytest.mark.parametrize("name", ["ignored", "uncounted"])
def test_other_classes_to_drop_are_refused(name, found):
    with pytest.raises(errors.UserError, match=name + r": found .* from 0 to 2"):
        resolved(**{name: found})


def test_class_weights_by_name_and_number():
    assert resolved(class_weights={"a": 0.1})["class_weights"] == [0.1, 1.0, 1.0]
    assert resolved(class_weights=[1, 2, 3])["class_weights"] == [1.0, 2.0, 3.0]
    assert resolved(class_weights="auto")["class_weights"] == "auto"


@pytest.mark.parametrize(
    "found", [{"aa": 1.0}, [1.0], [0.0] * 3, [1.0, 1.0, -1.0], "atuo"]
)
def test_other_class_weights_are_refused(found):
    with pytest.raises(errors.UserError, match="task/class_weights"):
        resolved(class_weights=found)


def test_auto_weights_are_measured_on_training_pixels():
    labels = np.array([[0, 0, 0, 0], [1, 2, 2, 65535]])
    source = [{"segmentation": labels}]
    found = segmentation.build(3, class_weights="auto").measured(source)
    assert found == {"class_weights": [0.5, 2.0, 1.0]}  # median 2 pixels
    found = segmentation.build(3, ignored=(1,), class_weights="auto").measured(source)
    assert found["class_weights"] == [0.75, 1.0, 1.5]
    assert segmentation.build(3).measured(source) == {}
    built = segmentation.build(3, **found)
    assert built.criterion.class_weights == (0.75, 1.0, 1.5)


TWO = dataclasses.replace(FACTS, classes=("ground", "figure"), background=None)


def test_binary_decides_outputs_loss_and_metric():
    section = resolved(TWO, binary=True)
    options = {key: value for key, value in section.items() if key != "name"}
    built = segmentation.build(1, **options)
    assert built.outputs(TWO) == 1 and built.headline == "iou_pooled"
    logits = jnp.array([[[[2.0], [-1.0], [3.0], [-4.0]]]])
    batch = {"segmentation": jnp.array([[[1, 1, 0, 65535]]])}
    expected = np.log(1 + np.exp([-2.0, 1.0, 3.0])).mean()
    assert float(built.loss(logits, batch)[0]) == pytest.approx(expected, rel=1e-6)
    predictions = built.decode(logits)
    assert predictions.tolist() == [[[1, 0, 1, 0]]]
    assert (built.decode(built.scores(logits)) == predictions).all()
    rows = built.rows(built.update(predictions, batch), predictions, batch)
    state = built.metric().merge(built.metric().zeros(), rows)
    values = built.metric().compute(state, TWO.classes)
    assert values["iou_pooled"] == pytest.approx(1 / 3)
    assert values["pixel_accuracy"] == pytest.approx(1 / 3)


def test_binary_of_three_classes_is_refused():
    with pytest.raises(errors.UserError, match=r"task/binary: the data have 3 classes"):
        resolved(binary=True)


def test_the_headline_is_a_metric_of_the_task():
    assert segmentation.build(3, headline="pixel_accuracy").headline == "pixel_accuracy"
    assert segmentation.build(1, binary=True, headline="dice_per_image")
    for binary, name in ((False, "iou_pooled"), (True, "miou")):
        with pytest.raises(errors.UserError, match="task/headline"):
            segmentation.build(1, binary=binary, headline=name)


def test_equal_numbers_of_classes_are_equal_tasks():
    """Data sets share programs: names of classes are no part of a task."""
    assert segmentation.build(3) == segmentation.build(3)
    assert segmentation.build(3) != segmentation.build(4)
    assert segmentation.build(3) != segmentation.build(3, ignored=(0,))
