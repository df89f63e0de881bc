"""The evaluator against counting by hand, on a source made here."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.data import dataset
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.evals import evaluator as evaluators
from jaxseg.evals import predictor, protocol
from jaxseg.tasks import build

CLASSES = ("a", "b", "c")


class Source(Source):
    """Images in which each pixel's red says what the stand-in model will answer."""

    def __init__(self, sizes):
        rng = np.random.default_rng(0)
        self.examples = []
        for number, size in enumerate(sizes):
            image = np.zeros((*size, 3), np.uint8)
            image[..., 0] = rng.integers(0, 3, size)
            labels = rng.choice([0, 1, 2, 255], size).astype(np.int32)
            self.examples.append(
                {"image": image, "segmentation": labels, "id": str(number)}
            )
        self.name, self.split = "made/up", "validation"
        self.dataset = dataset.Dataset(
            fields=("image", "segmentation"),
            domain="own",
            splits={"validation": len(sizes)},
            version=1,
            classes=CLASSES,
            size=sizes[0],
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
        )

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return dict(self.examples[index])


TASK = {"name": "segmentation", "ignored": []}


@pytest.fixture
def stand_in(monkeypatch):
    """Gives the models of this test the network of a function of images."""

    def use(outputs):
        class Network:
            def apply(self, variables, image, train, head):
                return outputs(image)

        def network(model, task, num_outputs):
            return Network(), build.task(task, num_outputs)

        monkeypatch.setattr(build, "network", network)

    predictor._program.cache_clear()
    yield use
    predictor._program.cache_clear()


def made(source, batch_size, **how):
    given = {"batch_size": batch_size, "how": protocol.build(**how)}
    size = source.dataset.size
    predict = predictor.Predictor({}, TASK, 3, size, Normalize(), **given)
    return evaluators.Evaluator(predict, source, threads=1)


@pytest.fixture
def evaluator(stand_in):
    """An evaluator whose model reads the class off the red channel."""
    stand_in(lambda image: jnp.eye(3)[image[..., 0].astype(int)])
    return made


@pytest.fixture
def network(stand_in):
    """Logits of class 1 are the red channel, those of the others 0."""
    stand_in(
        lambda image: jnp.stack(
            [0 * image[..., 0], image[..., 0], 0 * image[..., 0] - 1], axis=-1
        )
    )


def by_hand(source):
    """mIoU and accuracy over all valid pixels of all images at once."""
    truth = np.concatenate([e["segmentation"].ravel() for e in source.examples])
    found = np.concatenate([e["image"][..., 0].ravel() for e in source.examples])
    valid = truth != 255
    truth, found = truth[valid], found[valid]
    ious = [
        np.sum((truth == k) & (found == k)) / np.sum((truth == k) | (found == k))
        for k in range(3)
    ]
    return {"miou": np.mean(ious), "pixel_accuracy": np.mean(truth == found)} | {
        f"iou/{name}": iou for name, iou in zip(CLASSES, ious)
    }


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_every_example_counts_once_whatever_the_batch(evaluator, batch_size):
    source = Source([(6, 7)] * 5)
    found = evaluator(source, batch_size)({})
    assert found == pytest.approx(by_hand(source))


@pytest.mark.parametrize("how", [{}, {"flip": True}, {"mode": "sliding"}])
def test_images_are_normalized_by_the_statistics_of_training(network, how):
    """The stand-in answers 1 where a normalized pixel is above 0."""
    source = Source([(6, 7)] * 3)
    facts = {"mean": (1.0,) * 3, "std": (0.5,) * 3}
    source.dataset = dataclasses.replace(source.dataset, **facts)

    def answers(normalization):
        evaluate = made(source, 2, **how, normalization=normalization)
        found = evaluate.predictions({}, 9)
        maps = [x["prediction"]["segmentation"] for x in found]
        return evaluate.measure({}).protocol, maps

    red = [example["image"][..., 0] for example in source.examples]
    words, found = answers("training")
    assert "normalized" not in words
    np.testing.assert_array_equal(found, np.stack(red) > 0)
    words, found = answers("target")
    assert "normalized by the target's own mean and std" in words
    np.testing.assert_array_equal(found, np.stack(red) > 1)


def test_predictions_are_those_of_the_first_examples(evaluator):
    source = Source([(6, 7)] * 5)
    for count in (1, 3, 4, 9):
        found = evaluator(source, 2).predictions({}, count)
        assert len(found) == min(count, 5)
        for entry, original in zip(found, source.examples):
            assert entry["example"]["id"] == original["id"]
            answer = entry["prediction"]["segmentation"]
            np.testing.assert_array_equal(answer, original["image"][..., 0])


def test_the_protocol_says_what_was_done(evaluator):
    evaluate = evaluator(Source([(6, 7)]), 1)
    said = evaluate.measure({}).protocol
    assert said == "whole image, one scale 6x7, labels at original size"
    assert evaluate.headline == "miou" and evaluate.higher_is_better
