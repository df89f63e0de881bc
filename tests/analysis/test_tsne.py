import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from jaxseg.analysis import tsne


def groups(count=3, each=12, seed=0):
    """Vectors [N, 8] around far centres, and the number of their centre."""
    rng = np.random.default_rng(seed)
    centres = 20 * rng.normal(size=(count, 8))
    labels = np.repeat(np.arange(count), each)
    return centres[labels] + rng.normal(size=(count * each, 8)), labels


def test_affinities_are_those_of_a_pair():
    squares = tsne.distances(groups()[0], "sqeuclidean")
    p = tsne.affinities(squares, 5.0)
    assert p.sum() == pytest.approx(1) and (np.diag(p) == 0).all()
    np.testing.assert_array_equal(p, p.T)


def test_affinities_by_hand():
    """Each of three points has a near one, with p, and a far one, with 1 - p; the
    entropy of the two is log(1.5).
    """
    squares = np.array([[0.0, 1, 2], [1, 0, 9], [2, 9, 0]])
    near = optimize.brentq(lambda p: stats.entropy([p, 1 - p]) - np.log(1.5), 0.5, 1)
    found = tsne.affinities(squares, 1.5)
    # 0 is the near one of 1 and of 2, and 1 that of 0; halves of sums, over 3 points.
    assert found[0, 1] == pytest.approx(2 * near / 6)
    assert found[0, 2] == pytest.approx((1 - near + near) / 6)
    assert found[1, 2] == pytest.approx(2 * (1 - near) / 6)


def test_slopes_are_those_of_the_divergence():
    p = tsne.affinities(tsne.distances(groups()[0], "sqeuclidean"), 5.0)
    points = np.random.default_rng(1).normal(size=(len(p), 2)).astype(np.float32)
    others = ~np.eye(len(p), dtype=bool)

    def divergence(points):
        apart = points[:, None] - points[None]
        near = jnp.where(others, 1 / (1 + (apart**2).sum(-1)), 0.0)
        q = jnp.where(others, near / near.sum(), 1.0)
        logs = np.log(np.where(others, np.maximum(p, 1e-30), 1.0))
        return jnp.sum(p * (logs - jnp.log(q)))

    found = tsne.slopes(jnp.asarray(points), jnp.asarray(p, jnp.float32))
    np.testing.assert_allclose(found, jax.grad(divergence)(points), atol=1e-6)


def test_groups_stay_apart_and_equal_input_gives_equal_output():
    vectors, labels = groups()
    points = tsne.embedding(vectors, perplexity=5.0, steps=300)
    assert points.shape == (36, 2) and points.dtype == np.float32
    assert tsne.silhouettes(tsne.distances(points, "euclidean"), labels).min() > 0.5
    again = tsne.embedding(vectors, perplexity=5.0, steps=300)
    np.testing.assert_array_equal(points, again)


def test_the_cosine_ignores_lengths():
    vectors = groups()[0]
    longer = vectors * np.linspace(1, 9, len(vectors))[:, None]
    one, other = (tsne.embedding(x, "cosine", steps=60) for x in (vectors, longer))
    np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max())


def test_few_or_equal_points_have_a_place():
    assert np.isfinite(tsne.embedding(np.ones((4, 3)), steps=30)).all()
    assert np.isfinite(tsne.embedding(np.eye(4, 3), steps=30)).all()


def test_silhouettes_by_hand():
    """On a line at 0, 1 (label a), 3 (b) and 7 (c, alone)."""
    places = np.array([[0.0], [1.0], [3.0], [5.0], [7.0]])
    apart = tsne.distances(places, "euclidean")
    found = tsne.silhouettes(apart, np.array(["a", "a", "b", "b", "c"]))
    assert found.tolist() == pytest.approx(
        [(4 - 1) / 4, (3 - 1) / 3, (2.5 - 2) / 2.5, 0.0, 0.0]  # 2 of its own, 2 to c
    )
    assert tsne.silhouettes(0 * apart, np.array([0, 0, 1, 1, 1])).tolist() == [0.0] * 5
