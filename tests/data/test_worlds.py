"""Worlds: the same pixels every time, exact labels, and a cache that cannot lie."""

import collections
import itertools
import logging
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest

from jaxseg.data import dataset
from jaxseg.data import source as source_lib
from jaxseg.data.datasets import worlds
from jaxseg.data.readers import patches as patches_lib
from jaxseg.data.render import canvas, objects, store, studies, textures

SCENES = [name for name, facts in worlds.DATASETS.items() if "boxes" in facts.fields]
TRIMAPS = ("trimap_dogs", "trimap_insects")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def few():
    """Eight examples of every scene, rendered once for this file."""
    return {n: [worlds.render(n, "train", i) for i in range(8)] for n in SCENES}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_two_or_three_datasets_per_domain_and_one_of_names():
    domains = collections.Counter(worlds.DATASETS[name].domain for name in SCENES)
    assert set(domains) == set(dataset.DOMAINS) - {"own", "websearch"}
    three = {domain for domain, count in domains.items() if count == 3}
    assert three == {"consumer", "driving"}
    assert set(domains.values()) == {2, 3}
    assert worlds.DATASETS["websearch"].domain == "websearch"


# Mean of training image 1; another processor may round a pixel in another way.
PIXELS = {
    "consumer_everyday": 87.47,
    "consumer_travel": 150.84,
    "driving_day": 110.7,
    "driving_night": 70.84,
    "indoor_home": 114.82,
    "indoor_office": 139.57,
    "aerial_city": 124.73,
    "aerial_farm": 112.71,
    "underwater_reef": 87.88,
    "underwater_wreck": 69.79,
    "closeups_dogs": 69.67,
    "closeups_insects": 88.19,
    "synthetic_street": 121.78,
    "synthetic_gallery": 129.58,
    "consumer_market": 90.97,
    "driving_rain": 129.97,
    "websearch": 84.58,
}
PIXELS_OF_STUDIES = {
    "objects_car": 119.07,
    "objects_horse": 126.56,
    "objects_motorbike": 98.93,
    "objects_person": 95.31,
    "objects_cat": 142.81,
    "scenes_things": 112.34,
    "traffic": 107.28,
    "traffic_patches": 68.54,
    "traffic_patches_car": 68.54,
}


@pytest.mark.parametrize("name", PIXELS | PIXELS_OF_STUDIES)
def test_the_pixels_of_a_version_stay(name):
    assert worlds.DATASETS[name].version == (2 if name in PIXELS else 1)
    image = worlds.render(name, "train", 1)["image"]
    mean = (PIXELS | PIXELS_OF_STUDIES)[name]
    assert image.mean() == pytest.approx(mean, abs=0.02)


def test_datasets_of_a_domain_share_neither_classes_nor_palette():
    pairs = itertools.combinations((worlds.DATASETS[name] for name in SCENES), 2)
    for one, two in pairs:
        if one.domain != two.domain:
            continue
        assert not set(one.classes) & set(two.classes)
        assert one.palette[1:] != two.palette[1:]


@pytest.mark.parametrize("name", SCENES)
def test_programs_can_be_shared(name):
    facts = worlds.DATASETS[name]
    assert facts.num_classes == len(facts.palette) == len(set(facts.palette)) == 6
    assert facts.size == (64, 64)


@pytest.mark.parametrize("name", SCENES)
def test_fields_and_types(name, few):
    for example in few[name]:
        dataset.check(example | {"id": name}, worlds.DATASETS[name], where=name)
        count = len(example["boxes"])
        expected = {
            "image": (np.uint8, (64, 64, 3)),
            "segmentation": (np.int32, (64, 64)),
            "depth": (np.float32, (64, 64)),
            "boxes": (np.float32, (count, 4)),
            "box_labels": (np.int32, (count,)),
            "keypoints": (np.float32, (count, len(canvas.KEYPOINTS), 3)),
        }
        assert {k: (v.dtype, v.shape) for k, v in example.items()} == expected


