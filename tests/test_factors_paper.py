"""The plan of the factors paper: its sets, its cells, counted against its tables."""

import collections
import functools
import sys

import ml_collections as mlc
import pytest

from configs import _factors_sets as table
from configs import _factors_stages as stages_of
from configs import common, factors
from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.report import shares
from jaxseg.transfer import chain
from tests import smoke
from tests.data import twenty
from tests.test_configs import ROOT, load

# Table 1: classes of segmentation, of detection, points, images for training and for
# validation in thousands, and why ours differ.
PRINTED = {
    "pascal_context": (60, 5, 5),
    "voc": (22, 10, 1.449),
    "ade20k": (150, 20, 2),
    "coco": (134, 118, 5),
    "kitti": (30, 0.150, 0.050),
    "camvid": (23, 0.367, 0.101),
    "cityscapes": (33, 3, 0.5),
    "idd": (35, 7, 0.981),
    "bdd": (20, 7, 3),
    "mapillary": (66, 18, 2),
    "isprs": (6, 4, 0.437),
    "isaid": (16, 27, 9),
    "sun_rgbd": (37, 5, 0.425),
    "scannet": (41, 19, 5),
    "suim": (8, 1.525, 0.110),
    "vkitti": (9, 43, 7),
    "vgallery": (8, 44, 12),
    "coco@detection": (80, 118, 5),
    "underwater_trash@detection": (3, 6, 1.144),
    "mpii@keypoints": (16, 17, 7),
    "coco@keypoints": (17, 118, 5),
    "dogs@keypoints": (20, 7, 5),
}
OTHERWISE = {
    ("voc", "classes"): "22 with the border of objects, which is no class here",
    ("kitti", "classes"): "33 in the code of the study, of which some do not occur",
    ("camvid", "classes"): "32 of the authors; which 23 is not published",
    ("vkitti", "classes"): "15 in the code of the study",
    ("vgallery", "classes"): "10 in the code of the study",
    ("bdd", "judged"): "1000 of the 10k images have masks for validation",
    ("vkitti", "split"): "43K are training and validation images together",
    ("mpii@keypoints", "split"): "a sixth of the 17K images with joints is held out",
    ("mpii@keypoints", "judged"): "the 7K test images have no published joints",
}


