"""Pascal VOC and Context, ADE20K, SUIM, ISPRS, iSAID, and the tiles of the last two."""

import numpy as np
import pytest
import scipy.io
from PIL import Image

from jaxseg.core import errors, image_files
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import ade20k, isaid, isprs, pascal_context, suim
from jaxseg.data.readers import tiles
from tests.data import layouts, trees

SHAPE = (12, 16)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("JAXSEG_CACHE", str(folder))
    return folder


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = opened(name, root, split, **options)
        for index in range(len(source)):
            source[index]


def ids_of(name, root, split="train", **options):
    """The ids in the label maps of a split, by the example's id."""
    source = opened(name, root, split, **options)
    examples = [source[i] for i in range(len(source))]
    return {e["id"]: np.unique(e["segmentation"]).tolist() for e in examples}


def write_colors(path, colors, size=SHAPE):
    """An image in which the colours take turns."""
    turn = np.arange(size[0] * size[1]).reshape(size) % len(colors)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(colors, np.uint8)[turn]).save(path)


def write_list(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


# Pascal VOC


def write_voc2012(root):
    """Three images: aeroplane, cat, cat and horse; the last for validation."""
    masks = {"a": (0, 1, 255), "b": (0, 8, 255), "c": (8, 13, 255)}
    for seed, (name, values) in enumerate(masks.items()):
        trees.write_image(root / f"JPEGImages/{name}.jpg", SHAPE, seed)
        trees.write_mask(root / f"SegmentationClass/{name}.png", SHAPE, values)
        trees.write_mask(root / f"SegmentationClassAug/{name}.png", SHAPE, (0, 20))
    lists = {"train": "ab", "val": "c", "trainval": "abc", "train_aug": "abb"}
    for name, images_ in lists.items():
        write_list(root / f"ImageSets/Segmentation/{name}.txt", images_)


def test_voc_facts():
    facts = catalogue.find("voc/segmentation2012")
    assert facts.num_classes == 21 and facts.classes[::20] == (
        "background",
        "tvmonitor",
    )
    assert dict(facts.splits) == {"train": 1464, "validation": 1449, "trainval": 2913}
    assert facts.palette[:3] == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert facts.palette[20] == (0, 64, 128)
    assert catalogue.find("voc/segmentation2012_void").classes[21] == "void"
    assert catalogue.find("voc/no_background").num_classes == 20
    augmented = catalogue.find("voc/augmented").splits
    assert (augmented["train"], augmented["validation"]) == (10582, 1449)
    singles = {
        n: catalogue.find(f"voc/{n}").splits for n in ("cat", "horse", "aeroplane")
    }
    assert (singles["cat"]["train"], singles["cat"]["validation"]) == (131, 119)
    assert (singles["horse"]["train"], singles["horse"]["validation"]) == (68, 79)
    assert singles["aeroplane"]["trainval"] == 178


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("segmentation2012", {"a": [0, 1, IGNORE], "b": [0, 8, IGNORE]}),
        ("segmentation2012_void", {"a": [0, 1, 21], "b": [0, 8, 21]}),
        ("no_background", {"a": [0, IGNORE], "b": [7, IGNORE]}),
        ("augmented", {"a": [0, 20], "b": [0, 20]}),
        ("aeroplane", {"a": [0, 1, IGNORE]}),
        ("cat", {"b": [0, 1, IGNORE]}),
    ],
)
def test_voc_masks(tmp_path, variant, expected):
    write_voc2012(tmp_path)
    assert ids_of(f"voc/{variant}", tmp_path) == expected


def test_voc_single_class_maps_the_others_to_background(tmp_path):
    write_voc2012(tmp_path)
    assert ids_of("voc/horse", tmp_path, "validation") == {"c": [0, 1, IGNORE]}
    assert list(ids_of("voc/cat", tmp_path, "trainval")) == ["b", "c"]
    refused("voc/motorbike", tmp_path, "holds no records")


