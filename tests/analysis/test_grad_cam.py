import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import grad_cam, tools
from jaxseg.core import arrays, binding, errors, jsonl
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.normalization import Normalize
from jaxseg.models import model as models
from jaxseg.tasks import build
from jaxseg.transfer import artifact
from jaxseg.transfer import run as runs
from tests import tiny

NAME, LABELLED = "worlds/driving_day", "worlds/scenes_places"
CLASSES = jnp.array([2, 0])


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_a_linear_head_in_closed_form():
    """Of a mean over 4 x 6 cells the gradient is the weight / 24 in each of them."""
    maps, weights = drawn(2, 4, 6, 5), drawn(5, 3, seed=1)
    found = grad_cam.cam(maps, lambda x: x.mean((1, 2)) @ weights, CLASSES)
    expected = jnp.einsum("bhwc,cb->bhw", maps, weights[:, CLASSES]) / 24
    np.testing.assert_allclose(found, jnp.maximum(expected, 0), rtol=1e-4, atol=1e-6)
    assert 0 < np.count_nonzero(found) < found.size


def test_a_nonlinear_head_by_finite_differences():
    """The mean gradient of a channel is what the logit gains where all its cells do."""
    maps, weights = drawn(2, 3, 3, 4), drawn(36, 3, seed=1)
    head = lambda x: jnp.tanh(0.2 * x.reshape(len(x), -1) @ weights)
    step, alpha = 1e-2, np.zeros((2, 4))
    for channel in range(4):
        bump = step * jnp.eye(4)[None, None, channel : channel + 1]
        rise = (head(maps + bump) - head(maps - bump)) / (2 * step)
        alpha[:, channel] = rise[jnp.arange(2), CLASSES] / 9
    expected = np.maximum(np.einsum("bhwc,bc->bhw", maps, alpha), 0)
    found = grad_cam.cam(maps, head, CLASSES)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-4)
    assert np.count_nonzero(found)


def test_shares_by_hand():
    heat = np.array([[2.0, 1.0, 1.0, 6.0]])
    mask = np.array([[3, 0, 0, IGNORE]])
    assert grad_cam.shares(heat, mask) == (0.5, 1 / 3)
    assert grad_cam.shares(heat, mask, background=3) == (0.5, 2 / 3)
    assert grad_cam.shares(0 * heat, mask) == (None, 1 / 3)
    assert grad_cam.shares(heat, np.full((1, 4), IGNORE)) == (None, None)


class Model:
    """A classifier of three classes by the mean colour: its map is the image."""

    folder, preprocessing, multiple, head = "artifacts/x", {}, 40, "classification"

    def __init__(
        self, weights=((1, 0, 0), (0, 1, 0), (-9, -9, -9)), task="classification"
    ):
        self.weights = jnp.array(weights, jnp.float32).T
        self.manifest = {"outputs": {"classification": 3}}
        self.objective = build.task({"name": task}, 3)
        normalize = Normalize((100.0, 90.0, 80.0), (50.0, 40.0, 30.0))
        self.prediction = {"normalize": normalize, "size": (64, 96)}

    def features(self, image):
        assert image.shape[1:] == (80, 120, 3)  # padded
        return image[..., :1], image

    def from_maps(self, maps, size):
        assert len(maps) == 2 and size == (80, 120)
        return maps[-1].mean((1, 2)) @ self.weights


def run(model, name=NAME, count=3, **fields):
    data = {"name": name, "split": "validation"}
    spec = {"name": "grad_cam", "data": data, "count": count, **fields}
    spec = binding.bind(grad_cam.Spec, section=spec, where="")
    source = source_lib.open(name, split="validation", count=20)
    return grad_cam.run({"model": model}, spec, tools.Tools({"data": source})), source


def test_rows_and_pictures():
    """The map is the chosen channel where it is above the mean, as large as the image:
    its left 64 columns of the canvas.
    """
    (rows, found), source = run(Model(), count=18, pictures=2)
    assert [row["image"] for row in rows] == list(range(18))  # in two batches
    assert {row["label"] for row in rows} == {None}
    assert found["images"].shape == (2, 64, 96, 3) and found["maps"].shape == (
        2,
        64,
        96,
    )
    assert found["maps"].dtype == np.float32 and found["images"].dtype == np.uint8
    normalize = Model().prediction["normalize"]
    for number in (0, 1):
        image, mask = source[number]["image"], source[number]["segmentation"]
        np.testing.assert_array_equal(found["images"][number, :, :64], image)
        seen = normalize(image)
        predicted = int(np.argmax(seen.mean((0, 1))[:2]))
        assert rows[number]["predicted"] == predicted
        expected = np.maximum(seen[..., predicted], 0)
        heat = found["maps"][number]
        np.testing.assert_allclose(heat[:, :64], expected / expected.max(), atol=1e-5)
        assert not heat[:, 64:].any()
        objects = mask > 0
        inside = expected[objects].sum() / expected.sum()
        assert rows[number]["inside"] == pytest.approx(inside, rel=1e-4)
        assert rows[number]["chance"] == pytest.approx(objects.mean())


