import copy

import chex
import numpy as np
import pytest

from jaxseg.core import trees
from jaxseg.models import model as models
from jaxseg.transfer import run as runs
from jaxseg.transfer import transplant
from jaxseg.transfer.training import starts
from tests import tiny

SHAPES = {
    "params/backbone/stem/kernel": (3, 3, 3, 4),
    "params/backbone/stem/bias": (4,),
    "params/backbone/stage1/kernel": (4, 4),
    "params/heads_segmentation/kernel": (4, 6),
    "batch_stats/backbone/stem/mean": (4,),
    "batch_stats/backbone/stem/var": (4,),
}
BACKBONE = {path for path in SHAPES if "/backbone/" in path}
TAKE = {"backbone": "backbone"}


def make(fill, **changes):
    """Variables whose leaves all hold `fill`; changes: {path: shape, array or None}."""
    flat = dict(SHAPES) | changes
    return trees.unflatten(
        {
            path: np.full(leaf, fill, np.float32) if isinstance(leaf, tuple) else leaf
            for path, leaf in flat.items()
            if leaf is not None
        }
    )


def run(target=None, source=None, take=TAKE, reinit=()):
    """(flat result, receipt); a target of zeros and a source of ones by default."""
    target = make(0) if target is None else target
    source = make(1) if source is None else source
    result, receipt = transplant.transplant(target, source, take, reinit)
    return trees.flatten(result), receipt


def error(**arguments):
    with pytest.raises(transplant.TransplantError) as caught:
        run(**arguments)
    return str(caught.value)


def moved(flat):
    return {path for path, leaf in flat.items() if (leaf == 1).all()}


def test_exactly_the_leaves_under_the_prefix_move_in_all_collections():
    found, receipt = run()
    assert moved(found) == BACKBONE
    assert set(receipt.copied) == BACKBONE
    assert receipt.kept == ("params/heads_segmentation/kernel",)
    assert receipt.left_behind == ("params/heads_segmentation/kernel",)
    assert receipt.copied_parameters == 108 + 4 + 16  # statistics are no parameters
    assert receipt.total_parameters == 108 + 4 + 16 + 24
    assert receipt.take == TAKE and receipt.reinit == ()
    text = receipt.summary()
    assert "copied 5 leaves (128 parameters, 84.2% of the model)" in text
    assert "kept 1 fresh" in text and "left 1 behind" in text


def test_values_are_copied_and_inputs_left_alone():
    target, source = make(0), make(1)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 4)).astype(np.float32)
    source["params"]["backbone"]["stage1"]["kernel"] = kernel
    before = copy.deepcopy((target, source))
    found, _ = run(target, source)
    np.testing.assert_array_equal(found["params/backbone/stage1/kernel"], kernel)
    chex.assert_trees_all_equal(before, (target, source))


def test_another_prefix_in_the_source():
    source = make(1, **{"params/encoder/stage1/kernel": (4, 4)})
    take = {"backbone/stage1": "encoder/stage1"}
    found, receipt = run(source=source, take=take)
    assert moved(found) == {"params/backbone/stage1/kernel"}
    assert "params/encoder/stage1/kernel" not in receipt.left_behind
    assert "params/backbone/stage1/kernel" in receipt.left_behind


def test_two_rules():
    take = TAKE | {"heads_segmentation": "heads_segmentation"}
    found, receipt = run(take=take)
    assert moved(found) == set(SHAPES)
    assert receipt.kept == receipt.left_behind == ()
    assert receipt.copied_parameters == receipt.total_parameters


def test_reinit_keeps_the_targets_own_value():
    found, receipt = run(reinit=["backbone/stem/.*"])
    assert moved(found) == {"params/backbone/stage1/kernel"}
    assert receipt.reinit == ("backbone/stem/.*",)
    assert "batch_stats/backbone/stem/mean" in receipt.kept
    assert "batch_stats/backbone/stem/mean" in receipt.left_behind


def test_reinit_excuses_leaves_of_another_shape_and_missing_ones():
    kernel = "params/backbone/stage1/kernel"
    for source in (make(1, **{kernel: (9, 9)}), make(1, **{kernel: None})):
        found, _ = run(source=source, reinit=["backbone/stage1/kernel"])
        assert moved(found) == BACKBONE - {kernel}


def test_reinit_of_a_leaf_does_not_excuse_others():
    source = make(1, **{"params/backbone/stem/bias": (5,)})
    assert "1 leaf differs" in error(source=source, reinit=["backbone/stage1/.*"])


@pytest.mark.parametrize("side", ["target", "source"])
def test_nothing_under_the_prefix(side):
    wrong = {"target": {"backbon": "backbone"}, "source": {"backbone": "backbon"}}
    text = error(take=wrong[side])
    assert f"the {side} has nothing under 'backbon'" in text
    assert "It has: backbone, heads_segmentation." in text
    assert "Did you mean 'backbone'?" in text


