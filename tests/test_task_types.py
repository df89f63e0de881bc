"""All four task types through `main`: sources and targets of each, gains, pictures."""

import csv

import numpy as np
import pytest
from PIL import Image

import jaxseg
from jaxseg import main
from jaxseg.core import jsonl

SOURCES = "driving_day+driving_day@detection+closeups_dogs@keypoints+driving_day@depth"
TARGETS = "driving_night@detection+closeups_insects@keypoints+driving_night@depth"
SMALL = (
    ",seeds=1,target_images=4,source_images=4,pretraining_images=4,target_steps=1,"
    "source_steps=1,pretraining_steps=1"
)
FEWER = ["--set", r".*/datasets=[]", "--set", r".*/evaluations/.*/count=4"]
METRICS = {"detection": "ap50", "keypoints": "ap50", "depth": "rmse"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("types")
    config = f"configs/factors.py:sources={SOURCES},targets={TARGETS}{SMALL}"
    assert main.main([f"--config={config}", f"--workdir={workdir}", *FEWER]) == 0
    return workdir


def rows(workdir, name):
    with open(workdir / "report" / name, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.release  # a minute or more
def test_every_task_type_is_target_and_source(study):
    cells = [r for r in rows(study, "results.csv") if r["setting"] == "small"]
    assert {r["target_task"]: r["metric"] for r in cells} == METRICS
    starts = {r["source"] for r in cells if r["target"] == "driving_night@detection"}
    assert starts == {
        "websearch",
        "random",
        "driving_day",
        "driving_day@detection",
        "driving_day@depth",
    }
    gains = {(r["target"], r["source"]): r for r in rows(study, "gains.csv")}
    depth = gains["driving_night@depth", "driving_day@depth"]
    value, base = float(depth["value"]), float(depth["baseline"])
    if not depth["gain"]:  # one step need not be enough to learn anything
        assert depth["note"].startswith("baseline not learned")
    else:  # fewer metres of error are a gain
        assert float(depth["gain"]) == pytest.approx(-100 * (value / base - 1))


@pytest.mark.release
def test_each_is_drawn_and_predicts(study):
    for row in rows(study, "results.csv"):
        folder = study / "artifacts" / row["artifact"][:20]
        if row["setting"] != "small" or row["source"] != "random":
            continue
        for name in ("image", "truth", "prediction"):
            with Image.open(folder / "samples" / f"000_{name}.png") as picture:
                assert picture.mode == "RGB"
        model = jaxseg.load(folder)
        image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
        found = model(image)
        if row["target_task"] == "depth":
            assert found.shape == (50, 70) and (found > 0).all()
            continue
        assert found["boxes"].shape == (100, 4) and found["scores"].shape == (100,)
        assert found["boxes"].max() <= 70 and found["boxes"].min() >= 0
        if row["target_task"] == "keypoints":
            assert found["keypoints"].shape == (100, 6, 3)
        receipt = jsonl.read_json(folder / "receipt.json")
        assert receipt == []
