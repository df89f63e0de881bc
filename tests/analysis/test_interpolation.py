import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import batch_statistics, interpolation
from jaxseg.core import errors
from jaxseg.data.spec import DataSpec
from jaxseg.models import model as model_lib

A = {"params": {"w": np.float32([1.0, -0.1])}, "batch_stats": {"m": np.float32([4.0])}}
B = {"params": {"w": np.float32([3.0, 0.7])}, "batch_stats": {"m": np.float32([0.0])}}


def test_the_ends_are_the_models_and_the_middle_is_their_mean():
    for t, own in ((0, A), (1, B)):
        ends = interpolation.between(A, B, t)
        for found, expected in zip(jax.tree.leaves(ends), jax.tree.leaves(own)):
            assert found.dtype == np.float32 and found.tobytes() == expected.tobytes()
    quarter = interpolation.between(A, B, 0.25)
    np.testing.assert_allclose(quarter["params"]["w"], [1.5, 0.1], rtol=1e-6)
    np.testing.assert_allclose(quarter["batch_stats"]["m"], [3.0])


@pytest.mark.parametrize(
    "at, values, higher, expected",
    [
        ([0, 0.5, 1], [1.0, 2.0, 3.0], False, 0.0),  # a line
        ([0, 0.5, 1], [1.0, 4.0, 3.0], False, 2.0),
        ([0, 0.25, 1], [1.0, 4.0, 3.0], False, 2.5),
        ([0, 0.5, 1], [3.0, 1.0, 1.0], False, 0.0),  # a valley
        ([0, 0.5, 1], [0.9, 0.1, 0.7], True, 0.7),
        ([0, 0.5, 1], [0.9, 0.95, 0.7], True, 0.0),
    ],
)
def test_barriers_by_hand(at, values, higher, expected):
    assert interpolation.barrier(at, values, higher) == pytest.approx(expected)


def test_the_barrier_of_any_line_is_zero():
    at = np.linspace(0, 1, 11)
    assert interpolation.barrier(at.tolist(), (0.3 + 0.4 * at).tolist()) < 1e-15


def test_rows_of_a_quadratic_by_hand():
    """Loss (w - 1)^2 + m^2 of one weight and one statistic: raw both move, anew m = 1.

    Raw, from w = 0 to 2 and m = 0 to 2: 1, 0 + 1, 1 + 4; the line at a half is 3.
    """
    a, b = (
        {"params": {"w": np.float32(n)}, "batch_stats": {"m": np.float32(n)}}
        for n in (0, 2)
    )

    def measure(weights):
        w, m = weights["params"]["w"], weights["batch_stats"]["m"]
        return float((w - 1) ** 2 + m**2), float(-w)

    def anew(weights):
        return weights | {"batch_stats": {"m": np.float32(1)}}

    rows = list(interpolation.rows(a, b, (0, 0.5, 1), measure, anew))
    assert [row["t"] for row in rows] == [0, 0.5, 1] * 2
    assert [row["loss"] for row in rows] == [1, 1, 5, 2, 1, 2]
    done = interpolation.with_barriers(rows, higher_is_better=True)
    assert [row["barrier"] for row in done] == [0] * 6
    assert [row["value_barrier"] for row in done] == [0] * 6
    assert [row["statistics"] for row in done] == ["raw"] * 3 + ["re-estimated"] * 3
    bare = [{"params": one["params"], "batch_stats": {}} for one in (a, b)]
    kinds = interpolation.rows(*bare, (0, 1), lambda weights: (0.0, 0.0), anew)
    assert [row["statistics"] for row in kinds] == ["raw", "raw"]


def test_statistics_are_those_of_the_batches():
    """Of the first norm, which follows one convolution: computed from its own maps."""
    section = {"backbone": {"name": "unet", "variant": "tiny"}}
    section["head"] = {"name": "unet"}
    network = model_lib.build_model(section, head_outputs={"x": 1})
    variables = model_lib.init(network, (16, 16, 3), seed=0)
    rng = np.random.default_rng(0)
    images = [rng.normal(n, 1 + n, (4, 16, 16, 3)).astype("f4") for n in range(3)]
    batches = [{"image": jnp.asarray(image)} for image in images]
    found = batch_statistics.reestimated(network, "x", variables, batches)
    assert found["params"] is variables["params"]

    kernel = variables["params"]["backbone"]["level0"]["conv1"]["conv"]["kernel"]
    maps = [
        jax.lax.conv_general_dilated(
            image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        for image in images
    ]
    first = found["batch_stats"]["backbone"]["level0"]["conv1"]["norm"]
    for name, statistic in (("mean", jnp.mean), ("var", jnp.var)):
        expected = np.mean([statistic(x, axis=(0, 1, 2)) for x in maps], axis=0)
        np.testing.assert_allclose(first[name], expected, rtol=1e-4, atol=1e-5)
    once = batch_statistics.reestimated(network, "x", found, batches)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(once)):
        np.testing.assert_array_equal(one, other)  # what they were does not count


def test_the_points_of_a_line():
    data = DataSpec(name="chairs/32")
    for at in ((0.0, 0.5), (0.1, 1.0), (0.0, 0.5, 0.5, 1.0), (0.0, 0.7, 0.3, 1.0), ()):
        with pytest.raises(errors.UserError, match="at: found"):
            interpolation.Spec(name="interpolation", data=data, training=data, at=at)
