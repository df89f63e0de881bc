"""The recipes of the five studies, run over a whole example."""

import itertools

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import pipeline, recipes, transforms
from tests.data import test_transforms, trees

FIELDS = ("image", *(n for n in test_transforms.FACTS.fields if n != "image"))


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_yields_batches_of_the_training_size(name):
    examples = [test_transforms.marked(size) for size in ((40, 60), (70, 30), (24, 32))]
    source = trees.in_memory(examples, fields=FIELDS, size=(24, 32))
    steps = [transforms.build(section) for section in recipes.recipe(name)]
    stream = pipeline.train_batches(
        source, transforms=steps, batch_size=3, seed=0, fields=FIELDS
    )
    for batch, _ in itertools.islice(stream, 5):
        assert batch["image"].shape == (3, 24, 32, 3)
        assert batch["image"].dtype == np.float32
        assert batch["segmentation"].shape == batch["depth"].shape == (3, 24, 32)
        assert np.isfinite(batch["image"]).all()


def test_the_factors_recipe_is_flip_rescale_crop_and_nothing_else():
    names = [step["name"] for step in recipes.recipe("factors")]
    assert names == ["flip", "rescale", "crop"]


def test_half_of_the_image_is_the_least_that_decoder_transfer_shows():
    crop = transforms.build(recipes.recipe("decoder_transfer")[1])
    rng = np.random.default_rng(0)
    for _ in range(200):
        _, _, height, width = crop.draw_window((120, 130), rng)
        assert height * width >= 0.5 * 120 * 130
        assert 0.7 < width / height < 1.4 or (height, width) == (120, 130)


def test_unknown_recipes_say_what_exists():
    with pytest.raises(errors.UserError, match="Did you mean 'pssl'"):
        recipes.recipe("psl")


def test_a_recipe_is_the_callers_own():
    recipes.recipe("chairs")[0]["name"] = "other"
    assert recipes.recipe("chairs")[0]["name"] == "random_resized_crop"
