"""Deciles of saliency as pseudo labels of labelled images."""

import pickle

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors, image_files
from jaxseg.data import __main__ as main
from jaxseg.data import catalogue, pipeline, transforms
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import deciles
from jaxseg.data.readers import imagenet
from jaxseg.data.tools import checks
from tests.data import trees

NAME = "deciles/images"
SIZE = (12, 16)
RANKS = np.resize(np.arange(10, dtype=np.uint8), SIZE)  # each decile somewhere


def write_tree(root, names, folders=("images", "deciles")):
    for seed, name in enumerate(names):
        trees.write_image(root / folders[0] / f"{name}.jpg", SIZE, seed)
        deciles.write(root / folders[1] / f"{name}.png", RANKS)


def opened(root, split="train", **options):
    return source_lib.open(NAME, split=split, root=root, options=options)


def refused(root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = opened(root, split, **options)
        for index in range(len(source)):
            source[index]


def test_the_highest_decile_is_the_class_of_the_image(tmp_path):
    write_tree(tmp_path, ["train/cat/a", "train/cat/b", "train/dog/a", "val/dog/c"])
    source = opened(tmp_path)
    assert source.dataset.classes == ("background", "cat", "dog")
    assert dict(source.dataset.splits) == {"train": 3, "validation": 1}
    ids = [source[i]["id"] for i in range(3)]
    assert ids == ["cat/a.jpg", "cat/b.jpg", "dog/a.jpg"]
    for index, label in enumerate((1, 1, 2)):
        expected = np.where(RANKS == 9, label, 0)
        found = source[index]["segmentation"]
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.int32
    file = tmp_path / "images/train/dog/a.jpg"
    np.testing.assert_array_equal(source[2]["image"], image_files.read(file))
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy[2]["segmentation"], source[2]["segmentation"])


@pytest.mark.parametrize(
    ("options", "shown", "nothing"),
    [
        ({"ignored": [8]}, [9], [8]),
        ({"ignored": list(range(9))}, [9], list(range(9))),
        ({"foreground": [7, 8, 9]}, [7, 8, 9], []),
        ({"foreground": [9, 8], "ignored": [7]}, [8, 9], [7]),
    ],
)
def test_ablations_of_the_paper(tmp_path, options, shown, nothing):
    write_tree(tmp_path, ["train/cat/a", "train/dog/a"])
    ids = opened(tmp_path, **options)[1]["segmentation"]
    expected = np.where(np.isin(RANKS, shown), 2, 0)
    expected[np.isin(RANKS, nothing)] = IGNORE
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"foreground": []},
        {"foreground": [10]},
        {"ignored": [9]},
        {"foreground": [9, 9]},
    ],
)
def test_deciles_that_are_none_are_refused(tmp_path, options):
    write_tree(tmp_path, ["train/cat/a", "train/dog/a"])
    refused(tmp_path, "allowed are numbers from 0 to 9.*Fix", **options)


def test_more_classes_than_a_byte_names(tmp_path):
    names = [f"train/n{place:03d}/a" for place in range(300)]
    write_tree(tmp_path, names)
    source = opened(tmp_path, ignored=[8])
    assert source.dataset.num_classes == 301
    ids = source[254]["segmentation"]  # class 255 is a class like any other
    np.testing.assert_array_equal(ids == 255, RANKS == 9)
    np.testing.assert_array_equal(ids == IGNORE, RANKS == 8)
    assert checks.check(source).problems == []
    steps = [transforms.Rotate(30.0), transforms.Crop(16, 16)]
    stream = pipeline.train_batches(
        source, transforms=steps, batch_size=300, seed=0, fields=source.dataset.fields
    )
    batch, _ = next(stream)
    assert set(np.unique(batch["segmentation"])) == {*range(301), IGNORE}
    stream.close()


def test_classes_come_in_the_order_of_a_list(tmp_path):
    write_tree(tmp_path, ["train/a dog/a", "train/cat/a"])
    before = catalogue.fingerprint(NAME, root=tmp_path)
    (tmp_path / "classes.txt").write_text("owl\ncat\na dog\n")
    assert catalogue.fingerprint(NAME, root=tmp_path) != before
    source = opened(tmp_path)
    assert source.dataset.classes == ("background", "owl", "cat", "a dog")
    assert source[0]["segmentation"].max() == 3
    (tmp_path / "classes.txt").write_text("owl\ncat\n")
    refused(tmp_path, "1 of them are no class, for example a dog.*Fix")
    assert sorted(imagenet.WNIDS) == list(imagenet.WNIDS)  # sorted is its own order


