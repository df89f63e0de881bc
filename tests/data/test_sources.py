"""Sources by name: subsets, parts, caches, checks, errors that explain themselves."""

import collections.abc
import dataclasses
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import caching, catalogue, dataset, spec, subsets
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import camvid as camvid_lib
from tests.data import trees


@pytest.fixture
def camvid(tmp_path):
    trees.write_camvid(tmp_path, count=10)
    return tmp_path


def ids(source):
    return [source[i]["id"] for i in range(len(source))]


def test_unknown_names_say_what_exists(camvid):
    for name, hint in (
        ("camvd/11", "Did you mean 'camvid'"),
        ("camvid/12", "Known: camvid/11"),
        ("camvid", "Known: camvid/11"),
        ("world/driving_day", "Did you mean 'worlds'"),
        ("worlds/driving_dy", "Did you mean 'worlds/driving_day'"),
    ):
        with pytest.raises(errors.UserError, match=hint):
            catalogue.find(name)
    with pytest.raises(errors.UserError, match=r"camvid.11 in .*: unknown split 'val'"):
        source_lib.open("camvid/11", split="val", root=camvid)
    with pytest.raises(errors.UserError, match="unknown part 'some'"):
        source_lib.open("camvid/11", split="train", root=camvid, part="some")
    with pytest.raises(errors.UserError, match="unknown key 'binary'"):
        source_lib.open(
            "camvid/11", split="train", root=camvid, options={"binary": True}
        )


def test_the_root_is_looked_for_and_named(camvid, monkeypatch):
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    with pytest.raises(errors.UserError, match=r"no folder given.*JAXSEG_DATA.*SegNet"):
        source_lib.open("camvid/11", split="train")
    monkeypatch.setenv("JAXSEG_DATA", str(camvid))
    with pytest.raises(errors.UserError, match=r"looked in .*camvid \(from \$JAXSEG_D"):
        source_lib.open("camvid/11", split="train")
    camvid.rename(camvid.parent / "camvid")
    monkeypatch.setenv("JAXSEG_DATA", str(camvid.parent))
    assert len(source_lib.open("camvid/11", split="train")) == 10


def test_examples_are_in_the_common_vocabulary(camvid):
    source = source_lib.open("camvid/11", split="train", root=camvid)
    example = source[0]
    assert example["image"].dtype == np.uint8 and example["image"].shape == (12, 16, 3)
    assert example["segmentation"].dtype == np.int32
    assert set(np.unique(example["segmentation"])) == {0, 10, IGNORE}  # 11 is void
    assert example["id"] == "0" and source.fingerprint == "camvid/11@1"
    assert source.dataset.num_classes == 11 and len(source.dataset.mean) == 3


def test_counts_are_seeded_and_nested(camvid):
    def opened(**given):
        return ids(source_lib.open("camvid/11", split="train", root=camvid, **given))

    assert opened(count=4) == opened(count=4) and len(opened(count=4)) == 4
    assert opened(count=4, seed=1) != opened(count=4)
    assert set(opened(count=4)) < set(opened(count=7))
    assert opened(count=10) == opened()
    for count in (0, 11):
        with pytest.raises(errors.UserError, match=f"count={count}; allowed are 1 to"):
            opened(count=count)


def test_one_image_cannot_be_divided(camvid):
    with pytest.raises(
        errors.UserError, match=r"'train' of 1 of 10 records, .* held out"
    ):
        source_lib.open("camvid/11", split="train", root=camvid, count=1, part="train")


def test_holdout_and_train_divide_the_subset(camvid):
    parts = [
        ids(
            source_lib.open("camvid/11", split="train", root=camvid, count=8, part=part)
        )
        for part in ("train", "holdout", "all")
    ]
    assert len(parts[1]) == 1 and len(parts[0]) == 7
    assert sorted(parts[0] + parts[1]) == sorted(parts[2])


