"""The readers: official layouts written by the tests, and the real sets."""

import inspect
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors, lookup
from jaxseg.data import catalogue, pipeline, readers, transforms
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import DOMAINS, FIELDS, IGNORE
from tests.data import trees

FOLDER = "folder/segmentation"


@pytest.mark.parametrize("name", catalogue.names())
def test_fact_sheets_are_complete(name):
    facts = catalogue.find(name)
    assert facts.domain in DOMAINS and set(facts.fields) <= set(FIELDS)
    assert "image" in facts.fields and facts.obtain and facts.version >= 1
    assert len(set(facts.classes)) == len(facts.classes)
    assert len(facts.palette) in (0, facts.num_classes)
    if facts.domain != "own":
        assert facts.size and facts.licence and "train" in facts.splits
        counts = hasattr(lookup.load(catalogue.PACKAGE, name.split("/")[0]), "describe")
        assert all(facts.splits.values()) or counts
        assert facts.classes or facts.fields == ("image", "depth")
        # None: measured when the data are opened.
        assert (facts.mean is None) == (facts.std is None)
        assert facts.mean is None or len(facts.mean) == len(facts.std) == 3


@pytest.mark.parametrize("file", lookup.names(catalogue.PACKAGE))
def test_dataset_files_have_the_three_parts(file):
    module = lookup.load(catalogue.PACKAGE, file)
    assert module.DATASETS and callable(module.records) and callable(module.parse)
    assert set(getattr(module, "CLASSES_FROM", {})) <= set(module.DATASETS)
    options = inspect.signature(module.records).parameters
    assert set(getattr(module, "PLACES", ())) <= set(options)


def test_readers_import_no_data_set():
    folder = pathlib.Path(readers.__file__).parent
    texts = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert len(texts) > 15
    assert [name for name, text in texts.items() if catalogue.PACKAGE in text] == []


@pytest.mark.parametrize("prefix", ["", "/SegNet/CamVid/"])
def test_camvid_layout(tmp_path, prefix):
    trees.write_camvid(tmp_path, prefix)
    for split in catalogue.find("camvid/11").splits:
        source = source_lib.open("camvid/11", split=split, root=tmp_path)
        assert [source[i]["id"] for i in range(3)] == ["0", "1", "2"]


def opened(root, split="train", **options):
    return source_lib.open(FOLDER, split=split, root=root, options=options)


def names(source):
    return [source[i]["id"] for i in range(len(source))]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("Training_Images", "Ground_Truth"),
        ("JPEGImages", "SegmentationClass"),
        ("img", "labels"),
    ],
)
def test_folders_are_found_and_divided(tmp_path, images, masks):
    trees.write_folder(tmp_path, range(10), images, masks)
    train, validation = opened(tmp_path), opened(tmp_path, "validation")
    assert (len(train), len(validation)) == (8, 2)
    assert not set(names(train)) & set(names(validation))
    assert train.dataset.classes == ("class_0", "class_1", "class_2")
    assert train.dataset.size == (12, 16)
    assert dict(train.dataset.splits) == {"train": 8, "validation": 2}


@pytest.mark.parametrize("layout", ["images/{}", "{}/images"])
def test_split_folders(tmp_path, layout):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        images = layout.format(split)
        masks = images.replace("images", "masks")
        trees.write_folder(tmp_path, range(count), images, masks)
    counts = {s: len(opened(tmp_path, s)) for s in ("train", "validation", "test")}
    assert counts == {"train": 3, "validation": 2, "test": 1}


def test_lists_of_names_and_of_pairs(tmp_path):
    trees.write_folder(tmp_path, ["a", "b c", "d.e", "f"])
    (tmp_path / "train.txt").write_text("b c\nd.e.jpg\nimages/f.jpg masks/a.png\n")
    (tmp_path / "val.txt").write_text("a\n\n")
    assert names(opened(tmp_path)) == [
        "images/b c.jpg",
        "images/d.e.jpg",
        "images/f.jpg",
    ]
    assert names(opened(tmp_path, "validation")) == ["images/a.jpg"]
    (tmp_path / "val.txt").write_text("a\nz\n")
    with pytest.raises(errors.UserError, match=r"val\.txt:2: 'z' names 0 images.*Fix"):
        opened(tmp_path)


def test_masks_with_an_ending_and_globs(tmp_path):
    trees.write_folder(tmp_path / "ending", ["a", "b"])
    for name in "ab":
        path = tmp_path / "ending/masks" / f"{name}.png"
        path.rename(path.with_name(f"{name}_mask.png"))
    assert len(opened(tmp_path / "ending")) == 1
    trees.write_folder(tmp_path / "flat", ["a", "b"], "x", "x")
    assert len(opened(tmp_path / "flat", images="x/*.jpg", masks="x/*.png")) == 1
    trees.write_folder(tmp_path / "odd", ["a", "b"], "left", "right")
    assert len(opened(tmp_path / "odd", images="left", masks="right/")) == 1


def test_ids_and_classes(tmp_path):
    trees.write_folder(tmp_path, range(4), values=(0, 40, 80))
    source = opened(tmp_path, ids={"40": 1, "80": 255}, classes=("other", "cat"))
    assert set(np.unique(source[0]["segmentation"])) == {0, 1, IGNORE}
    assert source.dataset.classes == ("other", "cat")
    with pytest.raises(errors.UserError, match=r"ids 80; allowed are 0 to 1.*ids=\{80"):
        opened(tmp_path, ids={40: 1}, classes=("other", "cat"))[0]


