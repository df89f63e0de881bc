"""Labels of whole images: ILSVRC, Pets, Flowers, Intel and folders of one's own."""

import pickle

import numpy as np
import pytest
import scipy.io

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.datasets import ilsvrc, pets
from jaxseg.data.readers import imagenet, labelled_images
from tests.data import trees

FOLDERS = "image_folder/classes"


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


def refused(name, root, text, split="train", **options):
    with pytest.raises(errors.UserError, match=text):
        source = opened(name, root, split, **options)
        for index in range(len(source)):
            source[index]


def labels(source):
    return [int(source[i]["label"]) for i in range(len(source))]


def write_classes(root, counts, suffix="jpg"):
    for seed, (name, count) in enumerate(counts.items()):
        for i in range(count):
            trees.write_image(root / name / f"{i}.{suffix}", seed=10 * seed + i)


# ILSVRC


def write_val(root, count=2):
    write_classes(root / "train", {"n01440764": 1})
    for i in range(1, count + 1):
        trees.write_image(root / f"val/ILSVRC2012_val_{i:08d}.JPEG", seed=i)


def write_kit(root, truth):
    rows = [(1, "n15075141"), (2, "n01440764")]
    kind = [("ILSVRC2012_ID", object), ("WNID", object)]
    root.mkdir(parents=True)
    scipy.io.savemat(root / "meta.mat", {"synsets": np.array(rows, dtype=kind)})
    (root / ilsvrc.TRUTH).write_text(truth)


def test_ilsvrc_facts():
    facts = catalogue.find("ilsvrc/2012")
    assert dict(facts.splits) == {"train": 1281167, "validation": 50000}
    assert facts.num_classes == 1000 and list(facts.classes) == sorted(facts.classes)
    assert facts.classes[::999] == ("n01440764", "n15075141")


def test_ilsvrc_folders(tmp_path):
    last = {"n15075141": 1, "n01440764": 2}
    write_classes(tmp_path / "train", last, "JPEG")
    write_classes(tmp_path / "val", {"n15075141": 1}, "JPEG")
    source = opened("ilsvrc/2012", tmp_path)
    assert labels(source) == [0, 0, 999]
    assert source[2]["id"] == "train/n15075141/0.JPEG"
    assert labels(opened("ilsvrc/2012", tmp_path, "validation")) == [999]
    write_classes(tmp_path / "train", {"cats": 1})
    refused("ilsvrc/2012", tmp_path, "no class, for example cats.*n01440764.*Fix")


@pytest.mark.parametrize("folder", ["", "ILSVRC2012_devkit_t12/data"])
def test_ilsvrc_flat_validation_by_the_kit(tmp_path, folder):
    write_val(tmp_path / "a")
    write_kit(tmp_path / "b", "1\n2\n")
    for path in (tmp_path / "b").iterdir():
        place = tmp_path / "a" / folder / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    assert labels(opened("ilsvrc/2012", tmp_path / "a", "validation")) == [999, 0]


def test_ilsvrc_flat_validation_by_the_solution(tmp_path):
    write_val(tmp_path)
    refused("ilsvrc/2012", tmp_path, "images and no classes.*Fix", "validation")
    lines = ["ImageId,PredictionString", "ILSVRC2012_val_00000001,n15075141 1 2 3 4"]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(lines))
    (tmp_path / "val/x").touch()  # the listing is kept until the folder changes
    text = "val_00000002.JPEG: its class is not listed.*Fix"
    refused("ilsvrc/2012", tmp_path, text, "validation")
    (tmp_path / "val/ILSVRC2012_val_00000002.JPEG").unlink()
    assert labels(opened("ilsvrc/2012", tmp_path, "validation")) == [999]
    (tmp_path / "LOC_val_solution.csv").write_text(f"{lines[0]}\nx,m1 1 2\n")
    (tmp_path / "val/x").unlink()
    refused("ilsvrc/2012", tmp_path, "class of x is 'm1'.*Fix", "validation")


def test_a_million_records_are_two_arrays():
    names = [f"train/{w}/{w}_{i}.JPEG" for w in imagenet.WNIDS for i in range(100)]
    images = labelled_images.Images(names, np.repeat(np.arange(1000), 100))
    assert images[99_999] == ("train/n15075141/n15075141_99.JPEG", 999)
    assert len(pickle.dumps(images)) < 5_000_000
    odd = labelled_images.Images(["a/Zoë\udcff.jpg", "b/ü.jpg"], [0, 1])
    assert odd[0].image == "a/Zoë\udcff.jpg" and odd[1] == ("b/ü.jpg", 1)


# Pets


