"""The loss of many classes by bands of rows, against all of it at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import enlarged, ops
from jaxseg.models import model as models
from jaxseg.tasks import segmentation

RNG = np.random.default_rng(5)
CLASSES = enlarged.MANY + 1
SIZE = (30, 24)  # the last band is not full
MAPS = RNG.normal(size=(2, 8, 5, CLASSES)).astype(np.float32) * 2
LABELS = RNG.integers(0, CLASSES, (2, *SIZE)).astype(np.int32)
LABELS[0, 25:] = LABELS[1, :3] = 255  # the 256th class is one of them
LABELS[:, 4:6] = -1
WEIGHTS = tuple(np.linspace(0.1, 2, CLASSES).tolist())
HEADS = ("fcn", "pspnet", "deeplabv3", "linear", "ocrnet", "unet")


def loss_and_gradient(task, outputs, batch):
    def value(maps):
        return task.loss(outputs(maps), batch)

    batch = jax.tree.map(jnp.asarray, batch)
    (loss, logs), gradient = jax.jit(jax.value_and_grad(value, has_aux=True))(MAPS)
    return float(loss), {k: float(x) for k, x in logs.items()}, np.asarray(gradient)


def small(maps):
    return enlarged.Enlarged(maps, SIZE, SIZE)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_weights": WEIGHTS},
        {"label_smoothing": 0.1, "class_weights": WEIGHTS},
        {"losses": {"cross_entropy": 1.0, "focal": 0.5}, "ignored": (3,)},
        {"losses": {"cross_entropy": 1.0, "dice": 1.0}, "dice_per_image": True},
        {"ohem": 0.5, "ohem_keep": 10},
        {"losses": {"lovasz": 1.0}},
    ],
)
def test_loss_and_gradient_are_those_of_whole_logits(options):
    task = segmentation.build(CLASSES, **options)
    batch = {"segmentation": LABELS, "valid": np.array([True, True])}
    whole = loss_and_gradient(task, lambda x: ops.resize_bilinear(x, SIZE), batch)
    loss, logs, gradient = loss_and_gradient(task, small, batch)
    assert loss == pytest.approx(whole[0], rel=1e-5) and whole[0] > 0.1
    assert logs == pytest.approx(whole[1], rel=1e-5)
    scale = np.abs(whole[2]).max()
    np.testing.assert_allclose(gradient, whole[2], atol=2e-5 * scale)


def test_coarse_logits_too_and_a_part_of_a_batch():
    task = segmentation.build(CLASSES)
    batch = {"segmentation": jnp.asarray(LABELS)}
    totals = task.totals(batch)
    both = lambda x: tuple(small(jnp.asarray(y)) for y in (x, x * 0.5))
    wide = lambda x: tuple(y.whole() for y in both(x))
    part = {"segmentation": batch["segmentation"][:1]}
    for made, given in ((batch, None), (part, totals)):
        rows = len(made["segmentation"])
        first = task.loss(both(MAPS[:rows]), made, given)
        second = task.loss(wide(MAPS[:rows]), made, given)
        np.testing.assert_allclose(first[0], second[0], rtol=1e-5)
        assert first[1].keys() == second[1].keys()


def test_nothing_valid_is_a_loss_of_zero_with_finite_gradients():
    batch = {"segmentation": np.full_like(LABELS, -1)}
    loss, _, gradient = loss_and_gradient(segmentation.build(CLASSES), small, batch)
    assert loss == 0 and not gradient.any()


def test_what_padding_added_is_cut():
    image, padded = (2, 28, 21, 3), (2, *SIZE, 3)
    cut = models.crop({"a": small(jnp.asarray(MAPS))}, padded, image)["a"]
    whole = ops.resize_bilinear(jnp.asarray(MAPS), SIZE)[:, :28, :21]
    np.testing.assert_array_equal(cut.whole(), whole)
    labels, task = jnp.asarray(LABELS[:, :28, :21]), segmentation.build(CLASSES)
    first, second = (task.loss(x, {"segmentation": labels})[0] for x in (cut, whole))
    np.testing.assert_allclose(first, second, rtol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_heads_of_many_classes_give_small_maps_in_training_alone(head):
    def shapes(classes, train):
        section = {"backbone": {"name": "unet", "variant": "tiny"}}
        section["head"] = {"name": head}
        model = models.build_model(section, head_outputs={"segmentation": classes})
        images = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
        variables = jax.eval_shape(lambda: models.init(model, (64, 64, 3), 0))
        rngs = {"dropout": jax.random.key(0)} if train else None
        call = lambda v, x: model.apply(
            v, x, train=train, rngs=rngs, mutable=["batch_stats"]
        )[0]
        return jax.eval_shape(call, variables, images)

    first = lambda outputs: outputs[0] if isinstance(outputs, tuple) else outputs
    assert first(shapes(CLASSES, train=False)).shape == (2, 64, 64, CLASSES)
    assert first(shapes(21, train=True)).shape == (2, 64, 64, 21)
    many = first(shapes(CLASSES, train=True))
    if head in ("linear", "ocrnet", "unet"):  # this backbone has maps of full size
        assert many.shape == (2, 64, 64, CLASSES)
    else:
        assert isinstance(many, enlarged.Enlarged) and many.shown == (64, 64)
        assert many.maps.shape[1] < 64


def test_the_memory_is_that_of_bands():
    """Whole logits and their gradient alone are two times 64 MiB here."""
    task, size = segmentation.build(1024), (128, 128)
    maps = jax.ShapeDtypeStruct((1, 16, 16, 1024), jnp.float32)
    labels = jax.ShapeDtypeStruct((1, *size), jnp.int32)

    def temporary(outputs):
        value = lambda maps, labels: task.loss(outputs(maps), {"segmentation": labels})
        step = jax.jit(jax.grad(value, has_aux=True))
        analysis = step.lower(maps, labels).compile().memory_analysis()
        return analysis.temp_size_in_bytes / 2**20

    whole = temporary(lambda x: ops.resize_bilinear(x, size))
    banded = temporary(lambda x: enlarged.Enlarged(x, size, size))
    assert whole > 128 and banded < 32, (whole, banded)
