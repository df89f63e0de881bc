"""The mean loss against sums by hand: an uneven last batch, two totals, draws."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.data import transforms
from jaxseg.data.dataset import IGNORE
from jaxseg.data.normalization import Normalize
from jaxseg.evals import loss
from jaxseg.metrics import mean_loss
from jaxseg.tasks import build, objective
from tests.data import trees
from tests.tasks import test_totals as totals

MEAN, STD = 100.0, 50.0
SEGMENTATION = {"name": "segmentation"}


class Network:
    """Logits are the image, scaled."""

    def apply(self, variables, image, *, train, head):
        assert not train
        return variables["scale"] * image


@dataclasses.dataclass(frozen=True)
class Drawn(objective.Objective):
    """The loss of a row is a number drawn for it, plus its mean absolute pixel."""

    name = "drawn"
    views = 2

    def prepare(self, batch, rng):
        return batch | {"drawn": jax.random.uniform(rng, batch["image"].shape[:1])}

    def loss(self, outputs, batch, totals=None):
        count = (totals or self.totals(batch))["images"]
        rows = jnp.where(batch["valid"], batch["drawn"], 0)
        pixels = jnp.abs(outputs[:, 0] - outputs[:, 1]).mean((1, 2, 3))
        apart = jnp.where(batch["valid"], pixels, 0)
        return (rows.sum() + apart.sum()) / count, {"drawn": rows.sum() / count}


@pytest.fixture
def network(monkeypatch):
    """Every model is the Network; the task `drawn` is Drawn."""
    task = build.task
    made = lambda section, n: (
        Drawn(n) if section["name"] == "drawn" else task(section, n)
    )
    monkeypatch.setattr(build, "task", made)
    monkeypatch.setattr(
        build, "network", lambda model, section, n: (Network(), made(section, n))
    )
    loss._program.cache_clear()
    yield
    loss._program.cache_clear()


def source(count=5):
    rng = np.random.default_rng(2)
    examples = []
    for index in range(count):
        labels = rng.integers(0, 3, (8, 8)).astype(np.int32)
        labels[rng.random((8, 8)) < 0.2 * index] = IGNORE  # few known in the last one
        image = rng.integers(0, 256, (8, 8, 3), np.uint8)
        examples.append({"id": str(index), "image": image, "segmentation": labels})
    return trees.in_memory(examples)


def evaluator(data, batch_size, task=SEGMENTATION, **options):
    normalize = Normalize((MEAN,) * 3, (STD,) * 3)
    given = dict(batch_size=batch_size) | options
    return loss.LossEvaluator({}, task, 3, (8, 8), normalize, data, **given)


VARIABLES = {"scale": np.float32(0.5)}


def by_hand(data):
    """Cross entropy over all known pixels of all images at once."""
    total = count = 0
    for index in range(len(data)):
        example = data[index]
        logits = 0.5 * (example["image"].astype(float) - MEAN) / STD
        known = example["segmentation"] != IGNORE
        shares = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        labels = np.where(known, example["segmentation"], 0)
        values = -np.take_along_axis(shares, labels[..., None], axis=-1)[..., 0]
        total, count = total + values[known].sum(), count + known.sum()
    return total / count


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
def test_a_pixel_counts_once_in_whatever_batch_it_is(network, batch_size):
    data = source()
    measured = evaluator(data, batch_size).measure(VARIABLES)
    assert measured.values == {"loss": pytest.approx(by_hand(data), rel=1e-5)}
    assert measured.floor is None
    assert measured.protocol == "mean loss, whole image, one scale 8x8"


def test_means_of_batches_would_be_another_number(network):
    data = source()
    of_images = [evaluator(data.select([n]), 1)(VARIABLES)["loss"] for n in range(5)]
    assert np.mean(of_images) != pytest.approx(by_hand(data), rel=1e-3)


def test_draws_are_those_of_the_batch_number(network):
    data, steps = source(), [transforms.Flip(), transforms.Crop(4, 4)]
    task = {"name": "drawn"}
    evaluate = evaluator(data, 2, task, transforms=steps)
    measured = evaluate.measure(VARIABLES)
    keys = [jax.random.fold_in(jax.random.PRNGKey(0), n) for n in range(3)]
    rows = np.concatenate([jax.random.uniform(key, (2,)) for key in keys])
    drawn = rows[:5].mean()  # the sixth fills up the last batch
    assert measured.values["drawn"] == pytest.approx(drawn, rel=1e-6)
    assert measured.values["loss"] > drawn  # the two views differ
    assert measured.protocol == "mean loss, 2 views drawn as in training"
    assert evaluate(VARIABLES) == measured.values
    plain = evaluator(data, 2, task)(VARIABLES)  # views without transforms are equal
    assert plain["loss"] == pytest.approx(drawn, rel=1e-6)


def test_what_is_not_split_is_named_with_the_size_of_batches(network):
    task = SEGMENTATION | {"losses": {"dice": 1.0}}
    measured = evaluator(source(4), 2, task).measure(VARIABLES)
    assert measured.protocol.endswith("8x8, Dice over the batch of batches of 2")


UNSPLIT = [{"losses": {"dice": 1.0}}, {"losses": {"lovasz": 1.0}}]
UNSPLIT += [{"ohem": 0.5, "ohem_keep": 5}]


@pytest.mark.parametrize("options", UNSPLIT, ids=str)
def test_rows_that_fill_up_a_batch_have_no_share_of_it(network, options):
    """Of 5 images in batches of 4: each batch counts by its images, 4 and 1."""
    data, task = source(), SEGMENTATION | options
    parts = (range(4), [4])
    full, last = (
        evaluator(data.select(part), len(part), task)(VARIABLES)["loss"]
        for part in map(list, parts)
    )
    found = evaluator(data, 4, task)(VARIABLES)["loss"]
    assert found == pytest.approx((4 * full + last) / 5, rel=1e-5)
    assert full != pytest.approx(last, rel=1e-2)


@pytest.mark.parametrize("name", totals.CASES)
def test_terms_of_every_task_add_up_to_its_loss(name):
    task, outputs, batch = totals.case(*totals.CASES[name])
    (whole, logs), _ = totals.run(task, outputs, batch, None)
    rows = jax.jit(functools.partial(loss.terms, task))(outputs, batch)
    metric = mean_loss.MeanLoss()
    found = metric.compute(metric.merge(metric.zeros(), jax.device_get(rows)), ())
    assert found.pop("loss") == pytest.approx(float(whole), rel=1e-5)
    assert found == pytest.approx({k: float(x) for k, x in logs.items()}, rel=1e-5)


def test_a_set_without_labels_has_no_loss():
    metric = mean_loss.MeanLoss()
    assert metric.compute(metric.zeros(), ()) == {"loss": 0.0}
    rows = {"totals": {"pixels": 0}, "sums": {"pixels": {"loss": 0.0}}}
    assert metric.compute(metric.merge(metric.zeros(), rows), ()) == {"loss": 0.0}
