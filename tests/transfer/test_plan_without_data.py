"""Every official set is planned from its fact sheet: no file is looked for."""

import pytest

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.transfer import chain

# The task of a set by its fields, the first that it has, and a head for it.
TASKS = {
    "segmentation": ("segmentation", "linear"),
    "depth": ("depth", "depth"),
    "keypoints": ("keypoints", "keypoints"),
    "boxes": ("detection", "centernet"),
    "label": ("classification", "classifier"),
    "labels": ("classification", "classifier"),
}
OWN = {name: catalogue.find(name).own for name in catalogue.names()}
# How many images have a pixel of one class, or which of the scenes there are, is seen
# in the folder.
CITYSCAPES = ("cityscapes/car", "cityscapes/bus", "cityscapes/car_patches_only")
COUNTED = (*CITYSCAPES, "voc/four_way", "seven_scenes/depth")


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("JAXSEG_DATA", raising=False)


def planned(name):
    """The spec of a training on a set that is evaluated on all of its splits."""
    facts = catalogue.find(name)
    field = next((one for one in TASKS if one in facts.fields), "segmentation")
    task, head = TASKS[field]
    evaluations = {split: {"split": split} for split in facts.splits}
    size = {} if facts.size else {"size": [64, 64]}
    section = {
        "kind": "train",
        "data": {"name": name, "split": next(iter(facts.splits), "train")} | size,
        "task": {"name": task} | ({"multilabel": True} if field == "labels" else {}),
        "model": {
            "backbone": {"name": "unet", "variant": "tiny"},
            "head": {"name": head},
        },
        "steps": 3,
        "evaluations": evaluations or {"train": {"split": "train"}},
        "headline": next(iter(facts.splits), "train"),
    }
    config = chain.bind({"study": "s", "stages": {"x": section}})
    return chain.plan(config).by_name["x"].spec


@pytest.mark.parametrize("name", [name for name, own in OWN.items() if not own])
def test_an_official_set_is_planned_from_its_fact_sheet(name):
    spec = planned(name)
    facts = catalogue.find(name)
    assert spec.data.fingerprint == f"{name}@{facts.version}"
    multiple = 4  # of the tiny U-Net
    for found, own in zip(spec.data.size, facts.size, strict=True):
        assert found % multiple == 0 and abs(found - own) < multiple
    for split, data in spec.evaluations.items():
        count = data.images(data.facts())[0]
        assert count == facts.splits[split]
        assert bool(count) != (name in COUNTED)


@pytest.mark.parametrize("name", [name for name, own in OWN.items() if own])
def test_a_folder_of_the_users_is_what_it_holds(name):
    with pytest.raises(errors.UserError, match=f"{name}: no folder given"):
        planned(name)


def test_a_split_that_the_fact_sheet_has_not_is_refused():
    section = {
        "kind": "train",
        "data": {"name": "camvid/11"},
        "task": {"name": "segmentation"},
        "model": {
            "backbone": {"name": "unet", "variant": "tiny"},
            "head": {"name": "linear"},
        },
        "steps": 3,
        "evaluations": {"validation": {"split": "val"}},
    }
    text = "validation: unknown split of camvid/11 'val'. Known: test, train, valid"
    with pytest.raises(errors.UserError, match=text):
        chain.plan(chain.bind({"study": "s", "stages": {"x": section}}))
