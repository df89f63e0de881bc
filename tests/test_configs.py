"""Every config builds, survives JSON, binds to its signatures and plans its DAG."""

import collections
import dataclasses
import json
import sys
from pathlib import Path

import pytest

from configs import common
from jaxseg import main
from jaxseg.core import errors, nested
from jaxseg.transfer import chain
from jaxseg.transfer.training import choosing

ROOT = Path(__file__).parent.parent
ARGUMENTS = {
    "finetune": "data={folder},binary",
    "chain": "",
    "single": "",
    "factors": "",
    "chairs": "",
    "decoder": "",
    "simmim": "",
    "pssl": "",
}


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def load(name, folder="", more=""):
    text = ",".join(filter(None, [ARGUMENTS[name].format(folder=folder), more]))
    return main.load_config(ROOT / "configs" / f"{name}.py", text)


def names():
    found = (path.stem for path in (ROOT / "configs").glob("[!_]*.py"))
    return sorted(set(found) - {"common"})


@pytest.mark.parametrize("name", names())
def test_every_config_plans(name, own_folder):
    config = chain.plain(load(name, own_folder))
    assert json.loads(json.dumps(config)) == config
    bound = chain.bind(config)
    plan = chain.plan(bound)
    assert {s.name for s in plan.stages} == set(config["stages"])
    again = chain.plan(chain.bind(bound.plain()))
    assert [s.key for s in again.stages] == [s.key for s in plan.stages]
    seen = set()
    for stage in plan.stages:
        assert set(stage.parent_names.values()) <= seen
        seen.add(stage.name)


def test_steps_of_epochs():
    assert common.steps(367, epochs=30, batch=16) == 689  # 688.125 batches
    assert common.steps(64, epochs=2, batch=16) == 8
    assert common.steps(10, epochs=0.5, batch=16) == 1


def test_factors_is_the_study_of_the_issue():
    stages = chain.plan(chain.bind(load("factors"))).stages
    rows = [row for stage in stages for row in stage.columns]
    cells = [row for row in rows if row["role"] == "target"]
    pairs = {(c["target"], c["source"]) for c in cells}
    sources = {c["source"] for c in cells} - {"random", "websearch"}
    assert len(sources) >= 6 and len({c["target"] for c in cells}) >= 5
    assert len([pair for pair in pairs if pair[1] in sources]) >= 25
    assert {"random", "websearch"} <= {c["source"] for c in cells}
    assert len({c["seed"] for c in cells}) == 3
    domains = {c["source_domain"] for c in cells if c["source"] in sources}
    assert len(domains) >= 4
    within = [c for c in cells if c["source_domain"] == c["target_domain"]]
    assert within and all(c["source_dataset"] != c["target_dataset"] for c in within)
    types = {"segmentation", "detection", "keypoints", "depth"}
    assert {c["source_task"] for c in cells if c["source"] in sources} == types
    assert {c["target_task"] for c in cells} == types
    starts = {c["source"]: c["start"] for c in cells}
    assert starts["driving_day"] == "websearch > sources/driving_day"
    assert starts["random"] == "random"


FCNS = ("FCN-VGG-16", "FCN-ResNet-50", "FCN-ResNet-101")


def chairs(monkeypatch, more=""):
    """(stages by name, rows of columns) of the study, planned without data."""
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    plan = chain.plan(chain.bind(load("chairs", more=more)))
    return plan.by_name, [row for stage in plan.stages for row in stage.columns]


def test_chairs_is_the_study_of_the_paper(monkeypatch):
    stages, rows = chairs(monkeypatch)
    cells = {
        (r["setting"], r["variant"], r["target"], r["source"], r["seed"])
        for r in rows
        if r["role"] == "target"
    }
    expected = {
        ("composites", model, f"chairs/{size}", "random", seed)
        for model in ("U-Net", *FCNS)
        for size in ((64,) if model == FCNS[2] else (32, 64, 128))
        for seed in range(3 if model in FCNS else 7)
    }
    for target in ("car", "horse", "airplane"):
        for source in ("random", "chairs", "scene_chairs"):
            expected |= {("objects", "U-Net", target, source, s) for s in range(7)}
        for source in ("random", "chairs"):
            expected |= {
                ("objects", m, target, source, s) for m in FCNS for s in range(2)
            }
    assert cells == expected and len(cells) == 141
    trained = [s for s in stages.values() if s.kind == "train"]
    assert len(trained) == 142
    for stage in trained:
        spec = stage.spec
        assert (spec.headline, spec.choose_by, spec.keep) == ("test", *CHOSEN)
        assert 75 < spec.patience * spec.eval_every < spec.steps  # a plateau's steps
        assert spec.task["binary"] and spec.task["headline"] == "iou_per_image"
        assert all(not e.overlaps(spec.data) for e in spec.evaluations.values())


