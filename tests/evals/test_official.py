"""The evaluator on files of COCO's format against pycocotools on the same files."""

import contextlib
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from pycocotools import coco, cocoeval

from jaxseg.core import images
from jaxseg.data import source as source_lib
from jaxseg.data.normalization import Normalize
from jaxseg.evals import evaluator, predictor
from jaxseg.metrics import detection, keypoints
from jaxseg.tasks import build

SIZES = ((120, 160), (200, 90), (64, 64), (300, 260), (150, 150))
POINTS = ("nose", "tail", "left_ear", "right_ear")
ALL, SOME, NONE = 6 * len(SIZES), " where the data have none", ""
WHOLE = "whole image, one scale 120x120"
SIGMAS = keypoints.default_sigmas(len(POINTS))
KINDS = {  # task: (variant, name of the file, kind of pycocotools, its numbers' names)
    "detection": ("instances", "instances", "bbox", detection.COCO_NAMES),
    "keypoints": ("keypoints", "person_keypoints", "keypoints", keypoints.NAMES),
}


def content(task, areas):
    """Objects whose segments fill a tenth of their boxes, some of them crowds.

    areas: of how many of the first objects the file says them.
    """
    rng, found = np.random.default_rng(0), []
    for number, size in enumerate(SIZES):
        for _ in range(6):
            sides = np.array(size) * rng.uniform(0.2, 0.6, 2)
            row, col = (np.array(size) - sides) * rng.uniform(0, 1, 2)
            entry = {"id": len(found) + 1, "image_id": number + 1}
            entry |= {"category_id": int(rng.integers(1, 3)), "iscrowd": 0}
            entry |= {"bbox": [col, row, *sides[::-1]]}
            if len(found) < areas:
                entry["area"] = 0.1 * sides.prod()
            if task == "keypoints":
                places = np.array([col, row]) + rng.uniform(0, 1, (4, 2)) * sides[::-1]
                flat = np.concatenate([places, np.full((4, 1), 2)], axis=1).ravel()
                entry |= {"keypoints": flat.tolist(), "num_keypoints": 4}
                entry["category_id"] = 1
            elif not len(found) % 7:
                entry["iscrowd"] = 1
            found.append(entry)
    names = ["cat", "dog"] if task == "detection" else ["cat"]
    points = {"keypoints": list(POINTS), "skeleton": []} if task == "keypoints" else {}
    return {
        "images": [
            {"id": n + 1, "file_name": f"{n}.png", "height": size[0], "width": size[1]}
            for n, size in enumerate(SIZES)
        ],
        "annotations": found,
        "categories": [{"id": n + 1, "name": x} | points for n, x in enumerate(names)],
    }


def results(task, truth):
    """Results of COCO's format: each object a little off, in an order of scores."""
    rng, found = np.random.default_rng(1), []
    for entry in truth["annotations"]:
        result = {key: entry[key] for key in ("image_id", "category_id", "bbox")}
        x, y, width, height = entry["bbox"]
        moved = np.array([width, height]) * rng.normal(0, 0.1, 2)
        result |= {"score": float(rng.uniform(0.1, 1))}
        if task == "keypoints":
            del result["bbox"]
            points = np.reshape(entry["keypoints"], (4, 3)).copy()
            points[:, :2] += rng.normal(0, 0.04, (4, 2)) * [width, height]
            result["keypoints"] = points.ravel().tolist()
        else:
            limits = np.array(SIZES[entry["image_id"] - 1])[::-1]
            low = np.clip(np.array([x, y]) + moved, 0, limits)
            high = np.clip(np.array([x + width, y + height]) + moved, 0, limits)
            result["bbox"] = [*low, *(high - low)]
        found.append(result)
    return found


def official(path, found, kind):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(path))
        run = cocoeval.COCOeval(truth, truth.loadRes(found), kind)
        if kind == "keypoints":
            run.params.kpt_oks_sigmas = np.array(SIGMAS)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


def as_predictions(task, found, canvas):
    """What the task's `decode` gives for each image, on its canvas."""
    made = []
    for number, size in enumerate(SIZES):
        own = [one for one in found if one["image_id"] == number + 1]
        factor = min(n / m for n, m in zip(canvas, size))
        scale = np.array(images.scaled_size(size, factor)) / size / canvas
        boxes, points = np.zeros((10, 4), "f4"), np.zeros((10, 4, 3), "f4")
        scores, labels = np.zeros(10, "f4"), np.full(10, -1, "i4")
        for place, one in enumerate(own):
            scores[place], labels[place] = one["score"], one["category_id"] - 1
            if task == "keypoints":
                flat = np.reshape(one["keypoints"], (4, 3))
                points[place, :, :2] = flat[:, [1, 0]] * scale
            else:
                x, y, width, height = one["bbox"]
                box = np.array([y, x, y + height, x + width])
                boxes[place] = box * np.tile(scale, 2)
        entry = {"boxes": boxes, "scores": scores, "box_labels": labels}
        made.append(entry | ({"keypoints": points} if task == "keypoints" else {}))
    return {name: np.stack([one[name] for one in made]) for name in made[0]}


@pytest.mark.parametrize("areas, said", [(ALL, None), (20, SOME), (0, NONE)])
@pytest.mark.parametrize("task", KINDS)
def test_the_same_numbers(task, areas, said, tmp_path, monkeypatch):
    """Other splits have areas, which say nothing of this one."""
    variant, prefix, kind, names = KINDS[task]
    truth, canvas = content(task, areas), (120, 120)
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for number, size in enumerate(SIZES):
            picture = Image.fromarray(np.full((*size, 3), number, np.uint8))
            picture.save(tmp_path / split / f"{number}.png")
    path = tmp_path / "annotations" / f"{prefix}_val.json"
    path.parent.mkdir()
    path.write_text(json.dumps(truth))
    other = path.with_name(f"{prefix}_train.json")
    other.write_text(json.dumps(content(task, ALL)))
    found = results(task, truth)
    predictions = as_predictions(task, found, canvas)

    def run(self, variables, views, out):
        numbers = views[0]["image"][:, 0, 0, 0].astype(int)
        return jax.tree.map(lambda x: jnp.asarray(x)[numbers], predictions), None

    monkeypatch.setattr(predictor.Predictor, "run", run)
    source = source_lib.open(f"coco/{variant}", split="validation", root=tmp_path)
    outputs = build.outputs({"name": task}, source.dataset)
    predict = predictor.Predictor(
        {}, {"name": task}, outputs, canvas, Normalize(), batch_size=2
    )
    values, _, protocol = evaluator.Evaluator(predict, source, 1).measure({})
    factor = 1.0 if task == "detection" else 0.53
    for entry in truth["annotations"]:
        entry.setdefault("area", factor * entry["bbox"][2] * entry["bbox"][3])
    path.write_text(json.dumps(truth))
    wanted = official(path, found, kind)
    for name, number in zip(names, wanted):
        assert values.get(name, -1) == pytest.approx(number, abs=1e-6), name
    words = "sizes by areas" if task == "detection" else "OKS by 0.53 of the areas"
    assert protocol == WHOLE + ("" if said is None else f", {words} of boxes{said}")