def test_a_tree_of_images_gets_deciles_from_elsewhere(tmp_path):
    names = ["train/cat/a", "train/dog/a"]
    write_tree(tmp_path, names, folders=("ilsvrc", "elsewhere/ranks"))
    trees.write_image(tmp_path / "ilsvrc/val/cat/v.jpg")
    (tmp_path / "ilsvrc/devkit").mkdir()
    options = {"images": ".", "deciles": str(tmp_path / "elsewhere/ranks")}
    refused(tmp_path / "ilsvrc", "outside of the folder.*Fix", **options)
    options["outside"] = True
    source = opened(tmp_path / "ilsvrc", **options)
    assert dict(source.dataset.splits) == {"train": 2}  # no others have deciles
    assert source[1]["id"] == "dog/a.jpg" and source[1]["segmentation"].max() == 2


def test_without_splits_a_fifth_is_drawn(tmp_path):
    write_tree(tmp_path, [f"{name}/{i}" for name in ("cat", "dog") for i in range(5)])
    train, validation = opened(tmp_path), opened(tmp_path, "validation")
    assert (len(train), len(validation)) == (8, 2)
    ids = [train[i]["id"] for i in range(8)] + [validation[i]["id"] for i in range(2)]
    assert len({*ids}) == 10


def test_content_has_a_fingerprint(tmp_path):
    write_tree(tmp_path, ["train/cat/a", "train/dog/a"])
    before = catalogue.fingerprint(NAME, root=tmp_path)
    deciles.write(tmp_path / "deciles/train/cat/a.png", np.zeros(SIZE, np.uint8))
    after = catalogue.fingerprint(NAME, root=tmp_path)
    trees.write_image(tmp_path / "images/train/cat/a.jpg", seed=9)
    assert len({before, after, catalogue.fingerprint(NAME, root=tmp_path)}) == 3


def test_images_and_deciles_belong_together(tmp_path):
    write_tree(tmp_path, ["train/cat/a", "train/cat/b", "train/dog/a"])
    ranks, pictures = tmp_path / "deciles/train", tmp_path / "images/train"
    assert len(opened(tmp_path)) == 3
    (ranks / "cat/b.png").rename(tmp_path / "b.png")
    refused(tmp_path, "cat/b.png: file not found.*images/train/cat/b.jpg; 1 of 3.*Fix")
    (tmp_path / "b.png").rename(ranks / "cat/c.png")
    trees.write_image(pictures / "cat/c.jpg")
    (pictures / "cat/b.jpg").unlink()
    assert len(opened(tmp_path)) == 3
    (pictures / "cat/c.jpg").unlink()
    refused(tmp_path, "cat/c.png: found deciles without an image.* 1 in all.*Fix")
    for suffix in ("jpg", "png"):
        trees.write_image(pictures / f"cat/c.{suffix}")
    refused(tmp_path, r"cat/c\.jpg and train/cat/c\.png share their deciles.*Fix")


def test_bad_deciles_are_refused(tmp_path):
    write_tree(tmp_path, ["train/cat/a", "train/dog/a"])
    path = tmp_path / "deciles/train/cat/a.png"
    Image.fromarray(RANKS + 1).save(path)
    refused(tmp_path, r"train/cat/a\.png: found the values 1 to 10; allowed.*Fix")
    Image.fromarray(RANKS).save(path, format="JPEG")
    refused(tmp_path, r"train/cat/a\.png: found a JPEG; .* without loss.*Fix")
    deciles.write(path, RANKS[:-2])
    refused(tmp_path, r"deciles/train/cat/a\.png.* is 10 x 16 .* image is 12 x 16.*Fix")
    path.write_bytes(b"no image")
    refused(tmp_path, r"train/cat/a\.png: not a readable image")
    write_tree(tmp_path / "twice", ["train/background/a", "train/cat/a"])
    refused(tmp_path / "twice", "background.*more than once.*Fix")
    (tmp_path / "twice/deciles").rename(tmp_path / "twice/ranks")
    refused(tmp_path / "twice", "deciles: folder not found.*Fix")


@pytest.mark.parametrize(
    "wrong", [RANKS + 1, RANKS.astype(np.int32), np.zeros((2, 2, 3), np.uint8)]
)
def test_only_deciles_are_written(tmp_path, wrong):
    with pytest.raises(AssertionError):
        deciles.write(tmp_path / "a.png", wrong)
    deciles.write(tmp_path / "new/a.png", RANKS)
    np.testing.assert_array_equal(image_files.read_ids(tmp_path / "new/a.png"), RANKS)


def test_commands_read_it(tmp_path, capsys):
    write_tree(tmp_path, ["train/cat/a", "train/cat/b", "train/dog/a"])
    root = ["--root", str(tmp_path)]
    assert main.main(["check", NAME, *root]) == 0
    assert "0 problems in 3 records" in capsys.readouterr().out
    assert main.main(["stats", NAME, *root]) == 0
    assert "cat" in capsys.readouterr().out
    assert main.main(["preview", NAME, *root, "--output", f"{tmp_path}/p.png"]) == 0
    assert image_files.read(tmp_path / "p.png").size