def test_a_class_without_gradient():
    (rows, found), _ = run(Model(weights=np.zeros((3, 3))))
    assert not found["maps"].any()
    assert all(row["inside"] is None and 0 < row["chance"] < 1 for row in rows)


def test_the_label_in_place_of_the_prediction():
    """Every image is predicted to be of class 0."""
    red = Model(weights=[(1, 0, 0)] * 9)
    (rows, maps), _ = run(red, LABELLED, count=8)
    assert {row["predicted"] for row in rows} == {0} != {row["label"] for row in rows}
    assert {(row["inside"], row["chance"]) for row in rows} == {(None, None)}
    (_, same), _ = run(red, LABELLED, count=8, of="label")
    np.testing.assert_array_equal(maps["maps"], same["maps"])
    (_, other), _ = run(Model(weights=[*np.eye(3)] * 3), LABELLED, count=8, of="label")
    assert not np.array_equal(maps["maps"], other["maps"])


def test_what_it_is_not_for():
    with pytest.raises(errors.UserError, match="trained for segmentation"):
        run(Model(task="segmentation"))
    with pytest.raises(errors.UserError, match=r"of: found 'label'.*has no label"):
        run(Model(), of="label")
    few = Model(weights=((1, 0, 0),))
    with pytest.raises(errors.UserError, match=r"the label \d, allowed: 0 to 0"):
        run(few, LABELLED, count=8, of="label")
    untrained = Model()
    untrained.preprocessing = None
    with pytest.raises(errors.UserError, match="no trained head"):
        run(untrained)


@pytest.mark.parametrize(
    "backbone, head",
    [
        ("unet", {"name": "pooled"}),
        ("unet", {"name": "classifier", "width": 4}),
        ("vgg", {"name": "vgg", "width": 8}),
    ],
)
def test_logits_of_maps_are_those_of_the_image(backbone, head):
    section = {"backbone": {"name": backbone, "variant": "tiny"}, "head": head}
    network = models.build_model(section, head_outputs={"classification": 3})
    variables = models.init(network, (64, 64, 3), seed=0)
    image = drawn(2, 64, 64, 3)

    @jax.jit
    def both(image):
        *others, deepest = network.apply(variables, image, method="features")

        def head(x):
            return network.apply(variables, (*others, x), (64, 64), method="from_maps")

        expected = network.apply(variables, image, train=False)
        return head(deepest), expected, grad_cam.cam(deepest, head, CLASSES)

    logits, expected, heat = both(image)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert np.isfinite(heat).all() and heat.max() > 0


@pytest.mark.slow
def test_a_trained_model(tmp_path):
    """Trained for one step; its maps through a run, and the head on them alone."""
    data = {"name": LABELLED, "count": 4}
    model = {"backbone": {"name": "unet", "variant": "tiny"}}
    source = tiny.train(
        data=data,
        task={"name": "classification"},
        model=model | {"head": {"name": "pooled"}},
        steps=1,
    )
    analysis = {"name": "grad_cam", "data": {"name": NAME, "count": 3}}
    cam = {"kind": "measure", "parents": {"model": "source"}, "analysis": analysis}
    stages = {"source": source, "cam": cam}
    outcome = runs.run({"stages": stages}, tmp_path)
    assert outcome.ok, outcome.errors
    folders = {
        name: tmp_path / "artifacts" / stage.short
        for name, stage in tiny.plan({"stages": stages}).by_name.items()
    }
    rows = jsonl.read(folders["cam"] / "rows.jsonl")
    assert len(rows) == 3 and all(0 < row["chance"] < 1 for row in rows)
    found = arrays.read(folders["cam"] / arrays.FILE)
    assert found["maps"].shape == (3, 64, 64) and np.isfinite(found["maps"]).all()

    own = artifact.load(folders["source"])
    image = drawn(1, 64, 64, 3)
    maps = own.features(image)
    np.testing.assert_allclose(
        own.from_maps(maps, (64, 64)), own.logits(image), rtol=1e-5, atol=1e-6
    )
    with pytest.raises(errors.UserError, match=r"size: found \[62, 64\]"):
        own.from_maps(maps, (62, 64))
    backbone = types.SimpleNamespace(class_map=True, multiple=16)
    own.__dict__["model"] = types.SimpleNamespace(backbone=backbone)
    with pytest.raises(errors.UserError, match="reads a class token"):
        own.from_maps(maps, (64, 64))