@pytest.mark.parametrize("name", SCENES)
def test_fifty_examples_show_every_class(name, few):
    found = set(np.unique([example["segmentation"] for example in few[name]]))
    for index in range(8, 50):
        if len(found) == 6:  # most need no more than a few
            break
        found |= set(np.unique(worlds.render(name, "train", index)["segmentation"]))
    assert found == set(range(6))
    assert any(len(example["boxes"]) > 1 for example in few[name])


@pytest.mark.parametrize("name", SCENES)
def test_depth_is_positive_and_finite(name, few):
    depth = np.stack([example["depth"] for example in few[name]])
    assert depth.min() > 0
    assert depth.max() <= canvas.FAR
    assert depth.std() > 0


@pytest.mark.parametrize("name", SCENES)
def test_some_things_have_a_skeleton_within_their_picture(name, few):
    joints = np.concatenate([example["keypoints"] for example in few[name]])
    assert set(np.unique(joints[..., 2])) <= {0, 1, 2}
    assert (joints[..., 2] == 2).any()
    assert ((joints[..., :2] >= 0) & (joints[..., :2] < 1)).all()
    assert (joints[joints[..., 2] == 0] == 0).all()


def test_boxes_are_tight_around_what_can_be_seen():
    for name in SCENES:
        facts = worlds.DATASETS[name]
        for index in range(2):
            scene = _painted(name, index)
            example = scene.example()
            owners = [
                number
                for number in range(len(scene.things))
                if (scene.owner == number).sum() >= canvas.MIN_PIXELS
            ]
            assert len(owners) == len(example["boxes"])
            for number, box, label in zip(
                owners, example["boxes"], example["box_labels"]
            ):
                rows, cols = np.nonzero(scene.owner == number)
                tight = rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
                np.testing.assert_array_equal(box * 64, tight)
                assert (scene.segmentation[rows, cols] == label).all(), facts.classes


def _painted(name, index):
    """The canvas of an example, before it becomes a record."""
    kept = []

    class Kept(canvas.Canvas):
        def example(self):
            kept.append(self)
            return super().example()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds.canvases, "Canvas", Kept)
        worlds.render(name, "validation", index)
    return kept[0]


def test_a_hand_made_picture():
    scene = canvas.Canvas(8, ("ground", "block"))
    scene.paint(scene.y - 2, (0, 1, 0), "ground", depth=5.0)
    thing = scene.thing("block")
    square = np.maximum(abs(scene.x - 0.5), abs(scene.y - 0.25)) - 0.125
    scene.paint(square, (1, 0, 0), "block", depth=2.0, thing=thing)
    points = np.full((6, 2), np.nan)
    points[0], points[1] = (0.5, 0.25), (0.9, 0.9)
    scene.joints(thing, points)
    example = scene.example()
    expected = np.zeros((8, 8), int)
    expected[1:3, 3:5] = 1
    np.testing.assert_array_equal(example["segmentation"], expected)
    np.testing.assert_array_equal(example["boxes"], [[1 / 8, 3 / 8, 3 / 8, 5 / 8]])
    np.testing.assert_array_equal(example["depth"], np.where(expected, 2, 5))
    np.testing.assert_allclose(
        example["keypoints"][0, :3], [[0.25, 0.5, 2], [0.9, 0.9, 1], [0, 0, 0]]
    )


@pytest.mark.parametrize("name", worlds.DATASETS)
def test_an_index_gives_the_same_pixels_in_any_order(name):
    forward = [worlds.render(name, "validation", i) for i in (0, 1, 2)]
    backward = [worlds.render(name, "validation", i) for i in (2, 1, 0)][::-1]
    for first, second in zip(forward, backward):
        assert_same(first, second)
    assert (forward[0]["image"] != forward[1]["image"]).any()
    train = worlds.render(name, "train", 0)
    assert (train["image"] != forward[0]["image"]).any()


def test_a_third_set_of_a_domain_is_not_among_the_scenes():
    """Whose pictures of a version stay."""
    scenes = worlds.SCENES["scenes_domains"] | worlds.SCENES["scenes_places"]
    shown = {name for names in scenes.values() for name in names}
    assert shown == set(SCENES) - {"consumer_market", "driving_rain"}