@pytest.mark.parametrize(
    ("beside", "expected"),
    [(12, {"a": 3, "b": 2, "d": 1}), (8, {"a": 3, "b": 2})],  # a dog, a cat
)
def test_voc_four_way_are_the_images_of_one_of_four_classes(tmp_path, beside, expected):
    write_voc2012(tmp_path)
    trees.write_image(tmp_path / "JPEGImages/d.jpg", SHAPE)
    trees.write_mask(tmp_path / "SegmentationClass/d.png", SHAPE, (7, beside, 255))
    write_list(tmp_path / "ImageSets/Segmentation/train.txt", "abd")
    source = opened("voc/four_way", tmp_path)
    assert source.dataset.classes == ("motorbike", "car", "cat", "aeroplane")
    assert {one["id"]: int(one["label"]) for one in source} == expected
    counts = {"train": len(expected), "validation": 1, "trainval": 3}
    assert dict(source.dataset.splits) == counts
    assert set(source[0]) == {"image", "label", "id"}


def test_voc_augmented_validates_on_the_official_masks(tmp_path):
    write_voc2012(tmp_path)
    assert len(opened("voc/augmented", tmp_path)) == 3
    assert ids_of("voc/augmented", tmp_path, "validation") == {"c": [8, 13, IGNORE]}
    assert len(opened("voc/augmented", tmp_path, "trainval")) == 4


def test_voc_without_list_or_mask(tmp_path):
    write_voc2012(tmp_path)
    (tmp_path / "SegmentationClass/b.png").unlink()
    refused("voc/segmentation2012", tmp_path, "b.png: file not found.*Fix")
    refused("voc/cat", tmp_path, "b.png: file not found.*Fix")
    (tmp_path / "ImageSets/Segmentation/val.txt").unlink()
    refused("voc/cat", tmp_path, "val.txt: file not found.*Fix", "validation")


def test_voc_detection2007(tmp_path):
    layouts.write_voc(
        tmp_path, "abc", [("tvmonitor", 1, 1, 1, 20, 10), ("dog", 0, 1, 1, 40, 20)]
    )
    lists = {"train": "a", "val": "b", "trainval": "ab", "test": "c"}
    for name, images_ in lists.items():
        write_list(tmp_path / f"ImageSets/Main/{name}.txt", images_)
    facts = catalogue.find("voc/detection2007")
    assert dict(facts.splits) == {
        "train": 2501,
        "validation": 2510,
        "trainval": 5011,
        "test": 4952,
    }
    assert facts.num_classes == 20
    assert facts.protocol == {"detection": {"protocol": "voc", "nms": 0.3}}
    source = opened("voc/detection2007", tmp_path, "trainval")
    assert source.dataset.classes == facts.classes and len(source) == 2
    assert source[0]["box_labels"].tolist() == [19, 11]
    assert source[0]["difficult"].tolist() == [True, False]
    np.testing.assert_allclose(source[0]["boxes"][0], [0, 0, 0.5, 0.5])
    assert len(opened("voc/detection2007", tmp_path, "test")) == 1


def test_voc_detection2007_has_fixed_classes(tmp_path):
    layouts.write_voc(tmp_path, "abc", [("zebra", 0, 1, 1, 20, 10)])
    refused("voc/detection2007", tmp_path, "<name> is 'zebra'; allowed are.*Fix")


def test_voc_digest_follows_the_lists(tmp_path):
    def digest():
        name = "voc/segmentation2012"
        return source_lib.open(name, split="train", root=tmp_path).digest()

    write_voc2012(tmp_path)
    before = digest()
    assert before == digest()
    write_list(tmp_path / "ImageSets/Segmentation/train.txt", "b")
    assert before != digest()
    assert catalogue.fingerprint("voc/cat") == "voc/cat@1"  # whatever is in the folder


# Pascal Context


def write_context(root, values=(0, 3, 61, 62)):
    """Ids in an order of their own: a class has 3 + its place, `other` has 3."""
    names = ["other", *reversed(pascal_context.CLASSES), "zebra"]
    lines = [f"{i}: {name}\n" for i, name in enumerate(names, 3)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "labels.txt").write_text("".join(lines))
    for split, name in (("train", "a"), ("val", "b")):
        write_list(root / f"ImageSets/Main/{split}.txt", name)
        trees.write_image(root / f"JPEGImages/{name}.jpg", SHAPE)
        (root / "trainval").mkdir(exist_ok=True)
        label = np.resize(np.array(values, np.uint16), SHAPE)
        scipy.io.savemat(root / f"trainval/{name}.mat", {"LabelMap": label})


