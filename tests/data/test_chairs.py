"""Chair Segments: splits without overlap, exact blends, a user's files, our chairs."""

import pickle

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import catalogue, compositor, dataset
from jaxseg.data import source as source_lib
from jaxseg.data.datasets import chairs
from jaxseg.data.render import chairs as drawing
from tests.data import trees

SPLITS = {"train": 50_000, "validation": 20_000, "test": 20_000}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))
    chairs._foreground.cache_clear()
    chairs._background.cache_clear()
    return tmp_path / "cache"


def cut_out(size=(40, 30), colour=(200, 10, 20), clear=(0, 255, 0)):
    """uint8 [H, W, 4]: the left half opaque, the right one clear."""
    pixels = np.zeros((*size, 4), np.uint8)
    pixels[..., :3] = clear
    pixels[:, : size[1] // 2] = (*colour, 255)
    return pixels


def write_chairs(root, foregrounds=9, backgrounds=10, folders=chairs.FOLDERS):
    for i in range(backgrounds):
        path = root / folders["backgrounds"] / f"room {i}.jpg"
        trees.write_image(path, (50, 70), seed=i)
    (root / folders["foregrounds"]).mkdir(parents=True, exist_ok=True)
    for i in range(foregrounds):
        path = root / folders["foregrounds"] / f"chair{i}.png"
        Image.fromarray(cut_out(colour=(20 * i, 10, 20))).save(path)
    return root


def pairs(split="train", foregrounds=900, backgrounds=10_000, seed=0):
    numbers = range(foregrounds), range(backgrounds)
    return compositor.Pairs(*numbers, split, size=64, seed=seed)


def test_the_numbers_of_the_paper():
    found = {split: pairs(split) for split in SPLITS}
    assert {split: len(each) for split, each in found.items()} == SPLITS
    first = {s: {pair.foreground for pair in each} for s, each in found.items()}
    assert {s: len(each) for s, each in first.items()} == dict(
        train=500, validation=200, test=200
    )
    backgrounds = compositor.parts(10_000, compositor.BACKGROUNDS_HOLDOUT, 0)
    assert [len(each) for each in backgrounds.values()] == [6000, 2000, 2000]
    second = {s: {pair.background for pair in each} for s, each in found.items()}
    for split, each in second.items():
        assert each <= set(backgrounds[split].tolist())


@pytest.mark.parametrize("sets", ((900, 10_000), (9, 10), (3, 3), (17, 251)))
def test_no_split_shares_a_foreground_or_a_background(sets):
    for total, holdout in zip(
        sets, (compositor.FOREGROUNDS_HOLDOUT, compositor.BACKGROUNDS_HOLDOUT)
    ):
        parts = compositor.parts(total, holdout, 7)
        every = np.concatenate(list(parts.values()))
        assert sorted(every.tolist()) == list(range(total))
        assert all(len(part) for part in parts.values())


def test_every_foreground_is_on_a_hundred_different_backgrounds():
    found = pairs("validation")
    for start in (0, 19_900):
        group = [found[start + i] for i in range(100)]
        assert len({pair.foreground for pair in group}) == 1
        assert len({pair.background for pair in group}) == 100
    assert found[100].foreground != found[99].foreground


def test_pairs_follow_the_seed_alone():
    first, again, other = pairs(), pairs(), pairs(seed=1)
    some = range(0, 50_000, 777)
    assert [first[i] for i in some] == [again[i] for i in some]
    assert [first[i] for i in some] != [other[i] for i in some]
    copy = pickle.loads(pickle.dumps(first))
    assert copy[-1] == first[len(first) - 1]
    with pytest.raises(IndexError):
        first[50_000]


def test_fifty_thousand_pairs_are_small():
    assert len(pickle.dumps(pairs())) < 500_000  # numbers, not objects


@pytest.mark.parametrize("size, padding", [(32, 3), (64, 6), (128, 13), (256, 26)])
def test_a_foreground_lies_within_its_padding(size, padding):
    assert compositor.padding(size) == padding
    side, offset = size - padding, padding // 2
    solid = np.full((side, side, 4), 255, np.uint8)
    found = compositor.compose(solid, np.zeros((size, size, 3), np.uint8))
    expected = np.zeros((size, size), int)
    expected[offset : offset + side, offset : offset + side] = 1
    np.testing.assert_array_equal(found["segmentation"], expected)
    np.testing.assert_array_equal(found["image"], expected[..., None] * [[[255] * 3]])


def test_a_blend_by_hand():
    foreground = np.zeros((1, 4, 4), np.uint8)
    foreground[..., 0], foreground[0, :, 3] = 200, (0, 127, 128, 255)
    foreground = np.repeat(foreground, 4, axis=0)
    found = compositor.compose(foreground, np.full((4, 4, 3), 100, np.uint8))
    np.testing.assert_array_equal(found["image"][0, :, 0], [100, 150, 150, 200])
    np.testing.assert_array_equal(found["image"][0, :, 1], [100, 50, 50, 0])
    np.testing.assert_array_equal(found["segmentation"][0], [0, 0, 1, 1])


def test_the_colour_of_what_is_clear_does_not_bleed():
    small = compositor.fit(cut_out((200, 150), clear=(0, 255, 0)), 29)
    seen = small[small[..., 3] > 0]
    assert (np.abs(seen[:, :3].astype(int) - (200, 10, 20)) <= 8).all()
    assert (small[:, :14, 3] == 255).all() and (small[:, 16:, 3] == 0).all()


def test_a_folder_of_files(tmp_path):
    root = write_chairs(tmp_path)
    facts = catalogue.describe("chairs/folder", root=root)
    assert facts.splits == {"train": 5 * 6, "validation": 2 * 2, "test": 2 * 2}
    assert facts.size == (64, 64) and facts.classes == ("background", "chair")
    source = source_lib.open("chairs/folder", split="train", root=root)
    assert len(source) == 30
    example = source[3]
    foreground, background = example["id"].split("+")
    with Image.open(root / background) as image:
        room = np.asarray(image.resize((64, 64), Image.BILINEAR))
    mask = example["segmentation"]
    assert mask[3:61, 3:32].all() and not mask[:, 33:].any() and not mask[:3].any()
    np.testing.assert_array_equal(example["image"][:, 40:], room[:, 40:])
    index = int(foreground.removeprefix("foregrounds/chair").removesuffix(".png"))
    assert example["image"][30, 10].tolist() == [20 * index, 10, 20]
    assert len({source[i]["id"] for i in range(30)}) == 30


def test_a_folder_with_other_names_and_another_size(tmp_path):
    names = {"foregrounds": "cut/out", "backgrounds": "rooms"}
    root = write_chairs(tmp_path, folders=names)
    options = {**names, "size": 32, "seed": 3}
    source = source_lib.open("chairs/folder", split="test", root=root, options=options)
    assert source[0]["image"].shape == (32, 32, 3)
    assert source.dataset.size == (32, 32)


def test_the_fingerprint_of_a_folder_follows_its_alpha(tmp_path):
    root = write_chairs(tmp_path)
    before = catalogue.fingerprint("chairs/folder", root=root)
    assert before == catalogue.fingerprint("chairs/folder", root=root)
    Image.fromarray(cut_out((42, 30))).save(root / "foregrounds/chair0.png")
    assert catalogue.fingerprint("chairs/folder", root=root) != before


def opaque(path):
    Image.fromarray(cut_out()[..., :3]).save(path)


def solid(path):
    Image.fromarray(np.full((9, 9, 4), 255, np.uint8)).save(path)


def broken(path, kind="TIFF"):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    Image.fromarray(pixels).save(path, kind)
    path.write_bytes(path.read_bytes()[:9000])


def broken_png(path):
    broken(path, "PNG")


@pytest.mark.parametrize(
    ("harm", "said"),
    [(opaque, "no transparency"), (solid, "alpha 255 to 255")]
    + [(broken, "not a whole image"), (broken_png, "truncated")],
)
def test_a_foreground_that_cannot_be_right_is_refused(tmp_path, harm, said):
    path = tmp_path / "chair.png"
    harm(path)
    with pytest.raises(errors.UserError, match=said) as caught:
        compositor.read_foreground(path)
    assert str(path) in str(caught.value) and "Fix:" in str(caught.value)


def test_a_palette_with_transparency_is_a_foreground(tmp_path):
    pixels = Image.fromarray(np.repeat([[0, 1]], 4, 0).astype(np.uint8), "P")
    pixels.putpalette([10, 20, 30, 40, 50, 60])
    pixels.save(tmp_path / "chair.png", transparency=1)
    found = compositor.read_foreground(tmp_path / "chair.png")
    assert found[0].tolist()[0] == [10, 20, 30, 255] and found[0, 1, 3] == 0


def open_folder(root, **options):
    return source_lib.open("chairs/folder", split="train", root=root, options=options)


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    root = write_chairs(tmp_path, foregrounds=2)
    with pytest.raises(errors.UserError, match=r"found 2 images.*three or more"):
        open_folder(root)
    with pytest.raises(errors.UserError, match=r"rooms.*not found.*backgrounds="):
        open_folder(write_chairs(tmp_path), backgrounds="rooms")
    with pytest.raises(errors.UserError, match="composites of size 100; allowed"):
        open_folder(root, size=100)
    with pytest.raises(errors.UserError, match="the variant says the size"):
        source_lib.open("chairs/64", split="train", options={"size": 32})


@pytest.mark.parametrize("size", compositor.PADDING)
def test_rendered_chairs(cache, size):
    assert chairs.DATASETS[str(size)].splits == SPLITS
    source = source_lib.open(f"chairs/{size}", split="test", count=2, cache="none")
    for index in range(2):
        example = source[index]
        assert example["image"].shape == (size, size, 3)
        assert example["segmentation"].dtype == np.int32
        assert 0.03 < example["segmentation"].mean() < 0.85
        dataset.check(example, chairs.DATASETS[str(size)], where="chairs")


def test_the_second_reading_renders_nothing(cache, monkeypatch):
    def read():
        source = source_lib.open("chairs/32", split="train", count=3, cache="none")
        return [source[i] for i in range(3)]

    first = read()
    monkeypatch.setattr(chairs, "render_foreground", None)
    monkeypatch.setattr(chairs, "render_background", None)
    chairs._foreground.cache_clear()
    chairs._background.cache_clear()
    for one, two in zip(first, read()):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["segmentation"], two["segmentation"])
    files = sorted(path.name for path in (cache / "chairs").iterdir())
    assert files == [
        "backgrounds-32-v1-worlds2.slots",
        "foregrounds-32-v1-worlds2.slots",
    ]


