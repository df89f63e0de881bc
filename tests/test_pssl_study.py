"""The plan of the PSSL study: its trainings, what they start from, walks and labels."""

import collections

import pytest

from configs import _pssl_sets, pssl
from jaxseg.core import errors
from jaxseg.transfer import chain
from tests import smoke
from tests.data import twenty
from tests.test_configs import load


def planned(more=""):
    plan = chain.plan(chain.bind(load("pssl", more=more)))
    return {stage.name: stage for stage in plan.stages}


@pytest.fixture(scope="module")
def stages():
    return planned()


def cells(stages):
    """Columns of fine-tunings."""
    every = [row for stage in stages.values() for row in stage.columns]
    return [row for row in every if row["role"] == "target"]


@pytest.mark.slow
@pytest.mark.parametrize("paper", [False, True])
def test_cells_are_those_of_the_tables(paper, monkeypatch):
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    arg = pssl.PAPER if paper else pssl.EMBEDDED
    found = collections.Counter(
        (row["setting"], row["target"], row["source"])
        for row in cells(planned("paper" * paper))
    )
    wanted = {
        (model, target, source): arg["seeds"]
        for model in arg["models"]
        for target in arg["targets"]
        for source in (pssl.IMAGENET, pssl.PSSL)
    }
    for source in (pssl.PSSL, pssl.TWICE):
        wanted["PSPNet", "VOC-A", source] = arg["lengths"]
    sources = [pssl.IMAGENET]
    sources += [f"{n} samples, background 0.1" for n in arg["samples"]]
    sources += [
        f"{n} samples, background {weight:g}"
        for n in arg["weighed"]
        for weight in arg["weights"]
    ]
    sources += [f"{arg['ablated']} samples, {name}" for name in pssl.ABLATIONS]
    wanted |= {(pssl.ABLATED, "VOC-A", source): arg["repeats"] for source in sources}
    assert found == wanted


def test_recipes_of_the_paper(monkeypatch):
    """Sections 5.2 to 5.4."""
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    stages = planned("paper")
    own = stages["pretrained/PSPNet"].spec
    assert own.batch_size == 64 and own.steps == -(-1_000_000 * 30 // 64)
    assert own.lr == 0.01 and own.schedule["factor"] == 0.1
    assert own.schedule["at"] == [2 / 3] and own.data.size == [256, 256]
    assert own.task["class_weights"] == [0.1] + [1.0] * 1000
    twice = stages["pretrained/PSPNet/twice"].spec
    assert twice.steps == pytest.approx(2 * own.steps, abs=1)
    assert twice.schedule["at"] == [1 / 3]  # falls after as many epochs
    tuned = stages["tuned/PSPNet/CamVid/PSSL/seed0/lr1e-02"].spec
    # A fifth of the 367 images is held out; steps are those of all.
    assert tuned.steps == -(-367 * 30 // 16) and tuned.data.size == [480, 480]
    assert tuned.optimizer["weight_decay"] == 1e-3
    assert tuned.evaluations["validation"].split == "test"
    assert tuned.evaluations["validation"].protocol["flip"]
    long = stages["tuned/DeepLabV3/ADE20K/PSSL/seed0/lr1e-02"].spec
    assert long.steps == -(-20210 * 180 // 16)
    assert long.optimizer["weight_decay"] == 1e-4


def test_what_starts_where(stages):
    def take(name):
        (start,) = stages[name].spec.starts
        return stages[name].parents["start"].name, start.take, start.reinit

    backbone = {"backbone": "backbone"}
    whole = backbone | {"heads_segmentation": "heads_segmentation"}
    front = "tuned/OCRNet/CamVid"
    parent, taken, fresh = take(f"{front}/ImageNet/seed0/lr2e-03")
    assert (parent, dict(taken), fresh) == ("classifier/hrnet/0", backbone, ())
    parent, taken, fresh = take(f"{front}/PSSL/seed0/lr2e-03")
    assert (parent, dict(taken)) == ("pretrained/OCRNet", whole) and len(fresh) == 1
    parent, *_ = take("tuned/DeepLabV3-ResNet/VOC-A/1000/D8 ignored/seed0")
    assert parent == "pretrained/DeepLabV3-ResNet/1000/D8 ignored"


def test_starts_of_one_seed_share_all_but_the_start(stages):
    one, other = (
        stages[f"tuned/PSPNet/VOC-A/{start}/seed0/lr2e-03"].spec
        for start in (pssl.IMAGENET, pssl.PSSL)
    )
    assert (one.seed, one.data, one.model) == (other.seed, other.data, other.model)
    assert one.evaluations == other.evaluations


def test_each_walk_begins_in_the_middle(stages):
    walks = [stage for stage in stages.values() if stage.kind == "select"]
    assert len(walks) == 2 * 3 * 5 + 2 + 3  # lengths have three seeds
    for walk in walks:
        assert walk.spec.search == "peak" and walk.spec.evaluation == "holdout"
        assert walk.parents[walk.spec.start].spec.lr == pssl.EMBEDDED["start"]


def test_labels_of_the_ablations(stages):
    front = "pretrained/DeepLabV3-ResNet/1000/"
    options = {
        name.removeprefix(front): stage.spec.data.options
        for name, stage in stages.items()
        if name.startswith(front)
    }
    assert options["D8 ignored"]["ignored"] == [8]
    assert options["all below D9 ignored"]["ignored"] == [*range(9)]
    assert options["D8 as foreground"]["foreground"] == [8, 9]
    weights = {
        name: stage.spec.task["class_weights"][:2]
        for name, stage in stages.items()
        if name.startswith(front)
    }
    assert weights[f"{front}1e-03"] == [0.001, 1.0]


def test_the_smallest_set_is_camvid():
    counts = {name: own["train"]["count"] for name, own in _pssl_sets.TARGETS.items()}
    assert min(counts, key=counts.get) == "CamVid"
    assert set(counts) == set(_pssl_sets.PAPER_TARGETS)


@pytest.mark.parametrize(
    "more, words",
    [
        ("models=PSP", "unknown model 'PSP'.*Did you mean 'PSPNet'"),
        ("targets=CamVd", "unknown target 'CamVd'"),
        ("samples=500+100", r"samples=\[500, 100\]: allowed are rising"),
        ("weighed=300", r"weighed: found 300, allowed: samples=\[250, "),
        ("start=0.3", "start=0.3: allowed are rates="),
        ("repeats=0", "repeats=0: allowed are 1 to 1000"),
        ("seed=5", "unknown argument 'seed'.*mean 'seeds'"),
    ],
)
def test_arguments_that_no_study_can_have(more, words):
    with pytest.raises((ValueError, errors.UserError), match=words):
        planned(more)


@pytest.mark.release  # minutes: 88 stages
def test_pssl_of_the_paper(tmp_path, monkeypatch):
    """All sets, starts and labels; the report judges each claim."""
    data = tmp_path / "data"
    twenty.write(data)
    monkeypatch.setenv("JAXSEG_DATA", str(data))
    table = smoke.run("pssl.py:paper,smoke", tmp_path / "w")
    made = [row for row in table("results.csv") if row["setting"]]
    smoke.check_shown(
        made, cells(planned("paper")), ("setting", "target"), ("setting", "source")
    )
    claims = {row["claim"]: row for row in table("claims.csv")}
    assert set(claims) == {f"P{n}" for n in range(1, 9)}
    assert (tmp_path / "w/report/index.html").is_file()
