import copy
import dataclasses

import pytest

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.tasks import segmentation
from jaxseg.transfer import stage
from jaxseg.transfer.kinds import train
from jaxseg.transfer.training import sizes
from tests import tiny


def resolve(section, parent_keys=None):
    keys = parent_keys or {}
    parents = {r: dataclasses.replace(resolve(BASE), key=k) for r, k in keys.items()}
    return stage.resolve("x", stage.bind("x", section), parents)


def key(parent_keys=None, **changes):
    return resolve(tiny.train(**changes), parent_keys).key


BASE = tiny.train()
START = dict(
    parents={"start": "a"},
    starts=[{"parent": "start", "take": {"backbone": "backbone"}}],
)


def test_a_key_is_stable():
    assert key() == key() and len(key()) == 64
    assert resolve(BASE).short == key()[:20]


def test_defaults_written_out_make_no_difference():
    bound = stage.bind("x", BASE)
    again = stage.bind("x", bound.plain())
    assert again.plain() == bound.plain()
    assert stage.resolve("x", again, {}).key == key()
    assert key(lr=0.001) == key(optimizer={"name": "adam", "b1": 0.9}) == key()
    sized = BASE["data"] | {"size": [64, 64], "split": "train", "seed": 0}
    assert key(data=sized, evaluations={"validation": {"count": 3}}) == key()
    head = {"name": "linear"}
    backbone = {"name": "hrnet", "variant": "tiny", "width": 8}
    assert key(model={"backbone": backbone, "head": head}) == key()


def test_the_transforms_left_to_the_default_are_the_default():
    steps = [{"name": "flip"}, {"name": "rescale"}, {"name": "crop", "height": 64}]
    assert key(data=BASE["data"] | {"augment": steps}) == key()


def test_numbers_mean_the_same_however_written():
    assert key(lr=1) == key(lr=1.0)
    one = [{"name": "rescale", "low": 1, "high": 2}, {"name": "crop"}]
    other = [{"name": "rescale", "low": 1.0, "high": 2.0}, {"name": "crop"}]
    assert key(data=BASE["data"] | {"augment": one}) == key(
        data=BASE["data"] | {"augment": other}
    )
    assert key(schedule={"name": "step", "at": [1]}) == key(
        schedule={"name": "step", "at": (1.0,)}
    )


@pytest.mark.parametrize(
    "changes",
    [
        dict(columns=[{"target": "x", "role": "target"}]),
        dict(run={"log_every": 1, "checkpoint_every": 3, "threads": 9}),
        dict(data=BASE["data"] | {"cache": "none"}),
    ],
    ids=["columns", "run", "cache"],
)
def test_what_changes_no_number_is_not_in_the_key(changes):
    assert key(**changes) == key()


def test_the_folder_of_an_official_set_is_not_in_the_key():
    places = [{"name": "camvid/11"} | more for more in ({}, {"root": "/somewhere"})]
    keys = {key(data=place, evaluations={"validation": {}}) for place in places}
    assert len(keys) == 1


def test_images_that_are_drawn_have_no_folder():
    with pytest.raises(errors.UserError, match=r"data/root: found '/somewhere'"):
        key(data=BASE["data"] | {"root": "/somewhere"})


@pytest.mark.parametrize(
    "changes",
    [
        dict(lr=0.0011),
        dict(steps=3),
        dict(seed=1),
        dict(batch_size=8),
        dict(data=BASE["data"] | {"count": 7}),
        dict(data=BASE["data"] | {"seed": 1}),
        dict(data=BASE["data"] | {"part": "train"}),
        dict(data=BASE["data"] | {"name": "worlds/driving_night"}),
        dict(data=BASE["data"] | {"augment": []}),
        dict(evaluations={"validation": {"count": 4}}),
        dict(optimizer={"name": "adam", "clip": 1.0}),
        dict(schedule={"name": "poly"}),
        dict(lr_multipliers=[["backbone/.*", 0]]),
        dict(ema=0.9),
        dict(accumulate=2),
        dict(task={"name": "segmentation", "ignored": [0]}),
        dict(model=tiny.MODEL | {"dtype": "bfloat16"}),
        dict(samples=2),
    ],
    ids=lambda changes: "_".join(changes),
)
def test_what_changes_the_result_is_in_the_key(changes):
    assert key(**changes) != key()


