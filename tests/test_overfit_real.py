"""Detection and keypoints learn eight real images by heart."""

import pytest

from jaxseg.transfer import run as runs
from jaxseg.transfer import store

CASES = {  # task: data set, folder of the real samples, head and its width
    "detection": ("coco/instances", "coco128", "centernet", 64),
    "keypoints": ("lsp/extended", "lsp_extended", "keypoints", 32),
}


@pytest.mark.release  # minutes of training
@pytest.mark.parametrize("task", CASES)
def test_eight_real_images(task, real_data, tmp_path):
    name, folder, head, width = CASES[task]
    data = {"name": name, "root": str(real_data / folder), "count": 8}
    stage = {
        "kind": "train",
        "data": data | {"size": [128, 128], "augment": [{"name": "letterbox", **SIZE}]},
        "evaluations": {"validation": {"split": "train"}},
        "task": {"name": task} | ({"headline": "ap50"}),
        "model": {
            "backbone": {"name": "hrnet", "variant": "tiny"},
            "head": {"name": head, "width": width},
        },
        "steps": 400,
        "batch_size": 8,
        "lr": 0.003,
        "eval_every": 200,
    }
    outcome = runs.run({"stages": {"model": stage}}, tmp_path)
    assert outcome.ok, outcome.errors
    box = store.Store(tmp_path)
    (key,) = box.stored()
    values = {m["name"]: m["value"] for m in box.manifest(key)["metrics"]}
    print(task, values)
    assert values["ap50"] > 0.9


SIZE = {"height": 128, "width": 128}