def test_binary_masks(tmp_path):
    trees.write_folder(tmp_path, range(4), values=(0, 255))
    source = opened(tmp_path, binary=True)
    assert set(np.unique(source[0]["segmentation"])) == {0, 1}
    assert source.dataset.classes == ("background", "foreground")
    with pytest.raises(errors.UserError, match=r"ids \[0, 255\].*Fix: binary=True"):
        opened(tmp_path)
    with pytest.raises(errors.UserError, match="Fix: drop one"):
        opened(tmp_path, binary=True, ids={255: 1})
    trees.write_folder(tmp_path, range(4), values=(0, 120, 255))
    with pytest.raises(
        errors.UserError, match=r"\.png: found the values 0, 120, 255.*F"
    ):
        opened(tmp_path, binary=True)[0]


def test_masks_of_another_size(tmp_path):
    trees.write_folder(tmp_path, range(4))
    for path in (tmp_path / "masks").iterdir():
        trees.write_mask(path, size=(6, 8))
    with pytest.raises(
        errors.UserError, match=r"mask is 6 x 8 .* is 12 x 16.*'resize'"
    ):
        opened(tmp_path)[0]
    assert opened(tmp_path, mask_size="resize")[0]["segmentation"].shape == (12, 16)
    with pytest.raises(errors.UserError, match="unknown mask_size 'scale'"):
        opened(tmp_path, mask_size="scale")
    for path in (tmp_path / "masks").iterdir():
        trees.write_mask(path, size=(8, 6))
    with pytest.raises(errors.UserError, match="another aspect ratio"):
        opened(tmp_path, mask_size="resize")[0]


def test_fingerprints_follow_labels_and_names_not_places(tmp_path):
    def fingerprint(root):
        return catalogue.fingerprint(FOLDER, root=root)

    for copy in ("one", "two"):
        trees.write_folder(tmp_path / copy, range(4))
    first = fingerprint(tmp_path / "one")
    assert first == fingerprint(tmp_path / "two")
    trees.write_mask(tmp_path / "two/masks/0.png", values=(0, 2, 1))
    assert first != fingerprint(tmp_path / "two")
    (tmp_path / "one/images/0.jpg").rename(tmp_path / "one/images/9.jpg")
    (tmp_path / "one/masks/0.png").rename(tmp_path / "one/masks/9.png")
    assert first != fingerprint(tmp_path / "one")


def damage(root, name):
    if name == "empty":
        root.joinpath("notes.md").write_text("nothing here")
        return
    trees.write_folder(root, range(1 if name == "single" else 4))
    if name == "no mask":
        (root / "masks/1.png").unlink()
    if name == "orphan":
        (root / "images/1.jpg").unlink()
    if name == "elsewhere":
        (root / "images").rename(root / "stuff")
        (root / "masks").rename(root / "things")
    if name == "twice":
        trees.write_image(root / "images/1.png")
    if name == "broken":
        for place in "01":
            (root / f"masks/{place}.png").write_bytes(b"not a picture")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty", r"found no image files.*Fix: put images in images/"),
        ("single", r"found one image; allowed are two or more.*Fix"),
        ("no mask", r"images of split .* without mask: 1, .*images/1\.jpg.*Fix"),
        ("orphan", r"mask files without image: 1, for example masks/1\.png.*Fix"),
        ("elsewhere", r"found 8 image files, in \['stuff', 'things'\].*images=FOLDER"),
        ("twice", r"images/1\.jpg and images/1\.png would be the same.*Fix"),
        ("broken", r"0\.png: not a readable image"),
    ],
)
def test_bad_folders_explain_themselves(tmp_path, name, text):
    damage(tmp_path, name)
    with pytest.raises(errors.UserError, match=text):
        for split in ("train", "validation"):
            opened(tmp_path, split)


def test_real_camvid(real_data):
    facts = catalogue.find("camvid/11")
    for split, count in facts.splits.items():
        source = source_lib.open("camvid/11", split=split, root=real_data / "camvid")
        assert len(source) == count
        example = source[count // 2]
        assert example["segmentation"].shape == facts.size
    with Image.open(real_data / "camvid/trainannot/0001TP_006690.png") as raw:
        void = np.asarray(raw) == 11
    source = source_lib.open("camvid/11", split="train", root=real_data / "camvid")
    np.testing.assert_array_equal(source[0]["segmentation"] == IGNORE, void)


def test_real_folder_without_code(real_data):
    options = {"binary": True, "mask_size": "resize"}
    root = real_data / "human_segmentation"
    for split, count in (("train", 230), ("validation", 60)):
        source = source_lib.open(FOLDER, split=split, root=root, options=options)
        assert len(source) == count
    steps = [transforms.Rescale(height=32, width=32), transforms.Crop(32, 32)]
    stream = pipeline.train_batches(
        source,
        transforms=steps,
        batch_size=8,
        seed=0,
        fields=("image", "segmentation"),
    )
    batch, _ = next(stream)
    assert batch["image"].shape == (8, 32, 32, 3)
    assert set(np.unique(batch["segmentation"])) <= {0, 1, IGNORE}
