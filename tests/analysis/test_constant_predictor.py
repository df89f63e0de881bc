import numpy as np
import pytest

from jaxseg.analysis import constant_predictor, tools
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE
from jaxseg.data.spec import DataSpec


def test_an_image_by_hand():
    labels = np.array([[0, 1, 1], [IGNORE, 0, 0]])
    assert constant_predictor.counts(labels, 0).tolist() == [[0, 0, 2, 3]]
    assert constant_predictor.counts(labels, 1).tolist() == [[2, 3, 0, 0]]


def test_background_everywhere():
    data = DataSpec(name="chairs/32", split="test", count=3)
    spec = constant_predictor.Spec(name="constant_predictor", data=data)
    rows = constant_predictor.run({}, spec, tools.Tools({"data": data.open()}))
    values = {row["metric"]: row["value"] for row in rows}
    source = source_lib.open("chairs/32", split="test", count=3)
    empty = np.mean([source[i]["segmentation"] == 0 for i in range(3)])
    assert values["pixel_accuracy"] == values["pixel_accuracy_per_image"]
    assert values["pixel_accuracy"] == pytest.approx(empty)
    assert values["iou_per_image"] == values["iou_pooled"] == values["dice_pooled"] == 0
