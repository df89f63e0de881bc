"""SimMIM by hand, and a training of it; dropout of the ViT it trains."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.models import freezing, layers, stacking
from jaxseg.models import model as models
from jaxseg.tasks import build, simmim
from tests import tiny
from tests.tasks import pretexts

VIT = {"name": "vit", "variant": "tiny", "patch": 8, "mask_token": True}
MODEL = {"backbone": VIT, "head": {"name": "simmim"}}


def prepared(shape=(3, 32, 48, 3)):
    image = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    task = build.task({"name": "simmim", "patch": 8}, 3)
    return task, task.prepare({"image": image}, jax.random.key(0))


@pytest.mark.parametrize(
    "shape, patch, ratio, masked",
    [
        ((4, 32, 48), 8, 0.5, 12),
        ((4, 32, 48), 16, 0.5, 3),
        ((4, 24, 24), 8, 0.5, 5),  # rounded up
        ((2, 16, 16), 8, 0.01, 1),
        ((2, 16, 16), 8, 0.99, 3),
    ],
)
def test_as_many_whole_patches_in_each_image(shape, patch, ratio, masked):
    mask = np.asarray(simmim.patches(jax.random.key(0), shape, patch, ratio))
    assert mask.shape == shape
    cells = mask.reshape(len(mask), shape[1] // patch, patch, shape[2] // patch, patch)
    assert (cells.all((2, 4)) == cells.any((2, 4))).all()
    assert (cells.all((2, 4)).sum((1, 2)) == masked).all()


def test_images_have_masks_of_their_own_and_every_patch_its_turn():
    mask = simmim.patches(jax.random.key(0), (400, 16, 32), 8, 0.5)[:, ::8, ::8]
    assert len({bytes(np.asarray(one)) for one in mask}) > 50
    np.testing.assert_allclose(np.asarray(mask).mean(0), 0.5, atol=0.1)


def test_a_side_that_is_no_multiple_of_the_patch():
    mask = simmim.patches(jax.random.key(0), (2, 20, 30), 8, 0.5)
    assert mask.shape == (2, 20, 30)
    assert (np.asarray(mask[:, ::8, ::8]).sum((1, 2)) == 6).all()


def test_loss_by_hand():
    """Mean absolute error of masked pixels alone."""
    task, batch = prepared()
    mask = np.asarray(batch["mask"])
    chex.assert_trees_all_equal(batch["image"][~mask], batch["whole"][~mask])
    assert (np.asarray(batch["image"])[mask] == 0).all()
    outputs = batch["whole"] + jnp.where(batch["mask"][..., None], 0.25, 100.0)
    loss, logs = task.loss(outputs, batch)
    np.testing.assert_allclose(loss, 0.25, rtol=1e-5)
    expected = np.abs(np.asarray(batch["whole"])[mask]).mean()
    np.testing.assert_allclose(logs["mean_color"], expected, rtol=1e-5)


def test_rows_that_do_not_count():
    task, batch = prepared()
    outputs = jnp.ones_like(batch["whole"])
    part = lambda tree: jax.tree.map(lambda x: x[:2], tree)
    chex.assert_trees_all_close(
        task.loss(outputs, batch | {"valid": jnp.arange(3) < 2}),
        task.loss(part(outputs), part(batch)),
        rtol=1e-5,
    )


def test_what_lies_below_a_mask_is_not_seen():
    task, batch = prepared((2, 64, 64, 3))
    model = models.build_model(MODEL, head_outputs=task.heads)
    variables = models.init(model, (64, 64, 3), seed=0)
    seen = task.predict(model, variables, batch, jax.random.key(0))
    below = jnp.where(batch["mask"][..., None], 7.0, batch["image"])
    other = task.predict(model, variables, batch | {"image": below}, jax.random.key(0))
    chex.assert_trees_all_equal(seen, other)
    beside = jnp.where(batch["mask"][..., None], batch["image"], 7.0)
    third = task.predict(model, variables, batch | {"image": beside}, jax.random.key(0))
    assert float(jnp.abs(seen - third).max()) > 1e-3


@pytest.mark.parametrize(
    "task, model, message",
    [
        ({}, {"mask_token": False}, r"backbone: found no mask_token.*mask_token=True"),
        ({"patch": 16}, {}, r"task/patch: found 16, allowed: 8"),
        ({"ratio": 1.0}, {}, r"ratio: found 1.0"),
    ],
)
def test_a_network_that_cannot_mask_is_refused_in_the_plan(task, model, message):
    section = tiny.train(
        task={"name": "simmim", "patch": 8} | task,
        model=MODEL | {"backbone": VIT | model},
        evaluations={},
    )
    with pytest.raises(errors.UserError, match=message):
        tiny.plan({"stages": {"x": section}})


@pytest.mark.slow
def test_a_training_and_what_starts_from_it(tmp_path):
    """It learns, is judged by its loss with fixed masks, and gives its encoder away."""
    pretext = tiny.train(
        task={"name": "simmim", "patch": 8},
        model=MODEL,
        steps=30,
        batch_size=4,
        lr=0.003,
        optimizer={"name": "adamw"},
        run={"log_every": 1},
        evaluations={"validation": {"count": 3}},
    )
    model = {"backbone": VIT, "head": {"name": "simmim"}}
    losses, metrics = pretexts.trained(pretext, model, tmp_path)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    (metric,) = (m for m in metrics if m["headline"])
    (filled,) = (m["value"] for m in metrics if m["name"] == "mean_color")
    assert metric["name"] == "loss" and 0 < metric["value"] < 0.97 * filled
    assert metric["protocol"] == "mean loss, 1 view drawn as in training"


def dropping(rate, depth=3):
    section = {"backbone": VIT | {"dropout": rate, "depth": depth}}
    model = models.build_model(section | {"head": {"name": "simmim"}},
                               head_outputs={"a": 3})  # fmt: skip
    return model, models.init(model, (64, 64, 3), seed=0)


@pytest.mark.slow
def test_dropout_draws_in_training_alone():
    model, variables = dropping(0.5)
    image = jnp.asarray(np.random.default_rng(0).normal(size=(2, 64, 64, 3)))

    def run(key=None):
        options = {"train": key is not None}
        options |= {} if key is None else {"rngs": {"dropout": jax.random.key(key)}}
        return model.apply(variables, image, **options)

    plain, same = dropping(0.0)
    chex.assert_trees_all_equal(run(), plain.apply(same, image, train=False))
    chex.assert_trees_all_equal(run(1), run(1))
    assert float(jnp.abs(run(1) - run(2)).max()) > 1e-3
    assert float(jnp.abs(run(1) - run()).max()) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, True])
def test_each_block_drops_other_values(stacked, monkeypatch):
    """In a loop over the blocks too: traced once, drawn each time."""
    model, variables = dropping(0.5)
    drawn = []
    original = jax.random.bernoulli

    def noted(key, *rest):
        jax.debug.callback(
            lambda data: drawn.append(data.tolist()), jax.random.key_data(key)
        )
        return original(key, *rest)

    monkeypatch.setattr(jax.random, "bernoulli", noted)
    if stacked:
        loops = [("backbone", ("block0", "block1", "block2"))]
        variables = stacking.stack(variables, loops)
    jax.clear_caches()
    model.apply(
        variables, jnp.zeros((1, 64, 64, 3)), train=True,
        rngs={"dropout": jax.random.key(0)},
    )  # fmt: skip
    jax.effects_barrier()
    assert len(drawn) == 1 + 3 * 3 and len({tuple(one) for one in drawn}) == 10


@pytest.mark.slow
def test_a_frozen_block_drops_nothing(monkeypatch):
    model, variables = dropping(0.5)
    drawn = []
    original = jax.random.bernoulli
    monkeypatch.setattr(
        jax.random, "bernoulli", lambda *a: drawn.append(a) or original(*a)
    )
    scales = jax.tree.map(lambda x: 1.0, variables["params"])
    for name in ("block0", "block1"):
        frozen = scales["backbone"][name]
        scales["backbone"][name] = jax.tree.map(lambda x: 0.0, frozen)
    jax.clear_caches()
    with freezing.evaluating(freezing.modules(scales)):
        model.apply(
            variables, jnp.zeros((1, 64, 64, 3)), train=True,
            rngs={"dropout": jax.random.key(0)},
        )  # fmt: skip
    assert len(drawn) == 1 + 3


def test_dropout_keeps_the_mean():
    x = layers.dropped(jnp.ones(100_000), 0.3, jax.random.key(0))
    np.testing.assert_allclose(x.mean(), 1, atol=0.01)
    np.testing.assert_allclose((x == 0).mean(), 0.3, atol=0.01)
