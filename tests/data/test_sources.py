"""Sources by name: subsets, parts, caches, checks, errors that explain themselves."""

import pickle
import threading

import numpy as np
import pytest

from jaxseg.core import errors
from jaxseg.data import sources
from jaxseg.data.dataset import IGNORE
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
            sources.find(name)
    with pytest.raises(
        errors.UserError, match=r"unknown split of camvid/11 'val'.*vali"
    ):
        sources.open("camvid/11", split="val", root=camvid)
    with pytest.raises(errors.UserError, match="unknown part 'some'"):
        sources.open("camvid/11", split="train", root=camvid, part="some")
    with pytest.raises(errors.UserError, match="unknown key 'binary'"):
        sources.open("camvid/11", split="train", root=camvid, options={"binary": True})


def test_the_root_is_looked_for_and_named(camvid, monkeypatch):
    monkeypatch.delenv("JAXSEG_DATA", raising=False)
    with pytest.raises(errors.UserError, match=r"no folder given.*JAXSEG_DATA.*SegNet"):
        sources.open("camvid/11", split="train")
    monkeypatch.setenv("JAXSEG_DATA", str(camvid))
    with pytest.raises(errors.UserError, match=r"looked in .*camvid \(from \$JAXSEG_D"):
        sources.open("camvid/11", split="train")
    camvid.rename(camvid.parent / "camvid")
    monkeypatch.setenv("JAXSEG_DATA", str(camvid.parent))
    assert len(sources.open("camvid/11", split="train")) == 10


def test_examples_are_in_the_common_vocabulary(camvid):
    source = sources.open("camvid/11", split="train", root=camvid)
    example = source[0]
    assert example["image"].dtype == np.uint8 and example["image"].shape == (12, 16, 3)
    assert example["segmentation"].dtype == np.int32
    assert set(np.unique(example["segmentation"])) == {0, 10, IGNORE}  # 11 is void
    assert example["id"] == "0" and source.fingerprint == "camvid/11@1"
    assert source.dataset.num_classes == 11 and len(source.dataset.mean) == 3


def test_counts_are_seeded_and_nested(camvid):
    def opened(**given):
        return ids(sources.open("camvid/11", split="train", root=camvid, **given))

    assert opened(count=4) == opened(count=4) and len(opened(count=4)) == 4
    assert opened(count=4, seed=1) != opened(count=4)
    assert set(opened(count=4)) < set(opened(count=7))
    assert opened(count=10) == opened()
    for count in (0, 11):
        with pytest.raises(errors.UserError, match=f"count={count}; allowed are 1 to"):
            opened(count=count)


def test_held_out_and_fit_divide_the_subset(camvid):
    parts = [
        ids(sources.open("camvid/11", split="train", root=camvid, count=8, part=part))
        for part in ("fit", "held_out", "all")
    ]
    assert len(parts[1]) == 1 and len(parts[0]) == 7
    assert sorted(parts[0] + parts[1]) == sorted(parts[2])


def test_memory_decodes_once_and_is_never_written_to(camvid):
    source = sources.open("camvid/11", split="train", root=camvid, cache="memory")
    first = source[0]
    first["image"] = None
    (camvid / "train/0.png").unlink()
    assert source[0]["image"] is not None
    with pytest.raises(errors.UserError, match=r"0\.png: file not found"):
        sources.open("camvid/11", split="train", root=camvid)[0]


def test_threads_may_share_a_source(camvid):
    source = sources.open("camvid/11", split="train", root=camvid, cache="memory")
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
    source = sources.open("camvid/11", split="train", root=camvid, count=3)
    assert ids(pickle.loads(pickle.dumps(source))) == ids(source)


def test_rendered_sets_need_no_folder():
    source = sources.open("worlds/driving_day", split="train", count=2)
    assert source.root is None and source[0] is not source[0]
    assert source[0]["image"] is source[0]["image"]  # decoded once
    assert source.fingerprint.startswith("worlds/driving_day@")


def test_statistics_are_those_of_the_training_images(tmp_path):
    trees.write_folder(tmp_path, [f"train/{i}" for i in range(4)] + ["val/9"])
    source = sources.open("folder/segmentation", split="validation", root=tmp_path)
    train = sources.open("folder/segmentation", split="train", root=tmp_path)
    pixels = np.concatenate([train[i]["image"].reshape(-1, 3) for i in range(4)])
    np.testing.assert_allclose(source.dataset.mean, pixels.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(source.dataset.std, pixels.std(axis=0), atol=1e-3)


def test_ids_are_mapped_and_others_stay():
    raw = np.array([[0, 7], [11, 300]], np.int32)
    mapped = sources.map_ids(raw, {7: 1, 11: IGNORE, 300: 2, 999: 5})
    np.testing.assert_array_equal(mapped, [[0, 1], [IGNORE, 2]])


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
        sources.open("camvid/11", split="train", root=camvid)[0]