def test_parents_enter_by_role_and_key_not_by_name():
    one = key({"start": "k1"}, **START)
    assert one != key()
    assert one != key({"start": "k2"}, **START)
    renamed = START | {"parents": {"start": "another name"}}
    assert one == key({"start": "k1"}, **renamed)
    reinit = [START["starts"][0] | {"reinit": ["backbone/stage1/.*"]}]
    assert one != key({"start": "k1"}, **START | {"starts": reinit})


@pytest.mark.parametrize("module", [segmentation, train.Train], ids=["task", "kind"])
def test_another_version_of_the_code_is_another_key(module, monkeypatch):
    before = key()
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert key() != before


def test_a_changed_renderer_is_another_key(monkeypatch):
    import dataclasses

    from jaxseg.data.datasets import worlds

    before, other = key(), key(data={"name": "worlds/driving_night"})
    facts = worlds.DATASETS["driving_day"]
    newer = dataclasses.replace(facts, version=facts.version + 1)
    changed = dict(worlds.DATASETS) | {"driving_day": newer}
    monkeypatch.setattr(worlds, "DATASETS", changed)
    assert key() != before
    assert key(data={"name": "worlds/driving_night"}) == other


def test_binding_changes_nothing_of_what_it_is_given():
    section = tiny.candidate(0.1)
    before = copy.deepcopy(section)
    resolve(section, {"start": "k"})
    assert section == before


