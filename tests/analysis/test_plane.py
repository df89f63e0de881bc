import numpy as np
from sklearn import metrics

from jaxseg.analysis import features


def groups(count=3, each=40, seed=0):
    """Vectors [N, 8] around far centres, and the number of their centre."""
    rng = np.random.default_rng(seed)
    centres = 20 * rng.normal(size=(count, 8))
    labels = np.repeat(np.arange(count), each)
    return centres[labels] + rng.normal(size=(count * each, 8)), labels


def test_groups_stay_apart_and_equal_input_gives_equal_output():
    vectors, labels = groups()
    points = features.plane(vectors)
    assert points.shape == (120, 2) and points.dtype == np.float32
    assert metrics.silhouette_samples(points, labels).min() > 0.5
    np.testing.assert_array_equal(points, features.plane(vectors))


def test_the_cosine_ignores_lengths():
    vectors = groups()[0]

    def moved(metric):
        """How far a vector and itself fifty times as long are apart."""
        points = features.plane(np.concatenate([vectors, 50 * vectors]), metric)
        one, other = np.split(points / points.std(), 2)
        return np.median(np.linalg.norm(one - other, axis=-1))

    assert moved("cosine") < 0.1 < 1 < moved("euclidean")


def test_few_or_equal_points_have_a_place():
    assert np.isfinite(features.plane(np.ones((4, 3)))).all()
    assert np.isfinite(features.plane(np.eye(4, 3))).all()


def test_what_a_diverged_model_gives_has_a_place():
    vectors = groups()[0].astype(np.float32)
    vectors *= np.float32(3e38) / np.abs(vectors).max()  # squares exceed float32
    assert np.isfinite(features.plane(vectors)).all()
    assert np.isfinite(features.plane(vectors, "cosine")).all()