def test_context(tmp_path):
    write_context(tmp_path, (0, 3, 4, 62, 63))
    facts = catalogue.find("pascal_context/60")
    assert facts.num_classes == 60 and facts.classes[59] == "wood"
    assert dict(facts.splits) == {"train": 4998, "validation": 5105}
    assert (
        facts.background == 0 and catalogue.find("pascal_context/59").num_classes == 59
    )
    # 4 is wood, the last class, and 62 aeroplane, the first
    assert ids_of("pascal_context/60", tmp_path) == {"a": [0, 1, 59]}
    assert ids_of("pascal_context/59", tmp_path, "validation") == {"b": [0, 58, IGNORE]}


def test_broken_context(tmp_path):
    write_context(tmp_path, (0, 900))
    refused("pascal_context/60", tmp_path, "a.mat: LabelMap holds ids 0 to 900.*Fix")
    (tmp_path / "labels.txt").write_text("1: aeroplane\n")
    refused("pascal_context/60", tmp_path, "labels.txt: found 1 names without.*Fix")
    (tmp_path / "labels.txt").write_text("aeroplane\n")
    refused("pascal_context/60", tmp_path, "labels.txt:1: found 'aeroplane'.*Fix")


# ADE20K


def test_ade20k(tmp_path):
    for split in ("training", "validation"):
        trees.write_image(tmp_path / f"images/{split}/a.jpg", SHAPE)
        mask = tmp_path / f"annotations/{split}/a.png"
        trees.write_mask(mask, SHAPE, (0, 1, 150))
    facts = catalogue.find("ade20k/150")
    assert facts.num_classes == 150 and len(set(ade20k.CLASSES)) == 150
    assert dict(facts.splits) == {"train": 20210, "validation": 2000}
    assert facts.classes[::149] == ("wall", "flag")
    assert ids_of("ade20k/150", tmp_path) == {"a": [0, 149, IGNORE]}
    (tmp_path / "annotations/validation/a.png").unlink()
    refused("ade20k/150", tmp_path, "without mask: 1, .*a.jpg.*Fix", "validation")


def test_ade20k_sample(real_data, tmp_path):
    home = real_data / "official_layouts/segmentation/ade20k_sample"
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "validation").symlink_to(home / folder)
    found = ids_of("ade20k/150", tmp_path, "validation", outside=True)
    assert len(found) == 3
    assert found["ADE_val_00000001"] == [0, 1, 2, 4, 6, 9, 17, IGNORE]
    lines = (home / "objectInfo150.csv").read_text().splitlines()[1:]
    for name, line in zip(ade20k.CLASSES, lines, strict=True):
        assert line.split(",")[-1].split(";")[0] == name.split("_")[0]


# SUIM


def write_suim(root, name="a", mask_size=SHAPE, folder="TEST"):
    for home in ("train_val", folder):
        trees.write_image(root / f"{home}/images/{name}.jpg", SHAPE)
        path = root / f"{home}/masks/{name}.bmp"
        write_colors(path, list(suim.CLASSES.values()), mask_size)


@pytest.mark.parametrize("folder", ["TEST", "test"])
def test_suim(tmp_path, folder):
    write_suim(tmp_path, folder=folder)
    facts = catalogue.find("suim/8")
    assert facts.num_classes == 8 and dict(facts.splits) == {"train": 1525, "test": 110}
    assert ids_of("suim/8", tmp_path) == {"a": list(range(8))}
    example = opened("suim/8", tmp_path, "test")[0]
    assert example["segmentation"][0].tolist() == [*range(8)] * 2


def test_suim_cuts_only_the_masks_known_to_be_too_big(tmp_path):
    assert len(suim.TOO_BIG) == 37
    write_suim(tmp_path / "known", "f_r_829_", mask_size=(14, 24))
    example = opened("suim/8", tmp_path / "known")[0]
    assert example["segmentation"].shape == SHAPE
    assert example["segmentation"][1].tolist() == [*range(8)] * 2
    write_suim(tmp_path / "other", mask_size=(14, 24))
    refused("suim/8", tmp_path / "other", "segmentation is 14 x 24.*Fix")