CHOSEN = ("validation", "best")


def test_no_two_sets_share_random_starts(monkeypatch):
    """Pairs of models that are measured on several sets are as many observations."""
    stages, _ = chairs(monkeypatch)
    seeds = {}
    for name, stage in stages.items():
        if name.startswith("objects/"):
            seeds.setdefault(name.split("/")[1], set()).add(stage.spec.seed)
    assert [len(found) for found in seeds.values()] == [7, 7, 7]
    assert len(set().union(*seeds.values())) == 21
    sources = {s.spec.seed for n, s in stages.items() if n.startswith("composites/")}
    assert not sources & set().union(*seeds.values())
    alone, _ = chairs(monkeypatch, "objects=worlds/objects_horse")
    name = "objects/horse/U-Net/from_random/seed1"
    assert alone[name].key == stages[name].key  # whatever other sets there are


def test_u_nets_have_more_seeds(monkeypatch):
    stages, _ = chairs(monkeypatch)
    found = collections.Counter(name.rpartition("/seed")[0] for name in stages)
    assert found["composites/U-Net/128"] == found["objects/car/U-Net/from_chairs"] == 7
    assert found["composites/FCN-VGG-16/128"] == 3
    assert found["objects/car/FCN-VGG-16/from_chairs"] == 2
    with pytest.raises(errors.UserError, match=r"fcn_seeds=.*allowed are two"):
        chairs(monkeypatch, "fcn_seeds=3")


@pytest.mark.slow
def test_both_sources_of_a_u_net_are_trained_alike(monkeypatch):
    for more in ("", "paper"):
        stages, _ = chairs(monkeypatch, more)
        one, other = (
            stages[name].spec for name in ("scene_chairs", "composites/U-Net/64/seed0")
        )
        fields = ("model", "optimizer", "lr", "schedule", "steps", "eval_every")
        for field in (*fields, "batch_size", "patience", "keep", "seed"):
            assert getattr(one, field) == getattr(other, field), field
        assert one.data.count == other.data.count and one.data.size == other.data.size


@pytest.mark.parametrize(
    "more, name, trained, stopped, tested",
    [
        (
            "objects=voc/cat",
            "objects/cat/U-Net/from_random/seed0",
            ("train", "train", 60),
            ("train", "holdout", 60),
            ("validation", "all", 100),
        ),
        (
            "scenes=coco/chairs",
            "scene_chairs",
            ("train", "train", 1000),
            ("train", "holdout", 1000),
            ("validation", "all", 100),
        ),
        (
            "scenes=object_discovery/car",  # with fewer images than are asked for
            "scene_chairs",
            ("train", "all", None),
            ("validation", "all", None),
            ("test", "all", None),
        ),
    ],
)
def test_a_set_without_test_images_holds_some_out(
    more, name, trained, stopped, tested, monkeypatch
):
    stages, _ = chairs(monkeypatch, more)
    spec = stages[name].spec
    drawn = spec.data, spec.evaluations["validation"], spec.evaluations["test"]
    assert [(d.split, d.part, d.count) for d in drawn] == [trained, stopped, tested]
    assert not any(d.overlaps(spec.evaluations["validation"]) for d in drawn[::2])
    if name.startswith("objects/"):
        line = stages["measured/cat/Ri-Ri/seed0"].spec.analysis
        drawn = line.training, line.data
        assert [(d.split, d.part, d.count) for d in drawn] == [trained, tested]


def test_a_set_with_nothing_to_test_on_is_refused(monkeypatch):
    with pytest.raises(errors.UserError, match="flowers/17_masks: has the splits"):
        chairs(monkeypatch, "objects=flowers/17_masks")


