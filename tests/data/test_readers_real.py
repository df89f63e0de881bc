"""Readers of boxes and keypoints on the real samples: counts, first examples."""

import json

import numpy as np
import pytest

from jaxseg.data import __main__ as command
from jaxseg.data import source as source_lib


def opened(name, root, split="train", **options):
    return source_lib.open(name, split=split, root=root, options=options)


YOLO = {"names": "object_detection/config.yaml", "labels": "object_detection/labels"}
REAL = [
    ("coco/instances", "coco128", {}, {"train": (128, 929), "validation": (128, 898)}),
    ("yolo/boxes", "coco128", YOLO, {"train": (128, 929), "validation": (128, 898)}),
    (
        "voc/boxes",
        "bccd",
        {},
        {"train": (205, 2804), "validation": (87, 1137), "test": (72, 945)},
    ),
    (
        "coco/keypoints",
        "official_layouts/keypoints/coco",
        {"annotations": {"train": "test_coco.json"}},
        {"train": (4, 14)},
    ),
    ("coco/keypoints", "lsp_extended", {}, {"train": (240, 240)}),
    ("lsp/extended", "lsp_extended", {}, {"train": (240, 240), "validation": (60, 60)}),
]


@pytest.mark.parametrize(("name", "folder", "options", "counts"), REAL)
def test_real_counts(real_data, name, folder, options, counts):
    for split, (records, objects) in counts.items():
        source = opened(name, real_data / folder, split, **options)
        assert len(source) == records
        assert sum(len(source[i]["boxes"]) for i in range(records)) == objects


@pytest.mark.slow
@pytest.mark.parametrize(("name", "folder", "options", "counts"), REAL)
def test_real_samples_are_whole(real_data, capsys, name, folder, options, counts):
    arguments = ["check", name, "--root", str(real_data / folder)]
    assert command.main([*arguments, "--options", json.dumps(options)]) == 0
    assert "0 problems" in capsys.readouterr().out


def test_first_real_examples(real_data):
    first = opened("coco/instances", real_data / "coco128")[0]
    assert first["id"] == "000000000009.jpg" and first["image"].shape == (480, 640, 3)
    x, y, width, height = 1.08, 187.69, 611.59, 285.84  # annotation 1, a bowl
    expected = [y / 480, x / 640, (y + height) / 480, (x + width) / 640]
    np.testing.assert_allclose(first["boxes"][0], expected, rtol=1e-5)
    facts = opened("coco/instances", real_data / "coco128").dataset
    assert facts.classes[first["box_labels"][0]] == "bowl" and facts.num_classes == 80
    first = opened("voc/boxes", real_data / "bccd")[0]
    expected = np.array([314, 67, 480, 286]) / [480, 640, 480, 640]
    np.testing.assert_allclose(first["boxes"][0], expected, rtol=1e-6)
    assert first["id"] == "BloodImage_00001" and first["box_labels"][0] == 2  # WBC


def test_real_layouts_of_the_same_data_agree(real_data):
    root = real_data / "coco128"
    pairs = [opened("coco/instances", root), opened("yolo/boxes", root, **YOLO)]
    for index in range(0, 128, 8):
        one, two = (source[index] for source in pairs)
        np.testing.assert_allclose(one["boxes"], two["boxes"], atol=1e-5)
        np.testing.assert_array_equal(one["box_labels"], two["box_labels"])
    root = real_data / "lsp_extended"
    people = opened("coco/keypoints", root)
    by_name = {people[i]["id"]: people[i] for i in range(len(people))}
    source = opened("lsp/extended", root)
    assert source.dataset.flip_pairs == people.dataset.flip_pairs
    for index in range(0, 240, 8):
        one = source[index]
        two = by_name.get(f"{one['id']}.jpg", one)
        np.testing.assert_allclose(one["keypoints"], two["keypoints"], atol=1e-4)
        np.testing.assert_allclose(one["boxes"], two["boxes"], atol=1e-3)