def test_broken_suim(tmp_path):
    write_suim(tmp_path)
    write_colors(tmp_path / "train_val/masks/a.bmp", [(0, 0, 0), (0, 0, 254)])
    refused("suim/8", tmp_path, r"a.bmp: found the colour \[0, 0, 254\] at row 0, col")
    (tmp_path / "TEST/masks/a.bmp").unlink()
    refused(
        "suim/8",
        tmp_path,
        "without mask: 1, for example TEST/images/a.jpg.*Fix",
        "test",
    )


def test_suim_sample(real_data, tmp_path):
    home = real_data / "official_layouts/segmentation/suim_sample"
    (tmp_path / "test").symlink_to(home)
    found = ids_of("suim/8", tmp_path, "test", outside=True)
    assert len(found) == 8
    assert {id_ for ids in found.values() for id_ in ids} == {0, 1, 3, 4, 5, 6}


# Tiles


def test_windows_follow_the_devkit():
    tops = [window[0] for window in tiles.windows((1500, 801)) if window[1] == 0]
    assert tops == [0, 600, 700]  # the example in the code of the factors study
    assert [w[1] for w in tiles.windows((801, 1400))[::2]] == [0, 600]
    assert tiles.windows((800, 5000)) == [None]
    assert len(tiles.windows((6000, 6000))) * 38 == 3800


def test_tiles_put_together_are_the_image(tmp_path, cache):
    path = tmp_path / "big.png"
    trees.write_image(path, (1450, 1030))
    image = image_files.read(path)
    again, windows = np.zeros_like(image), tiles.windows(image.shape[:2])
    for top, left, height, width in windows:
        tile = tiles.read_image(path, (top, left, height, width))
        assert tile.shape == (800, 800, 3)
        again[top : top + height, left : left + width] = tile
    assert np.array_equal(again, image)
    assert len(list(cache.glob("tiles/*/*.png"))) == len(windows) == 6
    assert len(list(cache.glob("tiles/*"))) == 1  # no drafts are left


def test_tiles_are_cut_once_and_again_when_the_file_changes(tmp_path):
    calls, path, window = [], tmp_path / "ids.png", (0, 0, 800, 800)

    def decode(path):
        calls.append(path)
        return image_files.read_ids(path)

    for value, size in ((1, (900, 900)), (2, (901, 900))):
        trees.write_mask(path, size, (value,))
        for _ in range(3):
            tile = tiles.read_ids(path, window, decode, "test")
            assert tile.dtype == np.int32 and np.unique(tile).tolist() == [value]
    assert len(calls) == 2
    with pytest.raises(errors.UserError, match=r"no tile at row 5.*Fix"):
        tiles.read_ids(path, (5, 0, 800, 800), decode, "test")


def test_tiles_need_room(tmp_path, cache):
    trees.write_mask(tmp_path / "ids.png", (900, 900))
    cache.write_text("a file where the folder should be")
    with pytest.raises(errors.UserError, match=r"cannot be kept in.*JAXSEG_CACHE"):
        tiles.read_ids(
            tmp_path / "ids.png", (0, 0, 800, 800), image_files.read_ids, "test"
        )


# iSAID


def write_isaid(root, sizes):
    for split in ("train", "val"):
        for name, size in sizes.items():
            trees.write_image(root / f"{split}/images/{name}.png", size)
            mask = root / f"{split}/images/{name}_instance_color_RGB.png"
            write_colors(mask, list(isaid.CLASSES.values()), size)


def test_isaid(tmp_path):
    write_isaid(tmp_path, {"P0001": SHAPE, "P0002": (900, 850), "P1527": SHAPE})
    facts = catalogue.find("isaid/16")
    assert facts.num_classes == 16 and len(set(facts.palette)) == 16
    found = catalogue.describe("isaid/16", root=tmp_path).splits
    assert dict(found) == {"train": 5, "validation": 5}
    found = ids_of("isaid/16", tmp_path, "validation")
    assert list(found) == [
        "P0001",
        "P0002_0_800_0_800",
        "P0002_100_900_0_800",
        "P0002_0_800_50_850",
        "P0002_100_900_50_850",
    ]
    assert all(ids == list(range(16)) for ids in found.values())