def test_objects_start_from_whole_networks_of_the_same_model(monkeypatch):
    stages, _ = chairs(monkeypatch)
    for name, stage in stages.items():
        if not name.startswith("objects/"):
            continue
        _, _, model, source, _ = name.split("/")
        at = {"from_random": None, "from_scene_chairs": "scene_chairs"}
        start = at.get(source, f"composites/{model}/64/seed0")
        assert stage.parent_names == ({"start": start} if start else {})
        taken = [set(one.take) for one in stage.spec.starts]
        assert taken == ([{"backbone", "heads_segmentation"}] if start else [])


def test_u_nets_of_chairs_are_measured(monkeypatch):
    stages, rows = chairs(monkeypatch, "seeds=4")
    names = [f"{kind}{seed}" for kind in ("Ft", "Ri") for seed in range(4)]
    distance = stages["measured/horse/distance"]
    assert set(distance.parent_names) == {"P", *names}
    assert distance.parent_names["Ri2"] == "objects/horse/U-Net/from_random/seed2"
    pairs = [
        (r["target"], r["pair"], r["seed"]) for r in rows if r.get("pair") is not None
    ]
    assert len(pairs) == len(set(pairs)) == 3 * 2 * 2
    line = stages["measured/car/Ft-Ft/seed2"]
    assert line.parent_names == {
        "a": "objects/car/U-Net/from_chairs/seed2",
        "b": "objects/car/U-Net/from_chairs/seed3",
    }
    same = line.spec.analysis.data
    assert same == dataclasses.replace(same, name="worlds/objects_car", split="test")
    assert stages["all_background"].spec.analysis.data.name == "chairs/64"


def test_chairs_of_the_paper(monkeypatch):
    """Sections 5.1 to 5.3: networks, optimizers, rates, sizes, sets; no data needed."""
    stages, rows = chairs(monkeypatch, "paper")
    assert {r["target"] for r in rows if r.get("setting") == "composites"} == {
        f"chairs/{size}" for size in (32, 64, 128, 256)
    }

    def trained(name):
        spec = stages[name].spec
        optimizer = spec.optimizer
        return (
            optimizer["name"],
            spec.lr,
            optimizer.get("momentum"),
            optimizer["weight_decay"],
        )

    on_chairs = "composites/{}/64/seed1"
    on_cars = "objects/car/{}/from_chairs/seed1"
    for name in (on_chairs, on_cars):
        assert trained(name.format("U-Net")) == ("adam", 1e-3, None, 0)
        assert trained(name.format(FCNS[0])) == ("sgd", 1e-4, 0, 0)
        assert trained(name.format(FCNS[2])) == ("rmsprop", 1e-5, 0.9, 1e-6)
    assert trained(on_chairs.format(FCNS[1])) == ("rmsprop", 1e-5, 0.9, 1e-6)
    assert trained(on_cars.format(FCNS[1])) == ("sgd", 1e-4, 0.9, 1e-5)
    assert stages[on_cars.format("U-Net")].spec.data.name == "object_discovery/car"
    assert stages["scene_chairs"].spec.data.name == "coco/chairs"
    head = {"name": "unet", "up": "transpose", "project_skip": False}  # Ronneberger's
    u_net = stages[on_chairs.format("U-Net")].spec.model
    assert head.items() <= u_net["head"].items()
    assert stages[on_chairs.format("U-Net")].spec.data.images(
        stages[on_chairs.format("U-Net")].spec.data.facts()
    ) == (50_000, 50_000)


def test_segmentation_learns_nothing_of_the_background():
    """Factors paper, A.1; a set without one learns all its classes."""
    stages = chain.plan(chain.bind(load("factors"))).by_name
    ignored = {
        name: s.spec.task.get("ignored")
        for name, s in stages.items()
        if s.kind == "train"
    }
    assert ignored["sources/driving_day"] == [0]
    assert ignored["targets/small/driving_night/from_random/seed0"] == [0]
    assert ignored["sources/aerial_city"] == []
    assert ignored["sources/driving_day@detection"] is None


def test_one_seed_draws_the_same_images_for_every_source():
    plan = chain.plan(chain.bind(load("factors")))
    small = [
        s for s in plan.stages if s.name.startswith("targets/small/indoor_office/")
    ]
    drawn = {(s.spec.seed, json.dumps(nested.plain(s.spec.data))) for s in small}
    assert len(drawn) == 3 and len(small) == 27


