"""Which images choose the weights, and what the reported metric says of it."""

import dataclasses

import pytest

from jaxseg.core import errors, jsonl
from jaxseg.transfer import run as runs
from jaxseg.transfer import stage, store
from jaxseg.transfer.kinds import select, train
from jaxseg.transfer.training import choosing
from tests import tiny

BEST = {"eval_every": 2, "keep": "best"}
HOLDOUT = {"split": "train", "part": "holdout"}


def spec(**changes):
    """The resolved spec of a training of five steps."""
    config = {"stages": {"x": tiny.train(steps=5, **changes)}}
    return tiny.plan(config).by_name["x"].spec


def apart(**changes):
    """Chosen by a fifth of the training images, trained on the others."""
    sections = {"validation": {"count": 3}, "holdout": HOLDOUT}
    data = {"name": "worlds/driving_day", "count": 10, "part": "train"}
    fields = {"data": data, "evaluations": sections, "choose_by": "holdout"}
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


def test_images_of_the_same_split_choose_under_any_protocol():
    views = {"validation": {"count": 3}, "flips": {"count": 3}, "more": {"count": 4}}
    views["flips"]["protocol"] = {"flip": True}
    views["train"] = {"split": "train", "count": 4}
    found = spec(evaluations=views, **BEST)
    said = {name: bool(choosing.words(found, name)) for name in views}
    assert said == {"validation": True, "flips": True, "more": True, "train": False}


@pytest.mark.parametrize(
    "other, shared",
    [
        ({}, True),
        ({"count": 40}, True),
        ({"fraction": 0.5}, True),
        ({"seed": 3}, True),
        ({"part": "holdout"}, True),
        ({"split": "train"}, False),
        ({"name": "worlds/driving_night"}, False),
    ],
)
def test_images_that_overlap_choose(other, shared):
    sections = {"validation": {}, "quick": other}
    found = spec(evaluations=sections, choose_by="quick", **BEST)
    text = ", best of 3 evaluations of this set" if shared else ""
    assert choosing.words(found, "validation") == text


@pytest.mark.parametrize("seed, shared", [(0, False), (1, True)])
def test_parts_of_one_draw_do_not_overlap(seed, shared):
    parts = {"train": {"part": "train"}, "holdout": {"part": "holdout", "seed": seed}}
    found = spec(evaluations=parts, choose_by="holdout", headline="train", **BEST)
    assert bool(choosing.words(found, "train")) == shared


def test_the_rest_overlaps_no_image_of_its_draw():
    data = {"name": "worlds/driving_day", "count": 8, "seed": 1}
    sections = {"part": {"part": "holdout"}, "rest": {"part": "rest"}}
    sections = {n: {"split": "train"} | own for n, own in sections.items()}
    found = spec(data=data, evaluations=sections, choose_by="part", headline="rest")
    part, rest = (found.evaluations[name] for name in ("part", "rest"))
    assert (rest.count, rest.seed) == (8, 1)  # as in training
    assert not rest.overlaps(found.data) and not rest.overlaps(part)
    assert not found.data.overlaps(rest) and rest.overlaps(rest)
    other = dataclasses.replace(rest, seed=2)
    assert rest.overlaps(other) and found.data.overlaps(other)


def test_images_that_chose_between_candidates():
    evaluations = {"validation": {}, "quick": {"count": 4}, "holdout": HOLDOUT}
    found = spec(evaluations=evaluations)
    text = ", best of 3 candidates on this set"
    assert choosing.candidates(found.evaluations, "validation", "validation", 3) == text
    assert choosing.candidates(found.evaluations, "validation", "quick", 3) == text
    assert choosing.candidates(found.evaluations, "validation", "holdout", 3) == ""
    assert choosing.candidates(found.evaluations, "validation", "validation", 1) == ""
    assert choosing.candidates({}, "validation", "validation", 2)


def test_images_that_are_holdout_choose():
    found = spec(**apart())
    assert found.chooser == "holdout"
    assert choosing.words(found, "validation") == ""
    assert choosing.words(found, "holdout") == ", best of 3 evaluations of this set"