def test_the_rest_is_what_was_not_drawn(camvid):
    def opened(**given):
        return ids(source_lib.open("camvid/11", split="train", root=camvid, **given))

    for draw in ({"count": 8, "seed": 3}, {"fraction": 0.3}):
        drawn, rest = opened(**draw), opened(**draw, part="rest")
        assert not set(drawn) & set(rest)
        assert sorted(drawn + rest) == sorted(opened())
        assert rest == opened(**draw, part="rest")
    assert opened(count=8, seed=4, part="rest") != opened(count=8, seed=3, part="rest")
    for nothing in ({}, {"count": 10}, {"fraction": 1.0}):
        with pytest.raises(errors.UserError, match="'rest' of 10 of 10 records"):
            opened(**nothing, part="rest")


def test_plans_count_the_rest():
    def section(**given):
        return spec.DataSpec(name="camvid/11", split="train", part="rest", **given)

    facts = catalogue.find("camvid/11")
    assert section(count=67).images(facts) == (300, 367)
    assert section(fraction=0.2).images(facts) == (294, 367)  # 73.4 are drawn
    counted = dataclasses.replace(facts, splits={"train": 0})  # only in the folder
    assert section(count=67).images(counted) == (0, 0)
    assert section(fraction=0.2).images(counted) == (0, 0)
    for nothing in ({}, {"fraction": 1.0}):
        with pytest.raises(errors.UserError, match=r"x: found part='rest'.* Fix:"):
            section(**nothing).identified(facts, "x")
    worlds = spec.DataSpec(name="worlds/driving_day", count=2000, part="rest")
    with pytest.raises(errors.UserError, match=r"count=2000.*leave nothing out"):
        worlds.identified(worlds.facts(), "x")


def test_memory_decodes_once_and_is_never_written_to(camvid):
    source = source_lib.open("camvid/11", split="train", root=camvid, cache="memory")
    first = source[0]
    first["image"] = None
    (camvid / "train/0.png").unlink()
    assert source[0]["image"] is not None
    with pytest.raises(errors.UserError, match=r"0\.png: file not found"):
        source_lib.open("camvid/11", split="train", root=camvid)[0]