def write_pets(root, lists):
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for name, pairs in lists.items():
        lines = ["#Image CLASS-ID SPECIES BREED ID\n"]
        lines += [f"{pet} {kind} 1 1\n" for pet, kind in pairs]
        (root / f"annotations/{name}.txt").write_text("".join(lines))
        for pet, _ in pairs:
            trees.write_image(root / f"images/{pet}.jpg")
            trees.write_mask(root / f"annotations/trimaps/{pet}.png", values=(1, 2, 3))


def test_pets_facts():
    assert len(pets.BREEDS) == 37 and len(pets.DOGS) == 25
    splits = catalogue.find("pets/trimap").splits
    assert (splits["train"], splits["test"], splits["all"]) == (3680, 3669, 7349)
    assert splits["random_train"] + splits["random_test"] == 7349
    assert catalogue.find("pets/dogs").splits["all"] == 4978


def test_pets(tmp_path):
    trainval = [("Abyssinian_1", 1), ("beagle_2", 5), ("yorkshire_terrier_3", 37)]
    write_pets(tmp_path, {"trainval": trainval, "test": [("pug_1", 26)]})
    assert labels(opened("pets/breeds", tmp_path)) == [0, 4, 36]
    assert labels(opened("pets/breeds", tmp_path, "all")) == [0, 4, 36, 25]
    assert labels(opened("pets/dogs", tmp_path)) == [3, 24]
    assert len(opened("pets/dogs_binary", tmp_path, "all")) == 3
    trimap = opened("pets/trimap", tmp_path)[0]["segmentation"]
    assert trimap[0, :3].tolist() == [0, 1, 2]
    for options, expected in (
        ({}, [1, 0, IGNORE]),
        ({"border": "pet"}, [1, 0, 1]),
        ({"border": "background"}, [1, 0, 0]),
    ):
        mask = opened("pets/binary", tmp_path, **options)[0]["segmentation"]
        assert mask[0, :3].tolist() == expected
    refused("pets/binary", tmp_path, "unknown border 'dog'", border="dog")
    refused("pets/trimap", tmp_path, "4 pets.*Fix", "random_test")
    trees.write_mask(tmp_path / "annotations/trimaps/beagle_2.png", values=(0, 1))
    refused("pets/binary", tmp_path, r"beagle_2.png: found the ids \[0, 1\].*Fix")
    write_pets(tmp_path, {"test": [("pug_1", 38)]})
    refused("pets/breeds", tmp_path, r"test.txt:2: found 'pug_1 38.*1 to 37", "test")


def test_pets_random_test_is_a_thousand_of_all(tmp_path):
    write_pets(tmp_path, {"trainval": [], "test": []})
    lines = [f"pug_{i} 26 2 1\n" for i in range(1500)]
    (tmp_path / "annotations/trainval.txt").write_text("".join(lines[:700]))
    (tmp_path / "annotations/test.txt").write_text("".join(lines[700:]))
    found = {}
    for split in ("random_train", "random_test"):
        records = opened("pets/trimap", tmp_path, split)._records
        found[split] = {record.name for record in records}
    assert len(found["random_test"]) == 1000 and len(found["random_train"]) == 500
    assert not found["random_test"] & found["random_train"]


# Flowers


def test_flowers_facts():
    facts = catalogue.find("flowers/102")
    assert facts.num_classes == 102
    assert list(facts.splits.values()) == [1020, 1020, 6149]
    facts = catalogue.find("flowers/17")
    assert facts.num_classes == 17 and list(facts.splits.values()) == [680, 340, 340]


def test_flowers_102(tmp_path):
    for i in range(1, 4):
        trees.write_image(tmp_path / f"jpg/image_{i:05d}.jpg", seed=i)
    scipy.io.savemat(tmp_path / "imagelabels.mat", {"labels": [[77, 1, 102]]})
    sets = {"trnid": [[3, 1]], "valid": [[2]], "tstid": [[4]]}
    scipy.io.savemat(tmp_path / "setid.mat", sets)
    source = opened("flowers/102", tmp_path)
    assert labels(source) == [101, 76] and source[1]["id"] == "jpg/image_00001.jpg"
    assert labels(opened("flowers/102", tmp_path, "validation")) == [0]
    refused("flowers/102", tmp_path, r"setid.mat: .*\[4\].*1 to 3.*Fix", "test")
    (tmp_path / "setid.mat").write_bytes(b"MATLAB")
    refused("flowers/102", tmp_path, "setid.mat: not a MATLAB 5 file.*Fix")
    refused("flowers/17", tmp_path, "datasplits.mat: file not found.*Fix")