def test_a_chair_is_the_same_every_time_and_no_two_are_alike():
    first, again, other = (chairs.render_foreground(i, 29) for i in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first[..., 3] != other[..., 3]).mean() > 0.05


def test_chairs_are_thin_and_hollow():
    holes = []
    for index in range(12):
        alpha = chairs.render_foreground(index, 58)[..., 3] >= compositor.THRESHOLD
        rows, cols = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(0))
        extent = (rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1)
        assert max(extent) > 52  # as large as fits
        holes.append(1 - alpha.sum() / np.prod(extent))
    assert np.median(holes) > 0.3


def test_what_is_nearer_hides_what_is_behind():
    red, blue = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    parts = [
        drawing.block((-0.5, 0, -0.6), (0.5, 1, -0.5), blue),
        drawing.block((-0.2, 0.3, 0.4), (0.2, 0.7, 0.5), red),
    ]
    lamp = np.array([0, 0, 1.0])
    for order in (parts, parts[::-1]):
        seen = drawing._seen(order, 0.0, 0.0, 3.0)
        colour, cover = drawing._rasterise(seen, lamp, 64)
        middle, edge = colour[32, 32], colour[32, 6]
        assert middle[0] > 0.5 and middle[2] == 0
        assert edge[2] > 0.5 and edge[0] == 0
        assert cover[32, 32] and not cover[0, 0]


def test_light_from_the_front_leaves_the_top_darker():
    white = [drawing.block((-0.5, 0, -0.5), (0.5, 1, 0.5), np.ones(3))]
    seen = drawing._seen(white, 0.0, 0.6, 3.0)
    colour, cover = drawing._rasterise(seen, np.array([0, 0, 1.0]), 64)
    shades = np.unique(colour[cover][:, 0].round(4))
    assert len(shades) == 2
    top, front = colour[8, 32, 0], colour[50, 32, 0]
    assert top < front


def test_a_normal_is_the_cross_product():
    a, b = np.random.default_rng(0).normal(size=(2, 3))
    assert (drawing._cross(a, b) == np.cross(a, b)).all()
    right, up = np.eye(3)[:2]
    assert drawing._cross(right, up).tolist() == [0, 0, 1]