def test_threads_may_share_a_source(camvid):
    source = source_lib.open("camvid/11", split="train", root=camvid, cache="memory")
    seen = [None] * 4
    threads = [
        threading.Thread(target=lambda i=i: seen.__setitem__(i, ids(source)))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [ids(source)] * 4


def test_sources_travel_to_other_processes(camvid):
    source = source_lib.open("camvid/11", split="train", root=camvid, count=3)
    assert ids(pickle.loads(pickle.dumps(source))) == ids(source)


def test_rendered_sets_need_no_folder():
    source = source_lib.open("worlds/driving_day", split="train", count=2)
    assert source.root is None and source[0] is not source[0]
    assert source[0]["image"] is source[0]["image"]  # decoded once
    assert source.fingerprint.startswith("worlds/driving_day@")


def test_statistics_are_those_of_the_training_images(tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(4)] + ["val/9"])
    source = source_lib.open("folder/segmentation", split="validation", root=tmp_path)
    train = source_lib.open("folder/segmentation", split="train", root=tmp_path)
    pixels = np.concatenate([train[i]["image"].reshape(-1, 3) for i in range(4)])
    np.testing.assert_allclose(source.dataset.mean, pixels.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(source.dataset.std, pixels.std(axis=0), atol=1e-3)


def test_ids_are_mapped_and_others_stay():
    raw = np.array([[0, 7], [11, 300]], np.int32)
    mapped = dataset.map_ids(raw, {7: 1, 11: IGNORE, 300: 2, 999: 5}, 255)
    np.testing.assert_array_equal(mapped, [[0, 1], [IGNORE, 2]])


def test_255_is_ignored_where_it_is_no_class():
    raw = np.array([[0, 7], [255, IGNORE]], np.int32)
    for table, ignored, expected in (
        ({}, 255, [0, 7, IGNORE, IGNORE]),
        ({7: 255}, 255, [0, IGNORE, IGNORE, IGNORE]),
        ({255: 3}, 255, [0, 7, 3, IGNORE]),
        ({}, IGNORE, [0, 7, 255, IGNORE]),
        ({7: 255, 0: IGNORE}, IGNORE, [IGNORE, 255, 255, IGNORE]),
    ):
        mapped = dataset.map_ids(raw, table, ignored)
        assert mapped.ravel().tolist() == expected and mapped.dtype == np.int32
        assert raw.ravel().tolist() == [0, 7, 255, IGNORE]  # the reader's own
    assert dataset.map_ids(np.array(255), {}, 255) == IGNORE  # a label


@pytest.mark.parametrize(
    ("count", "top", "expected"), [(255, 254, IGNORE), (256, 255, 255)]
)
def test_ids_of_more_classes_than_a_byte_names(tmp_path, count, top, expected):
    ids = np.array([[0, top], [255, 65535]], np.uint16)
    for name in "ab":
        trees.write_image(tmp_path / f"images/{name}.png", (2, 2))
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(ids).save(tmp_path / f"masks/{name}.png")
    options = {"classes": [f"c{place}" for place in range(count)]}
    options["ids"] = {"0": 255}
    source = source_lib.open(
        "folder/segmentation", split="train", root=tmp_path, options=options
    )
    found = source[0]["segmentation"].ravel().tolist()
    assert found == [expected, top, expected, IGNORE]
    assert source.dataset.file_ignore == (255 if count == 255 else 65535)


class Million(collections.abc.Sequence):
    """A million records that may be taken one at a time only."""

    visits = 0

    def __len__(self):
        return 10**6

    def __getitem__(self, index):
        assert isinstance(index, int)
        Million.visits += 1
        return ("train/0.png", "trainannot/0.png")


def test_fractions_are_seeded_and_nested(camvid):
    def opened(**given):
        return ids(source_lib.open("camvid/11", split="train", root=camvid, **given))

    assert len(opened(fraction=0.05)) == 1 and len(opened(fraction=0.2)) == 2
    assert set(opened(fraction=0.2)) < set(opened(fraction=0.5)) < set(opened())
    assert opened(fraction=0.4) == opened(count=4) and opened(fraction=1.0) == opened()
    assert opened(fraction=0.4, seed=1) != opened(fraction=0.4)
    for bad in ({"fraction": 0.0}, {"fraction": 1.5}, {"fraction": 0.5, "count": 3}):
        with pytest.raises(errors.UserError, match=r"fraction=.* allowed .*Fix"):
            opened(**bad)


def test_fractions_are_those_of_the_papers():
    shares = [subsets.share(849, None, f, what="x") for f in (0.01, 0.05, 0.2, 1.0)]
    assert shares == [8, 42, 170, 849]  # Flowers 17, decoder_transfer Table 2


def test_a_listing_names_the_records_without_reading_them(camvid):
    source = source_lib.open("camvid/11", split="train", root=camvid, count=3)
    for path in (camvid / "train").iterdir():
        path.unlink()
    lines = list(source.listing())
    assert len(lines) == 3
    for line, index in zip(lines, source.indices, strict=True):
        assert line.startswith(f"{index} (train/{index}.png, trainannot/")


def test_a_million_records_are_neither_copied_nor_visited(camvid, monkeypatch):
    monkeypatch.setattr(camvid_lib, "records", lambda variant, split, root: Million())
    whole = source_lib.open("camvid/11", split="train", root=camvid)
    part = source_lib.open("camvid/11", split="train", root=camvid, count=1000)
    assert len(whole) == 10**6 and len(part) == 1000
    assert whole[999_999]["id"] == part[999]["id"] == "0"
    assert Million.visits == 2
    assert whole.indices.nbytes == 8 * 10**6  # all that grows with the size


def test_the_disk_keeps_decoded_examples_from_run_to_run(camvid, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))

    def opened(**given):
        return source_lib.open("camvid/11", split="train", root=camvid, **given)

    plain, first = opened()[3], opened(cache="disk")[3]
    monkeypatch.delattr(camvid_lib, "parse")  # nothing is decoded any more
    for again in (first, opened(cache="disk")[3], opened(cache="disk", count=10)[3]):
        assert again["id"] == "3" and again.keys() == plain.keys()
        for name in ("image", "segmentation"):
            assert again[name].dtype == plain[name].dtype
            np.testing.assert_array_equal(again[name], plain[name])
    with pytest.raises(errors.UserError, match=r"AttributeError.*parse"):
        opened(options={})[3]


