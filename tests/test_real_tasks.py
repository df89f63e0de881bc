"""Each task type on real samples, through `main`: two steps, metrics, pictures."""

import pytest
from PIL import Image

from jaxseg import main
from jaxseg.core import jsonl

CASES = {  # task: data set, folder of the real samples
    "segmentation": ("folder/segmentation", "human_segmentation"),
    "detection": ("coco/instances", "coco128"),
    "keypoints": ("lsp/extended", "lsp_extended"),
    "depth": ("seven_scenes/depth", "rgbd_7scenes"),
}
HEADLINES = {
    "segmentation": "iou_pooled",
    "detection": "map",
    "keypoints": "ap50",
    "depth": "rmse",
}


@pytest.mark.slow  # a program for each task
@pytest.mark.parametrize(
    "task",
    [
        pytest.param("segmentation", marks=pytest.mark.release),
        "detection",
        pytest.param("keypoints", marks=pytest.mark.release),
        pytest.param("depth", marks=pytest.mark.release),
    ],
)
def test_two_steps_on_real_samples(task, real_data, tmp_path):
    name, folder = CASES[task]
    config = f"configs/single.py:data={name},root={real_data / folder},task={task}"
    more = ["--set", "stages/model/data/size=[64, 96]"]
    if task == "segmentation":
        more += ["--set", "stages/model/task/binary=true"]
        text = '{"binary": true, "mask_size": "resize"}'
        more += ["--set", f"stages/model/data/options={text}"]
    arguments = [f"--config={config},steps=2,batch=4,count=8", *more]
    assert main.main([*arguments, f"--workdir={tmp_path}"]) == 0
    (artifact,) = (tmp_path / "artifacts").iterdir()
    manifest = jsonl.read_json(artifact / "manifest.json")
    (headline,) = (m for m in manifest["metrics"] if m["headline"])
    assert headline["name"] == HEADLINES[task] and 0 <= headline["value"] < 20
    with Image.open(artifact / "samples" / "000_truth.png") as picture:
        assert picture.mode == "RGB" and min(picture.size) > 50