def test_isaid_tile_shows_its_window(tmp_path):
    write_isaid(tmp_path, {"P0002": (900, 850)})
    home = tmp_path / "train/images"
    example = opened("isaid/16", tmp_path)[3]
    assert np.array_equal(
        example["image"], image_files.read(home / "P0002.png")[100:, 50:]
    )
    whole = np.arange(900 * 850).reshape(900, 850) % 16
    assert np.array_equal(example["segmentation"], whole[100:, 50:])


def test_broken_isaid(tmp_path):
    refused("isaid/16", tmp_path, "found no images; allowed are P0000.png.*Fix")
    write_isaid(tmp_path, {"P0001": SHAPE, "P0002": SHAPE})
    (tmp_path / "train/images/P0002_instance_color_RGB.png").unlink()
    refused("isaid/16", tmp_path, "without mask: 1, .*P0002.png.*Fix")
    write_isaid(tmp_path / "b", {"P0002": (900, 850)})
    mask = tmp_path / "b/train/images/P0002_instance_color_RGB.png"
    write_colors(mask, list(isaid.CLASSES.values()), (850, 900))
    refused("isaid/16", tmp_path / "b", "no tile at row 100.*size of its image.*Fix")


# ISPRS


def write_isprs(root, size=SHAPE, colors=None):
    colors = colors or list(isprs.CLASSES.values())
    for city in isprs.CITIES.values():
        name = "top_potsdam_2_10" if "Potsdam" in city.images else "top_mosaic_area1"
        write_colors(
            root / city.images / f"{name}{city.image_end}", [(10, 20, 31)], size
        )
        write_colors(root / city.masks / f"{name}{city.mask_end}", colors, size)


def test_isprs(tmp_path):
    write_isprs(tmp_path)
    facts = catalogue.find("isprs/potsdam_vaihingen")
    assert facts.num_classes == 6 and facts.background == facts.classes.index("clutter")
    potsdam = opened("isprs/potsdam_vaihingen", tmp_path)[0]
    vaihingen = opened("isprs/potsdam_vaihingen", tmp_path, "validation")[0]
    assert potsdam["image"][0, 0].tolist() == [10, 20, 15]  # red, green, their mean
    assert vaihingen["image"][0, 0].tolist() == [20, 31, 25]  # infrared left out
    assert potsdam["segmentation"][0, :6].tolist() == [0, 1, 2, 3, 4, 5]
    assert potsdam["id"] == "top_potsdam_2_10_RGB"


def test_isprs_tiles(tmp_path):
    write_isprs(tmp_path, (900, 850))
    source = opened("isprs/potsdam_vaihingen", tmp_path)
    assert len(source) == 4 and source[3]["image"].shape == (800, 800, 3)
    whole = np.arange(900 * 850).reshape(900, 850) % 6
    assert np.array_equal(source[3]["segmentation"], whole[100:, 50:])


def test_isprs_colours_near_a_class_are_that_class(tmp_path):
    write_isprs(tmp_path, colors=[(255, 252, 0), (2, 255, 3)])
    found = ids_of("isprs/potsdam_vaihingen", tmp_path)
    assert found == {"top_potsdam_2_10_RGB": [3, 4]}
    write_isprs(tmp_path, colors=[(0, 0, 0)])
    refused("isprs/potsdam_vaihingen", tmp_path, r"found the colour \[0, 0, 0\].*Fix")


def test_broken_isprs(tmp_path):
    refused("isprs/potsdam_vaihingen", tmp_path, "found no images; allowed are top_")
    write_isprs(tmp_path)
    next((tmp_path / "Potsdam/5_Labels_all").iterdir()).unlink()
    refused(
        "isprs/potsdam_vaihingen",
        tmp_path,
        "without mask: 1, .*top_potsdam_2_10_RGB.tif.*Fix",
    )
