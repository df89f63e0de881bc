"""The plan of the factors study in small: sets, cells, and what each claim compares."""

import collections
import functools
import json
import sys

import pytest

from configs import _factors_grid as grid
from configs import _factors_stages as stages_of
from configs import common
from jaxseg.core import errors
from jaxseg.report import build, claims, shares
from jaxseg.transfer import chain
from tests import smoke
from tests.report import workdirs
from tests.test_configs import ROOT, load

TASKS = ("segmentation", "detection", "keypoints", "depth")
STARTS = ("websearch", "random")
CLAIMS = {f"A{number}" for number in range(1, 15)}


@pytest.fixture(autouse=True)
def own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


@functools.cache
def plan(more="grid"):
    return chain.plan(chain.bind(load("factors", more=more)))


@functools.cache
def rows(role="target"):
    """{setting: rows of tables, as if measured}."""
    found = collections.defaultdict(list)
    for stage in plan().stages:
        for row in stage.columns:
            if row["role"] == role:
                found[row["setting"]].append(row | {"gain": 0.0})
    return found


def of_sources(setting):
    return [row for row in rows()[setting] if row["source"] not in STARTS]


def names(task, where):
    return [name for name in where if common.parts(name)[1] == task]


def test_sets_of_the_study():
    """Eight sources and five targets of segmentation, both of all other task types, two
    domains with three sets, sources of 150 to 2,000 images.
    """
    counts = [len(names(task, grid.SOURCES)) for task in TASKS]
    assert counts == [8, 2, 2, 2]
    assert [len(names(task, grid.TARGETS)) for task in TASKS] == [5, 1, 1, 1]
    used = {common.parts(name)[0] for name in (*grid.SOURCES, *grid.TARGETS)}
    domains = collections.Counter(name.split("_")[0] for name in used)
    assert [domain for domain, sets in sorted(domains.items()) if sets == 3] == [
        "consumer",
        "driving",
    ]
    sizes = [grid.SIZES[name] for name in names("segmentation", grid.SOURCES)]
    assert (min(sizes), max(sizes), len(set(sizes))) == (150, 2000, 7)


def test_cells_of_each_setting():
    """Targets x starts x seeds; all sources in the small setting, in the full one for
    detection and keypoints, and those of the task type for the others.
    """
    small, full, few = (len(rows()[setting]) for setting in stages_of.SETTINGS)
    sources, multi = len(grid.SOURCES), 1
    assert small == 8 * (2 + sources + multi) * 3
    crossed = 2 * (2 + sources + multi)
    assert full == (5 * (2 + 8 + multi) + crossed + (2 + 2)) * 2
    assert few == 5 * (2 + 8) * 2
    assert {row["seed"] for row in rows()["small"]} == {0, 1, 2}
    assert {row["seed"] for row in rows()["full"]} == {0, 1}


def test_each_cell_is_once_and_has_its_baselines():
    for setting, found in rows().items():
        cells = [(row["target"], row["source"], row["seed"]) for row in found]
        assert len(set(cells)) == len(cells), setting
        for target, seed in {(cell[0], cell[2]) for cell in cells}:
            assert {(target, start, seed) for start in STARTS} <= set(cells)


@pytest.mark.parametrize("setting", ["small", "full"])
def test_all_filters_of_table_7_have_cells(setting):
    """Within and across domain and task type (A2, A3, A6, A7)."""
    kept = {w: shares.select(of_sources(setting), *w) for w in shares.FILTERS}
    assert all(kept.values())
    targets = {row["target"] for row in kept["within", "cross"]}
    assert len(targets) == {"small": 7, "full": 2}[setting]


def test_consumer_driving_and_indoor_meet():
    """A4, both ways."""
    for setting in stages_of.SETTINGS:
        pairs = {
            (row["source_domain"], row["target_domain"])
            for row in of_sources(setting)
            if row["source_task"] == row["target_task"] == "segmentation"
        }
        for domain in ("driving", "indoor"):
            assert {(domain, "consumer"), ("consumer", domain)} <= pairs