def test_evaluations_follow_these_steps():
    steps = range(1, 6)
    assert [s for s in steps if choosing.due(spec(**BEST), s)] == [2, 4, 5]
    assert [s for s in steps if choosing.due(spec(eval_every=2), s)] == [2, 4]
    assert [s for s in steps if choosing.due(spec(), s)] == []


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"choose_by": "held"} | BEST, "stages/x/choose_by: unknown evaluation 'held'"),
        (
            {"keep": "best"},
            "eval_every: found 0, but keep='best' needs",
        ),
    ],
)
def test_what_cannot_choose(changes, text):
    with pytest.raises(errors.UserError, match=text):
        spec(**changes)


def test_a_run_keeps_what_the_holdout_images_liked_best(tmp_path):
    config = {"stages": {"x": tiny.train(steps=4, lr=1.0, **apart())}}
    assert runs.run(config, tmp_path).ok
    manifest = store.Store(tmp_path).manifest(tiny.plan(config).by_name["x"].key)
    rows = {
        row["evaluation"]: row for row in manifest["metrics"] if row["name"] == "miou"
    }
    assert rows["validation"]["headline"] and not rows["holdout"]["headline"]
    assert rows["holdout"]["protocol"].endswith(", best of 2 evaluations of this set")
    assert "best of" not in rows["validation"]["protocol"]
    assert manifest["best_step"] in (2, 4)
    folder = store.Store(tmp_path).folder(manifest["key"])
    logged = jsonl.read(folder / "metrics.jsonl")
    said = {row["split"]: row["protocol"] for row in logged if row.get("final")}
    assert said == {name: row["protocol"] for name, row in rows.items()}


def test_a_refit_keeps_evaluations_on_another_copy_of_the_set():
    """Images held out of one copy are not those of another."""
    evaluations = {"own": HOLDOUT, "other": HOLDOUT | {"copy": "b"}}
    data = {"name": "camvid/11", "part": "train"}
    one = tiny.train(data=data, evaluations=evaluations, headline="other")
    bound = stage.bind("x", one).spec
    assert set(select.on_all_images(bound).evaluations) == {"other"}


@pytest.mark.parametrize(
    "steps, batch_size, images, times",
    [
        (600, 16, 100, 10),  # 1,200 images would do for 12
        (600, 16, 400, 3),
        (600, 16, 2000, 1),
        (60, 16, 50, 2),
        (60, 16, 5000, 1),  # one there must be
        (4, 16, 1, 4),  # never more than steps
        (600, 16, 0, 1),  # nobody knows how many
    ],
)
def test_evaluations_are_paid_by_training(steps, batch_size, images, times):
    given = spec(eval_every=1, keep="best")
    given = dataclasses.replace(given, steps=steps, batch_size=batch_size)
    period = choosing.period(given, images)
    assert -(-steps // period) == times
    assert times == 1 or times * images <= steps * batch_size / 8
    best = dataclasses.replace(given, eval_every=period)
    known = [choosing.due(best, step) for step in range(1, steps + 1)]
    once = times == 1  # nothing to choose from: the end needs no second look
    assert sum(known) == choosing.during(best) == (0 if once else times)
    assert choosing.during(dataclasses.replace(best, keep="last")) == times - 1


def test_periods_left_open_are_resolved_by_what_is_evaluated():
    sets = {"validation": {"count": 40}, "quick": {"count": 10}}
    left = {"steps": 100, "batch_size": 8, "eval_every": None, "evaluations": sets}
    config = {"stages": {"x": tiny.train(**left | {"keep": "best"})}}
    one = tiny.plan(config).by_name["x"]
    assert one.spec.eval_every == 50  # an eighth of 800 images is twice 40
    assert train.KIND.describe(one.spec, {})["evaluated"] == 40 + 10 + 2 * 40
    assert spec(eval_every=None, evaluations=sets, choose_by="quick").eval_every == 5
