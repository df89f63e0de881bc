"""Detection, keypoints and depth: from labels to loss, predictions and metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import catalogue, dataset
from jaxseg.metrics.keypoints import default_sigmas
from jaxseg.tasks import depth, detection, keypoints, targets

CANVAS, MAP = (64, 96), (16, 24)
BOXES = np.array([[0.1, 0.2, 0.4, 0.5], [0.5, 0.5, 0.9, 0.8]], np.float32)
POINTS = np.array(
    [
        [[0.15, 0.3, 2], [0.3, 0.4, 1], [0, 0, 0]],
        [[0.6, 0.6, 2], [0.8, 0.7, 2], [0.7, 0.55, 2]],
    ],
    np.float32,
)


def batch(size=CANVAS, scaled=CANVAS, **changes):
    """Two images: two objects and an empty slot, then nothing."""
    boxes, points = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 3, 3), np.float32)
    boxes[0, :2], points[0, :2] = BOXES, POINTS
    return {
        "image": np.zeros((2, *CANVAS, 3), np.float32),
        "scaled": np.array([scaled, scaled], np.int32),
        "label_size": np.array([size, size], np.int32),
        "valid": np.array([True, True]),
        "boxes": boxes,
        "box_labels": np.array([[1, 0, -1], [-1, -1, -1]], np.int32),
        "keypoints": points,
    } | changes


def on_map(values, aim, cells="cells", valid="valid"):
    """A map with each object's values at its cell."""
    maps = np.zeros((2, *MAP, values.shape[-1]), np.float32)
    for where in zip(*np.nonzero(np.asarray(aim[valid]))):
        row, column = np.asarray(aim[cells])[where]
        maps[where[0], row, column] = np.asarray(values)[where]
    return jnp.asarray(maps)


def logits(heat):
    return jnp.where(heat == 1, 9.0, -9.0)


def perfect(truth, labels=None):
    """What a perfect keypoint head would give for a batch in training."""
    boxes, points = jnp.asarray(truth["boxes"]), jnp.asarray(truth["keypoints"])
    labels = jnp.asarray(truth["box_labels"] if labels is None else labels)
    aim = targets.encode_keypoints(boxes, jnp.minimum(labels, 0), points, MAP)
    classes = targets.encode_boxes(boxes, labels, MAP, 2)
    flat = aim["allocation"].reshape(2, 3, -1)
    out = {name: on_map(aim[name], aim) for name in ("offset", "size")}
    out["allocation"] = on_map(flat, aim)
    out["point_offset"] = on_map(aim["point_offset"], aim, "point_cells", "point_valid")
    one = {"heat": logits(aim["heat"]), "points": logits(aim["points"])}
    return out | one, out | {"heat": logits(classes["heat"])}


def measure(task, outputs, truth):
    found = jax.device_get(task.decode(outputs))
    metric = task.metric()
    state = metric.merge(metric.zeros(), task.rows(None, found, truth))
    return metric.compute(state, ("a", "b"))


@pytest.mark.slow
def test_a_perfect_detector():
    task, truth = detection.build(2), batch()
    outputs = perfect(truth)[1]
    values = measure(task, outputs, truth)
    assert values["map"] == pytest.approx(1) and values["ap50"] == pytest.approx(1)
    loss, parts = task.loss(outputs, {k: jnp.asarray(x) for k, x in truth.items()})
    assert parts["offset_loss"] == 0 and parts["size_loss"] == 0 and loss < 0.05


@pytest.mark.slow
def test_perfect_keypoints():
    task, truth = keypoints.build(3), batch()
    outputs = perfect(truth)[0]
    values = measure(task, outputs, truth)
    assert values["ap50"] == pytest.approx(1) and values["ap"] == pytest.approx(1)
    loss, parts = task.loss(outputs, {k: jnp.asarray(x) for k, x in truth.items()})
    assert parts["allocation_loss"] == 0 and parts["point_offset_loss"] == 0
    assert loss < 0.1


