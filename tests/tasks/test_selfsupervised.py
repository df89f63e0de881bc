"""SimCLR, reconstruction and ConRec: their parts by hand, and one training of each."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.losses import contrastive
from jaxseg.tasks import build, conrec, masking
from tests import tiny
from tests.tasks import pretexts

SHAPE = (6, 2, 40, 50, 3)  # images, views, height, width, channels
BACKBONE = {"name": "unet", "variant": "tiny"}
HEADS = {
    "simclr": {"projection": {"name": "projection", "hidden": [6]}},
    "reconstruction": {"reconstruction": {"name": "reconstruction", "targets": 1}},
    "conrec": {
        "projection": {"name": "projection", "hidden": [6]},
        "reconstruction": {"name": "reconstruction"},
    },
}
AUGMENT = [{"name": "flip"}, {"name": "random_resized_crop"}, {"name": "jitter"}]


def prepared():
    """A batch of ConRec."""
    rng = np.random.default_rng(0)
    image, clean = jnp.asarray(rng.normal(size=(2, *SHAPE)), jnp.float32)
    task = build.task({"name": "conrec"}, 3)
    return task, task.prepare({"image": image, "clean": clean}, jax.random.key(0))


def test_blocks():
    """Each image has its own, of one colour each, and the rest of it stays."""
    image = jnp.zeros(SHAPE)
    masked, mask = masking.blocks(jax.random.key(1), image)
    assert mask.shape == SHAPE[:-1]
    chex.assert_trees_all_equal(masked != 0, jnp.broadcast_to(mask[..., None], SHAPE))
    shares = np.asarray(mask.mean((2, 3))).ravel()
    low, high = (side**2 for side in masking.SIDES)
    assert len(set(shares)) == len(shares)
    assert 0.8 * low < shares.min() and shares.max() <= 1.3 * high * masking.BLOCKS
    colors = [np.unique(one.reshape(-1, 3), axis=0) for one in np.asarray(masked[:, 0])]
    assert all(1 < len(own) <= masking.BLOCKS + 1 for own in colors)
    assert all(np.abs(own).max() <= 2 for own in colors)


def test_a_block_is_as_large_as_said(monkeypatch):
    monkeypatch.setattr(masking, "BLOCKS", 1)
    monkeypatch.setattr(masking, "SIDES", (0.2, 0.2))
    monkeypatch.setattr(masking, "GO_ON", 1.0)
    _, mask = masking.blocks(jax.random.key(0), jnp.zeros((50, 40, 60, 3)))
    for one in np.asarray(mask):
        rows, columns = (np.flatnonzero(one.any(axis)) for axis in (1, 0))
        assert len(rows) == 8 and len(columns) == 12
        assert one.sum() == 96  # a rectangle
    corners = np.argwhere(np.asarray(mask).any(2))
    assert corners[:, 1].min() < 3 and corners[:, 1].max() > 36  # anywhere


def test_targets_of_conrec():
    _, batch = prepared()
    found, mask = conrec.targets(batch), np.asarray(batch["mask"])
    assert list(found) == ["whole", "colors", "mask", "blackened"]
    chex.assert_trees_all_equal(found["colors"], batch["clean"])
    assert (np.asarray(found["mask"]) == mask[..., None]).all()
    assert (np.asarray(found["blackened"])[mask] == conrec.BLACK).all()
    for name in ("whole", "blackened"):
        left = np.asarray(found[name])[~mask]
        chex.assert_trees_all_equal(left, np.asarray(batch["image"])[~mask])
    assert (np.asarray(found["whole"]) != np.asarray(batch["image"]))[mask].mean() > 0.9


def test_loss_of_conrec_is_the_sum_of_its_parts():
    task, batch = prepared()
    rng = np.random.default_rng(1)
    z = jnp.asarray(rng.normal(size=(SHAPE[0], 2, 128)), jnp.float32)
    made = jnp.asarray(rng.normal(size=(*SHAPE[:-1], 12)), jnp.float32)
    loss, logs = task.loss({"projection": z, "reconstruction": made}, batch)
    alike = float(contrastive.nt_xent(z, 0.5)[0].mean())
    parts = np.split(np.asarray(made), 4, axis=-1)
    targets = conrec.targets(batch).values()
    rebuilt = [np.mean((a - np.asarray(b)) ** 2) for a, b in zip(parts, targets)]
    assert logs["contrastive_loss"] == pytest.approx(alike, rel=1e-5)
    assert logs["reconstruction_mask"] == pytest.approx(rebuilt[2], rel=1e-5)
    assert loss == pytest.approx(alike + 2.5 * np.mean(rebuilt), rel=1e-5)


def test_rows_that_do_not_count():
    """Losses are those of the batch without them."""
    task, batch = prepared()
    rng = np.random.default_rng(1)
    outputs = {
        "projection": jnp.asarray(rng.normal(size=(6, 2, 128)), jnp.float32),
        "reconstruction": jnp.asarray(rng.normal(size=(*SHAPE[:-1], 12)), jnp.float32),
    }
    filled = batch | {"valid": jnp.arange(6) < 4}
    part = lambda tree: jax.tree.map(lambda x: x[:4], tree)
    chex.assert_trees_all_close(
        task.loss(outputs, filled), task.loss(part(outputs), part(batch)), rtol=1e-5
    )


def test_a_view_needs_others_to_be_told_from():
    section = tiny.train(
        data={"name": "worlds/driving_day", "count": 4, "augment": AUGMENT},
        task={"name": "simclr"},
        model={"backbone": BACKBONE, "heads": HEADS["simclr"]},
        batch_size=4,
        evaluations={},
    )
    for accumulate in (1, 2):
        tiny.plan({"stages": {"x": section | {"accumulate": accumulate}}})
    with pytest.raises(errors.UserError, match=r"found 4 in 4 parts.*needs 2 images"):
        tiny.plan({"stages": {"x": section | {"accumulate": 4}}})


@pytest.mark.parametrize(
    "name",
    [
        "simclr",
        pytest.param("reconstruction", marks=pytest.mark.slow),
        pytest.param("conrec", marks=pytest.mark.slow),
    ],
)
def test_a_training_and_what_starts_from_it(name, tmp_path):
    """Each learns on four images, is judged by its loss, and gives its encoder away."""
    pretext = tiny.train(
        data={"name": "worlds/driving_day", "count": 4, "augment": AUGMENT},
        task={"name": name},
        model={"backbone": BACKBONE, "heads": HEADS[name]},
        steps=12,
        batch_size=4,
        lr=0.01,
        run={"log_every": 1},
        evaluations={"validation": {"count": 3}},
    )
    model = {"backbone": BACKBONE, "head": {"name": "unet"}}
    losses, metrics = pretexts.trained(pretext, model, tmp_path)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    (metric,) = (m for m in metrics if m["headline"])
    assert metric["name"] == "loss" and 0 < metric["value"] < 100