def test_a_prefix_ends_at_a_border():
    text = error(take={"back": "back"})
    assert "the target has nothing under 'back'" in text


def test_missing_in_the_source():
    source = make(1, **{"params/backbone/stem/bias": None})
    lines = error(source=source).splitlines()
    assert lines == [
        "transplant {backbone <- backbone}: 1 leaf differs.",
        "- params/backbone/stem/bias: (4,), not in the source",
        transplant.FIX,
    ]


def test_only_in_the_source():
    source = make(1, **{"params/backbone/stage4/kernel": (2, 2)})
    assert "+ params/backbone/stage4/kernel: (2, 2), only in source" in error(
        source=source
    )


def test_another_shape():
    source = make(1, **{"batch_stats/backbone/stem/var": (48,)})
    text = error(source=source)
    assert "- batch_stats/backbone/stem/var: target (4,), source (48,)" in text
    source = make(1, **{"params/backbone/stage1/kernel": (16,)})  # as many numbers
    assert "target (4, 4), source (16,)" in error(source=source)


def test_another_dtype():
    source = make(1, **{"params/backbone/stem/bias": np.ones(4, np.float16)})
    text = error(source=source)
    assert "- params/backbone/stem/bias: target float32, source float16" in text


def test_a_source_without_statistics():
    source = make(1)
    del source["batch_stats"]
    text = error(source=source)
    assert "2 leaves differ" in text
    assert "- batch_stats/backbone/stem/mean: (4,), not in the source" in text


def test_all_differences_are_listed_up_to_a_limit():
    more = {f"params/backbone/extra{i:02}/bias": (1,) for i in range(30)}
    lines = error(source=make(1, **more)).splitlines()
    assert lines[0].endswith("30 leaves differ.")
    assert lines[-2] == "... and 10 more" and len(lines) == 1 + 20 + 2


def test_reinit_that_matches_nothing():
    text = error(reinit=["backbone/stem/kernle"])
    assert "reinit: pattern 'backbone/stem/kernle' matches no leaf" in text
    assert "Did you mean 'backbone/stem/kernel'?" in text
    assert "matches no leaf" in error(reinit=["backbone"])  # in full, not by prefix
    assert "matches no leaf" in error(reinit=["params/backbone/.*"])  # no collection
    assert "is not a regex" in error(reinit=["("])


@pytest.mark.parametrize("second", ["backbone/stem", "backbone"])
def test_two_rules_for_one_leaf(second):
    text = error(take={"backbone/stem": "backbone/stem", "backbone": second})
    if second == "backbone":
        assert "params/backbone/stem/bias is taken by an earlier rule" in text or (
            "batch_stats/backbone/stem/mean is taken by an earlier rule" in text
        )
    else:  # the first complaint is that the second rule does not fit
        assert "transplant {backbone <- backbone/stem}" in text


STEM = "backbone/stem"


def two_starts(first, second, reinit=()):
    """A plan with a child of two parents, whose starts take these prefixes."""
    config = tiny.config()
    config["stages"]["other"] = tiny.train(seed=1)
    child = tiny.candidate(0.1)
    child["parents"] = {"p": "source", "q": "other"}
    child["starts"] = [
        {"parent": "p", "take": {first: first}},
        {"parent": "q", "take": {second: second}, "reinit": list(reinit)},
    ]
    config["stages"]["child"] = child
    return tiny.plan(config)


@pytest.mark.parametrize(
    "first, second",
    [
        ("backbone", "backbone"),
        ("backbone", STEM),
        (STEM, "backbone"),
    ],
)
def test_two_starts_for_one_leaf_are_refused_by_the_plan(first, second):
    text = r"stages/child/starts: transplant .* of 'q': .* by an earlier rule as well"
    text += ", of 'p'"
    with pytest.raises(transplant.TransplantError, match=text):
        two_starts(first, second)


def test_two_starts_that_do_not_overlap():
    assert two_starts("backbone", "heads_segmentation")
    assert two_starts("backbone/stage1", STEM)
    assert two_starts("backbone/stage1", "backbone", reinit=["backbone/stage1/.*"])


def test_a_failed_transplant_changes_nothing():
    target = make(0)
    source = make(1, **{"params/backbone/stem/bias": (5,)})
    error(target=target, source=source)
    assert not moved(trees.flatten(target))


HRNET = {"backbone": {"name": "hrnet", "variant": "tiny"}, "head": {"name": "unet"}}
RESNET = {"backbone": {"name": "resnet", "variant": "tiny"}, "head": {"name": "fcn"}}


def function(base, take=TAKE, allow=(), head=None, **backbone):
    """Checks weights of a model of `base` with these fields for `base` itself."""
    changed = {"backbone": backbone, "head": head or {}}
    there = {part: section | changed[part] for part, section in base.items()}
    here, there = (models.bind_model(m, where="m") for m in (base, there))
    transplant.check_function(take, here, there, (64, 64, 3), allow)