def test_flowers_17(tmp_path):
    numbers = (1, 81, 1360)
    for i in numbers:
        trees.write_image(tmp_path / f"jpg/image_{i:04d}.jpg", (12, 16), seed=i)
        trees.write_mask(tmp_path / f"trimaps/image_{i:04d}.png", (6, 8), (0, 38, 14))
    sets = {"trn1": [[81, 1]], "val1": [[1360]], "trn2": [[1360]]}
    scipy.io.savemat(tmp_path / "datasplits.mat", sets)
    scipy.io.savemat(tmp_path / "trimaps/imlist.mat", {"imlist": [[1, 1269, 81]]})
    assert labels(opened("flowers/17", tmp_path)) == [1, 0]
    assert labels(opened("flowers/17", tmp_path, "validation")) == [16]
    assert labels(opened("flowers/17", tmp_path, division=2)) == [16]
    refused("flowers/17", tmp_path, "division=4; allowed.*Fix", division=4)
    source = opened("flowers/17_masks", tmp_path)
    assert len(source) == 2 and dict(source.dataset.splits) == {"train": 2}
    mask = source[0]["segmentation"]
    assert mask.shape == (12, 16) and mask[0, :6].tolist() == [0, 0, 1, 1, 0, 0]


# Intel


@pytest.mark.parametrize("home", ["{}", "{0}/{0}"])
def test_intel(tmp_path, home):
    facts = catalogue.find("intel/6")
    assert dict(facts.splits) == {"train": 14034, "test": 3000}
    write_classes(tmp_path / home.format("seg_train"), {"street": 1, "buildings": 2})
    write_classes(tmp_path / home.format("seg_test"), {"sea": 1})
    assert labels(opened("intel/6", tmp_path)) == [0, 0, 5]
    assert labels(opened("intel/6", tmp_path, "test")) == [4]


# Folders of one's own


def test_class_folders_are_divided(tmp_path):
    write_classes(tmp_path, {"dog": 4, "cat": 6})
    train, validation = (
        opened(FOLDERS, tmp_path),
        opened(FOLDERS, tmp_path, "validation"),
    )
    assert train.dataset.classes == ("cat", "dog")
    assert (len(train), len(validation)) == (8, 2)
    both = [
        source[i]["id"] for source in (train, validation) for i in range(len(source))
    ]
    assert len(set(both)) == 10 and sum(labels(train) + labels(validation)) == 4
    assert labels(opened(FOLDERS, tmp_path, classes=["dog", "cat"])) != labels(train)
    refused(FOLDERS, tmp_path, "no class, for example dog.*Fix", classes=["cat"])


def test_split_folders_of_classes(tmp_path):
    write_classes(tmp_path / "train", {"b": 2, "a": 1})
    write_classes(tmp_path / "val", {"b": 1, "c": 1})
    source = opened(FOLDERS, tmp_path)
    assert source.dataset.classes == ("a", "b", "c")
    assert labels(source) == [0, 1, 1]
    assert labels(opened(FOLDERS, tmp_path, "validation")) == [1, 2]
    write_classes(tmp_path / "valid", {"b": 1})
    refused(FOLDERS, tmp_path, "val and valid both hold.*Fix")


def test_folders_that_are_both_splits_and_classes_are_refused(tmp_path):
    write_classes(tmp_path / "train", {"b": 2})
    write_classes(tmp_path, {"cats": 1})
    refused(FOLDERS, tmp_path, "split train and cats.*Fix")
    (tmp_path / "empty").mkdir()
    refused(FOLDERS, tmp_path / "empty", "found no folders.*Fix")


def test_a_new_image_and_a_moved_one_change_the_fingerprint(tmp_path):
    write_classes(tmp_path, {"a": 3, "b": 3})
    seen = [catalogue.fingerprint(FOLDERS, root=tmp_path)]
    write_classes(tmp_path, {"a": 4})
    seen.append(catalogue.fingerprint(FOLDERS, root=tmp_path))
    assert len(opened(FOLDERS, tmp_path)) == 6
    (tmp_path / "a/3.jpg").rename(tmp_path / "b/3.jpg")
    seen.append(catalogue.fingerprint(FOLDERS, root=tmp_path))
    assert len(set(seen)) == 3
    (tmp_path / "a/notes.txt").write_text("not an image")
    assert catalogue.fingerprint(FOLDERS, root=tmp_path) == seen[-1]


def test_real_folders(real_data):
    root = real_data / "clothing_small"
    splits = {"train": 160, "validation": 40, "test": 40}
    source = opened(FOLDERS, root)
    assert dict(source.dataset.splits) == splits and source.dataset.num_classes == 10
    assert source.dataset.classes[::9] == ("dress", "t-shirt")
    for split, count in splits.items():
        images = opened(FOLDERS, root, split)
        found = [images[i]["label"] for i in range(0, len(images), count // 10)]
        assert [int(label) for label in found] == list(range(10))
