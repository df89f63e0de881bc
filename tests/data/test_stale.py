"""What replaced a file of own data, of its size, is what is read from then on."""

import os

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import image_files
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from tests.data import owns
from tests.data.owns import OWN

JSON = {  # what is edited there
    "coco/instances": (b"dog", b"cow"),
    "coco/keypoints": (b"left_eye", b"left_ear"),
    "coco/panoptic": (b"rug", b"mat"),
}
SAMPLES = ("shards", "deciles/shards", "tfds")  # whose images lie within other files


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))


def repaint(path, change):
    """Writes other pixels, as a file of the same size and, to `ls`, of the same age."""
    facts = path.stat()
    with Image.open(path) as image:
        pixels = change(np.array(image))
    path.write_bytes(owns.plain(pixels))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return facts.st_size == path.stat().st_size


def seen(name, root):
    """Fingerprint, digest and arrays of all training examples, by the disk cache."""
    given = {"split": "train", "root": root, "options": dict(OWN[name].options)}
    source = source_lib.open(name, cache="disk", **given)
    for _ in range(2):  # the second time they come from the cache
        examples = [source[i] for i in range(len(source))]
    return source.fingerprint, source.digest(), examples


def differ(one, two, field):
    return [not np.array_equal(a[field], b[field]) for a, b in zip(one, two)]


def pixels_of(name, label):
    if not label or name == "chairs/folder":
        return "image"
    return "depth" if "depth" in name else "segmentation"


@pytest.mark.parametrize("label", [False, True])
@pytest.mark.parametrize("name", [n for n in OWN if not n.startswith(SAMPLES)])
def test_a_picture_replaced_by_one_of_its_size(tmp_path, name, label):
    own = OWN[name]
    file = own.label if label else own.image
    if file is None:
        pytest.skip("has no labels of pixels")
    tmp_path = tmp_path / "data"
    own.write(tmp_path)
    path = tmp_path / file
    repaint(path, lambda pixels: pixels)  # not compressed: each has the same size
    before = seen(name, tmp_path)
    assert repaint(path, lambda pixels: pixels[::-1, ::-1])
    after = seen(name, tmp_path)
    assert before[0] != after[0] and before[1] != after[1]
    field = pixels_of(name, label)
    assert any(differ(before[2], after[2], field))
    if field == "image" and name != "chairs/folder":  # which scales them
        expected = image_files.read(path)
        assert any(np.array_equal(e["image"], expected) for e in after[2])


@pytest.mark.parametrize("name", [n for n in OWN if "shards" in n])
def test_a_shard_replaced_by_one_of_its_size(tmp_path, name):
    owns.shard(tmp_path)
    path = tmp_path / owns.SHARD
    facts, before = path.stat(), seen(name, tmp_path)
    owns.shard(tmp_path, seed=7)
    assert path.stat().st_size == facts.st_size
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    after = seen(name, tmp_path)
    assert before[0] != after[0] and all(differ(before[2], after[2], "image"))


@pytest.mark.parametrize("name", [n for n in OWN if n.startswith("tfds")])
def test_prepared_examples_replaced_by_others_of_their_size(
    tmp_path, monkeypatch, name
):
    from tests.data import test_containers as writers

    path = writers.write_tfds(tmp_path / "a")
    facts, before = path.stat(), seen(name, tmp_path / "a")
    flat = writers.picture
    monkeypatch.setattr(writers, "picture", lambda i, *shape: flat(i + 1, *shape))
    other = writers.write_tfds(tmp_path / "b")
    assert other.stat().st_size == facts.st_size
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    after = seen(name, tmp_path / "a")
    assert before[0] != after[0] and all(differ(before[2], after[2], "image"))


@pytest.mark.parametrize("name", [n for n, own in OWN.items() if own.text])
def test_labels_edited_without_another_size_or_age(tmp_path, name):
    own = OWN[name]
    own.write(tmp_path)
    path = tmp_path / own.text
    edits = {".txt": (b"0.25", b"0.35"), ".xml": (b"<xmax>40", b"<xmax>30")}
    edits |= {".csv": (b"0.jpg", b"2.jpg"), ".json": JSON.get(name)}
    old, new = (b"x\n", b"z\n") if own.text == "classes.txt" else edits[path.suffix]
    facts, data = path.stat(), path.read_bytes()
    assert old in data
    before = source_lib.open(name, split="train", root=tmp_path)
    path.write_bytes(data.replace(old, new))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    after = source_lib.open(name, split="train", root=tmp_path)
    assert before.fingerprint != after.fingerprint
    read = [[source[i] for i in range(len(source))] for source in (before, after)]
    changed = any(any(differ(*read, f)) for f in read[0][0] if f != "id")
    one, two = before.dataset, after.dataset
    assert changed or (one.classes, one.flip_pairs) != (two.classes, two.flip_pairs)


def test_every_reader_of_own_data_is_tried():
    assert set(OWN) == {name for name in catalogue.names() if catalogue.find(name).own}