@pytest.mark.parametrize("setting", ["small", "full"])
def test_sources_are_larger_and_smaller_than_their_targets(setting):
    """A8: of one domain and task type, by the size that the study gives its sets."""
    kept = shares.select(of_sources(setting), "within", "within")
    single = [row for row in kept if not row["source"].startswith("multi")]
    sides = collections.defaultdict(set)
    for row in single:
        world = common.parts(row["target"])[0]
        assert row["target_set_images"] == grid.SIZES[world]
        assert row["source_images"] == grid.SIZES[common.parts(row["source"])[0]]
        larger = row["source_images"] > row["target_set_images"]
        sides[larger].add(row["target"])
    assert len(sides[True]) >= 3 and len(sides[False]) >= 4
    both = {"consumer_travel", "driving_night"}
    assert both <= sides[True] & sides[False]


def test_full_targets_are_one_set_for_all_seeds():
    for seed in (0, 1):
        spec = plan().by_name[f"targets/full/driving_night/from_random/seed{seed}"].spec
        assert (spec.data.count, spec.data.seed, spec.seed) == (600, 0, seed)
        few = plan().by_name[f"targets/small/driving_night/from_random/seed{seed}"].spec
        assert (few.data.count, few.data.seed, few.seed) == (30, seed, seed)


def test_small_sources_differ_in_their_images_alone():
    """A10; one with no more images than that is the same source."""
    stages = plan().by_name
    found = {n.split("/")[1] for n in stages if n.startswith("small_sources/")}
    assert found == set(names("segmentation", grid.SOURCES)) - {"driving_rain"}
    for name in found:
        few, full = (
            stages[f"{folder}/{name}"].spec for folder in ("small_sources", "sources")
        )
        assert (few.data.count, few.steps) == (grid.SMALL_SOURCE, full.steps)
    cells = {
        setting: {(r["target"], r["source"]) for r in of_sources(setting)}
        for setting in stages_of.SETTINGS
    }
    assert cells["small_source"] < cells["small"] & cells["full"]  # A9 and A10
    shared = stages["targets/small/aerial_farm/from_driving_rain/seed1"].columns
    assert {row["setting"] for row in shared} == {"small", "small_source"}


def test_sources_of_other_tasks_have_a_random_twin():
    found = collections.defaultdict(set)
    for row in rows("source")["full"]:
        found[row["target"]].add(row["source"])
    for name in grid.SOURCES:
        twin = common.parts(name)[1] != "segmentation"
        assert found[name] == ({"websearch", "random"} if twin else {"websearch"})
    own, twin = (
        plan().by_name[f"sources/indoor_home@depth{end}"].spec
        for end in ("", "/random")
    )
    assert (twin.steps, twin.data, twin.lr) == (own.steps, own.data, own.lr)
    assert own.starts and not twin.starts


def test_the_multi_source_model_has_no_target_among_its_parts():
    """A5: the largest set of each domain, and all small targets start from it."""
    spec = plan().by_name["sources/multi"].spec
    largest = {"consumer_everyday", "driving_day", "indoor_home", "aerial_city"}
    assert set(spec.parts) == largest | {"closeups_dogs", "synthetic_street"}
    found = [row for row in rows()["small"] if row["source"] == "multi"]
    assert {row["target"] for row in found} == set(grid.TARGETS)
    marked = {row["target"] for row in found if row.get("overlap")}
    assert marked == {"closeups_dogs@keypoints"}


def test_a_set_is_a_source_of_another_task():
    """Of its own images (Table 11), and beside one of the target's task (A6-same)."""
    marked = {
        (row["source"], row["target"])
        for row in rows()["small"]
        if row.get("overlap") == "images"
    }
    assert marked == {
        ("closeups_insects@keypoints", "closeups_insects"),
        ("closeups_dogs", "closeups_dogs@keypoints"),
        ("multi", "closeups_dogs@keypoints"),
    }
    compared = set()
    for row in of_sources("small"):
        if shares.side(row, "domain") == "within":
            world = common.parts(row["source"])[0]
            compared.add((row["target"], world, row["source_task"]))
    pairs = {
        (target, world)
        for target, world, task in compared
        if task == (own := common.parts(target)[1])
        and any((target, world, other) in compared for other in set(TASKS) - {own})
    }
    assert {target for target, _ in pairs} == {
        *("consumer_travel", "driving_night", "indoor_office"),
        *("driving_night@detection", "indoor_office@depth"),
    }


