import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.analysis import pixel_vote, tools
from jaxseg.core import binding, errors
from jaxseg.data import source as source_lib
from jaxseg.data.normalization import Normalize
from jaxseg.tasks import build

SET = "worlds/websearch"


def test_mean_probability_by_hand():
    """Pixels beside the image do not count."""
    logits = jnp.log(jnp.array([[[[0.9, 0.1], [0.5, 0.5], [0.0, 1.0]]]] * 2))
    found = pixel_vote.mean_probability(logits, jnp.array([[1, 2], [1, 3]]))
    np.testing.assert_allclose(found, [[0.7, 0.3], [1.4 / 3, 1.6 / 3]], rtol=1e-6)


class Model:
    """A segmenter that knows the class of an image by its number in the batch."""

    folder, preprocessing, multiple, head = "artifacts/x", {}, 48, "segmentation"
    batch_size = 4

    def __init__(self, source, right, task="segmentation", classes=None):
        names = source.dataset.classes
        self.names = classes or ("background", *reversed(names))
        self.manifest = {"outputs": {self.head: len(self.names)}}
        self.manifest["classes"] = self.names
        self.objective = build.task({"name": task}, len(self.names))
        normalize = Normalize((100.0,) * 3, (50.0,) * 3)
        self.prediction = {"normalize": normalize, "size": (64, 80)}
        labels = [names[int(example["label"])] for example in source]
        self.answers = iter(
            [
                self.names.index(name) if number in right else 3
                for number, name in enumerate(labels)
            ]
            + [1] * 4
        )

    def logits(self, image):
        """Background nearly everywhere, the answer in a corner."""
        assert image.shape == (4, 96, 96, 3)
        own = jnp.array([next(self.answers) for _ in range(4)])
        far = 5.0 * jax.nn.one_hot(jnp.zeros((4, 96, 96), int), len(self.names))
        corner = 9.0 * jax.nn.one_hot(own, len(self.names))
        return far.at[:, :10, :10].set(corner[:, None, None])


def judged(right, count=6, **changes):
    source = source_lib.open(SET, split="validation", count=count)
    section = {"name": "pixel_vote", "data": {"name": SET, "count": count}}
    spec = binding.bind(pixel_vote.Spec, section=section, where="x")
    model = Model(source, right, **changes)
    (row,) = pixel_vote.run({"model": model}, spec, tools.Tools({"data": source}))
    return row


def test_the_share_of_images_whose_class_is_found():
    """Classes are matched by name; the background does not vote."""
    row = judged((0, 1, 2, 5))
    assert row["images"] == 6 and row["data"] == SET
    assert row["top1"] == pytest.approx(4 / 6)
    assert judged(())["top1"] == 0
    assert judged(range(6))["top1"] == 1


@pytest.mark.parametrize("task", ["classification", "depth"])
def test_only_segmenters_vote(task):
    with pytest.raises(errors.UserError, match="allowed is segmentation"):
        judged((), task=task)


def test_a_model_of_other_classes():
    with pytest.raises(errors.UserError, match="known: a, b, background, c, d"):
        source = source_lib.open(SET, split="validation", count=2)
        model = Model(source, (), classes=("background", "a", "b", "c", "d"))
        spec = binding.bind(
            pixel_vote.Spec,
            section={"name": "pixel_vote", "data": {"name": SET}},
            where="x",
        )
        pixel_vote.run({"model": model}, spec, tools.Tools({"data": source}))
