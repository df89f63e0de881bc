import jax.numpy as jnp
import numpy as np

from jaxseg.data.normalization import Normalize
from jaxseg.evals import predictor
from jaxseg.tasks import build
from tests import tiny

TASK = {"name": "segmentation", "ignored": []}


def made(num_outputs=6, model=tiny.MODEL, task=TASK, size=(64, 64)):
    return predictor.Predictor(model, dict(task), num_outputs, size, Normalize())


def test_equal_predictors_share_programs():
    first, other = made()._program("network", tiny.MODEL), made(7)
    copy = {"head": dict(tiny.MODEL["head"]), "backbone": tiny.MODEL["backbone"]}
    assert made(model=copy)._program("network", copy) is first
    assert other._program("network", tiny.MODEL) is not first
    decode = made()._program("decode", None, False, (64, 64))
    assert made(size=(32, 32))._program("decode", None, False, (64, 64)) is decode
    assert made()._program("decode", None) is not decode


def test_the_head_is_named_after_the_task():
    model, task = build.network(tiny.MODEL, TASK, 6)
    assert set(model.heads) == {task.name} == {"segmentation"}
    assert task.num_outputs == 6


def test_logits_are_resized_before_the_class_is_chosen(monkeypatch):
    """Not class ids afterwards: a stand-in network gives logits on a 2x2 canvas."""
    canvas = np.array([[[[3, 0, 2.2], [0, 3, 2.2]]] * 2])[0][None].astype(np.float32)

    class Network:
        def apply(self, variables, image, train, head):
            assert head == "segmentation" and train is False
            return jnp.asarray(canvas)

    built = build.task(TASK, 3)
    monkeypatch.setattr(build, "network", lambda *parts: (Network(), built))
    predictor._program.cache_clear()
    try:
        batch = {
            "image": np.zeros((1, 2, 2, 3), np.float32),
            "segmentation": np.zeros((1, 5, 6), np.int32),
            "scaled": np.array([[2, 2]]),
            "label_size": np.array([[5, 6]]),
            "valid": np.array([True]),
        }
        predictions, counts = made(3, {}, size=(2, 2)).run({}, [batch], (5, 6))
    finally:
        predictor._program.cache_clear()
    expected = enlarge(canvas[0], 5, 6).argmax(axis=-1)
    np.testing.assert_array_equal(predictions[0], expected)
    assert counts.sum() == 30
    assert (expected != enlarge_ids(canvas[0])).any()


def test_an_image_smaller_than_a_canvas_of_the_size_of_its_labels(monkeypatch):
    """Labels of 64x64 are padded to 128x128, which is the canvas here as well."""

    class Network:
        def apply(self, variables, image, train, head):
            return image

    built = build.task(TASK, 3)
    monkeypatch.setattr(build, "network", lambda *parts: (Network(), built))
    predictor._program.cache_clear()
    try:
        image = np.zeros((64, 64, 3), np.uint8)
        image[:, :32, 0] = image[:, 32:, 1] = 255
        (answer,) = made(3, {"canvas": 128}, size=(128, 128))({}, [image])
    finally:
        predictor._program.cache_clear()
    assert answer.shape == (64, 64)
    assert (answer[:, :30] == 0).all() and (answer[:, 34:] == 1).all()


def enlarge(values, height, width):
    """Bilinear with aligned pixel centres, written out."""
    out = np.zeros((height, width, values.shape[-1]))
    for row in range(height):
        for col in range(width):
            y = np.clip((row + 0.5) * 2 / height - 0.5, 0, 1)
            x = np.clip((col + 0.5) * 2 / width - 0.5, 0, 1)
            top = values[0, 0] * (1 - x) + values[0, 1] * x
            bottom = values[1, 0] * (1 - x) + values[1, 1] * x
            out[row, col] = top * (1 - y) + bottom * y
    return out


def enlarge_ids(values):
    """What resizing the chosen classes would give."""
    rows, cols = np.arange(5) * 2 // 5, np.arange(6) * 2 // 6
    return values.argmax(axis=-1)[np.ix_(rows, cols)]
