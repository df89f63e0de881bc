import types

import numpy as np
import pytest

from jaxseg.analysis import task_features, tools
from jaxseg.core import binding, errors
from jaxseg.data import source as source_lib

NAME = "worlds/driving_day"


def clouds(models, images, seed=0):
    """Features [3, 6, 5]: a part of the model, a part of the image, of these sizes."""
    rng = np.random.default_rng(seed)
    made = models * rng.normal(size=(3, 1, 5)) + images * rng.normal(size=(1, 6, 5))
    return made + 0.01 * rng.normal(size=(3, 6, 5))


def test_features_of_a_model_or_of_an_image():
    (by_model, by_image), points = task_features.compared(clouds(10, 0.1))
    assert by_model.shape == by_image.shape == (3, 6) and points.shape == (3, 6, 2)
    assert by_model.min() > 0.9 and by_image.max() < 0
    (by_model, by_image), _ = task_features.compared(clouds(0.1, 10))
    assert by_model.max() < 0 and by_image.min() > 0.9


def test_large_numbers_of_one_model_change_no_silhouette():
    """The cosine ignores lengths, also those whose squares exceed float32."""
    vectors = clouds(1, 1).astype(np.float32)
    scale = np.float32([1, 2.0**100, 2.0**-100])[:, None, None]
    (scores, _), (scaled, _) = map(task_features.compared, (vectors, scale * vectors))
    np.testing.assert_allclose(scaled, scores, rtol=1e-12)


def test_silhouettes_of_two_images_in_two_models_by_hand():
    """Unit vectors at 0 and 60 degrees in one model, at 180 and 240 in the other."""
    angles = np.deg2rad([[0, 60], [180, 240]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    (by_model, by_image), _ = task_features.compared(vectors)
    # 1 - cos: 0.5 within a model; to the other one 2 and 1.5, or 1.5 and 2.
    np.testing.assert_allclose(by_model, [[1.25 / 1.75] * 2] * 2)
    # The same image is 2 away; the other one 0.5 and 1.5.
    np.testing.assert_allclose(by_image, [[-0.5] * 2] * 2)


class Model:
    """A model whose features are the mean colours, and as many numbers of its own."""

    folder = "artifacts/x"

    def __init__(self, own, preprocessing):
        self.own, self.preprocessing = own, preprocessing

    def features(self, image):
        maps = [image, 0 * image[..., :1] + self.own]
        return tuple(maps[: 1 if self.own is None else 2])


def found(*models, count=3):
    spec = {"name": "task_features", "data": {"name": NAME, "count": count}}
    spec = binding.bind(task_features.Spec, section=spec, where="")
    source = source_lib.open(NAME, split="train", count=count)
    roles = dict(zip(("segmentation", "depth"), models))
    return task_features.run(roles, spec, tools.Tools({"data": source}))


KNOWN = {"size": (64, 64)}


def test_a_row_for_each_image_in_each_model():
    rows, arrays = found(Model(50.0, KNOWN), Model(-50.0, None))
    assert [(row["model"], row["image"]) for row in rows] == [
        (role, image) for role in ("segmentation", "depth") for image in range(3)
    ]
    assert {row["data"] for row in rows} == {NAME}
    assert all(row["by_model"] > 0.9 > 0 > row["by_image"] for row in rows)
    assert arrays["embedding"].shape == (2, 3, 2)


def test_models_that_cannot_be_compared():
    with pytest.raises(errors.UserError, match=r"artifacts/x: its features .*diverged"):
        found(Model(1.0, KNOWN), Model(np.inf, KNOWN))
    with pytest.raises(errors.UserError, match=r"lengths.*'depth': 3.*backbone"):
        found(Model(1.0, KNOWN), types.SimpleNamespace(
            preprocessing=KNOWN, features=lambda image: (image,)
        ))  # fmt: skip
    with pytest.raises(errors.UserError, match="without preprocessing"):
        found(Model(1.0, None), Model(2.0, None))
    with pytest.raises(errors.UserError, match="has 1 image, allowed are 2"):
        found(Model(1.0, KNOWN), Model(2.0, None), count=1)