def test_equal_shapes_with_another_function_are_refused():
    with pytest.raises(transplant.TransplantError) as caught:
        function(HRNET, fusion="bilinear")
    assert str(caught.value) == (
        "transplant {backbone <- backbone}: the weights fit, but would compute "
        "something else: fusion of the backbone is 'nearest' here and 'bilinear' in "
        "the source. Fix: the same fusion, or allow=['fusion'] in this start if that "
        "is meant."
    )
    function(HRNET, fusion="bilinear", allow=["fusion"])
    with pytest.raises(transplant.TransplantError, match=r"'fusoin'.*mean 'fusion'"):
        function(HRNET, fusion="bilinear", allow=["fusoin"])


def test_a_decoder_is_compared_where_it_is_taken():
    heads = {"heads_segmentation/decoder": "heads_conrec/decoder"}
    function(HRNET, head={"up": "bilinear"})  # the backbone alone
    with pytest.raises(transplant.TransplantError, match="up of the head is 'nearest'"):
        function(HRNET, heads, head={"up": "bilinear"})
    function(HRNET, {"heads_x/decoder": "backbone"}, head={"up": "bilinear"})


def test_heads_of_their_own_are_compared_by_their_names():
    """Both of a and b are decoders; only those of a are alike."""
    decoder = {"name": "unet"}
    there = {"a": decoder, "b": decoder | {"up": "bilinear"}}
    here = RESNET | {"head": decoder}
    section = {"backbone": RESNET["backbone"], "heads": there}
    here, there = (models.bind_model(m, where="m") for m in (here, section))

    def check(frm):
        take = {"heads_x/decoder": f"heads_{frm}/decoder"}
        transplant.check_names(take, here, there)
        transplant.check_function(take, here, there, (64, 64, 3), ())
        transplant.check_function(
            {v: k for k, v in take.items()}, there, here, (64,) * 3
        )

    check("a")
    with pytest.raises(transplant.TransplantError, match="up of the head is 'nearest'"):
        check("b")
    linear = models.bind_model(RESNET | {"head": {"name": "linear"}}, where="m")
    with pytest.raises(transplant.TransplantError, match="another head, its weights"):
        transplant.check_names({"heads_a": "heads_a"}, there, linear)
    transplant.check_names({"backbone": "backbone"}, there, linear)


def test_the_blocks_of_a_decoder_go_into_another_head():
    """A head for reconstruction is made of those of a U-Net's (decoder paper, 2.2)."""
    heads = {"name": "reconstruction", "targets": 1}
    here, there, bilinear, linear = (
        models.bind_model(RESNET | {"head": head}, where="m")
        for head in (
            {"name": "unet"},
            heads,
            heads | {"up": "bilinear"},
            {"name": "linear"},
        )
    )
    take = {"heads_segmentation/decoder": "heads_reconstruction/decoder"}
    transplant.check_names(take, here, there)
    transplant.check_function(take, here, there, (64, 64, 3))
    with pytest.raises(transplant.TransplantError, match="up of the head is 'nearest'"):
        transplant.check_function(take, here, bilinear, (64, 64, 3))
    with pytest.raises(transplant.TransplantError, match="another head, its weights"):
        transplant.check_names(take, linear, there)


def test_what_is_usual_or_of_training_alone_may_differ():
    function(RESNET, output_stride=8, remat=True, head={"dropout": 0.5})
    function(HRNET, remat=True)


def test_what_changes_shapes_is_left_to_the_comparison_of_leaves():
    function(HRNET, width=16)
    function(RESNET, {"backbone/stage1": "backbone/stage1"}, lengths=[1, 1, 2, 1])


def test_the_plan_already_refuses_another_function():
    config = tiny.config()
    model = config["stages"]["source"]["model"]
    other = model | {"backbone": model["backbone"] | {"fusion": "bilinear"}}
    config["stages"]["source"]["model"] = other
    with pytest.raises(transplant.TransplantError, match="stages/target/a: transplant"):
        tiny.plan(config)
    for name in ("target/a", "target/b"):
        (start,) = config["stages"][name]["starts"]
        config["stages"][name]["starts"] = [start | {"allow": ["fusion"]}]
    assert tiny.plan(config)


def test_a_file_that_knows_better_than_the_plan_is_compared_when_it_is_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(starts, "check", lambda *given: None)
    config = {"stages": tiny.config()["stages"]}
    model = config["stages"]["source"]["model"]
    other = model | {"backbone": model["backbone"] | {"fusion": "bilinear"}}
    config["stages"]["child"] = tiny.candidate(0.1) | {"model": other}
    outcome = runs.run(config, tiny.copy(tmp_path), only="child")
    text = outcome.errors["child"]
    assert "stages/child/starts, from" in text and "fusion of the backbone is" in text