def test_predictions_are_in_the_pixels_of_the_image():
    """The image lies in the top left of the canvas, twice as small as it is."""
    task, truth = detection.build(2), batch(size=(96, 150), scaled=(48, 75))
    wide = truth["boxes"] * np.tile([48 / 64, 75 / 96], 2).astype(np.float32)
    outputs = perfect(truth | {"boxes": wide})[1]
    found = task.at_image(jax.device_get(task.decode(outputs)), truth)
    best = np.argmax(found["scores"][0])
    expected = BOXES * np.tile([96, 150], 2)
    assert np.abs(found["boxes"][0, best] - expected).max(axis=1).min() < 0.01
    assert measure(task, outputs, truth)["ap50"] == pytest.approx(1)
    shown = task.as_fields({k: x[0] for k, x in found.items()}, (96, 150))
    assert shown["boxes"].max() <= 1 and len(shown["boxes"]) == 2


def value_and_grad(task, outputs, truth):
    truth = {k: jnp.asarray(x) for k, x in truth.items()}
    return jax.value_and_grad(lambda o: task.loss(o, truth)[0])(outputs)


NOTHING = {"box_labels": np.full((2, 3), -1, np.int32)}
BAD = {
    "nothing": NOTHING,
    "not a number": {"boxes": np.full((2, 3, 4), np.nan, np.float32)},
    "no area": {"boxes": np.full((2, 3, 4), 0.5, np.float32)},
    "outside": {"boxes": np.full((2, 3, 4), 1.5, np.float32)},
    "unknown class": {"box_labels": np.full((2, 3), dataset.IGNORE, np.int32)},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD)
def test_where_nothing_is_known_nothing_is_learnt_of_boxes(kind):
    outputs = {k: x + 0.1 for k, x in perfect(batch())[1].items()}
    loss, grad = value_and_grad(detection.build(2), outputs, batch(**BAD[kind]))
    assert jnp.isfinite(loss)
    assert not grad["offset"].any() and not grad["size"].any()
    assert jnp.isfinite(grad["heat"]).all()
    outputs = {k: x + 0.1 for k, x in perfect(batch())[0].items()}
    loss, grad = value_and_grad(keypoints.build(3), outputs, batch(**BAD[kind]))
    assert jnp.isfinite(loss) and jnp.isfinite(grad["points"]).all()
    assert not grad["allocation"].any() and not grad["point_offset"].any()


def test_crowds_are_neither_objects_nor_background():
    crowd = np.array([[True, False, False], [False] * 3])
    outputs = perfect(batch())[1]
    _, grad = value_and_grad(detection.build(2), outputs, batch(crowd=crowd))
    rows, columns = slice(3, 6), slice(6, 11)  # well inside the crowd's box
    assert not grad["heat"][0, rows, columns].any()
    assert grad["heat"][0, 10:].any()


def test_peaks_in_a_crowd_are_learnt_and_nothing_beside_them():
    """What the sums are divided by counts them, so the sums have to hold them."""
    everywhere = np.array([[0, 0, 1, 1]], np.float32)
    truth = batch(crowd=np.array([[False, False, True], [False] * 3]))
    truth["boxes"][0, 2], truth["box_labels"][0, 2] = everywhere, 0
    flat = {"offset": 2, "size": 2, "point_offset": 2, "allocation": 6}
    outputs = {k: jnp.zeros((2, *MAP, n)) for k, n in flat.items()}
    outputs |= {"heat": jnp.zeros((2, *MAP, 2)), "points": jnp.zeros((2, *MAP, 3))}
    boxes, points = (jnp.asarray(truth[k]) for k in ("boxes", "keypoints"))
    labels = jnp.asarray([[1, 0, -1], [-1, -1, -1]])
    aim = targets.encode_keypoints(boxes, jnp.minimum(labels, 0), points, MAP)
    classes = targets.encode_boxes(boxes, labels, MAP, 2)
    _, grad = value_and_grad(detection.build(2), outputs, truth)
    peaks = np.asarray(classes["heat"] == 1)
    assert peaks.sum() == 2
    # d -(1 - p)^2 log p / dx = 2 p (1 - p)^2 log p - (1 - p)^3, here at p = 1/2.
    slope = -(np.log(2) / 4 + 1 / 8)
    np.testing.assert_allclose(grad["heat"][0], slope / 2 * peaks[0], rtol=1e-6)
    outputs["heat"] = outputs["heat"][..., :1]
    _, grad = value_and_grad(keypoints.build(3), outputs, truth)
    peaks = np.asarray(aim["points"] == 1)
    assert peaks.sum() == 5
    np.testing.assert_allclose(grad["points"][0], slope / 5 * peaks[0], rtol=1e-6)


