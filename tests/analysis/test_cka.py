import itertools

import numpy as np
import pytest
from scipy.stats import special_ortho_group

from jaxseg.analysis import cka, tools
from jaxseg.core import binding, errors
from jaxseg.data import source as source_lib

NAME = "worlds/driving_day"


def of(*vectors, estimate=cka.hsic):
    """CKA of the first with the second."""
    return cka.similarity([[cka.gram(x) for x in vectors]], estimate)[0, 1]


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("estimate", [cka.hsic, cka.biased_hsic])
def test_it_sees_neither_turns_nor_sizes_nor_origins(estimate):
    x, other = drawn(40, 6), drawn(40, 9, seed=1)
    turn = special_ortho_group.rvs(6, random_state=0)
    assert of(x, x, estimate=estimate) == pytest.approx(1)
    assert of(x, 3 * x @ turn + 7, estimate=estimate) == pytest.approx(1)
    expected = of(x, other, estimate=estimate)
    assert of(0.1 * x @ turn, other - 2, estimate=estimate) == pytest.approx(expected)


def test_half_of_what_two_models_see_is_the_same():
    """Independent directions of equal spread: <K, L> is that of the shared one, and
    each norm that of two, so the similarity is 1 / 2.
    """
    x = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]] * 500, float)
    first, second = x[:, :2], x[:, 1:]
    assert of(first, second, estimate=cka.biased_hsic) == pytest.approx(0.5)
    assert of(first, second) == pytest.approx(0.5, abs=2e-3)


def test_the_criterion_by_its_definition():
    """The mean over all ordered quadruples of different rows."""
    x, y = (drawn(6, 3, seed=seed) + seed for seed in (0, 1))
    k, l = x @ x.T, y @ y.T  # noqa: E741
    values = [
        k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
        for i, j, q, r in itertools.permutations(range(6), 4)
    ]
    assert cka.hsic(k, l) == pytest.approx(np.mean(values))
    assert cka.hsic(cka.gram(x), cka.gram(y)) == pytest.approx(np.mean(values))


def test_features_without_anything_in_common():
    """Where the usual estimate is far from 0: more features than images."""
    x, y = drawn(20, 64, 300), drawn(20, 64, 700, seed=1)
    grams = [[cka.gram(a), cka.gram(b)] for a, b in zip(x, y)]
    assert abs(cka.similarity(grams)[0, 1]) < 0.02
    assert cka.similarity(grams, cka.biased_hsic)[0, 1] > 0.8


class Model:
    """A model whose deepest map is the image, with columns of its own beside it."""

    folder, preprocessing = "artifacts/x", {"size": (64, 64)}

    def __init__(self, repeat=1):
        self.repeat = repeat

    def features(self, image):
        return image[:, :2], np.repeat(image[:, ::8, ::8], self.repeat, axis=-1)


def run(count, batch_size=8):
    spec = {"name": "cka", "data": {"name": NAME}, "batch_size": batch_size}
    spec = binding.bind(cka.Spec, section=spec, where="")
    source = source_lib.open(NAME, split="train", count=count)
    models = {"one": Model(), "wide": Model(4)}
    return cka.run(models, spec, tools.Tools({"data": source}))


def test_a_row_for_each_pair():
    rows = run(20)
    pairs = [(row["model"], row["other"]) for row in rows]
    assert pairs == [("one", "one"), ("one", "wide"), ("wide", "wide")]
    for row in rows:
        assert (row["data"], row["images"]) == (NAME, 16)
        assert row["value"] == pytest.approx(1) == pytest.approx(row["biased"])
    assert run(5)[0]["images"] == 5
    with pytest.raises(errors.UserError, match="has 3 images, allowed are 4"):
        run(3)
