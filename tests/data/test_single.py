"""`only`: one class of a segmentation set, drawn from the images that show it."""

import dataclasses
import logging

import numpy as np
import pytest

from jaxseg.core import errors, hashing, nested
from jaxseg.data import catalogue, published, single, spec
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.datasets import worlds
from jaxseg.data.readers import present_ids
from jaxseg.transfer.training import sections
from tests.data import trees

CAR = dict(name="worlds/driving_day", split="validation", options={"size": 16})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def few(monkeypatch):
    """The world by day with 30 pictures a split."""
    facts = worlds.DATASETS["driving_day"]
    splits = {"train": 30, "validation": 30}
    small = dataclasses.replace(facts, splits=splits)
    monkeypatch.setitem(worlds.DATASETS, "driving_day", small)
    catalogue._look_up.cache_clear()
    yield
    catalogue._look_up.cache_clear()


OPTIONS = {"classes": ["sky", "road", "car"]}


def folder(root):
    """Images and masks of the user: 0 sky, 1 road, 2 car, which are in a, b, d."""
    masks = {"a": (0, 2), "b": (1, 2), "c": (0, 1), "d": (2, 255), "e": (0,), "f": (1,)}
    for seed, (name, values) in enumerate(masks.items()):
        trees.write_image(root / f"images/{name}.png", seed=seed)
        trees.write_mask(root / f"masks/{name}.png", values=values)
    for split, names in {"train": "abcd", "val": "ef"}.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    return dict(name="folder/segmentation", root=str(root), options=OPTIONS)


def opened(section, **more):
    section = section | more
    return source_lib.open(section.pop("name"), **{"split": "train"} | section)


def ids(source):
    return [source[i]["id"] for i in range(len(source))]


def test_ids_of_the_file_lead_to_one_class():
    """The reader's own table comes first; 255 is a class where there are more."""
    whole = Dataset(
        fields=("image", "segmentation", "boxes"),
        domain="driving",
        splits={"train": 9},
        version=1,
        classes=("a", "b", "c"),
        palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
        ids={7: 1, 2: 255, 255: 2, 9: IGNORE},
        background=0,
    )
    one = single.facts(whole, "b", "x")
    assert one.ids == {0: 0, 1: 1, 2: 255, 7: 1, 9: 255, 255: 0}
    assert one.palette == ((0, 0, 0), (1, 1, 1)) and one.background is None
    assert one.fields == ("image", "segmentation") and one.splits == {"train": 0}
    many = dataclasses.replace(
        whole, classes=tuple(f"c{n}" for n in range(300)), ids={}
    )
    table = single.facts(many, "c255", "x").ids
    assert table[255] == 1 and table[256] == 0 and table[IGNORE] == 255


def test_a_world_is_drawn_from_the_pictures_that_show_the_class(few):
    whole, car = opened(CAR), opened(CAR, only="person")
    shows = [i for i, one in enumerate(whole) if (one["segmentation"] == 5).any()]
    assert car.indices.tolist() == shows and 0 < len(shows) < len(whole)
    assert car.dataset.splits == {"train": 0, "validation": len(shows)}
    assert car.dataset.classes == ("background", "person")
    assert car.dataset.mean == whole.dataset.mean
    example, same = car[0], whole[shows[0]]
    assert set(example) == {"image", "segmentation", "id"}
    np.testing.assert_array_equal(example["segmentation"], same["segmentation"] == 5)
    np.testing.assert_array_equal(example["image"], same["image"])


def test_count_fraction_and_rest_are_of_the_images_that_show_it(few):
    drawn = {"only": "person", "seed": 1}
    every = set(ids(opened(CAR, **drawn)))
    half = ids(opened(CAR, **drawn, fraction=0.5))
    rest = ids(opened(CAR, **drawn, fraction=0.5, part="rest"))
    assert len(half) == round(len(every) / 2)
    assert set(half) | set(rest) == every and not set(half) & set(rest)
    assert set(ids(opened(CAR, **drawn, count=3))) < set(half)
    with pytest.raises(errors.UserError, match=f"allowed are 1 to {len(every)},"):
        opened(CAR, **drawn, count=len(every) + 1)


@pytest.mark.parametrize("kept", ["disk", "none"])
def test_a_folder_of_the_users_keeps_what_is_ignored(tmp_path, kept):
    section = folder(tmp_path)
    opened(section, cache=kept)[3]
    for _ in range(2):  # the second time from the disk
        source = opened(section, only="car", cache=kept)
        assert ids(source) == [f"images/{name}.png" for name in "abd"]
        held = [np.unique(one["segmentation"]).tolist() for one in source]
        assert held == [[0, 1], [0, 1], [1, IGNORE]]
    with pytest.raises(errors.UserError, match="validation: none of 2 images shows 'c"):
        opened(section, only="car", split="validation")


def test_masks_are_read_once_until_one_changes(tmp_path, monkeypatch, caplog):
    section, read = folder(tmp_path), []
    monkeypatch.setattr(single, "TOLD", 4)
    really = source_lib.Source._read
    monkeypatch.setattr(
        source_lib.Source, "_read", lambda *a: read.append(a) or really(*a)
    )
    with caplog.at_level(logging.WARNING):
        assert len(opened(section, only="car")) == 3 and len(read) == 4
    assert "the masks of 4 images are read once" in caplog.text
    assert len(opened(section, only="sky")) == 2 and len(read) == 4
    trees.write_mask(tmp_path / "masks/c.png", values=(2,))
    assert len(opened(section, only="car")) == 4 and len(read) == 8


