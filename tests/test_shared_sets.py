"""Every set of the real samples: whole but for known defects, and twenty steps long."""

import json
import math

import pytest

from configs import common
from jaxseg.core import jsonl
from jaxseg.core import manifest as manifests
from jaxseg.data import __main__ as command
from jaxseg.transfer import run as runs

PANOPTIC = "panoptic_segmentation/annotations/panoptic"
LAYOUTS = "official_layouts"
LINKED = {"outside": True}  # their folders are links
# name: (data set, folder, options, task, split to train on, split to evaluate)
SETS = {
    "camvid": ("camvid/11", "camvid", {}, "segmentation", "train", "validation"),
    "human": (
        "folder/segmentation",
        "human_segmentation",
        {"binary": True, "mask_size": "resize"},
        "segmentation",
        "train",
        "validation",
    ),
    "panoptic": (
        "coco/panoptic134",
        "coco128",
        {"annotations": {"train": f"{PANOPTIC}_train2017.json"}},
        "segmentation",
        "train",
        "train",
    ),
    "coco": ("coco/instances", "coco128", {}, "detection", "train", "validation"),
    "yolo": (
        "yolo/boxes",
        "coco128",
        {
            "names": "object_detection/config.yaml",
            "labels": "object_detection/labels",
        },
        "detection",
        "train",
        "validation",
    ),
    "bccd": ("voc/boxes", "bccd", {}, "detection", "train", "validation"),
    "lsp": ("lsp/extended", "lsp_extended", {}, "keypoints", "train", "validation"),
    "lsp_json": (
        "coco/keypoints",
        "lsp_extended",
        {},
        "keypoints",
        "train",
        "validation",
    ),
    "scenes": (
        "seven_scenes/depth",
        "rgbd_7scenes",
        {},
        "depth",
        "train",
        "validation",
    ),
    "clothing": (
        "image_folder/classes",
        "clothing_small",
        {},
        "classification",
        "train",
        "validation",
    ),
    "coco_keypoints": (
        "coco/keypoints",
        f"{LAYOUTS}/keypoints/coco",
        {"annotations": {"train": "test_coco.json"}},
        "keypoints",
        "train",
        "train",
    ),
    "mpii": (
        "mpii/person",
        f"{LAYOUTS}/keypoints/mpii",
        {"annotations": {"train": "test_mpii.json"}, "images": "."},
        "keypoints",
        "train",
        "train",
    ),
    "cityscapes": (
        "cityscapes/19",
        f"{LAYOUTS}/segmentation/pseudo_cityscapes_dataset",
        {},
        "segmentation",
        "validation",
        "validation",
    ),
    "nyu": (
        "nyu/depth",
        f"{LAYOUTS}/segmentation/pseudo_nyu_dataset",
        {},
        "depth",
        "train",
        "train",
    ),
    "ade20k": ("ade20k/150", "ade20k", LINKED, "segmentation", *["validation"] * 2),
    "suim": ("suim/8", "suim", LINKED, "segmentation", "test", "test"),
}
# Folders of the samples that hold a part of the official tree. The training split,
# which mean and deviation are taken from, is the same few images.
SAMPLES = {
    "ade20k": {
        f"{folder}/{split}": f"ade20k_sample/{folder}"
        for folder in ("images", "annotations")
        for split in ("training", "validation")
    },
    "suim": {"train_val": "suim_sample", "test": "suim_sample"},
}
CUT = ("cityscapes/19", "ade20k/150", "suim/8")
LARGE = ("human", "panoptic")


@pytest.fixture
def place(request, real_data, tmp_path):
    """(data set, root, options, task, split to train on, split to evaluate)."""
    name, folder, *rest = SETS[request.param]
    root = real_data / folder
    if folder in SAMPLES:
        root = tmp_path / folder
        for own, theirs in SAMPLES[folder].items():
            (root / own).parent.mkdir(parents=True, exist_ok=True)
            (root / own).symlink_to(real_data / LAYOUTS / "segmentation" / theirs)
    return name, root, *rest


@pytest.mark.slow  # reads all of them
@pytest.mark.parametrize(
    "place",
    [
        pytest.param(name, marks=pytest.mark.release if name in LARGE else ())
        for name in SETS
    ],
    indirect=True,
)
def test_check_finds_only_known_defects(place, tmp_path):
    name, root, options, _, split, _ = place
    report = tmp_path / "report.json"
    arguments = ["check", name, "--root", root, "--split", split, "--json", report]
    arguments += ["--options", json.dumps(options)]
    code = command.main([str(argument) for argument in arguments])
    found = jsonl.read_json(report)["splits"][split]
    fatal = {problem["kind"] for problem in found["problems"] if problem["fatal"]}
    # Samples of official sets are a few images of them, and that is said.
    assert fatal == ({"count"} if name in CUT else set()), found["problems"]
    assert code == bool(fatal) and found["records"] > 0


@pytest.mark.release  # a program for nearly each
@pytest.mark.parametrize("place", SETS, indirect=True)
def test_twenty_steps(place, tmp_path):
    name, root, options, task, split, judged = place
    stage = common.train(
        dict(name=name, root=str(root), split=split, options=options, size=[64, 96]),
        task={"name": task},
        model=common.model("tiny", task),
        evaluations={"judged": {"split": judged}},
        headline="judged",
        steps=20,
        batch_size=8,
        lr=0.003,
    )
    outcome = runs.run({"study": "twenty", "stages": {"x": stage}}, tmp_path / "run")
    assert outcome.ok, outcome.errors
    (folder,) = (tmp_path / "run" / "artifacts").iterdir()
    manifest = manifests.read(folder)
    assert manifest["steps"] == 20
    assert all(math.isfinite(metric["value"]) for metric in manifest["metrics"])
    assert list((folder / "samples").glob("*_truth.png")) or task == "classification"
