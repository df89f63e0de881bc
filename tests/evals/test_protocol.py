"""Windows, scales and mirror images, with networks whose answer is known."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, images_jnp
from jaxseg.data import catalogue
from jaxseg.data.datasets import worlds
from jaxseg.data.normalization import Normalize
from jaxseg.evals import evaluator as evaluators
from jaxseg.evals import maps as map_lib
from jaxseg.evals import predictor, protocol
from jaxseg.tasks import build, classification, depth, segmentation
from tests import tiny
from tests.evals import test_evaluator as made_up

TASK = {"name": "segmentation", "ignored": []}
WEIGHTS = np.array(  # no ties between classes
    [[3.0, 0.5171, 1.0313], [1.0737, 2.9431, 0.4917], [0.5379, 1.0193, 3.0611]], "f4"
)
SLIDING = {"mode": "sliding", "overlap": 0.5}


class PerPixel:
    """Logits that are a linear function of each pixel alone."""

    def apply(self, variables, image, train, head):
        return jnp.einsum("bhwc,ck->bhwk", image / 255, WEIGHTS)


class Uneven:
    """Logits that depend on the place: mirror images get others."""

    def apply(self, variables, image, train, head):
        return PerPixel().apply(variables, jnp.cumsum(image, axis=2) % 251, train, head)


class Source(made_up.Source):
    """Images of random colours, without one label as good as another."""

    def __init__(self, sizes, mirrored=False):
        super().__init__(sizes)
        rng = np.random.default_rng(2)
        for example in self.examples:
            shape = example["image"].shape
            example["image"] = rng.integers(0, 255, shape, dtype=np.uint8)
            for name in ("image", "segmentation") if mirrored else ():
                example[name] = np.ascontiguousarray(example[name][:, ::-1])


@pytest.fixture
def evaluator(monkeypatch):
    """An evaluator on a stand-in network."""
    predictor._program.cache_clear()

    def make(source, size=(32, 32), network=PerPixel, batch_size=2, task=TASK, **how):
        def stand_in(model, task, num_outputs):
            return network(), build.task(task, num_outputs)

        monkeypatch.setattr(build, "network", stand_in)
        predict = predictor.Predictor(
            model={"network": network.__name__},
            task=task,
            num_outputs=3 if task is TASK else 1,
            size=size,
            batch_size=batch_size,
            normalize=Normalize.of(source.dataset),
            how=protocol.build(**how),
        )
        return evaluators.Evaluator(predict, source, threads=1)

    yield make
    predictor._program.cache_clear()


def answers(made, count=9):
    return [e["prediction"]["segmentation"] for e in made.predictions({}, count)]


def by_pixel(image):
    return (image.astype(np.float32) @ WEIGHTS).argmax(axis=-1)


@pytest.mark.parametrize(
    "how",
    [
        SLIDING,
        SLIDING | {"flip": True},
        {"mode": "sliding", "overlap": 0.0},
        {"mode": "sliding", "overlap": 0.7},
    ],
)
@pytest.mark.parametrize("sizes", [[(50, 70)], [(32, 32), (20, 45), (64, 33)]])
def test_windows_of_a_pixelwise_network_change_nothing(evaluator, sizes, how):
    source = Source(sizes)
    made = evaluator(source, **how)
    for found, example in zip(answers(made), source.examples, strict=True):
        np.testing.assert_array_equal(found, by_pixel(example["image"]))
    alone = [evaluator(Source([size]), size)({}) for size in sizes]
    if len(sizes) == 1:
        assert made({}) == alone[0]


@pytest.mark.parametrize("how", [{"flip": True}, SLIDING, SLIDING | {"flip": True}])
def test_averaging_what_is_equal_changes_nothing(evaluator, how):
    source = Source([(32, 64)] * 5)
    assert evaluator(source, (32, 64), **how)({}) == evaluator(source, (32, 64))({})


@pytest.mark.parametrize("mode", ["whole", "sliding"])
@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_every_example_counts_once(evaluator, mode, batch_size):
    source = Source([(32, 32), (40, 30), (64, 64)])
    made = evaluator(source, mode=mode, flip=True, batch_size=batch_size)
    found, truths = answers(made), [e["segmentation"] for e in source.examples]
    assert [x.shape for x in found] == [x.shape for x in truths]
    right = sum(np.sum(x == y) for x, y in zip(found, truths))
    valid = sum(np.sum(y != 255) for y in truths)
    assert made({})["pixel_accuracy"] == pytest.approx(right / valid)
    assert len(made.predictions({}, 2)) == 2


@pytest.mark.parametrize("mode", ["whole", "sliding"])
@pytest.mark.parametrize("size", [(32, 64), (23, 41)])
def test_with_flip_a_mirrored_image_gets_the_mirrored_answer(evaluator, mode, size):
    options = {"size": (32, 64), "network": Uneven, "mode": mode}

    def share(flip):
        straight = answers(evaluator(Source([size]), flip=flip, **options))[0]
        other = answers(evaluator(Source([size], True), flip=flip, **options))[0]
        return np.mean(straight == other[:, ::-1])

    assert share(False) < 0.9
    assert share(True) > 0.99  # whole images are resized: sums in another order


@pytest.mark.parametrize("how", [{"flip": True}, SLIDING | {"flip": True}])
def test_metres_are_averaged_too(evaluator, how):
    class Red:
        def apply(self, variables, image, train, head):
            return image[..., :1] / 10 + 1

    source = Source([(32, 64), (32, 64), (32, 64)])
    facts = {"fields": ("image", "depth"), "classes": ()}
    source.dataset = dataclasses.replace(source.dataset, **facts)
    for example in source.examples:
        del example["segmentation"]
        example["depth"] = example["image"][..., 1].astype(np.float32) / 10
    section = {"name": "depth", "smooth_weight": 1.0, "maximum": None}
    found = []
    for options in ({}, how):
        made = evaluator(source, (32, 64), network=Red, task=section, **options)
        found.append(made({}))
    assert found[0] == pytest.approx(found[1], rel=1e-5) and found[0]["rmse"] > 0


def test_scales_are_averaged_by_hand(evaluator):
    """A constant image per half: any scale says the same away from the border."""
    source = Source([(64, 64)])
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32, 0], image[:, 32:, 1] = 200, 100
    source.examples[0]["image"] = image
    for mode in ("whole", "sliding"):
        made = evaluator(source, (64, 64), mode=mode, scales=[0.5, 1.0, 2.0], flip=True)
        (found,) = answers(made)
        wanted = by_pixel(image)
        np.testing.assert_array_equal(found[:, :28], wanted[:, :28])
        np.testing.assert_array_equal(found[:, 36:], wanted[:, 36:])


def test_probabilities_are_averaged_not_logits():
    task = build.task(TASK, 2)
    sure, unsure = np.array([[9.0, 0.0]]), np.array([[0.0, 8.0]])
    mean = (task.scores(sure) + task.scores(unsure)) / 2
    np.testing.assert_allclose(np.sum(mean, axis=-1), 1, rtol=1e-6)
    assert depth.build(1).scores(sure) is sure


@pytest.mark.parametrize("length, window", [(10, 10), (5, 10), (11, 10), (97, 10)])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.7, 0.9])
def test_windows_cover_every_pixel(length, window, overlap):
    found = protocol.starts(length, window, overlap)
    seen = np.zeros(max(length, window), int)
    for start in found:
        seen[start : start + window] += 1
        assert start + window <= len(seen)
    assert seen.min() >= 1 and found == sorted(set(found))
    assert (np.diff(found) <= np.ceil(window * (1 - overlap) - 1e-9)).all()


def test_starts_by_hand():
    assert protocol.starts(10, 4, 0.5) == [0, 2, 4, 6]
    assert protocol.starts(11, 4, 0.5) == [0, 2, 4, 6, 7]
    assert protocol.starts(20, 10, 0.7) == [0, 3, 6, 9, 10]


def test_canvases():
    assert protocol.canvas((50, 70), 1.0) == (50, 70)
    assert protocol.canvas((64, 100), 0.5) == (32, 64)
    assert protocol.canvas((10, 10), 0.5) == (32, 32)


@pytest.mark.parametrize("size", [(5, 9), (12, 3), (6, 7), (1, 1)])
def test_enlarging_is_that_of_the_default_path(size):
    maps = np.random.default_rng(0).normal(size=(6, 7, 2)).astype(np.float32)
    content, wanted = jnp.array([[6, 7]]), jnp.array([size])
    expected = images_jnp.resize_to(jnp.asarray(maps)[None], content, wanted, size)
    found = map_lib.enlarge(maps, size)
    np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=1e-5)


def test_mirror_of_the_content_only():
    maps = np.arange(8.0).reshape(2, 1, 4, 1)
    found = images_jnp.mirror(jnp.asarray(maps), jnp.array([4, 2]))
    np.testing.assert_array_equal(found.reshape(2, 4), [[3, 2, 1, 0], [5, 4, 6, 7]])


@pytest.mark.parametrize(
    "how, words",
    [
        ({}, "whole image, one scale 64x96"),
        ({"flip": True}, "whole image, one scale 64x96, flip"),
        ({"scales": [0.5, 1.0]}, "whole image, canvas 64x96, scales 0.5 1"),
        (SLIDING, "sliding windows 64x96, overlap 0.5, one scale"),
        (
            SLIDING | {"scales": [0.5, 1.0, 2.0], "flip": True},
            "sliding windows 64x96, overlap 0.5, scales 0.5 1 2, flip",
        ),
    ],
)
def test_the_words(how, words):
    assert protocol.build(**how).text((64, 96)) == words


@pytest.mark.parametrize(
    "section, words",
    [
        ({"mode": "slidng"}, "s/protocol/mode: unknown mode.*Did you mean 'sliding'"),
        ({"mod": "sliding"}, "unknown key 'mod'.*Did you mean 'mode'"),
        ({"mode": "sliding", "overlap": 1.0}, r"s/protocol/overlap.*\[0, 1\)"),
        ({"mode": "sliding", "overlap": -0.1}, "overlap: found -0.1"),
        ({"overlap": 0.2}, "mode 'whole', which has no windows"),
        ({"scales": []}, "scales: found .*one or more"),
        ({"scales": [1, 0]}, "scales: found .*above 0"),
        ({"scales": "1"}, "s/protocol/scales: found '1'"),
        ({"flip": 1}, "s/protocol/flip: found 1"),
        ([1], "allowed: a section"),
    ],
)
def test_a_bad_section_is_one_message(section, words):
    with pytest.raises(errors.UserError, match=words):
        protocol.bind(section, "s/protocol")


def test_only_maps_are_averaged(evaluator):
    how = protocol.build(flip=True)
    protocol.check(how, depth.build(1), "x")
    protocol.check(protocol.WHOLE, classification.build(3), "x")
    with pytest.raises(errors.UserError, match=r"x: .*'classification'.*Fix"):
        protocol.check(how, classification.build(3), "x")


def bound(evaluations, **changes):
    section = tiny.train(evaluations=evaluations, **changes)
    return tiny.plan({"study": "s", "stages": {"x": section}}).by_name["x"]


def test_an_evaluation_of_a_stage_may_carry_one():
    stage = bound({"validation": {"count": 3, "protocol": {"flip": True}}})
    found = stage.spec.evaluations["validation"].protocol
    flipped = {"mode": "whole", "overlap": 0.5, "scales": [1.0], "flip": True}
    assert found == flipped | {"normalization": "training"}
    assert protocol.build(**found) == protocol.Protocol(flip=True)
    plain = bound({"validation": {"count": 3}})
    assert plain.spec.evaluations["validation"].protocol is None
    spelled = bound({"validation": {"count": 3, "protocol": {"mode": "whole"}}})
    assert spelled.key == plain.key != stage.key


def test_any_task_may_be_normalized_by_the_target():
    section = {"validation": {"protocol": {"normalization": "target"}}}
    model = tiny.MODEL | {"head": {"name": "centernet"}}
    stage = bound(section, task={"name": "detection"}, model=model)
    found = protocol.build(**stage.spec.evaluations["validation"].protocol)
    assert found == protocol.Protocol(normalization="target") and not found.averages
    words = "whole image, one scale 8x8, normalized by the target's own mean and std"
    assert found.text((8, 8)) == words


def test_another_set_is_evaluated_at_the_resolution_of_training():
    other = {"name": "worlds/driving_night"}
    sections = {"a": other, "b": other | {"size": [96, 96]}}
    wide = dataclasses.replace(catalogue.find(other["name"]), size=(64, 128))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(worlds.DATASETS, "driving_night", wide)
        found = bound(sections, headline="a").spec.evaluations
    assert found["a"].size == [64, 64] and found["b"].size == [96, 96]


@pytest.mark.parametrize(
    "name, words",
    [
        ("worlds/binary_dogs", r"evaluations/validation: .*needs a head of \d+ out"),
        ("worlds/websearch", "evaluations/validation: .*needs segmentation"),
    ],
)
def test_a_set_that_cannot_judge_is_refused_before_training(name, words):
    with pytest.raises(errors.UserError, match=words):
        bound({"validation": {"name": name}})


def test_a_set_of_other_channels_is_refused_before_training():
    other = "worlds/driving_night"
    grey = dataclasses.replace(catalogue.find(other), mean=(90.0,), std=(40.0,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(worlds.DATASETS, "driving_night", grey)
        with pytest.raises(errors.UserError, match=r"have 1 channels, those of .* 3"):
            bound({"validation": {"name": other}})


def test_a_stage_with_a_bad_one_is_refused():
    with pytest.raises(errors.UserError, match=r"x/evaluations/validation/protocol"):
        bound({"validation": {"protocol": {"mode": "sliced"}}})
    with pytest.raises(errors.UserError, match=r"key 'protocol'"):
        bound({}, data={"name": "worlds/driving_day", "protocol": {"flip": True}})
    with pytest.raises(errors.UserError, match=r"validation/protocol: .*'detection'"):
        bound(
            {"validation": {"protocol": {"flip": True}}},
            task={"name": "detection"},
            model=tiny.MODEL | {"head": {"name": "centernet"}},
        )


class Both(segmentation.Segmentation):
    """Predicts by the first of two heads; the other gives labels to no one."""

    @property
    def heads(self):
        return {"logits": 3, "more": 3}

    def scores(self, outputs):
        return {"logits": super().scores(outputs["logits"]), "more": outputs["more"]}

    def decode(self, outputs):
        assert outputs["more"].shape == outputs["logits"].shape
        return super().decode(outputs["logits"])


class TwoHeads(Uneven):
    """What a model of two heads returns: each by its name."""

    def apply(self, variables, image, train, head):
        assert head == ("logits", "more")
        logits = super().apply(variables, image, train, head)
        return {"logits": logits, "more": -logits}


@pytest.mark.parametrize(
    "how",
    [{}, {"flip": True, "scales": [1.0, 2.0]}, SLIDING | {"flip": True}],
)
def test_maps_of_several_heads_go_the_way_of_one(evaluator, monkeypatch, how):
    source = Source([(32, 32), (40, 30), (64, 64)])
    wanted = evaluator(source, network=Uneven, **how)
    expected, maps = wanted({}), answers(wanted)
    monkeypatch.setattr(build, "task", lambda section, n: Both(n))
    predictor._program.cache_clear()
    found = evaluator(source, network=TwoHeads, **how)
    assert found({}) == expected
    for one, other in zip(answers(found), maps, strict=True):
        np.testing.assert_array_equal(one, other)
