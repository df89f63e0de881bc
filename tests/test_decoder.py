"""The plan of the decoder study: its cells, what they start from, sets of one's own."""

import collections

import pytest

from configs import decoder
from jaxseg.core import errors
from jaxseg.data import source as source_lib
from jaxseg.transfer import chain
from tests.test_configs import load

SOURCES = {"labels", "cars", "dogs", "underwater", "similarity"}


def planned(more=""):
    return {
        s.name: s for s in chain.plan(chain.bind(load("decoder", more=more))).stages
    }


@pytest.fixture(scope="module")
def stages():
    return planned()


def cells(stages):
    """Columns of fine-tunings."""
    every = [row for stage in stages.values() for row in stage.columns]
    return [r for r in every if r["role"] == "target" and r["setting"] != "probe"]


@pytest.mark.parametrize("paper", [False, True])
def test_cells_are_those_of_the_tables(paper, monkeypatch):
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    found = collections.Counter(
        (row["setting"], row["target"]) for row in cells(planned("paper" * paper))
    )
    repeats, more = (3, 0) if paper else (4, 8)  # more of the encoders of D3
    six, nine, four = (repeats * count for count in (6, 9, 4))  # starts x repeats
    wanted = {(s, t): six for s in decoder.FRACTIONS for t in ("flowers", "pets")}
    wanted |= {("cars", "bus"): nine + 3 * more, ("cars", "airplane"): nine}
    wanted |= {("dogs", "cat"): nine + 3 * more}  # and Fig. 6
    wanted |= {("dogs", "horse"): four + 2 * more}  # without Reconstruction
    wanted |= {("underwater", "underwater"): 3 * repeats}
    # Seven encoders.
    wanted |= {("similarity", t): 8 * repeats for t in ("horse", "bus")}
    assert found == wanted


def test_what_a_start_takes(stages):
    def taken(start):
        return [s.take for s in stages[f"labels/pets/1 %/{start}/seed0"].spec.starts]

    encoder, head = {"backbone": "backbone"}, "heads_segmentation"
    assert taken("random") == []
    assert taken("SimCLR") == taken("ConRec-EncOnly") == [encoder]
    decoder_ = {f"{head}/decoder": "heads_reconstruction/decoder"}
    last = {f"{head}/decoder/up0": "heads_reconstruction/target0"}
    assert taken("ConRec") == taken("Reconstruction") == [encoder | decoder_, last]
    (whole,) = stages["cars/bus/Segmentation/seed0"].spec.starts
    assert whole.take == encoder | {head: head}
    (alone,) = stages["similarity/bus/Segmentation car/seed0"].spec.starts
    assert alone.take == encoder


def test_starts_of_a_target_share_draw_and_seed(stages):
    """So scenarios 3 and 4 differ in the decoder alone; repeats have draws of their
    own, and nothing is tested on what was trained on.
    """
    whole, alone, other = (
        stages[f"labels/pets/5 %/{name}"].spec
        for name in ("ConRec/seed1", "ConRec-EncOnly/seed1", "ConRec/seed2")
    )
    assert whole.seed == alone.seed != other.seed
    draw = lambda spec: (spec.data.fraction, spec.data.seed)
    assert draw(whole) == draw(alone) == (0.05, 1) and draw(other) == (0.05, 2)
    tested = whole.evaluations["test"]
    assert (tested.part, tested.fraction, tested.seed) == ("rest", 0.05, 1)
    assert not whole.data.overlaps(tested)
    assert not whole.data.overlaps(whole.evaluations["curve"])


def test_a_start_in_two_tables_is_trained_once(stages):
    for target, part in (("horse", "dogs"), ("bus", "cars")):
        names = [f"{p}/{target}/random/seed0" for p in (part, "similarity")]
        assert len({stages[name].key for name in names}) == 1


def test_a_probe_trains_the_last_layer_alone(stages):
    spec = stages["probe/pets/SimCLR/seed0"].spec
    assert list(map(list, spec.lr_multipliers)) == [["backbone/.*", 0.0]]
    assert spec.model["head"]["name"] == "pooled"
    assert [s.take for s in spec.starts] == [{"backbone": "backbone"}]


def test_a_set_of_ones_own(real_data):
    folder = real_data / "human_segmentation"
    more = f"parts=,own=folder/segmentation,root={folder},mask_size=resize"
    stages = planned(more)
    found = collections.Counter(row["source"] for row in cells(stages))
    assert set(found.values()) == {4} and len(found) == 9
    spec = stages["own/folder/segmentation/random/seed0"].spec
    assert (
        spec.data.options["binary"] and spec.evaluations["test"].split == "validation"
    )
    assert "pretext/cityscapes/ConRec" in stages and "similarity" not in stages


def test_one_class_of_a_set_of_ones_own(real_data):
    stages = planned(f"parts=,own=camvid/11@car,root={real_data / 'camvid'}")
    spec = stages["own/camvid/11@car/Segmentation/seed2"].spec
    assert spec.data.only == spec.evaluations["test"].only == "car"
    data = spec.data
    source = source_lib.open(
        data.name, split="validation", root=data.root, only=data.only
    )
    assert 0 < len(source) <= 101 and source.dataset.classes == ("background", "car")


@pytest.mark.parametrize(
    "more, words",
    [
        ("views=strong", "unknown recipe .strong."),
        ("parts=car", r"unknown part 'car'.*mean 'cars'"),
        ("parts=", "parts=: allowed are labels.*or sets by own=NAME"),
        ("fraction=1", "fraction=1.0: allowed is above 0 and below 1"),
        ("images=-1", r"images=-1: allowed are 0 \(all\), 1 and more"),
        ("measured=2", r"measured=2: allowed are 0 \(all\), 4 and more"),
        ("size=0", "size=0: allowed are multiples of 16"),
        ("pretext_size=7", "pretext_size=7: allowed are multiples of 16"),
        ("own=camvid/11+suim/8,root=a", "a folder for each set, or none"),
        ("parts=,own=camvid/11@cat", "unknown class 'cat'.*car"),
        ("parts=,own=camvid/11", "11 classes, allowed: one.*as camvid/11@.*car"),
        ("parts=,own=@car", "own=@car: allowed are NAME and NAME@CLASS"),
        ("parts=,own=folder/segmentation,mask_size=resiz", "Did you mean 'resize'"),
        ("parts=,own=camvid/11@", "own=camvid/11@: allowed are NAME and NAME@CLASS"),
        ("parts=,own=camvid/11@car,mask_size=resize", "allowed with own=folder"),
        ("domain_seeds=0", "domain_seeds=0: allowed are 1 to 1000"),
        ("probe_seeds=0", "probe_seeds=0: allowed are 1 to 1000"),
    ],
)
def test_arguments_that_no_study_can_have(more, words):
    with pytest.raises((ValueError, errors.UserError), match=words):
        planned(more)
