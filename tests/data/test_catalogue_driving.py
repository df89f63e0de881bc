"""Road scenes in their official layouts, written by the tests, and the real samples."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import (
    bdd,
    camvid,
    cityscapes,
    idd,
    kitti,
    mapillary,
    vgallery,
    vkitti,
)
from jaxseg.data.readers import present_ids

SHAPE = (8, 12)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def photo(path, seed=0, shape=SHAPE):
    save(path, np.random.default_rng(seed).integers(0, 255, (*shape, 3), np.uint8))


def ids(path, values, shape=SHAPE):
    """A mask that holds `values` in turn."""
    save(path, np.resize(np.array(values, np.uint8), shape))


def colors(path, values, shape=SHAPE):
    table = np.array(values, np.uint8)
    save(path, table[np.resize(np.arange(len(table)), shape)])


@pytest.mark.parametrize(
    "name, classes, splits",
    [
        ("cityscapes/19", 19, (2975, 500)),
        ("cityscapes/33", 33, (2975, 500)),
        ("cityscapes/car_patches", 2, (2432, 1043)),
        ("kitti/segmentation", 33, (150, 50)),
        ("idd/35", 35, (6993, 981)),
        ("bdd/19", 19, (7000, 1000)),
        ("bdd/20", 20, (7000, 1000)),
        ("bdd/detection", 10, (69863, 10000)),
        ("mapillary/66", 66, (18000, 2000)),
        ("vkitti/segmentation", 15, (35740, 6780)),
        ("camvid/32", 32, (367, 101)),
    ],
)
def test_counts(name, classes, splits):
    facts = catalogue.find(name)
    assert facts.num_classes == classes
    assert (facts.splits["train"], facts.splits["validation"]) == splits


def write_cityscapes(root, values, split="train", name="aachen_000000_000019"):
    city = name.split("_")[0]
    photo(root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
    ids(root / f"gtFine/{split}/{city}/{name}_gtFine_labelIds.png", values)


def test_cityscapes_ids(tmp_path):
    write_cityscapes(tmp_path, range(34))
    seen = {}
    for variant in ("19", "33", "car", "bus"):
        source = source_lib.open(f"cityscapes/{variant}", split="train", root=tmp_path)
        seen[variant] = source[0]["segmentation"].ravel()[:34].tolist()
    assert seen["19"][7:13] == [0, 1, IGNORE, IGNORE, 2, 3] and seen["19"][33] == 18
    assert seen["33"][:6] == [0, 1, 2, 0, 3, 4] and seen["33"][33] == 32
    assert catalogue.find("cityscapes/33").classes[seen["33"][26]] == "car"
    assert seen["car"][26] == 1 and seen["car"][28] == 0 and seen["car"][1] == IGNORE
    assert seen["bus"][28] == 1 and seen["bus"][26] == 0
    assert sorted({*seen["19"]} - {IGNORE}) == list(range(19))


def test_a_missing_mask_is_named(tmp_path):
    write_cityscapes(tmp_path, range(34))
    photo(tmp_path / "leftImg8bit/train/aachen/b_leftImg8bit.png")
    with pytest.raises(errors.UserError, match=r"without mask: 1, .*/b_left"):
        source_lib.open("cityscapes/19", split="train", root=tmp_path)
    with pytest.raises(errors.UserError, match="found no leftImg8bit/val"):
        source_lib.open("cityscapes/19", split="validation", root=tmp_path)


def test_car_patches_hold_what_their_label_says(tmp_path, monkeypatch):
    monkeypatch.setattr(cityscapes, "PATCH", 4)
    for number in range(20):
        name = f"city_{number:06}_000019"
        values = [26] * 48 + [7] * 48  # the upper half is car
        write_cityscapes(tmp_path, values, ("train", "val")[number % 2], name)
    open_ = lambda split: source_lib.open(
        "cityscapes/car_patches", split=split, root=tmp_path, cache="none"
    )
    train, validation = open_("train"), open_("validation")
    assert (len(train), len(validation)) == (14, 6)
    names = [
        source[i]["id"] for source in (train, validation) for i in range(len(source))
    ]
    assert len(set(names)) == 20
    labels = []
    for example in (train[i] for i in range(14)):
        share = example["segmentation"].mean()
        assert share >= 0.2 if example["label"] else share == 0
        assert example["image"].shape == (4, 4, 3)
        labels.append(int(example["label"]))
    assert set(labels) == {0, 1}
    again = open_("train")[3]
    np.testing.assert_array_equal(again["image"], train[3]["image"])
    only = source_lib.open("cityscapes/car_patches_only", split="train", root=tmp_path)
    assert len(only) == sum(labels) == only.dataset.splits["train"]
    shown = [train[i] for i in range(14) if labels[i]]
    for place, example in enumerate(shown):
        np.testing.assert_array_equal(only[place]["image"], example["image"])
    assert "label" not in only[0] and only[0]["segmentation"].mean() >= 0.2


def test_single_classes_are_the_images_that_show_them(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))  # known by content
    shown = {"a": [7, 26], "b": [28, 7], "c": [7, 33], "d": [26, 28]}
    for name, values in shown.items():
        write_cityscapes(tmp_path, values, "val" if name == "d" else "train", name)

    def names(variant, split):
        source = source_lib.open(f"cityscapes/{variant}", split=split, root=tmp_path)
        assert len(source) == source.dataset.splits[split]
        return [source[i]["id"][0] for i in range(len(source))]

    assert [names("car", s) for s in ("train", "validation")] == [["a"], ["d"]]
    assert names("car", "trainval") == ["a", "d"]
    assert names("bus", "trainval") == ["b", "d"]
    read, really = [], present_ids.each
    monkeypatch.setattr(present_ids, "each", lambda *a: read.append(a) or really(*a))
    pairs = lambda: cityscapes.records("bus", "trainval", tmp_path)
    assert len(pairs()) == 2 and not read  # kept from before
    write_cityscapes(tmp_path, [26, 28, 7], "train", "a")
    assert len(pairs()) == 3 and len(read) == 1


def test_unreadable_masks_are_all_named(tmp_path):
    for name in "abc":
        write_cityscapes(tmp_path, [7, 26], "train", name)
    for name in "ac":
        path = tmp_path / f"gtFine/train/{name}/{name}_gtFine_labelIds.png"
        path.write_bytes(b"")
    with pytest.raises(errors.UserError, match=r"a_gtFine.*\n.*c_gtFine.*Fix"):
        source_lib.open("cityscapes/bus", split="train", root=tmp_path)


def test_kitti_validates_on_the_images_of_mseg(tmp_path):
    for number in range(8):
        photo(tmp_path / f"training/image_2/{number:06}_10.png")
        ids(tmp_path / f"training/semantic/{number:06}_10.png", [7, 26])
    parts = {
        split: source_lib.open("kitti/segmentation", split=split, root=tmp_path)
        for split in ("train", "validation")
    }
    assert [parts["validation"][i]["id"] for i in range(2)] == [
        "000001_10",
        "000003_10",
    ]
    assert len(parts["validation"]) == 3 and len(parts["train"]) == 5
    assert len(kitti.NAMES) == 50
    assert parts["train"][0]["segmentation"].ravel()[:2].tolist() == [6, 25]


def test_idd_ids(tmp_path):
    photo(tmp_path / "leftImg8bit/val/119/000220_leftImg8bit.png")
    mask = tmp_path / "gtFine/val/119/000220_gtFine_labelids.png"
    ids(mask, [0, 16, 17, 18, 34, 35, 255])
    example = source_lib.open("idd/35", split="validation", root=tmp_path)[0]
    found = example["segmentation"].ravel()[:7].tolist()
    assert found == [1, 17, 0, 18, 34, 0, 0]
    assert example["id"] == "119/000220_leftImg8bit.png"
    assert idd.CLASSES[18] == "vehicle fallback" and len(idd.NAMES) == 40


@pytest.mark.parametrize("folder", ["labels", "v1.2/labels"])
def test_mapillary_ids(tmp_path, folder):
    photo(tmp_path / "training/images/a.jpg")
    ids(tmp_path / f"training/{folder}/a.png", [0, 64, 65])
    example = source_lib.open("mapillary/66", split="train", root=tmp_path)[0]
    assert example["segmentation"].ravel()[:3].tolist() == [1, 65, 0]
    assert len(set(mapillary.NAMES)) == 66


def write_frames(root, home, table, classes, camera, folder):
    base = root / home / "frames"
    photo(base / f"rgb/{camera}/rgb_00000.jpg")
    colors(base / f"{folder}/{camera}/classgt_00000.png", list(classes.values()))
    metres = np.full(SHAPE, 1234, np.uint16)
    metres[0] = 65535
    save(base / f"depth/{camera}/depth_00000.png", metres)


def test_virtual_kitti(tmp_path):
    for scene in ("Scene01", "Scene18"):
        home = f"{scene}/clone"
        write_frames(
            tmp_path, home, None, vkitti.CLASSES, "Camera_0", "classSegmentation"
        )
    for split, scene in (("train", "Scene01"), ("validation", "Scene18")):
        source = source_lib.open("vkitti/segmentation", split=split, root=tmp_path)
        assert len(source) == 1 and source[0]["id"].startswith(f"{scene}/clone")
    assert source[0]["segmentation"].ravel()[:15].tolist() == list(range(15))
    depth = source_lib.open("vkitti/depth", split="train", root=tmp_path)[0]["depth"]
    assert depth[0, 0] == 0 and depth[1, 0] == pytest.approx(12.34)


def test_virtual_gallery(tmp_path):
    for split in ("training", "testing"):
        home = f"{split}/gallery_light1_loop1"
        write_frames(
            tmp_path, home, None, vgallery.CLASSES, "camera_0", "classsegmentation"
        )
    source = source_lib.open("vgallery/segmentation", split="validation", root=tmp_path)
    assert source[0]["segmentation"].ravel()[:10].tolist() == list(range(10))
    assert source.dataset.splits == {"train": 1, "validation": 1}
    path = tmp_path / "testing/gallery_light1_loop1/frames/classsegmentation/camera_0"
    colors(path / "classgt_00000.png", [(1, 2, 3)])
    with pytest.raises(errors.UserError, match=r"classgt_00000.png: found the colour"):
        source[0]


def write_boxes(root, name, entries):
    path = root / f"labels/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))
    for entry in entries:
        photo(root / f"images/100k/train/{entry['name']}", shape=bdd.SIZE)


def box(category, x1, y1, x2, y2):
    return {"category": category, "box2d": {"x1": x1, "y1": y1, "x2": x2, "y2": y2}}


@pytest.mark.parametrize("older", [False, True])
def test_bdd_boxes(tmp_path, older):
    person, name = ("pedestrian", "det_20/det_train.json")
    if older:
        person, name = "person", "bdd100k_labels_images_train.json"
    lane = {"category": "lane", "poly2d": []}
    labels = [box(person, 0, 0, 640, 360), box("car", 5, 5, 5, 9), lane]
    labels += [] if older else [box("trailer", 640, 360, 1280, 720)]
    write_boxes(
        tmp_path, name, [{"name": "b.jpg", "labels": labels}, {"name": "a.jpg"}]
    )
    source = source_lib.open("bdd/detection", split="train", root=tmp_path)
    empty, example = source[0], source[1]
    assert empty["id"] == "a.jpg" and len(empty["boxes"]) == 0
    assert example["boxes"][0].tolist() == [0, 0, 0.5, 0.5]
    assert example["box_labels"].tolist() == ([0] if older else [0, 3])  # truck
    assert example["crowd"].tolist() == ([False] if older else [False, True])


def test_an_unknown_category_is_named(tmp_path):
    entry = {"name": "a.jpg", "labels": [box("tank", 0, 0, 9, 9)]}
    write_boxes(tmp_path, "det_20/det_train.json", [entry])
    with pytest.raises(errors.UserError, match=r"a.jpg: category 'tank'; allowed are"):
        source_lib.open("bdd/detection", split="train", root=tmp_path)


def test_an_unknown_id_of_bdd_is_no_bicycle(tmp_path):
    photo(tmp_path / "images/10k/train/a.jpg")
    ids(tmp_path / "labels/sem_seg/masks/train/a.png", [18, 19])
    source = source_lib.open("bdd/20", split="train", root=tmp_path)
    with pytest.raises(errors.UserError, match="holds ids 20; allowed are 0 to 19"):
        source[0]


def test_camvid_32(tmp_path):
    (tmp_path / "train.txt").write_text("train/a.png trainannot/a.png\n")
    photo(tmp_path / "701_StillsRaw_full/a.png")
    values = list(camvid.CLASSES_32.values())
    colors(tmp_path / "LabeledApproved_full/a_L.png", values)
    example = source_lib.open("camvid/32", split="train", root=tmp_path)[0]
    assert example["segmentation"].ravel()[:32].tolist() == list(range(32))


OFFICIAL = "official_layouts/segmentation/pseudo_"


@pytest.mark.parametrize(
    "name, folder, split, count",
    [
        ("cityscapes/19", "cityscapes_dataset", "validation", 1),
        ("cityscapes/33", "cityscapes_dataset", "validation", 1),
        ("bdd/20", "bdd100k_dataset", "train", 3),
    ],
)
def test_real_samples(real_data, name, folder, split, count):
    source = source_lib.open(name, split=split, root=real_data / f"{OFFICIAL}{folder}")
    assert len(source) == count
    for index in range(count):
        ids = source[index]["segmentation"]
        assert ids[ids != IGNORE].max() < source.dataset.num_classes
    if name == "cityscapes/19":
        folder = real_data / f"{OFFICIAL}{folder}/gtFine/val/frankfurt"
        official = folder / "frankfurt_000000_000294_gtFine_labelTrainIds.png"
        with Image.open(official) as image:
            ids = np.array(image).astype(np.int32)
        same = source[0]["segmentation"] == np.where(ids == 255, IGNORE, ids)
        assert same.mean() > 0.995  # the sample was reduced in size, each file apart
