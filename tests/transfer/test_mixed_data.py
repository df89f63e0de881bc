"""Data sections of training: recipes, subsets, mixed sets, MixUp."""

import pytest

from jaxseg.core import errors, jsonl
from jaxseg.core import manifest as manifests
from jaxseg.data import recipes
from jaxseg.transfer import artifact, stage, store
from jaxseg.transfer import run as runs
from jaxseg.transfer.running import status
from tests import tiny

DAY = {"name": "worlds/driving_day", "count": 8}
CLASSIFIER = {
    "backbone": {"name": "resnet", "variant": "tiny"},
    "head": {"name": "pooled"},
}


def resolved(**changes):
    section = tiny.train(**changes)
    return stage.resolve("x", stage.bind("x", section), {}).spec


def mistake(text, **changes):
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        resolved(**changes)


def run(workdir, **changes):
    """The folder of one trained stage."""
    (one,) = tiny.plan({"stages": {"x": tiny.train(**changes)}}).stages
    box = store.Store(workdir)
    outcome = runs.run_stages([one], box, watcher=status.Watcher())
    assert outcome.ok, outcome.errors
    return box.folder(one.key)


def test_a_recipe_by_name_is_written_out_at_the_training_size():
    found = resolved(data=DAY | dict(augment="pssl", size=[32, 64])).data.augment
    assert [step["name"] for step in found] == [
        s["name"] for s in recipes.recipe("pssl")
    ]
    (crop,) = (step for step in found if step["name"] == "crop")
    assert (crop["height"], crop["width"]) == (32, 64)
    mistake("pss1.*pssl", data=DAY | dict(augment="pss1"))


def test_a_set_that_is_mixed_in_takes_over_what_it_leaves_out():
    data = DAY | dict(mix=[{"seed": 3, "weight": 2}, {"name": "worlds/driving_night"}])
    data = stage.bind("x", tiny.train(data=data)).spec.data
    same, other = data.mix
    assert same.name == data.name and same.weight == 2
    assert same.count is None  # the subset is its own
    assert other.root is None and other.size == data.size


def test_what_cannot_be_mixed_is_refused_before_any_run():
    mistake("mix/0.*classes", data=DAY | dict(mix=[{"name": "worlds/indoor_home"}]))
    data = DAY | dict(mix=[{"weight": 0.0}])
    mistake("weight: found 0.0, allowed: more than 0", data=data)
    mistake("mixup: found 0.2 with task 'segmentation'", mixup=0.2)


def test_fraction_and_count_exclude_each_other():
    with pytest.raises(errors.UserError, match="drop the other"):
        tiny.plan({"stages": {"x": tiny.train(data=DAY | dict(fraction=0.5))}})


@pytest.mark.slow
def test_a_mixed_run_says_which_records_it_saw(tmp_path):
    data = DAY | dict(count=None, fraction=0.01, mix=[{"count": 3, "seed": 7}])
    folder = run(tmp_path, data=data, steps=2)
    manifest = manifests.read(folder)
    images = {name: entry["count"] for name, entry in manifest["data"].items()}
    assert images["mix0"] == 3
    for name in ("train", "mix0"):
        lines = (folder / f"subset_{name}.txt").read_text().splitlines()
        assert len(set(lines)) == images[name]


@pytest.mark.slow
@pytest.mark.release  # two programs; tests/data/test_mixing.py has MixUp itself
def test_mixup_trains_and_changes_the_loss(tmp_path):
    losses = []
    for alpha in (0.0, 0.8):
        folder = run(
            tmp_path,
            data={"name": "worlds/websearch", "count": 8},
            task={"name": "classification"},
            model=CLASSIFIER,
            mixup=alpha,
            steps=1,
        )
        rows = jsonl.read(folder / "metrics.jsonl")
        losses += [row["loss"] for row in rows if row["kind"] == "train"]
        assert artifact.load(folder).manifest["spec"]["mixup"] == alpha
    assert losses[0] != losses[1]