def test_the_disk_cache_follows_content_not_places(camvid, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))

    def opened(cache="disk"):
        return source_lib.open("camvid/11", split="train", root=camvid, cache=cache)

    lines = (camvid / "train.txt").read_text().splitlines(keepends=True)
    (camvid / "train.txt").write_text("".join(lines[:6]))
    ids(opened())
    (camvid / "train.txt").write_text("".join(lines[5:2:-1] + lines[:3] + lines[6:]))
    trees.write_mask(camvid / "trainannot/1.png", values=(10, 0, 11))  # as many bytes
    read = []
    parse = camvid_lib.parse
    monkeypatch.setattr(
        camvid_lib, "parse", lambda r, *more: read.append(r[0]) or parse(r, *more)
    )
    kept = [opened()[i] for i in range(10)]
    assert [Path(name).stem for name in read] == ["1", "6", "7", "8", "9"]
    for place, example in enumerate(kept):
        plain = opened("none")[place]
        assert example["id"] == plain["id"]
        for name in ("image", "segmentation"):
            np.testing.assert_array_equal(example[name], plain[name])


def test_an_edit_in_the_middle_of_a_large_image_is_decoded(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))
    for name in "ab":  # 270 kB, not compressed
        trees.write_image(tmp_path / f"data/images/{name}.bmp", size=(300, 300))
        trees.write_mask(tmp_path / f"data/masks/{name}.png", size=(300, 300))

    def opened(cache="disk"):
        given = {"root": tmp_path / "data", "cache": cache}
        given["options"] = {"classes": ["x", "y", "z"]}
        return source_lib.open("folder/segmentation", split="train", **given)

    path = tmp_path / "data" / opened()[0]["id"]
    before, time = opened()[0]["image"], path.stat().st_mtime_ns
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(time, time))
    after = opened()[0]["image"]
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(after, opened("none")[0]["image"])


def test_a_damaged_file_of_the_cache_is_decoded_anew(camvid, monkeypatch, tmp_path):
    monkeypatch.setenv("JAXSEG_CACHE", str(tmp_path / "cache"))
    source = source_lib.open("camvid/11", split="train", root=camvid, cache="disk")
    wanted = source[0]["image"].copy()
    (file,) = (tmp_path / "cache/decoded").glob("*/*")
    whole = file.read_bytes()
    middle = whole.index(wanted.tobytes()) + 5
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (b"", whole[:50], whole[:-30], flipped):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(source[0]["image"], wanted)
        np.testing.assert_array_equal(source[0]["image"], wanted)
        assert file.read_bytes() == whole


def test_the_disk_cache_ends_at_its_limit(tmp_path):
    example = {"image": np.zeros((10, 10, 3), np.uint8), "id": "a"}
    cache = caching.DiskCache(tmp_path / "c", limit=800)
    for index in range(5):
        cache.put(str(index), example)
    assert len(list((tmp_path / "c").iterdir())) == 2
    assert cache.get("1")["id"] == "a" and cache.get("4") is None


def bad_camvid(root, name):
    """CamVid with record 0 of train damaged in a named way."""
    if name == "ids":
        trees.write_mask(root / "trainannot/0.png", values=(0, 12, 40))
    if name == "size":
        trees.write_mask(root / "trainannot/0.png", size=(6, 8))
    if name == "truncated":
        path = root / "train/0.png"
        path.write_bytes(path.read_bytes()[:200])
    if name == "colour":
        trees.write_image(root / "trainannot/0.png")
    if name == "line":
        (root / "train.txt").write_text("train/0.png\n")
    if name == "list":
        (root / "train.txt").unlink()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids", r"trainannot/0\.png.* ids 12, 40; allowed are 0 to 10.*255.*Fix"),
        ("size", r"trainannot/0\.png.* is 6 x 8 .* image is 12 x 16\. Fix"),
        ("truncated", r"train/0\.png: not a readable image .*truncated.*Fix"),
        ("colour", r"trainannot/0\.png: found RGB pixels; allowed .*Fix"),
        ("line", r"train\.txt:1: found 1 words; allowed is `image label`"),
        ("list", r"train\.txt: file not found; .*Fix"),
    ],
)
def test_bad_records_are_named(camvid, name, text):
    bad_camvid(camvid, name)
    with pytest.raises(errors.UserError, match=text):
        source_lib.open("camvid/11", split="train", root=camvid)[0]
