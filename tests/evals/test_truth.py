"""The truth taken for a prediction is perfect, unless reader and metric disagree."""

import pytest

from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.evals import truth
from jaxseg.tasks import detection


@pytest.mark.parametrize("name", ["worlds/driving_day", "worlds/websearch"])
def test_embedded_worlds(name):
    found = truth.scores(source_lib.open(name, split="validation", count=20))
    assert all(value == pytest.approx(1) for value in found.values())
    labelled = "label" in catalogue.find(name).fields
    names = (
        {"classification top1"} if labelled else {"segmentation miou", "depth delta1"}
    )
    assert names <= set(found)
    assert labelled or {"detection ap50", "keypoints ap"} <= set(found)


REAL = {
    "coco/instances": ("coco128", {}, "detection map"),
    "lsp/extended": ("lsp_extended", {}, "keypoints ap"),
    "seven_scenes/depth": ("rgbd_7scenes", {}, "depth delta1"),
    "camvid/11": ("camvid", {}, "segmentation miou"),
    "image_folder/classes": ("clothing_small", {}, "classification top1"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_samples(name, real_data):
    folder, options, metric = REAL[name]
    source = source_lib.open(
        name, split="validation", root=real_data / folder, options=options
    )
    found = truth.scores(source.select(range(10)))
    assert found[metric] == pytest.approx(1)


def test_a_metric_that_disagrees_is_noticed(monkeypatch):
    source = source_lib.open("worlds/driving_day", split="validation", count=20)
    wrong = lambda places, batch: detection_to_pixels(places, batch)[..., [1, 0, 3, 2]]
    detection_to_pixels = detection.to_pixels
    monkeypatch.setattr(detection, "to_pixels", wrong)
    assert truth.scores(source)["detection ap50"] < 0.9
