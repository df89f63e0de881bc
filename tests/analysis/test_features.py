import jax.numpy as jnp
import numpy as np

from jaxseg.analysis import features


def test_spatial_means_side_by_side():
    first = jnp.arange(8.0).reshape(1, 2, 2, 2)
    second = jnp.full((1, 1, 1, 1), 7.0, jnp.bfloat16)
    pooled = features.pooled((first, second), np.array([[2, 2]]), canvas=(2, 2))
    assert pooled.dtype == jnp.float32
    assert pooled.tolist() == [[3.0, 4.0, 7.0]]


def test_what_fills_up_a_canvas_or_a_batch_does_not_count():
    image = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    scaled = np.array([[4, 6], [3, 4]], np.int32)
    full = {"image": image, "scaled": scaled, "valid": np.array([True, True])}
    last = full | {"valid": np.array([True, False])}

    def maps(batch):  # strides 1 and 2
        return jnp.asarray(batch), jnp.asarray(batch[:, ::2, ::2])

    rows = features.collect(maps, [full, last])
    assert rows.shape == (3, 6)
    np.testing.assert_allclose(rows[:2, :3][0], image[0].mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(rows[1, :3], image[1, :3, :4].mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(
        rows[1, 3:], image[1, :3:2, :4:2].mean((0, 1)), atol=1e-6
    )
    np.testing.assert_array_equal(rows[2], rows[0])
