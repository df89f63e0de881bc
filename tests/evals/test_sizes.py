"""Images of many sizes: how many programs they take, and that none changes another."""

import dataclasses

import jax
import numpy as np
import pytest

import jaxseg
from jaxseg.core import trees
from jaxseg.data.normalization import Normalize
from jaxseg.evals import evaluator as evaluators
from jaxseg.evals import predictor, protocol
from jaxseg.models import initial
from jaxseg.tasks import build
from tests import tiny
from tests.evals.test_evaluator import Source

SIZES = [(40 + 9 * n, 250 - 7 * n) for n in range(20)]  # in four canvases of labels
CANVASES = 4
VIEWS = [{}, {"scales": (1.0, 0.5), "flip": True}, {"mode": "sliding"}]
COMPILED = "/jax/core/compile/backend_compile_duration"  # also where a cache had it


@pytest.fixture
def compilations():
    """A list that grows by one with every program compiled or read from the cache."""
    found = []

    def listen(event, seconds, **about):
        if event == COMPILED:
            found.append(about)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def fresh():
    """No program of another test."""
    predictor._program.cache_clear()


@pytest.fixture(scope="module")
def model():
    return jaxseg.load(tiny.artifact("source"))


def pictures(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (*size, 3), np.uint8) for size in sizes]


@pytest.mark.slow
def test_a_loaded_model_compiles_for_buckets_of_sizes(model, compilations, fresh):
    first, *images = pictures(SIZES)
    model(first)
    once = len(compilations)
    for image in images:
        assert model(image).shape == image.shape[:2]
    assert len(compilations) - once <= CANVASES - 1
    del compilations[:]
    for image in pictures([(h + 1, w - 1) for h, w in SIZES]):
        model(image)
    assert not compilations


@pytest.mark.slow
def test_heads_without_maps_need_one_program(compilations, fresh):
    section = {"name": "classification"}
    network, _ = build.network(tiny.MODEL | {"head": {"name": "pooled"}}, section, 3)
    image = np.zeros((1, 64, 64, 3), np.float32)
    variables = initial.variables(network, image.shape[1:], seed=0)
    model = tiny.MODEL | {"head": {"name": "pooled"}}
    predict = predictor.Predictor(model, section, 3, (64, 64), Normalize())
    del compilations[:]
    for size in SIZES:
        batch = {"image": image, "scaled": np.full((1, 2), 64, np.int32)}
        batch["label_size"] = np.array([size], np.int32)
        predict.run(variables, [batch], None)
    assert len(compilations) == 2


def evaluator(source, model, batch_size=2, **how):
    predict = model.predictor(
        size=(64, 64),
        batch_size=batch_size,
        normalize=Normalize((100.0,), (60.0,)),
        how=protocol.build(**how),
    )
    return evaluators.Evaluator(predict, source, threads=1)


def of_sizes(sizes, order):
    """A source of noise in blocks, as bright as its size says, in that order."""
    made = Source(sizes)
    for n, example in enumerate(made.examples):
        small = np.random.default_rng(n).integers(0, 255, (32, 32, 3), np.uint8)
        rows, cols = (np.arange(side) // 8 for side in sizes[n])
        example["image"] = small[rows][:, cols]
    made.examples = [made.examples[n] for n in order]
    made.dataset = dataclasses.replace(made.dataset, classes=tuple("abcdef"))
    return made


def undecided(model):
    """Variables of which every class is the answer somewhere."""
    flat = trees.flatten(model.variables)
    rng, head = np.random.default_rng(0), "params/heads_segmentation"
    kernel = rng.normal(size=flat[f"{head}/kernel"].shape).astype(np.float32)
    flat |= {f"{head}/kernel": kernel, f"{head}/bias": np.zeros(6, np.float32)}
    seen = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    logits = model.predictor()._outputs(trees.unflatten(flat), {"image": seen})
    flat[f"{head}/bias"] = -np.mean(logits, axis=(0, 1, 2))
    return trees.unflatten(flat)


@pytest.mark.slow  # three kinds of programs
@pytest.mark.parametrize("how", VIEWS)
def test_neither_neighbours_nor_the_order_change_a_digit(model, how):
    sizes = [(64, 64), (40, 190), (150, 50), (64, 64), (33, 47)]
    forth = np.arange(5)
    variables, found, values = undecided(model), [], []
    for order in (forth, forth[::-1], np.roll(forth, 1)):
        made = evaluator(of_sizes(sizes, order), model, **how)
        answers = made.predictions(variables, 5)
        assert [int(a["example"]["id"]) for a in answers] == order.tolist()
        maps = [answer["prediction"]["segmentation"] for answer in answers]
        found.append([maps[place] for place in np.argsort(order)])
        values.append(made(variables))
    assert values[0] == values[1] == values[2]
    answers = np.concatenate([one.ravel() for one in found[0]])
    assert len(np.unique(answers)) > 2
    for one, *others in zip(*found, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_evaluation_compiles_for_buckets_of_sizes(model, compilations, fresh):
    made = evaluator(of_sizes(SIZES, range(len(SIZES))), model)
    for _ in made._outputs(model.variables):
        pass
    assert len(compilations) <= 1 + 2 * CANVASES  # to decode, and to count
