import jax.numpy as jnp
import numpy as np

from jaxseg.analysis import features


def test_spatial_means_side_by_side():
    first = jnp.arange(8.0).reshape(1, 2, 2, 2)
    second = jnp.full((1, 1, 1, 1), 7.0, jnp.bfloat16)
    pooled = features.pooled((first, second))
    assert pooled.dtype == jnp.float32
    assert pooled.tolist() == [[3.0, 4.0, 7.0]]


def test_the_last_batch_is_padded_and_cut():
    images = np.random.default_rng(0).normal(size=(5, 4, 6, 3)).astype(np.float32)
    shapes = []

    def maps(batch):
        shapes.append(batch.shape)
        return (jnp.asarray(batch),)

    rows = features.collect(maps, images, batch_size=2)
    assert shapes == [(2, 4, 6, 3)] * 3
    assert rows.shape == (5, 3)
    np.testing.assert_allclose(rows, images.mean(axis=(1, 2)), atol=1e-6)
