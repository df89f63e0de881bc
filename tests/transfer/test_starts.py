"""What a plan knows of the weights that a training starts from."""

import pytest

from jaxseg.transfer import network, transplant
from jaxseg.transfer.kinds.select import Select
from jaxseg.transfer.training import starts
from tests import tiny

FOLDER = "imported"


def plan(parent="source", allow=(), size=None, reinit=(), **backbone):
    """Plans a child of the tiny source, or of its imported folder."""
    model = tiny.MODEL | {"backbone": tiny.MODEL["backbone"] | backbone}
    start = {"parent": "start", "take": {"backbone": "backbone"}}
    start |= {"allow": list(allow), "reinit": list(reinit)}
    child = tiny.train(model=model, parents={"start": parent}, starts=[start])
    child["data"] = child["data"] | ({"size": size} if size else {})
    stages = tiny.config()["stages"] | {"child": child}
    if parent == FOLDER:
        folder = str(tiny.artifact("source"))
        stages[FOLDER] = {"kind": "imported", "file": folder}
    return tiny.plan({"stages": stages})


def error(*arguments, **options):
    with pytest.raises(transplant.TransplantError) as caught:
        plan(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("parent", ["source", FOLDER, "target"])
def test_weights_that_do_not_fit_are_refused_by_the_plan(parent):
    text = error(parent, first_width=12)
    assert text.startswith("stages/child: transplant {backbone <- backbone}: ")
    assert "stage1/block0/conv1/conv/kernel: target (1, 1, 16, 12), source" in text
    assert "Fix: same name and variant" in text
    plan(parent)
    plan(parent, first_width=12, reinit=["backbone/(stage1|transition1)/.*"])


def test_a_pattern_that_matches_nothing_is_refused_by_the_plan():
    assert "pattern 'backbone/stge1/.*'" in error(reinit=["backbone/stge1/.*"])


@pytest.mark.parametrize("parent", ["source", FOLDER])
def test_another_backbone_does_not_fit_and_cannot_be_allowed(parent):
    text = error(parent, name="unet")
    assert text.endswith(
        "another backbone, its weights do not fit: 'unet' here and 'hrnet' in the "
        "source. Fix: the same backbone on both sides."
    )
    assert "weights fit, but" not in text
    assert text == error(parent, name="unet", allow=["name"])
    assert "unknown allow 'name'" in error(parent, allow=["name"])


def test_functions_are_compared_at_a_size_that_both_take():
    """50 x 70 is no multiple of what nearest fusion needs."""
    text = error(fusion="bilinear", size=[50, 70])
    assert "fusion of the backbone is 'bilinear' here and 'nearest'" in text
    assert plan(fusion="bilinear", size=[50, 70], allow=["fusion"])


def test_a_selection_among_unlike_models_is_left_to_the_run():
    stages = tiny.config()["stages"]
    backbone = tiny.MODEL["backbone"] | {"blocks": 2}
    stages["target/b"]["model"] = tiny.MODEL | {"backbone": backbone}
    stages["target/b"] |= {"parents": {}, "starts": []}
    selection = tiny.plan({"stages": stages}).by_name["target"]
    assert Select().modelled(selection) is None
    selection = tiny.plan(tiny.config()).by_name["target"]
    assert Select().modelled(selection).name in ("target/a", "target/b")


@pytest.mark.parametrize(
    "more, leaf_by_leaf", [({}, 0), ({"reinit": ["backbone/.*bias"]}, 1)]
)
def test_a_pair_of_networks_is_compared_once(more, leaf_by_leaf, monkeypatch):
    """A study has thousands of stages; of one backbone the leaves need none."""
    calls = {"transplant": 0, "check_function": 0}

    def counted(name, compare):
        def call(*arguments):
            calls[name] += 1
            return compare(*arguments)

        return call

    for name in calls:
        monkeypatch.setattr(transplant, name, counted(name, getattr(transplant, name)))
    starts._check.cache_clear()
    stages = tiny.config()["stages"]
    start = {"parent": "start", "take": {"backbone": "backbone"}} | more
    for seed in range(5):
        child = tiny.candidate(0.1) | {"seed": seed}
        stages |= {f"child{seed}": child, f"source{seed}": tiny.train(seed=seed)}
        child["parents"] = {"start": f"source{seed}"}
        child["starts"] = [start]
    names = tiny.plan({"stages": stages}).by_name
    assert len({names[f"child{n}"].key for n in range(5)}) == 5
    assert calls == {"transplant": leaf_by_leaf, "check_function": 1 + leaf_by_leaf}
    before = dict(calls)
    # As another process does, which reads the shapes from the user's cache.
    for known in (network.Network.shapes, network._one, starts._check):
        known.cache_clear()
    tiny.plan({"stages": stages})
    assert calls == {name: 2 * count for name, count in before.items()}
