"""What enters a key is content; stamps only say whether a file is read again."""

import io
import os
import threading
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.io
from PIL import Image

from jaxseg.data import catalogue, contents
from jaxseg.data import source as source_lib
from jaxseg.data.datasets import nyu, shards
from jaxseg.data.readers import tiles
from tests.data import layouts, trees


class Row(NamedTuple):
    image: str
    where: str
    boxes: Any


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def patient(monkeypatch):
    """As if each file had been left alone for a while before it is read."""
    monkeypatch.setattr(contents, "RACY", -(10**15))


def replace(path, place=0):
    """Another content of as many bytes at the same time, as far as mtime goes."""
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def write_table(root):
    for i in range(3):
        trees.write_image(root / f"{i}.png", seed=i)
    lines = [f"{i}.png,{i % 2}" for i in range(3)]
    (root / "train.csv").write_text("\n".join(["image,label", *lines, ""]))
    return root / "1.png"


def write_folder(root):
    trees.write_folder(root, "abc")
    (root / "classes.txt").write_text("x\ny\nz\n")
    return root / "images/b.jpg"


def write_classes(root):
    for name in ("x", "y"):
        trees.write_image(root / name / "0.png")
    return root / "y/0.png"


def write_coco(root):
    layouts.write_coco(root)
    return root / "train2017/1.jpg"


def write_voc(root):
    layouts.write_voc(root, "abc")
    return root / "JPEGImages/b.jpg"


def write_yolo(root):
    layouts.write_yolo(root)
    return root / "images/train/1.png"


@pytest.mark.parametrize("name, write", [
    ("table/classification", write_table),
    ("folder/segmentation", write_folder),
    ("image_folder/classes", write_classes),
    ("coco/instances", write_coco),
    ("voc/boxes", write_voc),
    ("yolo/boxes", write_yolo),
])  # fmt: skip
@pytest.mark.parametrize("waited", [False, True])
def test_an_image_replaced_by_one_of_its_size_changes_the_key(
    tmp_path, monkeypatch, name, write, waited
):
    image = write(tmp_path / "data")
    before = catalogue.fingerprint(name, root=tmp_path / "data")
    if waited:  # its digest is kept, and its stamp is another one
        monkeypatch.setattr(contents, "RACY", -(10**15))
        assert catalogue.fingerprint(name, root=tmp_path / "data") == before
        os.utime(image, ns=(1, 1))
    replace(image, place=-1)
    after = catalogue.fingerprint(name, root=tmp_path / "data")
    assert after != before
    replace(image, place=-1)
    assert catalogue.fingerprint(name, root=tmp_path / "data") == before


def test_stamps_and_places_change_no_key(tmp_path):
    image = write_folder(tmp_path / "data")
    before = catalogue.fingerprint("folder/segmentation", root=tmp_path / "data")
    os.utime(image, ns=(5, 5))
    (tmp_path / "data").rename(tmp_path / "moved")
    after = catalogue.fingerprint("folder/segmentation", root=tmp_path / "moved")
    assert after == before


def test_a_file_is_read_once_until_its_stamp_changes(tmp_path, patient, monkeypatch):
    names = [(f"{i:03d}", i % 2 == 0) for i in range(200)]
    for name, _ in names:
        (tmp_path / name).write_bytes(name.encode())
    read, reads = contents._read, []
    monkeypatch.setattr(
        contents, "_read", lambda path, w: reads.append(path[-3:]) or read(path, w)
    )
    first = contents.sums(tmp_path, names)
    assert len(reads) == len(set(first)) == 200
    (tmp_path / "007").write_bytes(b"700")
    again = contents.sums(tmp_path, names)
    assert reads[200:] == [b"007"] and again[7] != first[7]
    assert contents.sums(tmp_path, names[:9]) == again[:9]  # asked for one by one
    assert len(reads) == 201
    (tmp_path / "007").unlink()
    assert contents.sums(tmp_path, names[7:8]) == [contents.MISSING]


def test_a_plan_looks_at_a_folder_once(tmp_path, monkeypatch):
    image = write_folder(tmp_path / "data")

    def taken():
        return catalogue.fingerprint("folder/segmentation", root=tmp_path / "data")

    with contents.settled():
        before = taken()
        replace(image)
        assert taken() == before
    assert taken() != before


