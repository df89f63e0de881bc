"""Which images choose the weights, and what the reported metric says of it."""

import pytest

from jaxseg.core import errors
from jaxseg.transfer import choosing, store, study
from tests import tiny

BEST = {"eval_every": 2, "keep": "best"}
HELD_OUT = {"split": "train", "part": "held_out"}


def spec(**changes):
    """The resolved spec of a training of five steps."""
    config = {"stages": {"x": tiny.train(steps=5, **changes)}}
    return tiny.plan(config).by_name["x"].spec


def apart(**changes):
    """Chosen by a fifth of the training images, trained on the others."""
    sections = {"validation": {"count": 3}, "held_out": HELD_OUT}
    data = {"name": "worlds/driving_day", "count": 10, "part": "fit"}
    fields = {"data": data, "evaluations": sections, "choose_by": "held_out"}
    return fields | BEST | changes


@pytest.mark.parametrize(
    "changes, text",
    [
        ({}, ""),
        ({"eval_every": 2}, ""),
        (BEST, ", best of 3 evaluations of this set"),
        ({"eval_every": 5, "keep": "best"}, ""),
        (BEST | {"patience": 1}, ", best of up to 3 evaluations of this set"),
        ({"eval_every": 2, "patience": 1}, ", stopped by evaluations of this set"),
    ],
)
def test_words_of_a_set_that_chooses(changes, text):
    assert choosing.words(spec(**changes), "validation") == text


def test_the_same_images_choose_under_any_protocol():
    views = {"validation": {"count": 3}, "flips": {"count": 3}, "more": {"count": 4}}
    views["flips"]["protocol"] = {"flip": True}
    found = spec(evaluations=views, **BEST)
    said = {name: bool(choosing.words(found, name)) for name in views}
    assert said == {"validation": True, "flips": True, "more": False}


def test_images_that_are_held_out_choose():
    found = spec(**apart())
    assert choosing.chooser(found) == "held_out"
    assert choosing.words(found, "validation") == ""
    assert choosing.words(found, "held_out") == ", best of 3 evaluations of this set"


def test_evaluations_follow_these_steps():
    steps = range(1, 6)
    assert [s for s in steps if choosing.due(spec(**BEST), s)] == [2, 4, 5]
    assert [s for s in steps if choosing.due(spec(eval_every=2), s)] == [2, 4]
    assert [s for s in steps if choosing.due(spec(), s)] == []


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"choose_by": "held"} | BEST, "stages/x/choose_by: unknown evaluation 'held'"),
        ({"keep": "best"}, "keep='best' needs eval_every, found 0. Fix: eval_every=N"),
    ],
)
def test_what_cannot_choose(changes, text):
    with pytest.raises(errors.UserError, match=text):
        spec(**changes)


def test_a_run_keeps_what_the_held_out_images_liked_best(tmp_path):
    config = {"stages": {"x": tiny.train(steps=4, lr=1.0, **apart())}}
    assert study.run(config, tmp_path).ok
    manifest = store.Store(tmp_path).manifest(tiny.plan(config).by_name["x"].key)
    rows = {
        row["evaluation"]: row for row in manifest["metrics"] if row["name"] == "miou"
    }
    assert rows["validation"]["headline"] and not rows["held_out"]["headline"]
    assert rows["held_out"]["protocol"].endswith(", best of 2 evaluations of this set")
    assert "best of" not in rows["validation"]["protocol"]
    assert manifest["best_step"] in (2, 4)
