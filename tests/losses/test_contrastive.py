"""NT-Xent against values worked by hand, finite differences and other devices."""

import json
import math
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxseg.losses import contrastive
from tests.hosts import processes

BATCH, TEMPERATURE = 8, 0.5


def drawn(count=BATCH):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(count, 2, 5)), jnp.float32)


def mean(z, **more):
    return jnp.mean(contrastive.nt_xent(z, TEMPERATURE, **more)[0])


def test_by_hand():
    """Views on the axes of a plane: cosines 1, 0 and -1, whatever their lengths."""
    z = jnp.array([[[3.0, 0], [0.5, 0]], [[0, 2.0], [-1.0, 0]]])
    losses, hits = contrastive.nt_xent(z, temperature=0.5)
    e = math.exp
    first = math.log(e(2) + e(0) + e(-2)) - 2  # partner 1, the others 0 and -1
    right = math.log(e(0) + e(0) + e(0)) - 0
    left = math.log(e(-2) + e(-2) + e(0)) - 0
    np.testing.assert_allclose(losses, [[first, first], [right, left]], rtol=1e-6)
    assert hits[0].tolist() == [True, True] and hits[1, 1]


@pytest.mark.parametrize("size", [1e-5, 1e5])
def test_lengths_do_not_matter(size):
    assert mean(size * drawn()) == pytest.approx(float(mean(drawn())), rel=1e-5)


def test_that_of_optax():
    """Which takes the views of an image to be rows of one label."""
    import optax

    z = drawn()
    unit = z / jnp.linalg.norm(z, axis=-1, keepdims=True)
    labels = jnp.repeat(jnp.arange(BATCH), 2)
    rows = unit.reshape(2 * BATCH, -1)
    expected = optax.losses.ntxent(rows, labels, temperature=TEMPERATURE)
    assert mean(z) == pytest.approx(float(expected), rel=1e-5)


def test_gradient():
    z, step = drawn(3), 1e-2
    slopes = np.zeros(z.shape)
    for place in np.ndindex(z.shape):
        by = lambda size, place=place: float(mean(z.at[place].add(size)))
        slopes[place] = (by(step) - by(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(mean)(z), slopes, rtol=1e-2, atol=1e-4)


def test_rows_that_do_not_count_are_nobody():
    z, valid = drawn(), jnp.arange(BATCH) < 5
    losses, hits = contrastive.nt_xent(z, TEMPERATURE, valid)
    alone, _ = contrastive.nt_xent(z[:5], TEMPERATURE)
    chex.assert_trees_all_close(losses[:5], alone, rtol=1e-6)
    assert not losses[5:].any() and not hits[5:].any()
    spoilt = jnp.where(valid[:, None, None], z, jnp.nan)
    gradient = jax.grad(lambda z: mean(z, valid=valid))(spoilt)
    assert jnp.isfinite(gradient).all() and not gradient[5:].any()


@pytest.mark.parametrize("z", [jnp.zeros((3, 2, 4)), drawn(1)])
def test_no_value_is_undefined(z):
    """Embeddings of 0, and one image alone, whose views find each other."""
    loss, gradient = jax.value_and_grad(mean)(z)
    assert jnp.isfinite(loss) and jnp.isfinite(gradient).all()
    assert loss == pytest.approx(math.log(2 * len(z) - 1), abs=1e-6)


def test_the_same_on_one_and_on_four_devices(tmp_path):
    """The views of a device are compared with those of all."""
    path = tmp_path / "seen.json"
    started = processes.start([path], devices=4, module="tests.losses.test_contrastive")
    ((code, text),) = processes.ended(started)
    assert code == 0, text
    seen = json.loads(path.read_text())
    (one, slopes), (four, others) = seen["1"], seen["4"]
    assert four == pytest.approx(one, rel=1e-6)
    np.testing.assert_allclose(others, slopes, rtol=1e-5, atol=1e-6)


def on_devices(count):
    """[mean loss, its gradient] of a batch divided over so many devices."""
    mesh = Mesh(np.array(jax.devices()[:count]), ("data",))
    rows = NamedSharding(mesh, PartitionSpec("data"))
    z = jax.device_put(drawn(), rows)
    loss, gradient = jax.jit(jax.value_and_grad(mean))(z)
    assert len(gradient.sharding.device_set) == count
    return [float(loss), np.asarray(gradient).tolist()]


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        json.dump({count: on_devices(count) for count in (1, 4)}, file)
