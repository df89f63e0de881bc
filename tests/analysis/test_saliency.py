import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import consensus, saliency
from jaxseg.core import errors
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.normalization import Normalize
from jaxseg.tasks import build

KEYS = jax.random.split(jax.random.key(0), 2)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(heat):
    """Eq. 2, word by word."""
    lower = (heat.ravel()[None] < heat.ravel()[:, None]).sum(axis=1)
    return (lower * 10 // heat.size).reshape(heat.shape)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 7), (10, 10), (17, 13)])
@pytest.mark.parametrize("values", [2, 5, 1000])
def test_deciles_with_ties_are_those_of_the_equation(size, values):
    for seed in range(5):
        heat = np.random.default_rng(seed).integers(0, values, size).astype(np.float32)
        np.testing.assert_array_equal(saliency.deciles(heat), reference(heat))


def test_deciles_of_a_large_map_by_a_sort():
    heat = drawn(375, 500)
    ranks = np.empty(heat.size, int)
    ranks[np.argsort(heat, axis=None)] = np.arange(heat.size)  # no ties
    found = saliency.deciles(heat)
    np.testing.assert_array_equal(found.ravel(), ranks * 10 // heat.size)
    assert found.dtype == np.uint8 and set(np.bincount(found.ravel())) == {18750}


def test_a_constant_map_has_no_top():
    for value in (0.0, -3.5):
        assert not saliency.deciles(np.full((4, 5), value, np.float32)).any()
        assert not saliency.rescaled(np.full((4, 5), value, np.float32)).any()


def test_maps_that_are_not_finite_are_refused():
    with pytest.raises(errors.UserError, match="diverged"):
        saliency.rescaled(np.array([[1.0, np.nan]]))


class Linear:
    """A classifier whose logits are linear in the pixels, or their sines."""

    folder, preprocessing, multiple, head = "artifacts/x", {}, 1, "classification"
    size = (6, 8)

    def __init__(self, weights, names=("a", "b", "c"), task="classification", wave=0):
        self.variables = {"weights": weights}
        self.wave = wave
        self.manifest = {"outputs": {"classification": 3}, "classes": names}
        self.objective = build.task({"name": task}, 3)
        normalize = Normalize((100.0,) * 3, (50.0,) * 3)
        self.prediction = {"normalize": normalize, "size": self.size}

    @property
    def model(self):
        return self

    def apply(self, variables, x, train, head):
        assert not train and head == "classification"
        x = jnp.sin(self.wave * x) if self.wave else x
        return jnp.einsum("bhwc,hwck->bk", x, variables["weights"])


def explainer(model, name="smoothgrad", names=("a", "b", "c"), **options):
    method = saliency.Method(name=name, **options)
    return saliency.Explainer(model, method, names)


def pictures(count=2, size=(6, 8)):
    return list(np.random.default_rng(5).integers(0, 255, (count, *size, 3), np.uint8))


@pytest.mark.parametrize("name", ["smoothgrad", "gradient"])
def test_of_a_linear_model_the_weights(name):
    weights = drawn(6, 8, 3, 3)
    found = explainer(Linear(weights), name)(pictures(), [2, 0], [0, 1])
    for own, label in zip(found, (2, 0)):
        expected = saliency.rescaled(np.abs(weights[..., label]).sum(axis=-1))
        np.testing.assert_allclose(own, expected, atol=1e-5)


@pytest.mark.slow  # thousands of samples
def test_noise_smooths_what_waves():
    """The mean of cos(w(x + e)) over Gaussian e is cos(wx) exp(-(w s)^2 / 2)."""
    image, wave, noise = jnp.asarray(drawn(1, 4, 4, 3)), 3.0, 0.1
    score = lambda x: jnp.sum(jnp.sin(wave * x), axis=(1, 2, 3)) / wave
    sigma = float(noise * (image.max() - image.min()))
    total = 0
    for sample in range(4000):
        total += saliency.gradient(
            score,
            saliency.noisy(image, KEYS[:1], jnp.asarray(sample), jnp.array([sigma])),
        )
    expected = np.cos(wave * image) * np.exp(-((wave * sigma) ** 2) / 2)
    np.testing.assert_allclose(total / 4000, expected, atol=0.05)
    assert np.abs(np.cos(wave * image) - expected).max() > 0.2


def test_noise_belongs_to_an_image_and_a_sample():
    image = jnp.zeros((2, 5, 5, 3)).at[:, 0, 0].set(1.0)
    one, other = (
        saliency.noisy(image, KEYS, jnp.asarray(n), jnp.full(2, 0.5)) for n in (0, 1)
    )
    assert not np.allclose(one[0], one[1]) and not np.allclose(one, other)
    alone = saliency.noisy(image[1:], KEYS[1:], jnp.asarray(0), jnp.full(1, 0.5))
    np.testing.assert_array_equal(alone[0], one[1])
    assert 0.4 < np.std(one - image) < 0.6  # half the range


def test_a_map_depends_on_no_neighbour():
    weights, seen = drawn(6, 8, 3, 3), pictures(4)
    explain = explainer(Linear(weights, wave=2.0), samples=3, noise=0.3)
    every = explain(seen, [0, 1, 2, 0], [10, 11, 12, 13])
    (alone,) = explain(seen[2:3], [2], [12])
    np.testing.assert_allclose(every[2], alone, atol=1e-5)
    (otherwise,) = explain(seen[2:3], [2], [13])
    assert np.abs(otherwise - alone).max() > 0.01
    filled = saliency.explained(
        {"a": explain},
        [{"image": seen[2], "label": np.int32(2)}],
        [12],
        4,
    )
    np.testing.assert_allclose(next(filled)["a"], alone, atol=1e-5)


def test_maps_have_the_size_of_the_image():
    """A wide image fills the upper part of the canvas alone."""
    explain = explainer(Linear(drawn(6, 8, 3, 3)), "gradient")
    (found,) = explain(pictures(1, (10, 40)), [0], [0])
    assert found.shape == (10, 40) and found.min() == 0 and found.max() == 1


def test_noise_knows_nothing_of_the_padding(monkeypatch):
    """Pixels of 200 and 239 on a canvas that is filled with 100."""
    explain = explainer(Linear(drawn(6, 8, 3, 3)), samples=1, noise=0.5)
    seen, real = [], explain._more

    def spied(*arguments):
        seen.append(np.asarray(arguments[-1]))
        return real(*arguments)

    monkeypatch.setattr(explain, "_more", spied)
    wide = np.full((3, 40, 3), 200, np.uint8)
    wide[:, 20:] = 239
    explain([wide], [0], [0])
    np.testing.assert_allclose(seen, [[0.5 * 39 / 50]], rtol=0.1)


def test_labels_are_looked_up_by_name():
    weights = drawn(6, 8, 3, 3)
    here = explainer(Linear(weights), "gradient")(pictures(1), [2], [0])
    names = ("page", "c", "a")
    there = explainer(Linear(weights), "gradient", names)(pictures(1), [1], [0])
    np.testing.assert_array_equal(here, there)
    for label, name in ((0, "'page'"), (65535, "number 65535")):
        with pytest.raises(errors.UserError, match=rf"{name}, which .*does not know"):
            explainer(Linear(weights), "gradient", names)(pictures(1), [label], [0])
    with pytest.raises(errors.UserError, match=r"knows none of the 2 classes.*a, b, c"):
        explainer(Linear(weights), "gradient", ("x", "y"))
    nameless = Linear(weights, names=[])
    same = explainer(nameless, "gradient")(pictures(1), [2], [0])
    np.testing.assert_array_equal(here, same)
    with pytest.raises(errors.UserError, match="3 outputs without names, and the data"):
        explainer(nameless, "gradient", ("x", "y"))


def test_only_classifiers_are_explained():
    with pytest.raises(errors.UserError, match="allowed is classification"):
        explainer(Linear(drawn(6, 8, 3, 3), task="depth"))


def test_overlap_by_hand():
    mask = np.array([[0, 1, 1, IGNORE]])
    found = np.array([[True, True, False, True]])
    assert consensus.overlap(found, mask, 0) == pytest.approx(1 / 3)
    assert consensus.overlap(found, mask, 1) == pytest.approx(1 / 2)
    assert consensus.overlap(found, np.zeros((1, 4), int), 0) is None
    assert consensus.overlap(~found, mask, 0) == pytest.approx(1 / 2)  # one pixel


def test_a_disc_is_round_and_in_the_middle():
    for size, pixels in (((20, 30), 60), ((7, 7), 1), ((8, 8), 64)):
        found = consensus.disc(size, pixels)
        assert found.shape == size and found.sum() == pixels
        rows, columns = np.nonzero(found)
        assert abs(rows.mean() - (size[0] - 1) / 2) < 0.5
        assert abs(columns.mean() - (size[1] - 1) / 2) < 0.5
    rows, columns = np.nonzero(consensus.disc((41, 41), 300))
    far = np.hypot(rows - 20, columns - 20)
    assert far.max() <= np.sqrt(300 / np.pi) + 0.5


def test_masks_of_the_web_search_are_of_the_same_pictures():
    plain, masked = (
        source_lib.open(f"worlds/{name}", split="validation", count=12)
        for name in ("websearch", "websearch_masks")
    )
    assert masked.dataset.classes == ("page", *plain.dataset.classes)
    for one, other in zip(plain, masked):
        np.testing.assert_array_equal(one["image"], other["image"])
        assert other["label"] == one["label"] + 1
        assert set(np.unique(other["segmentation"])) == {0, int(other["label"])}
        assert 0.03 < (other["segmentation"] > 0).mean() < 0.6
