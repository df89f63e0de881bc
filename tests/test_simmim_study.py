"""The plan of the SimMIM study: its cells, draws and what they start from."""

import collections

import pytest

from configs import simmim
from jaxseg.core import errors
from jaxseg.transfer import chain
from tests import smoke
from tests.data import test_catalogue_classes as classes
from tests.data import twenty
from tests.test_configs import load


def planned(more=""):
    plan = chain.plan(chain.bind(load("simmim", more=more)))
    return {stage.name: stage for stage in plan.stages}


@pytest.fixture(scope="module")
def stages():
    return planned()


def cells(stages):
    """Columns of fine-tunings."""
    every = [row for stage in stages.values() for row in stage.columns]
    return [row for row in every if row["role"] == "target"]


@pytest.mark.parametrize("paper", [False, True])
def test_cells_are_those_of_the_grid(paper, monkeypatch):
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    arg = simmim.PAPER if paper else simmim.EMBEDDED
    stages = planned("paper" * paper)
    found = collections.Counter(
        (row["setting"], row["source"]) for row in cells(stages)
    )
    sources = ["random", *map(str, arg["pretraining"])]
    sources += [f"{images} + scenes" for images in arg["pretraining"]]
    wanted = {(f"{n} images", s): arg["seeds"] for n in arg["images"] for s in sources}
    assert found == wanted
    if paper:  # 2.2: 100 epochs; the table of the encoder
        spec = stages["pets/250/random/seed0"].spec
        assert spec.steps == -(-250 * 100 // 16) and spec.lr == 2e-3
        assert spec.model["backbone"]["patch"] == 16
        assert stages["masked/45000"].spec.schedule["at"] == [0.5, 0.85]


def test_fewer_images_are_some_of_more(stages):
    few, more, other = (
        stages[f"pets/{n}/random/seed{s}"].spec.data
        for n, s in ((50, 1), (200, 1), (50, 2))
    )
    ids = lambda data: {data.open()[i]["id"] for i in range(data.count)}
    assert ids(few) < ids(more) and ids(few) != ids(other)
    assert {stages[f"masked/{n}"].spec.data.seed for n in (450, 1000, 2000)} == {0}


def test_repeats_share_all_but_the_start(stages):
    one, other = (
        stages[f"pets/100/{start}/seed2"].spec for start in ("random", "450 + scenes")
    )
    assert one.seed == other.seed and one.data == other.data
    assert one.model == other.model and one.evaluations == other.evaluations


def test_what_starts_where(stages):
    starts = {n: stages[n].spec.starts for n in stages if n.startswith(("pets", "cl"))}
    for name, taken in starts.items():
        assert [s.take for s in taken] == [{"backbone": "backbone"}] * (
            "/random/" not in name
        )
    chains = {row["source"]: row["start"] for row in cells(stages)}
    assert chains["1000"] == "masked/1000"
    assert chains["1000 + scenes"] == "masked/1000 > classified/1000"


def test_dropout_and_mixup_come_after_the_pretraining(stages):
    rate = lambda name: stages[name].spec.model["backbone"]["dropout"]
    assert rate("masked/450") == 0
    assert rate("classified/450") == rate("pets/25/450/seed0") == 0.1
    mixed = {name for name, s in stages.items() if getattr(s.spec, "mixup", 0)}
    assert mixed == {f"classified/{n}" for n in simmim.EMBEDDED["pretraining"]}


def test_a_class_token():
    stages = planned("class_token=true,pretraining=450,images=25,seeds=1")
    fields = lambda name: stages[name].spec.model["backbone"]
    assert all(fields(n)["class_token"] for n in stages if not n.startswith("rebuilt"))
    assert fields("classified/450")["class_map"]
    assert not fields("pets/25/450/seed0")["class_map"]


@pytest.mark.parametrize(
    "more, words",
    [
        ("images=50+25", r"images=50\+25: allowed are rising numbers"),
        ("pretraining=0", "pretraining=0: allowed are rising"),
        ("seeds=0", "seeds=0: allowed are 1 to 1000"),
        ("size=60", "size=60, patch=8: allowed are sizes of whole patches"),
        ("test_images=-1", r"test_images=-1: allowed are 0 \(all\)"),
        ("ratio=1", "ratio: found 1.0"),
        ("image=5", "unknown argument 'image'.*mean 'images'"),
        ("images=7000", "count=7000; allowed are 1 to 6000"),
    ],
)
def test_arguments_that_no_study_can_have(more, words):
    with pytest.raises((ValueError, errors.UserError), match=words):
        planned(more)


@pytest.mark.slow
def test_simmim_of_the_paper(tmp_path, monkeypatch):
    """All sets, starts and measurements; the report judges each claim."""
    data = tmp_path / "data"
    twenty.ilsvrc(data)
    for split in ("train", "test"):
        for kind in ("buildings", "forest", "glacier", "mountain", "sea", "street"):
            classes.write_classes(data / f"intel/seg_{split}", {kind: 2})
    # More than the thousand that are tested on.
    pets = [(f"a{i}", 1 + i % 37) for i in range(1010)]
    classes.write_pets(data / "pets", {"trainval": pets[:505], "test": pets[505:]})
    monkeypatch.setenv("JAXSEG_DATA", str(data))
    table = smoke.run("simmim.py:paper,smoke", tmp_path / "w")
    made = [row for row in table("results.csv") if row["setting"]]
    smoke.check_shown(
        made, cells(planned("paper")), ("setting", "target"), ("setting", "source")
    )
    claims = {row["claim"]: row for row in table("claims.csv")}
    assert set(claims) == {f"S{n}" for n in range(1, 7)}
    assert all(row["verdict"] != "not measured" for row in claims.values())
    assert (tmp_path / "w/report/index.html").is_file()