def test_an_index_gives_the_same_pixels_in_another_process():
    code = (
        "import zlib; from jaxseg.data.datasets import worlds; print([zlib.crc32("
        "worlds.render(n, 'train', 1)['image'].tobytes()) for n in worlds.DATASETS])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    images = [worlds.render(n, "train", 1)["image"] for n in worlds.DATASETS]
    assert out.strip() == str([zlib.crc32(image.tobytes()) for image in images])


@pytest.mark.parametrize("name", studies.OBJECTS)
def test_a_picture_shows_one_kind_of_thing_before_a_background(name, cache):
    """Of any test image some pixels are the thing, most are not (Object Discovery)."""
    facts = worlds.DATASETS[name]
    assert facts.num_classes == 2 and facts.classes[0] == "background"
    assert facts.splits == {"train": 2000, "validation": 200, "test": 400}
    source = source_lib.open(f"worlds/{name}", split="test", count=20)
    examples = [source[index] for index in range(20)]
    shares = [(example["segmentation"] == 1).mean() for example in examples]
    assert min(shares) > 0.02 and max(shares) < 0.5
    assert 0.08 < np.mean(shares) < 0.25
    assert all(set(np.unique(e["segmentation"])) == {0, 1} for e in examples)
    mean = np.mean([example["image"].mean((0, 1)) for example in examples], axis=0)
    assert np.abs(mean - facts.mean).max() < 25


def test_a_chair_in_a_room_stands_where_it_is_placed():
    """Shown whole at the lower edge, cut at the left; its colour is not the room's."""
    picture = canvas.Canvas(64, ("background", "chair"))
    picture.paint(picture.y - 2, (0, 0, 0), "background", depth=4.0)
    objects.chair(picture, np.random.default_rng(0), 0.5, 1.0, 0.5)
    mask = picture.example()["segmentation"] == 1
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert rows[0] >= 32 and rows[-1] <= 63 and max(np.ptp(rows), np.ptp(cols)) >= 28
    assert cols[0] >= 16 and cols[-1] < 48
    assert picture.image[:, mask].mean() > 0.1
    outside = picture.image[:, :16].max()
    assert outside == 0
    edge = canvas.Canvas(64, ("background", "chair"))
    objects.chair(edge, np.random.default_rng(0), 0.0, 1.0, 0.5)
    cut = edge.example()["segmentation"] == 1
    np.testing.assert_array_equal(cut[:, :16], mask[:, 32:48])


def test_another_size_shows_the_same_scene():
    small = worlds.render("driving_day", "train", 3)
    large = worlds.render("driving_day", "train", 3, size=128)
    assert large["image"].shape == (128, 128, 3)
    agree = large["segmentation"][::2, ::2] == small["segmentation"]
    assert agree.mean() > 0.9


def test_a_world_has_a_size_of_its_own(cache):
    """128 pixels for traffic, the others 64, and any that the option says."""
    source = source_lib.open("worlds/traffic", split="validation", count=1)
    assert source.options == {"size": 128} and source.dataset.size == (128, 128)
    assert source[0]["image"].shape == (128, 128, 3)
    small = {"options": {"size": 32}, "count": 1}
    source = source_lib.open("worlds/traffic", split="validation", **small)
    assert source[0]["segmentation"].shape == source.dataset.size == (32, 32)
    other = source_lib.open("worlds/driving_day", split="validation", count=1)
    assert other.options == {"size": 64}


def test_half_of_the_traffic_shows_a_bus_and_most_a_car():
    masks = [worlds.render("traffic", "test", i, 32)["segmentation"] for i in range(60)]
    car, bus, person = (np.mean([(m == k).any() for m in masks]) for k in (1, 2, 3))
    assert worlds.DATASETS["traffic"].classes == ("background", "car", "bus", "person")
    assert car > 0.8 and 0.35 < bus < 0.65 and person > 0.5


def test_a_patch_shows_as_much_of_a_car_as_its_label_says():
    patches = [worlds.render("traffic_patches", "train", i) for i in range(12)]
    shares = [patch["segmentation"].mean() for patch in patches]
    labels = [int(patch["label"]) for patch in patches]
    assert set(labels) == {0, 1} and patches[0]["image"].shape == (64, 64, 3)
    assert all(s >= 0.2 if label else s == 0 for s, label in zip(shares, labels))
    for index, patch in enumerate(patches):
        with_car = worlds.render("traffic_patches_car", "train", index)
        assert with_car["segmentation"].mean() >= 0.2 and with_car["label"] == 1
        same = np.array_equal(with_car["image"], patch["image"])
        assert same == (labels[index] == 1)


def test_a_picture_without_any_patch_is_followed_by_the_next(monkeypatch):
    drawn, find = [], patches_lib.find

    def refuse_first(*given):
        drawn.append(given)
        return find(*given) if len(drawn) > 1 else None

    monkeypatch.setattr(patches_lib, "find", refuse_first)
    assert worlds.render("traffic_patches", "train", 0, 16)["image"].shape[0] == 16
    assert len(drawn) == 2 and (drawn[0][0] != drawn[1][0]).any()


def test_a_source_of_patches_has_the_fields_of_its_facts(cache):
    opened = lambda name: source_lib.open(f"worlds/{name}", split="train", count=2)[0]
    assert set(opened("traffic_patches")) == {"image", "segmentation", "label", "id"}
    assert set(opened("traffic_patches_car")) == {"image", "segmentation", "id"}


def test_a_source_reads_what_render_draws(cache):
    source = source_lib.open("worlds/aerial_farm", split="train", count=5, seed=1)
    for place, index in enumerate(source.indices):
        drawn = worlds.render("aerial_farm", "train", int(index))
        assert_same(source[place], drawn | {"id": f"aerial_farm/train/{index:06d}"})
    names = source_lib.open("worlds/websearch", split="validation", count=2)
    assert names[0]["label"].dtype == np.int32 and names[0]["label"].shape == ()


def parse(index=7, name="driving_night"):
    return worlds.parse(("train", index, 64), None, name)


def cache_file(folder):
    (path,) = (folder / "worlds").iterdir()
    return path


def test_the_second_reading_renders_nothing(cache, monkeypatch):
    first = parse()
    monkeypatch.setattr(worlds, "render", None)
    assert_same(parse(), first)


@pytest.mark.parametrize("harm", ["flip", "tear"])
def test_a_damaged_example_is_noticed_and_rendered_again(cache, caplog, harm):
    first = parse()
    path = cache_file(cache)
    data = bytearray(path.read_bytes())
    if harm == "flip":
        data[-10_000] ^= 1
    else:
        del data[-100:]
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert_same(parse(), first)
    assert "damaged" in caplog.text and path.name in caplog.text
    caplog.clear()
    assert_same(parse(), first)
    assert not caplog.text  # mended on disk


def test_an_example_that_another_process_still_writes_is_waited_for(
    cache, monkeypatch, caplog
):
    first, read = parse(), store.Store._bytes
    lengths = [-50, None]  # of what is there at the first and the second look

    def half_written(self, index):
        return read(self, index)[: lengths.pop(0)]

    monkeypatch.setattr(store.Store, "_bytes", half_written)
    monkeypatch.setattr(worlds, "render", None)
    with caplog.at_level(logging.WARNING):
        assert_same(parse(), first)
    assert not caplog.text and not lengths


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")  # a file where the folder should be
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert_same(parse(), parse())
    assert caplog.text.count("no cache") == 1


def test_a_full_disk_is_survived(cache, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    first = parse(8)
    assert "No space left" in caplog.text
    monkeypatch.undo()
    assert_same(worlds.render("driving_night", "train", 8) | {"id": first["id"]}, first)


def test_two_processes_at_once_leave_a_whole_cache(cache):
    code = (
        "from jaxseg.data.datasets import worlds\n"
        "for i in range(20): worlds.parse(('train', i, 64), None, 'indoor_home')"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    slots = np.fromfile(cache_file(cache), store.layout(64))
    assert len(slots) == 20 and slots["written"].all()
    for index in range(20):
        drawn = worlds.render("indoor_home", "train", index)
        np.testing.assert_array_equal(slots[index]["image"], drawn["image"])


@pytest.mark.parametrize("name", TRIMAPS)
def test_a_trimap_has_a_narrow_border_between_animal_and_background(name):
    facts = worlds.DATASETS[name]
    assert facts.classes[1:] == ("background", "border")
    for index in range(6):
        ids = worlds.render(name, "train", index)["segmentation"]
        assert set(np.unique(ids)) == {0, 1, 2}
        assert (ids == 2).mean() < 0.2
        for axis in (0, 1):  # animal and background never touch
            pairs = np.stack([ids, np.roll(ids, 1, axis)]).reshape(2, 64, 64)
            inner = pairs[:, 1:, 1:]
            assert not (np.sort(inner, axis=0) == [[[0]], [[1]]]).all(axis=0).any()


@pytest.mark.parametrize("scene", ("dogs", "insects"))
def test_trimap_binary_and_breeds_show_the_same_pictures(cache, scene):
    trimap, binary, breeds = (
        source_lib.open(f"worlds/{kind}_{scene}", split="validation", count=4)
        for kind in ("trimap", "binary", "breeds")
    )
    for first, second, third in zip(trimap, binary, breeds):
        np.testing.assert_array_equal(first["image"], second["image"])
        np.testing.assert_array_equal(first["image"], third["image"])
        expected = np.array([1, 0, dataset.IGNORE])[first["segmentation"]]
        np.testing.assert_array_equal(second["segmentation"], expected)
        assert "segmentation" not in third
        assert third["label"].dtype == np.int32 and third["label"].shape == ()
    assert len(list((cache / "worlds").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "count"),
    [("breeds_dogs", 5), ("breeds_insects", 4)]
    + [("scenes_domains", 7), ("scenes_places", 6), ("scenes_things", 4)],
)
def test_all_labels_occur_about_alike(name, count):
    assert worlds.DATASETS[name].num_classes == count
    labels = [int(worlds.render(name, "train", i, 8)["label"]) for i in range(140)]
    occur = np.bincount(labels, minlength=count)
    assert len(occur) == count and occur.min() > 0.4 * 140 / count


@pytest.mark.parametrize("name", worlds.SCENES)
def test_a_scene_is_of_the_world_that_its_label_says(name, monkeypatch):
    shown = []
    draw = worlds._draw

    def watch(variant, rng, size):
        shown.append(variant)
        return draw(variant, rng, size)

    monkeypatch.setattr(worlds, "_draw", watch)
    for index in range(20):
        label = int(worlds.render(name, "train", index, 8)["label"])
        allowed = worlds.SCENES[name][worlds.DATASETS[name].classes[label]]
        assert shown[-1] in allowed
    assert name != "scenes_domains" or all(
        {worlds.DATASETS[world].domain for world in behind} == {domain}
        for domain, behind in worlds.SCENES[name].items()
    )


def test_a_scene_is_read_without_the_labels_of_its_world(cache):
    source = source_lib.open("worlds/scenes_places", split="validation", count=2)
    assert set(source[0]) == {"image", "label", "id"}


@pytest.mark.parametrize("shapes", [((128, 25), (25, 128)), ((3, 96, 96), (96, 96))])
def test_a_product_in_parts_is_the_product(shapes):
    """More than BLAS makes in one thread: the parts are put together in order."""
    rng = np.random.default_rng(0)
    a, b = (rng.random(shape, dtype=np.float32) for shape in shapes)
    assert a.shape[-2] * b.size > textures.ALONE
    found = textures.product(a, b)
    np.testing.assert_allclose(found, np.float64(a) @ np.float64(b), rtol=1e-5)
    assert found.shape == (a @ b).shape and found.dtype == np.float32