def test_real_data(real_data):
    section = dict(name="camvid/11", root=real_data / "camvid", split="test")
    whole, car = opened(section), opened(section, only="car")
    assert (len(whole), len(car)) == (233, 223)
    own = whole.dataset.classes.index("car")
    for place in (0, 100):
        expected = whole[int(car.indices[place])]["segmentation"]
        found = car[place]["segmentation"]
        np.testing.assert_array_equal(found == 1, expected == own)
        np.testing.assert_array_equal(found == IGNORE, expected == IGNORE)


def test_what_cannot_be_is_named(few):
    with pytest.raises(errors.UserError, match=r"class 'cars'. Known: .*mean 'car'\?"):
        opened(CAR, only="cars")
    with pytest.raises(errors.UserError, match=r"has image, label\. Fix: drop only"):
        opened(dict(name="worlds/websearch"), only="car")
    planned = spec.DataSpec(name="camvid/11", only="cat")
    with pytest.raises(errors.UserError, match=r"cat\): only: unknown class"):
        planned.facts()
    with pytest.raises(errors.UserError, match="unknown class 'background'"):
        single.facts(catalogue.find("voc/segmentation2012"), "background", "x")


def test_a_plan_knows_all_but_the_number_of_images():
    data = spec.DataSpec(name="camvid/11", only="car", fraction=0.2, part="rest")
    facts = data.facts()
    assert facts.classes == ("background", "car") and data.called == "camvid/11 (car)"
    assert data.images(facts) == (0, 0)
    resolved = data.identified(facts, "x")
    assert resolved.fingerprint == "camvid/11@1"
    assert dataclasses.replace(data, count=9, fraction=None).images(facts) == (0, 0)
    some = dataclasses.replace(data, count=9, fraction=None, part="all")
    assert some.images(facts) == (9, 0)
    with pytest.raises(errors.UserError, match="unknown split"):
        dataclasses.replace(data, split="val").identified(facts, "x")
    plain = nested.plain(resolved)
    assert spec.stored(plain) == resolved


def test_a_plan_of_a_folder_has_opened_it(tmp_path):
    data = spec.DataSpec(**folder(tmp_path), only="car")
    assert data.images(data.facts()) == (3, 3)
    found = data.described(data.open())
    assert (found["count"], found["only"]) == (3, "car")
    whole = dataclasses.replace(data, only=None)
    assert "only" not in whole.described(whole.open())


def test_sections_without_it_keep_their_keys():
    """As `hashing.key` gave it before there was such a field."""
    plain = nested.plain(spec.DataSpec(name="camvid/11"), without="local")
    assert "only" not in plain
    expected = "4efc5217a590f9cba936b165808609ae6c1fc7a9945700f39f188230f011339c"
    assert hashing.key(plain) == expected
    other = nested.plain(spec.DataSpec(name="camvid/11", only="car"), without="local")
    assert other["only"] == "car" and hashing.key(other) != expected


def test_draws_of_other_classes_may_share_images():
    car, bus, whole = (
        spec.DataSpec(name="worlds/traffic", only=only, fraction=0.5)
        for only in ("car", "bus", None)
    )
    for one, other in ((car, bus), (car, whole), (whole, bus)):
        rest = dataclasses.replace(other, part="rest")
        assert one.overlaps(rest) and rest.overlaps(one) and one.same_split(rest)
    assert not car.overlaps(dataclasses.replace(car, part="rest"))


def test_evaluations_take_it_over_from_training():
    data = sections.train_data({"name": "worlds/traffic", "only": "bus"}, "x")
    given = {
        "validation": {},
        "rest": {"split": "train", "part": "rest"},
        "whole": {"only": None},
        "other": {"name": "worlds/driving_day"},
    }
    found = {n: sections.evaluation(data, own, n).only for n, own in given.items()}
    assert found == {"validation": "bus", "rest": "bus", "whole": None, "other": None}


def test_a_table_of_any_width_is_kept(cache):
    table = np.random.default_rng(0).random((5, 11)) < 0.5
    for made in (table, ~table):  # the second one is not asked for
        found = present_ids.kept("key", lambda made=made: made, 11)
        np.testing.assert_array_equal(found, table)


def test_what_a_parent_publishes_has_classes_too(tmp_path):
    root = tmp_path / "dataset"
    section = folder(root)
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    whole = catalogue.describe("folder/segmentation", root=root)
    planned = published.Published("folder/segmentation", whole, "maker", "0")
    published.finish(tmp_path, planned)
    data = spec.DataSpec(of="maker", only="car", root=str(root), published=planned)
    assert data.facts().classes == ("background", "car")
    source = data.open()
    assert (len(source), source.dataset.classes) == (3, ("background", "car"))
    assert np.unique(source[2]["segmentation"]).tolist() == [1, IGNORE]
    assert source.dataset.mean == opened(section).dataset.mean