@pytest.fixture(autouse=True)
def without_data(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    monkeypatch.delenv("JAXSEG_DATA", raising=False)


def test_the_sets_are_those_of_table_1():
    assert collections.Counter(common.parts(name)[1] for name in table.SETS) == {
        "segmentation": 17,
        "detection": 4,
        "keypoints": 3,
        "depth": 3,
    }
    bases = {common.parts(name)[0].removesuffix("2007") for name in table.SETS}
    assert len(bases) == 20
    found = set()
    assert set(PRINTED) | {"voc2007@detection", "bdd@detection"} == {
        name for name in table.SETS if common.parts(name)[1] != "depth"
    }
    for name, (classes, train, judged) in PRINTED.items():
        row = table.SETS[name]
        facts = catalogue.find(row["dataset"])
        ours = facts.num_classes
        if common.parts(name)[1] == "keypoints":
            ours = len(facts.keypoints)
        found |= {(name, "classes")} if ours != classes else set()
        for split, thousands in (("split", train), ("judged", judged)):
            images = facts.splits[row[split]]
            near = abs(images / 1000 - thousands) < (1 if thousands >= 2 else 0.001)
            found |= set() if near else {(name, split)}
    assert found == set(OTHERWISE)


@functools.cache
def whole():
    """The plan with a network that is traced in no time."""
    return chain.plan(chain.bind(load("factors", more="paper,variant=tiny")))


def cells():
    """{setting: rows of the gain table, as if measured}, without the baselines."""
    found = collections.defaultdict(list)
    for stage in whole().stages:
        for row in stage.columns:
            if row["role"] == "target" and row["source"] not in ("ilsvrc", "random"):
                found[row["setting"]].append(row | {"gain": 0.0})
    return found


def counts(rows):
    """({filter: pairs}, {filter: targets}) of Tables 7 and 8."""
    kept = {which: shares.select(rows, *which) for which in shares.FILTERS}
    pairs = {which: len(found) for which, found in kept.items()}
    targets = {
        which: len({r["target"] for r in found}) for which, found in kept.items()
    }
    return pairs, targets


WITHIN, CROSS = ("within", "within"), ("cross", "within")
WITHIN_OTHER, CROSS_OTHER = ("within", "cross"), ("cross", "cross")


@pytest.mark.release
def test_cells_within_a_task_type_are_those_of_tables_7_and_8():
    """With multi-source models as sources of the domains of their parts; small targets
    that were a part have none.
    """
    small, full = (counts(cells()[setting]) for setting in ("small", "full"))
    assert (small[0][WITHIN], small[0][CROSS]) == (64, 242)
    assert (full[0][WITHIN], full[0][CROSS]) == (78, 242)
    assert (small[1][WITHIN], small[1][CROSS]) == (22, 27)
    assert (full[1][WITHIN], full[1][CROSS]) == (26, 27)
    assert small[1]["all", "all"] == full[1]["all", "all"] == 27


@pytest.mark.release
def test_cells_across_task_types_are_all_pairs():
    """The paper tried some: 49 + 154 on 17 and 19 small targets, 18 + 44 full. Which,
    its Tables 4b to 4e and 5b to 5d show as pictures alone.
    """
    small, full = (counts(cells()[setting]) for setting in ("small", "full"))
    sets = collections.Counter(common.parts(name)[1] for name in table.SETS)

    def pairs(targets, multi):
        """multi: task types of multi-source models."""
        single = sum(sets[t] * (len(table.SETS) - sets[t]) for t in targets)
        return single + sum(sets[t] for t in targets for m in multi if m != t)

    multi = tuple(table.GROUPS)
    expected = pairs(tuple(sets), multi), pairs(stages_of.CROSSED["full"], multi)
    assert expected == (406 + 57, 164 + 17)
    found = [one[0][WITHIN_OTHER] + one[0][CROSS_OTHER] for one in (small, full)]
    assert tuple(found) == expected
    assert (small[0][WITHIN_OTHER], full[0][WITHIN_OTHER]) == (92, 39)
    # Aerial sets and dogs share their domain with no set of another task type.
    assert (small[1][WITHIN_OTHER], small[1][CROSS_OTHER]) == (24, 27)
    assert (full[1][WITHIN_OTHER], full[1][CROSS_OTHER]) == (6, 7)  # as printed


# Table 11: # of the same data set and of the same domain, printed and of all pairs, and
# how many more of the same domain start from multi-source models.
SEG, DET, KEY = "segmentation", "detection", "keypoints"
TABLE_11 = {
    (SEG, DET): ((2, 8), (2, 13), 4),
    (SEG, KEY): ((1, 2), (1, 7), 2),
    (SEG, "depth"): ((3, 3), (3, 3), 3),
    (DET, SEG): ((1, 10), (2, 13), 11),
    (DET, KEY): ((1, 2), (1, 3), 2),
    (KEY, SEG): ((1, 3), (1, 7), 0),
    (KEY, DET): ((1, 3), (1, 3), 0),
    ("depth", SEG): ((1, 1), (3, 3), 4),
}


@pytest.mark.slow
def test_pairs_of_table_11_are_among_ours():
    """VOC 2007 and VOC 2012 are two data sets, BDD10k and BDD100k one, as printed.

    The printed pairs are 43; Table 7 has 49 of them, and does not say which others.
    """
    assert sum(sum(printed) for printed, *_ in TABLE_11.values()) == 49 - 6
    found = collections.defaultdict(collections.Counter)
    for row in cells()["small"]:
        tasks = row["source_task"], row["target_task"]
        if tasks[0] != tasks[1] and shares.side(row, "domain") == "within":
            multi = row["source"].startswith("multi")
            same = not multi and row.get("overlap") == "images"
            found[tasks]["same" if same else "multi" if multi else "domain"] += 1
    assert set(found) == set(TABLE_11)
    for tasks, (printed, ours, multi) in TABLE_11.items():
        number = found[tasks]
        assert (number["same"], number["domain"], number["multi"]) == (*ours, multi)
        assert printed[0] <= ours[0] and printed[1] <= ours[1] + multi


def test_small_sources_are_those_of_table_6():
    """Segmentation alone; KITTI and CamVid have no more images than that."""
    rows = cells()["small_source"]
    assert len(rows) == 17 * 16
    assert {row["target_task"] for row in rows} == {SEG}
    stages = config().stages
    few = {n.split("/")[1] for n in stages if n.startswith("small_sources/")}
    assert few == set(table.SEGMENTATION) - {"kitti", "camvid"}
    data = stages["small_sources/coco/lr1e-02"].data
    assert (data.count, stages["sources/coco/lr1e-02"].data.count) == (1500, None)
    shared = stages["targets/small/coco/from_kitti/seed0"].columns
    assert {row["setting"] for row in shared} == {"small", "small_source"}


@functools.cache
def config(more="paper"):
    made = factors.get_config(more).to_dict()
    return mlc.ConfigDict(made, sort_keys=False)  # its sections as well


def test_each_cell_has_its_baselines():
    found = collections.defaultdict(set)
    for stage in config().stages.values():
        for row in stage.get("columns", ()):
            if row["role"] == "target":
                assert row["baseline"] == "ilsvrc"
                found[row["setting"], row["target"]].add(row["source"])
    assert len(found) == 27 + 27 + 17
    for sources in found.values():
        assert {"ilsvrc", "random"} <= sources


def test_a_source_is_its_own_full_target():
    """The same training, whatever else is in the plan."""
    row = config().stages["sources/coco"].columns
    assert [(one["role"], one["setting"]) for one in row] == [
        ("source", "full"), ("target", "full")
    ]  # fmt: skip
    alone = config("paper,settings=full,sources=kitti,targets=coco,multi=").stages
    target = alone["targets/full/coco/from_ilsvrc/seed0/lr1e-02"]
    assert target == config().stages["sources/coco/lr1e-02"]


def test_the_best_of_three_rates():
    """On the reported images, as the paper may have, or on a part of the training's."""
    stages = config().stages
    chosen = stages["targets/small/coco/from_voc/seed0"]
    assert chosen.kind == "select" and chosen.evaluation == "validation"
    candidates = [stages[name] for name in chosen.parents.values()]
    assert [one.lr for one in candidates] == list(table.SGD_RATES)
    assert {one.store for one in candidates} == {"metrics"}
    assert stages["sources/voc/lr1e-02"].store == "all"  # it may start targets
    held = config("paper,choose=holdout").stages
    chosen = held["targets/small/coco/from_voc/seed0"]
    assert chosen.evaluation == "holdout"
    one = held[chosen.parents.candidate00]
    assert (one.data.part, one.evaluations.holdout.part) == ("train", "holdout")
    assert held["sources/multi"].evaluation == "coco/holdout"
    assert held["sources/multi/lr1e-02"].parts.isaid.data.part == "train"


def test_recipes_are_the_printed_ones():
    """A.2 to A.5; 4.1; 5.2."""
    stages = config().stages

    def of(name):
        one = stages[f"targets/small/{name}/from_ilsvrc/seed0"]
        return stages[one.parents.candidate00]

    batches = {SEG: 32, DET: 128, KEY: 128, "depth": 64}
    for name in table.SETS:
        one, task = of(name), common.parts(name)[1]
        assert one.batch_size == batches[task]
        assert one.optimizer.name == ("sgd" if task == SEG else "adam")
        poly = name in ("suim", "kitti")
        assert one.schedule.name == ("poly" if poly else "step")
        many = common.parts(name)[0] in ("coco", "ade20k")
        assert one.data.count == (1000 if many else 150)
        assert one.task.get("ignored") == ("background" if task == SEG else None)
    sizes = {"pascal_context": (420, 420), "sun_rgbd": (713, 713)}
    for name, size in (sizes | {"cityscapes": (512, 1024)}).items():
        assert tuple(of(name).data.size) == size
    backbone = dict(name="hrnet", variant="w48", fusion="bilinear")
    assert of("coco").model.backbone.to_dict() == backbone
    ilsvrc = stages["ilsvrc"]
    assert (ilsvrc.batch_size, ilsvrc.steps) == (4096, 62_557)
    drops = [1564 + at * (62_557 - 1564) for at in ilsvrc.schedule["at"]]
    epochs = [step * 4096 / 1_281_167 for step in drops]
    assert epochs == pytest.approx([60, 120, 180], abs=0.01)


def test_multi_source_models():
    """5.1: a head for each set, of which only the backbone is taken."""
    found = whole().by_name
    names = {
        "multi": {
            *("isaid", "coco", "mapillary", "scannet", "suim", "vgallery", "vkitti")
        },
        "multi@depth": {"sun_rgbd", "vgallery", "vkitti"},
        "multi@detection": {"coco", "bdd", "voc2007", "underwater_trash"},
    }
    for name, parts in names.items():
        spec = found[f"sources/{name}/lr{'1e-02' if name == 'multi' else '1e-04'}"].spec
        assert set(spec.parts) == set(spec.heads) == parts
        assert set(spec.evaluations) == {f"{part}/validation" for part in parts}
    target = found["targets/small/kitti/from_multi/seed0"]
    assert "depth" in {row["target_task"] for row in cells()["small"]}
    (row,) = target.columns
    assert row["source_task"] == SEG
    assert "coco/panoptic134" in row["source_dataset"].split(" + ")


def test_by_default_there_are_those_of_the_task_types_of_the_sources():
    multi = lambda more: {
        name.split("/")[1]
        for name in config(more).stages
        if name.startswith("sources/multi")
    }
    assert multi("paper,sources=depth+voc") == {"multi", "multi@depth"}
    assert multi("paper,sources=keypoints") == multi("paper,multi=") == set()
    assert multi("grid") == {"multi"}
    assert multi("grid,sources=driving_day") == set()


def test_what_was_a_part_is_marked():
    rows = {
        (row["setting"], row["source"], row["target"]): row.get("overlap")
        for setting in cells().values()
        for row in setting
    }
    assert ("small", "multi", "coco") not in rows
    assert rows["full", "multi", "coco"] == "part"
    assert rows["full", "multi", "kitti"] is None
    assert rows["small", "multi", "coco@keypoints"] == "images"
    assert rows["small", "bdd", "bdd@detection"] == "images"
    assert rows["small", "voc", "voc2007@detection"] is None
    assert rows["small", "bdd", "coco@detection"] is None


def test_an_embedded_multi_source_model():
    more = (
        "multi=segmentation,seeds=1,sources=driving_day+aerial_city+indoor_home@depth"
    )
    plan = chain.plan(chain.bind(load("factors", more=more))).by_name
    spec = plan["sources/multi"].spec
    assert set(spec.parts) == {"driving_day", "aerial_city"}
    assert (spec.steps, spec.headline) == (300, "driving_day/validation")
    (row,) = plan["targets/small/driving_night/from_multi/seed0"].columns
    assert row["source_domain"] == "aerial + driving" and "overlap" not in row
    name = "targets/small/driving_night@detection/from_multi/seed0"
    assert shares.side(plan[name].columns[0], "task") == "cross"
    assert "targets/small/indoor_office@depth/from_multi/seed0" not in plan


def test_arguments_choose_sets_settings_and_networks():
    more = "paper,settings=small,sources=segmentation,targets=detection+suim,multi="
    stages = config(f"{more},backbone=resnet,variant=50,size=713+713").stages
    targets = {name.split("/")[2] for name in stages if name.startswith("targets/")}
    assert targets == {*(f"{n}@detection" for n in table.DETECTION), "suim"}
    one = stages["targets/small/suim/from_voc/seed0/lr1e-01"]
    assert one.model.backbone.to_dict() == {"name": "resnet", "variant": "50"}
    assert list(one.data.size) == [713, 713]
    assert stages["ilsvrc"].model.head.name == "pooled"


def test_studies_are_called_after_their_arguments():
    assert config().study == "factors-paper"
    assert config("").study == "factors"
    assert config("validation,smoke").study == "factors-validation-smoke"
    more = "paper,settings=small+full,size=713+713,weights=/a/b"
    assert config(more).study == "factors-paper-settings.small.full-size.713.713"


def test_ilsvrc_may_be_imported(tmp_path):
    file = tmp_path / "aa+aa.safetensors"  # a path is no list
    stages = config(f"paper,weights={file},arch=hrnet_w48").stages
    assert stages["ilsvrc"].to_dict() == {
        "kind": "imported", "file": str(file), "arch": "hrnet_w48"
    }  # fmt: skip
    start = stages["sources/coco/lr1e-02"].starts[0]
    assert start["allow"] == ["fusion"]  # timm's is by the nearest pixel
    own = stages["targets/small/coco/from_voc/seed0/lr1e-02"].starts[0]
    assert own["allow"] == []


def test_table_3_is_a_plan_of_its_own():
    plan = chain.plan(chain.bind(load("factors", more="validation,smoke")))
    rows = [row for stage in plan.stages for row in stage.columns]
    assert {row["setting"] for row in rows} == {"validation"}
    assert {row["target"] for row in rows} == {
        *("ilsvrc", "nyu@depth", "coco@keypoints", "coco@detection"),
        *("bdd19", "cityscapes19", "coco", "pascal_context", "scannet20"),
    }
    own = config("validation").stages["validation/coco/lr1e-01"]
    assert own == config().stages["sources/coco/lr1e-01"]  # one artifact


@pytest.mark.parametrize(
    "more, text",
    [
        ("paper,targets=cocoa", "unknown target 'cocoa'.*Did you mean 'coco'"),
        ("paper,multi=keypoints", "unknown task 'keypoints'"),
        ("paper,settings=tiny", "settings='tiny': allowed are small and full and"),
        ("paper,choose=test", "choose='test': allowed are holdout and validation"),
        ("paper,target_images=30", "unknown argument 'target_images'"),
        ("multi=detection", "multi=detection: found 1 sources of that task"),
        ("paper,settings=small+small", "settings: 'small' is given twice"),
        ("lrs=0.1+0.1", "lrs: 0.1 is given twice"),
        ("targets=driving_nite", "unknown set 'driving_nite'.*mean 'driving_night'"),
        ("targets=camvid/11", "unknown set 'camvid/11'.*real=NAME,root=DIR"),
        ("grid,settings=", "settings: found none, allowed: one or more"),
        ("targets=driving_night@segmentation", "allowed: 'driving_night' alone"),
        ("paper,arch=hrnet_w48", "arch=hrnet_w48: needs weights=FILE"),
    ],
)
def test_mistakes_are_named(more, text):
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        load("factors", more=more)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Tiny trees of all twenty sets in their official layouts, and of ILSVRC."""
    data = tmp_path_factory.mktemp("twenty")
    twenty.write(data)
    return data


FIELDS = {SEG: "segmentation", DET: "boxes", KEY: "keypoints", "depth": "depth"}


@pytest.mark.parametrize("name", table.SETS)
def test_tiny_trees_have_what_the_smoke_size_reads(name, trees, monkeypatch):
    """As many images of both splits as it draws, with what the task learns."""
    monkeypatch.setenv("JAXSEG_DATA", str(trees))
    row = table.SETS[name]
    for split in (row["split"], row["judged"]):
        source = source_lib.open(row["dataset"], split=split, count=4, cache="none")
        assert len(source) == 4
        for example in (source[0], source[3]):
            found = example[FIELDS[common.parts(name)[1]]]
            assert found.size and found.any()


@pytest.mark.release  # minutes: dozens of programs
def test_the_paper_runs_at_its_smoke_size(trees, tmp_path, monkeypatch):
    """On trees of all twenty sets and of ILSVRC: all targets of each setting, all
    sources and multi-source models, distances and features; a line a claim.
    """
    monkeypatch.setenv("JAXSEG_DATA", str(trees))
    table = smoke.run("factors.py:paper,smoke", tmp_path)
    planned = [row for stage in whole().stages for row in stage.columns]
    smoke.check_shown(table("results.csv"), planned, ("setting", "target"), ("source",))
    names = {f"A{number}" for number in range(1, 15)}
    assert {row["claim"] for row in table("claims.csv")} >= names