def test_objects_without_keypoints():
    """Ignored in a set of one class, background in one of many."""
    points = batch()["keypoints"].copy()
    points[0, 0, :, 2] = 0
    truth = batch(keypoints=points)
    outputs = perfect(batch())[0]
    inside = (slice(3, 6), slice(6, 11))
    for rule, silent in (("ignored", True), ("background", False)):
        task = keypoints.build(3, pointless=rule)
        _, grad = value_and_grad(task, outputs, truth)
        assert (not grad["heat"][0][inside].any()) == silent
        rows = task.rows(None, jax.device_get(task.decode(outputs)), truth)
        assert rows["crowd"][0, 0] == silent and not rows["crowd"][0, 1]
        assert (rows["true_labels"][0, 0] >= 0) == silent


def test_what_a_data_set_is_judged_by():
    facts = catalogue.find("worlds/driving_day")
    base = {"name": "detection"} | dict.fromkeys(("protocol", "headline", "nms"))
    resolved = detection.resolve(base, facts)
    assert resolved["headline"] == "ap50" and resolved["protocol"] == "coco"
    base = {"name": "depth", "maximum": None}
    assert depth.resolve(base, facts)["maximum"] == 50.0
    assert depth.resolve(base | {"maximum": 9.0}, facts)["maximum"] == 9.0
    assert keypoints.build(1).outputs(facts) == 6 and depth.build(1).outputs(facts) == 1


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"protocol": "coca"}, "found 'coca', allowed: coco, voc, voc07"),
        ({"protocol": "voc", "headline": "map"}, "found 'map', voc has ap50_voc"),
    ],
)
def test_options_that_do_not_exist(fields, text):
    with pytest.raises(errors.UserError, match=text):
        detection.build(2, **fields)


def test_depth_learns_only_where_it_is_known():
    task = depth.build(1, maximum=50.0)
    truth = np.full((2, 4, 4), 10.0, np.float32)
    truth[0, 0], truth[0, 1], truth[1, 0, 0] = 0, 80, np.nan
    found = jnp.full((2, 4, 4, 1), 12.0)
    data = {"depth": jnp.asarray(truth)}
    (loss, parts), grad = jax.value_and_grad(
        lambda x: task.loss(x, data), has_aux=True
    )(found)
    assert parts["absolute_loss"] == 2 and parts["smooth_loss"] == 0 and loss == 2
    assert not grad[0, :2].any() and not grad[1, 0, 0].any() and grad[0, 2:].any()
    metric = task.metric()
    counts = task.update(task.decode(found), data | {"valid": jnp.ones(2, bool)})
    values = metric.compute(metric.merge(metric.zeros(), counts), ())
    assert values["rmse"] == pytest.approx(2) and values["delta1"] == 1.0
    nothing = {"depth": jnp.zeros((2, 4, 4))}
    loss, grad = jax.value_and_grad(lambda x: task.loss(x, nothing)[0])(found)
    assert loss == 0 and not grad.any()


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, ()),
        ({"boxes": 100}, ()),
        ({"nms": 0.3}, ("NMS 0.3",)),
        ({"boxes": 5}, ("up to 5 predictions an image",)),
        ({"protocol": "voc", "nms": 0.5}, ("VOC, all points", "NMS 0.5")),
    ],
)
def test_the_protocol_says_what_boxes_are_counted(options, words):
    facts = catalogue.find("coco/boxes80")
    assert detection.build(3, **options).counting(facts, []) == words


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, ()),
        ({"sigmas": list(default_sigmas(17))}, ()),
        ({"sigmas": [0.1] * 17}, ("sigmas 0.1",)),
        ({"sigmas": [0.1, 0.2]}, ("sigmas 0.1 0.2",)),
        ({"pointless": "background"}, ("objects without keypoints not there",)),
        ({"objects": 3}, ("up to 3 predictions an image",)),
    ],
)
def test_the_protocol_says_what_keypoints_are_counted(options, words):
    facts = catalogue.find("coco/person17")
    assert keypoints.build(17, **options).counting(facts, []) == words


def test_an_area_that_only_crowds_lack_matters_to_keypoints_alone():
    image = {"crowd": np.array([False, True]), "area": np.float32([5, 0])}
    facts, found = (
        catalogue.find("coco/person17"),
        [image, {"crowd": np.zeros(0, bool)}],
    )
    assert detection.build(3).counting(facts, found) == ()
    words = "OKS by 0.53 of the areas of boxes where the data have none"
    assert keypoints.build(17).counting(facts, found) == (words,)