@pytest.mark.parametrize(
    "changes, text",
    [
        (dict(stpes=3), r"stages/x: unknown key 'stpes'.*Did you mean 'steps'"),
        (dict(kind="trian"), r"stages/x: unknown kind 'trian'.*Did you mean 'train'"),
        (dict(data=3), r"stages/x/data: found 3"),
        (dict(data={}), r"stages/x/data/name: missing"),
        (dict(data={"name": "worlds/drivng_day"}), r"mean 'worlds/driving_day'"),
        (dict(data={"name": "wrlds/driving_day"}), r"stages/x.*mean 'worlds'"),
        (dict(task={"name": "segmentaton"}), r"stages/x.*mean 'segmentation'"),
        (dict(model={"backbone": {"name": "hrnt"}}), r"unknown backbone 'hrnt'"),
        (
            dict(model=tiny.MODEL | {"head": {"name": "lnear"}}),
            r"stages/x.*unknown head 'lnear'.*mean 'linear'",
        ),
        (
            dict(model={"backbone": {"name": "hrnet", "variant": "w84"}, "head": {}}),
            r"stages/x.*w84",
        ),
        (dict(steps=0), r"stages/x/steps: found 0, allowed: 1 or more"),
        (dict(accumulate=2, batch_size=15), r"batch_size: found 15.*accumulate=2"),
        (dict(keep="bset"), r"stages/x/keep: found 'bset', allowed: last, best"),
        (dict(headline="test"), r"headline: unknown evaluation 'test'.*validation"),
        (dict(patience=2), r"eval_every: found 0, but patience needs"),
        (dict(parents={"start": "a"}), r"'start' is in no `starts`"),
        (dict(starts=START["starts"]), r"x/starts: unknown parent role 'start'"),
        (
            dict(task={"name": "classification"}),
            r"needs label; worlds/driving_day has.*Fix: data",
        ),
        (dict(lr_multipliers=[["back/.*", 0]]), r"pattern 'back/\.\*' matches no leaf"),
        (dict(lr_multipliers=[["x"]]), r"lr_multipliers/0: .*allowed: a list of 2"),
        (
            dict(schedule={"name": "poly", "warmup_steps": 3}),
            r"schedule/warmup_steps: found 3, allowed: 0 to steps=2",
        ),
        (dict(columns=3), r"stages/x/columns: found 3"),
        (dict(parents="a"), r"stages/x/parents: found 'a'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_mistakes_are_explained(changes, text):
    parents = {"start": "k"} if changes.get("parents") == {"start": "a"} else {}
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        resolve(tiny.train(**changes), parents)


@pytest.mark.parametrize("section", [3, None, {}, {"steps": 3}, "train"])
def test_a_section_has_a_kind(section):
    with pytest.raises(
        errors.UserError, match=r"stages/x: found .* 'kind' of imported"
    ):
        stage.bind("x", section)


def sized(name="worlds/driving_day", backbone="hrnet", augment="factors", **options):
    """The spec of a stage with this resolution and backbone."""
    fields = {"fusion": options.pop("fusion")} if "fusion" in options else {}
    model = {"backbone": {"name": backbone, "variant": "tiny"} | fields}
    data = {"name": name, "augment": augment} | options
    return resolve(
        tiny.train(data=data, model=model | {"head": {"name": "linear"}})
    ).spec


def test_crops_that_would_be_padded_are_refused_with_the_nearest_that_would_not():
    text = (
        r"data/size: found 713 x 96, allowed for hrnet: multiples of 32, .*statistics. "
        r"Nearest: 704 x 96, or larger 736 x 96; or fusion=\"bilinear\" .* any size"
    )
    with pytest.raises(errors.UserError, match=text):
        sized(size=[713, 96])
    crop = {"name": "crop", "height": 48, "width": 64}
    with pytest.raises(
        errors.UserError, match=r"found 48 x 64, .*Nearest: 64 x 64; or fusion"
    ):
        sized(size=[64, 64], augment=[crop])
    with pytest.raises(
        errors.UserError, match=r"Nearest: 64 x 64, or larger 64 x 96; or fusion"
    ):
        sized(size=[50, 70])
    with pytest.raises(errors.UserError, match=r"unet: multiples of 4, .*: 64 x 64$"):
        sized(size=[62, 64], backbone="unet")
    with pytest.raises(errors.UserError, match=r"vit: multiples of 16, .*: 16 x 16$"):
        sized(size=[8, 8], backbone="vit")
    assert sized(size=[713, 97], fusion="bilinear").data.size == [713, 97]
    assert sized(size=[713, 97], backbone="resnet").data.size == [713, 97]


@pytest.mark.parametrize(
    "own, size",
    [((360, 480), [352, 480]), ((512, 912), [512, 928]), ((8, 713), [32, 704])],
)
def test_a_default_size_is_rounded_and_said(own, size, monkeypatch):
    name = "worlds/driving_day"
    facts = dataclasses.replace(catalogue.find(name), size=own)
    monkeypatch.setattr(catalogue, "find", lambda name: facts)
    spec = sized()
    assert spec.data.size == spec.evaluations["validation"].size == size
    assert sizes.note(spec, spec.data, facts) == (
        f"images of {size[0]} x {size[1]}: the set's own {own[0]} x {own[1]} is no "
        "multiple of 32"
    )
    assert sized(fusion="bilinear").data.size == list(own)


def test_every_data_set_plans_with_its_own_size():
    for size in {catalogue.find(name).size for name in catalogue.names()} - {None}:
        spec = stage.bind("x", BASE).spec
        facts = dataclasses.replace(catalogue.find("worlds/driving_day"), size=size)
        rounded = sizes.default(spec, facts)
        assert all(n % 32 == 0 and abs(n - m) <= 16 for n, m in zip(rounded, size))


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"data": {"name": "worlds/nope"}}, "data: unknown dataset"),
        ({"data": {"split": "tets"}}, "data: unknown split"),
        ({"data": {"augment": "factros"}}, "data/augment: unknown recipe"),
        (
            {"data": {"augment": [{"name": "flip", "probability": 2.0}]}},
            "data/augment/0: transforms/flip/probability: found 2.0",
        ),
        ({"data": {"mix": [{"name": "worlds/nope"}]}}, "data/mix/0: unknown dataset"),
        ({"model": {"dtype": "float64"}}, "model: unknown dtype"),
        ({"model": {"head": {"name": "linaer"}}}, "model/head: unknown head"),
        (
            {"model": {"backbone": {"name": "hrnet", "variant": "w17"}}},
            "model/backbone: unknown hrnet variant",
        ),
        ({"task": {"name": "depht"}}, "task: unknown task"),
        ({"optimizer": {"name": "sdg"}}, "optimizer: unknown optimizer"),
        (
            {"evaluations": {"validation": {"name": "worlds/x"}}},
            "evaluations/validation: unknown dataset",
        ),
    ],
)
def test_a_message_begins_with_the_place_in_the_config(changes, place):
    section = tiny.train()
    for key, value in changes.items():
        section[key] = (section.get(key) or {}) | value
    with pytest.raises(errors.UserError, match=f"^stages/x/{place}"):
        tiny.plan({"stages": {"x": section}})