def test_rates_become_candidates_and_a_selection():
    config = load("factors", more="lrs=0.001+0.01,targets=driving_night,seeds=1")
    plan = chain.plan(chain.bind(config))
    chosen = [s for s in plan.stages if s.kind == "select"]
    assert len(chosen) == 9
    candidates = [plan.by_name[name] for name in chosen[0].parent_names.values()]
    assert {s.spec.lr for s in candidates} == {0.001, 0.01}
    assert all(s.spec.data.part == "train" for s in candidates)
    holdout = candidates[0].spec.evaluations["holdout"]
    assert holdout.part == "holdout" and holdout.split == "train"
    assert holdout.count == candidates[0].spec.data.count
    assert chosen[0].columns[0]["selected"] == "holdout"


def starts(more):
    """({start: parent of the target's stage}, baseline, stages) of configs/chain.py."""
    stages = load("chain", more=more)["stages"].to_dict()
    cells = [s for name, s in stages.items() if name.startswith("target/")]
    found = {
        s["columns"][0]["source"]: s.get("parents", {}).get("start") for s in cells
    }
    (baseline,) = {s["columns"][0]["baseline"] for s in cells}
    return found, baseline, stages


def test_a_chain_begins_at_random_or_at_weights():
    found, baseline, stages = starts("sources=worlds/driving_day@depth+camvid/11")
    first, second = "sources/driving_day@depth", "sources/camvid_11"
    assert found == {"random": None, "camvid_11": second} and baseline == "random"
    assert "parents" not in stages[first]
    assert stages[second]["parents"] == {"start": first}
    assert stages[first]["task"] == {"name": "depth"}

    weights = "weights=w.pth,arch=resnet50,backbone=resnet,variant=50"
    found, baseline, stages = starts(f"{weights},sources=worlds/indoor_home")
    source = "sources/indoor_home"
    assert found == {"random": None, "weights": "weights", "indoor_home": source}
    assert baseline == "weights" and stages[source]["parents"] == {"start": "weights"}
    assert stages[source]["model"]["backbone"] == {"name": "resnet", "variant": "50"}
    assert stages["weights"]["arch"] == "resnet50"
    found, baseline, _ = starts("weights=w.pth,sources=")
    assert found == {"random": None, "weights": "weights"} and baseline == "random"


def test_a_chain_has_a_beginning_and_each_source_once():
    with pytest.raises(errors.UserError, match="needs weights=FILE or sources=NAME"):
        load("chain", more="sources=")
    with pytest.raises(errors.UserError, match="'worlds/driving_day' is given twice"):
        load("chain", more="sources=worlds/driving_day+worlds/driving_day")


@pytest.mark.parametrize("choose, part", [("holdout", "train"), ("validation", "all")])
def test_own_images_choose_by_a_part_of_the_training_images(choose, part, own_folder):
    config = load("finetune", own_folder, more=f"choose={choose}")
    (stage,) = chain.plan(chain.bind(config)).stages
    spec = stage.spec
    assert (spec.chooser, spec.data.part) == (choose, part)
    assert spec.keep == "best" and spec.headline == "validation"
    said = choosing.words(spec, "validation")
    assert said == (
        "" if choose == "holdout" else ", best of 10 evaluations of this set"
    )


def test_a_real_set_joins_the_targets(real_data):
    more = f"real=camvid/11,root={real_data / 'camvid'},size=96+128,seeds=1"
    plan = chain.plan(chain.bind(load("factors", more=more)))
    real = [s for s in plan.stages if "camvid_11" in s.name]
    assert len(real) == 9  # six sources of its task, one of its domain, two baselines
    assert {s.columns[0]["target_domain"] for s in real} == {"driving"}
    assert {tuple(s.spec.data.size) for s in real} == {(96, 128)}


@pytest.mark.parametrize(
    "study", ["", pytest.param("grid,other_seeds=1,", marks=pytest.mark.slow)]
)
def test_several_real_sets_join_the_targets(study, real_data):
    roots = f"{real_data / 'camvid'}+{real_data / 'bccd'}"
    more = f"{study}real=camvid/11+voc/boxes@detection,root={roots},seeds=1"
    plan = chain.plan(chain.bind(load("factors", more=more)))
    assert "camvid" not in plan.study.replace("camvid.11", "")
    found = {
        (row["setting"], row["target"], row["target_domain"], row["target_images"])
        for stage in plan.stages
        for row in stage.columns
        if row["target"] in ("camvid/11", "voc/boxes@detection")
    }
    small = {
        ("small", "camvid/11", "driving", 30),
        ("small", "voc/boxes@detection", "own", 60),
    }
    full = {
        ("full", "camvid/11", "driving", 367),
        ("full", "voc/boxes@detection", "own", 205),
        ("small_source", "camvid/11", "driving", 30),
    }
    assert found == small | (full if study else set())
    (distances,) = (s for s in plan.stages if s.name == "domain_distance")
    assert "camvid/11" in {one.name for one in distances.spec.analysis.datasets}