def test_distances_are_those_of_the_multi_source_model():
    """A11 to A13: of all sets of segmentation, named as in the cells."""
    stage = plan().by_name["domain_distance"]
    assert stage.parent_names == {"model": "sources/multi"}
    named = {data.name for data in stage.spec.analysis.datasets}
    found = {
        row[f"{side}_dataset"]
        for row in of_sources("small_source")
        for side in ("source", "target")
    }
    assert named == found


def test_features_of_several_task_types():
    """A14: sets with models of two task types or more, and the pretrained one."""
    found = {
        stage.name.split("/")[1]: set(stage.parent_names)
        for stage in plan().stages
        if stage.name.startswith("task_features/")
    }
    several = {"segmentation", "classification"}
    assert found == {
        "consumer_everyday": several | {"detection", "keypoints"},
        "driving_day": several | {"detection"},
        "indoor_home": several | {"depth"},
        "synthetic_street": several | {"depth"},
    }


METRICS = {"segmentation": "miou", "depth": "rmse"}  # of the others ap50


def made_up(folder):
    """The workdir of the study at its first seed, with values of no meaning."""
    made = workdirs.Workdir(folder, plan().study)
    for number, stage in enumerate(plan().stages):
        if stage.kind == "measure":
            text = "".join(json.dumps(row) + "\n" for row in measured(stage))
            spec = {"analysis": {"name": stage.spec.analysis.name}}
            files = {"rows.jsonl": text.encode()}
            made.done(stage.name, None, kind="measure", spec=spec, files=files)
        elif stage.spec.seed == 0:
            metric = METRICS.get(stage.columns[0]["target_task"], "ap50")
            better = metric != "rmse"
            more = dict(metric=metric, higher=better, floor=0.1 if better else 0.9)
            made.done(stage.name, 0.4 + 0.01 * (number % 7), stage.columns, **more)
    return made.plan()


def measured(stage):
    """Rows of an analysis, as it returns them."""
    analysis = stage.spec.analysis
    if analysis.name == "task_features":
        scores = dict(data=analysis.data.name, by_model=0.2, by_image=0.1)
        models = [dict(scores, model=role) for role in stage.parent_names]
        return [dict(one, image=image) for one in models for image in range(4)]
    names = [data.name for data in analysis.datasets]
    return [
        dict(target=one, source=other, value=apart, one_to_one=apart * apart)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        for apart in [abs(i - j) + 0.1 * j]
    ]


def test_each_claim_is_measured(tmp_path):
    """In one setting or more. Not V1 to V4, which need other networks."""
    report = build.read(made_up(tmp_path))
    found = collections.defaultdict(set)
    for line in report.claims:
        found[line["claim"].split(",")[0]].add(line["verdict"])
    paper = [name for name in found if name[0] == "A"]
    lost = [name for name in paper if found[name] == {claims.UNMEASURED}]
    assert paper and not lost


def test_arguments():
    more = "grid,settings=small,seeds=1,targets=indoor_office,multi="
    config = load("factors", more=more)
    name = "factors-grid-settings.small-seeds.1-targets.indoor_office-multi."
    assert config.study == name
    assert "domain_distance" not in config.stages
    cells = [name for name in config.stages if name.startswith("targets/")]
    assert len(cells) == 2 + len(grid.SOURCES)
    assert load("factors", more="grid").study == "factors-grid"


@pytest.mark.parametrize(
    "more, text",
    [
        ("grid,targets=trimap_dogs", "unknown set 'trimap_dogs'"),
        ("grid,other_seeds=0", "other_seeds=0: allowed are 1 to 1000"),
        ("grid,multi=depht", "unknown task 'depht'.*Did you mean 'depth'"),
        (
            "grid,sources=driving_day,multi=segmentation",
            "multi=segmentation: found 1 sources of that task",
        ),
    ],
)
def test_mistakes_are_named(more, text):
    with pytest.raises(errors.UserError, match=f"(?s){text}"):
        load("factors", more=more)


@pytest.mark.release  # minutes: dozens of programs
def test_the_grid_runs_at_its_smoke_size(tmp_path):
    """All targets of each setting, all sources, all measurements; a line a claim."""
    table = smoke.run("factors.py:grid,smoke", tmp_path)
    planned = [
        row
        for role in ("target", "source", "pretraining")
        for found in rows(role).values()
        for row in found
    ]
    smoke.check_shown(table("results.csv"), planned, ("setting", "target"), ("source",))
    assert {row["claim"] for row in table("claims.csv")} >= CLAIMS