def test_a_file_just_written_is_not_trusted(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    first = contents.sums(tmp_path, [("a", False)])
    assert not list((tmp_path / "cache").rglob("*.sqlite"))
    replace(tmp_path / "a")
    assert contents.sums(tmp_path, [("a", False)]) != first


def test_several_at_once_and_a_damaged_file(tmp_path, patient, cache):
    names = [(str(i), False) for i in range(300)]
    for name, _ in names:
        (tmp_path / name).write_text(name)
    found = []

    def take(part):
        found.append(contents.sums(tmp_path, part) == expected[: len(part)])

    expected = [contents._read(os.fsencode(tmp_path / n), w)[1] for n, w in names]
    for _ in range(3):
        threads = [threading.Thread(target=take, args=(names[:n],)) for n in (9, 300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (kept,) = cache.rglob("*.sqlite")
    kept.write_bytes(b"not a table" * 100)
    take(names)
    assert found == [True] * 7


def test_the_middle_of_a_large_image_counts_where_asked_for(tmp_path):
    write_folder(tmp_path / "data")
    path = tmp_path / "data/images/b.jpg"
    path.write_bytes(path.read_bytes() + bytes(4 * contents.END))

    def prints(full):
        given = {"root": tmp_path / "data", "full_digest": full}
        return catalogue.fingerprint("folder/segmentation", **given)

    before = prints(False), prints(True)
    replace(path, place=2 * contents.END)
    assert prints(False) == before[0] and prints(True) != before[1]


def test_two_copies_of_a_catalogue_set_have_two_digests(tmp_path):
    digests = []
    for name in ("one", "two", "three"):
        trees.write_camvid(tmp_path / name)
    trees.write_image(tmp_path / "two/train/1.png", seed=9)
    for name in ("one", "two", "three"):
        whole = source_lib.open("camvid/11", split="train", root=tmp_path / name)
        assert whole.fingerprint == "camvid/11@1"  # plans need no data
        digests.append((whole.digest(), whole.select([0, 2]).digest()))
    assert digests[0] == digests[2] and digests[0][0].startswith("camvid/11@1:")
    assert digests[0][0] != digests[1][0]  # and where nothing differs is read
    assert digests[0][1] == digests[1][1]


def encoded(seed):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (100, 100, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_label_corrected_in_the_middle_of_shards_changes_the_key(tmp_path):
    (tmp_path / "classes.txt").write_text("x\ny\n")
    images, prints = [encoded(seed) for seed in range(15)], set()
    for label in (0, 1):
        rows = [{"image": image, "label": 0} for image in images]
        rows[7]["label"] = label
        shards.write(tmp_path, "train", rows, kind=shards.ARRAY_RECORD)
        (path,) = tmp_path.glob("train*.array_record")
        assert path.stat().st_size > 4 * contents.END
        prints.add(catalogue.fingerprint("shards/classification", root=tmp_path))
    assert len(prints) == 2


def test_the_middle_of_prepared_examples_changes_the_key(tmp_path):
    folder = tmp_path / "tiny/1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    path = folder / "tiny-train.array_record-00000-of-00001"
    path.write_bytes(bytes(4 * contents.END))

    def taken():
        options = {"name": "tiny"}
        return catalogue.fingerprint("tfds/detection", root=tmp_path, options=options)

    before = taken()
    replace(path, place=2 * contents.END)
    assert taken() != before


def test_the_middle_of_a_file_of_images_and_labels_is_in_the_digest(tmp_path):
    scipy.io.savemat(tmp_path / nyu.SPLITS, {"trainNdxs": [[1]], "testNdxs": [[2]]})
    scipy.io.savemat(tmp_path / nyu.MAPPING, {"mapClass": [[1]]})
    path = tmp_path / nyu.LABELED
    path.write_bytes(bytes(4 * contents.END))
    for variant in nyu.DATASETS:
        source = source_lib.open(f"nyu/{variant}", split="train", root=tmp_path)
        before = source.digest()
        replace(path, place=2 * contents.END)
        assert source.digest() != before


def test_digests_of_what_is_rendered_and_of_own_data_are_fingerprints(tmp_path):
    write_folder(tmp_path / "data")
    for name, root in (("worlds/indoor_home", None), ("folder/segmentation", "data")):
        root = root and tmp_path / root
        source = source_lib.open(name, split="train", root=root)
        assert source.digest() == source.fingerprint


def test_values_of_a_record_count_but_for_where_they_stand():
    def of(boxes, where="a:1", **more):
        record = Row(**{"image": "x", "where": where, "boxes": boxes} | more)
        return contents.of_value(record)

    boxes = np.zeros((2, 4), np.float32)
    assert of(boxes) == of(boxes.copy(), where="b:7")
    others = [boxes + 1, boxes.astype(np.float64), boxes[:1], None, boxes.tolist()]
    assert len({of(each) for each in [boxes, *others]}) == 6
    assert of(boxes) != of(boxes, image="y")


def test_tiles_of_a_file_replaced_in_the_same_tick(tmp_path):
    path = tmp_path / "big.tif"
    pixels = np.zeros((900, 900, 3), np.uint8)
    for value in (10, 20):
        Image.fromarray(pixels + np.uint8(value)).save(path)
        os.utime(path, ns=(10**18, 10**18))
        tile = tiles.read_image(path, (0, 0, 800, 800))
        assert (tile == value).all()