def test_a_folder_is_missing_for_one_of_two_real_sets():
    with pytest.raises(errors.UserError, match="allowed is a folder for each set"):
        load("factors", more="real=camvid/11+voc/boxes,root=DIR")


@pytest.mark.parametrize(
    "more, text",
    [
        ("real=camvid/11,root=/nowhere", "root=/nowhere: no such folder"),
        ("real=camvid/11+camvid/11", "real: .camvid/11. is given twice"),
        ("grid,real=camvid/11@foo", "unknown task 'foo'"),
        ("grid,sources=driving_day@foo", "unknown task 'foo'"),
        ("paper,size=713", "size=713: allowed are height and width"),
        ("size=96+128", "size: of the sets that real= names, and it names none"),
        ("pretext=mae", "pretext='mae': allowed are classification and simclr"),
        ("targets=driving_day@simclr", "driving_day@simclr', which predicts nothing"),
    ],
)
def test_mistakes_of_sets_are_named(more, text):
    with pytest.raises(errors.UserError, match=text):
        load("factors", more=more)


def test_a_folder_that_is_none_is_named_by_its_argument(own_folder):
    file = ROOT / "configs" / "finetune.py"
    with pytest.raises(errors.UserError) as caught:
        main.load_config(file, "data=/nowhere")
    text = f"--config: {file}:data=/nowhere: data=/nowhere: no such folder"
    assert str(caught.value) == text
    with pytest.raises(errors.UserError, match=r"finetune.py: data=DIR is missing"):
        main.load_config(file, "")
    assert main.load_config(file, "data=/nowhere,dataset=camvid/11")


@pytest.mark.parametrize("name", ["chain", "factors", "finetune"])
def test_a_study_has_a_seed(name, own_folder):
    with pytest.raises(errors.UserError, match="seeds=0: allowed are 1 to 1000"):
        load(name, own_folder, "seeds=0")


def test_an_unknown_argument_is_named():
    with pytest.raises(
        Exception, match=r"unknown argument 'sed'.*Did you mean 'seeds'"
    ):
        load("factors", more="sed=3")


@pytest.fixture
def own_folder(tmp_path):
    """Four images with 0/255 masks, as a user might have them."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for index in range(4):
        image = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        mask = np.where(image[..., 0] > 128, 255, 0).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{index}.png")
    return tmp_path


def test_factors_without_labels():
    """The study of segmentation from SimCLR, a chain of two such trainings (A.4), and
    linear probes of both.
    """
    plan = chain.plan(chain.bind(load("factors", more="pretext=simclr")))
    stages = {stage.name: stage for stage in plan.stages}
    assert stages["websearch"].spec.task["name"] == "simclr"
    source = stages["sources/scenes_places@simclr"]
    assert source.parent_names["start"] == "websearch"
    for stage in (source, stages["websearch"]):
        assert (stage.spec.batch_size, stage.spec.lr) == (64, 1e-3)
        assert stage.spec.task["temperature"] == 0.5
        assert tuple(stage.spec.data.size) == (32, 32)
        assert [step["name"] for step in stage.spec.data.augment][-2:] == [
            "jitter",
            "grey",
        ]
    every = [row for stage in plan.stages for row in stage.columns]
    cells = [row for row in every if row["role"] == "target"]
    from_chain = {row["target"] for row in cells if "@simclr" in row["source"]}
    targets = {r["target"] for r in cells if r["target_task"] == "segmentation"}
    assert from_chain - {"scenes_places@classification"} == targets
    probes = [row for row in cells if row["setting"] == "probe"]
    assert {row["source"] for row in probes} == {"websearch", "scenes_places@simclr"}
    frozen = stages["probe/scenes_places/from_websearch"].spec.lr_multipliers
    assert list(map(list, frozen)) == [["backbone/.*", 0.0]]
