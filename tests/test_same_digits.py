"""Training's own evaluation, `jaxseg.evaluate` and the loaded model: the same digits.

On a set with other statistics than those of the training set, with images of several
sizes, an odd last batch, and another batch size in each of the three.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxseg
from jaxseg import evaluate
from jaxseg.core import jsonl
from jaxseg.data import spec as data_spec
from jaxseg.tasks import build
from jaxseg.transfer import run as runs
from tests import tiny

SIZES = ((64, 64), (40, 90), (96, 50), (64, 64), (33, 47))
CLASSES = ("a", "b", "c")
POINTS = ("nose", "tail")
READERS = {  # task: (data set, head, options of the reader)
    "segmentation": ("folder/segmentation", "linear", {"classes": list(CLASSES)}),
    "detection": ("coco/instances", "centernet", {}),
    "keypoints": ("coco/keypoints", "keypoints", {}),
    "depth": ("depth/folder", "depth", {}),
    "classification": ("image_folder/classes", "pooled", {"classes": list(CLASSES)}),
}


def pictures(sizes, low, high, seed):
    rng = np.random.default_rng(seed)
    small = [rng.uniform(low, high, (-(-h // 8), -(-w // 8), 3)) for h, w in sizes]
    blocks = [x.repeat(8, axis=0).repeat(8, axis=1) for x in small]
    return [x[:h, :w].astype(np.uint8) for x, (h, w) in zip(blocks, sizes)]


def both_sets(task):
    """Pictures to train on, dark, and to evaluate on, brighter in the mean.

    Shades of grey are classes, so that what they are taken for hangs on what they are
    normalized by: some of the dark ones and some that are brighter than any.
    """
    if task != "classification":
        dark = pictures([(64, 64)] * 4, 10, 80, seed=0)
        return dark, pictures(SIZES, 140, 250, seed=1)
    return [
        [x for n, s in enumerate(sizes) for x in pictures([s], *shades[n], seed=n)]
        for sizes, shades in (
            ([(64, 64)] * 6, [(10, 20), (40, 50), (70, 80)] * 2),
            (SIZES, [(10, 20), (40, 50), (70, 80), (200, 250), (200, 250)]),
        )
    ]


def placeholder(task, number, size):
    """Some truth; only of shades of grey a model is asked to learn it."""
    rows, cols = np.indices(size)
    return {
        "segmentation": ((rows + cols) // 30 % len(CLASSES)).astype(np.uint8),
        "depth": (1 + rows / 20).astype(np.float32),
        "classification": number % len(CLASSES),
        "detection": [(4.0, 5.0, 20.0, 24.0, number % len(CLASSES))],
        "keypoints": [(4.0, 5.0, 20.0, 24.0, [[6.0, 8.0], [17.0, 19.0]])],
    }[task]


def from_prediction(task, found, number, size):
    """A truth that the model meets in part, so that no metric is 0 or 1."""
    if task == "segmentation":
        truth = found.astype(np.uint8)
        truth[: size[0] // 3] = number % len(CLASSES)
        return truth
    if task == "depth":
        return (np.maximum(found, 0.1) * 1.2).astype(np.float32)
    if task == "classification":
        return int(found) if number else (int(found) + 1) % len(CLASSES)
    there = np.flatnonzero(found["box_labels"] >= 0)
    order = there[np.argsort(-found["scores"][there])][: 3 + number]
    boxes = found["boxes"][order].astype(float)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    half = np.maximum(half * 0.9, 2.0 if task == "detection" else 8.0)
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    if task == "detection":
        return [(*box, int(c)) for box, c in zip(boxes, found["box_labels"][order])]
    points = found["keypoints"][order, :, :2].astype(float) + 0.3
    return [(*box, point.tolist()) for box, point in zip(boxes, points)]


def write_coco(root, task, split, images, truths):
    """A file of COCO's; segments fill a third of their boxes."""
    prefix = "instances" if task == "detection" else "person_keypoints"
    named = {"keypoints": list(POINTS), "skeleton": []} if task == "keypoints" else {}
    names = CLASSES if task == "detection" else ("animal",)
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.png", "height": len(x), "width": x.shape[1]}
            for n, x in enumerate(images)
        ],
        "categories": [{"id": n, "name": name} | named for n, name in enumerate(names)],
        "annotations": [],
    }
    for number, objects in enumerate(truths):
        for row0, col0, row1, col1, last in objects:
            height, width = row1 - row0, col1 - col0
            entry = {"id": len(content["annotations"]) + 1, "image_id": number}
            entry |= {"bbox": [col0, row0, width, height], "area": height * width / 3}
            entry |= {"iscrowd": 0, "category_id": last if task == "detection" else 0}
            if task == "keypoints":
                flat = [value for row, col in last for value in (col, row, 2)]
                entry |= {"keypoints": flat, "num_keypoints": len(last)}
            content["annotations"].append(entry)
    path = root / "annotations" / f"{prefix}_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write(root, task, split, images, truths):
    """A set as its reader wants it."""
    objects = task in ("detection", "keypoints")
    if objects:
        write_coco(root, task, split, images, truths)
    for number, (image, truth) in enumerate(zip(images, truths, strict=True)):
        folder = root / "images" / split
        if objects:
            folder = root / split
        if task == "classification":
            folder = root / split / CLASSES[truth]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
        if task in ("segmentation", "depth"):
            name = "masks" if task == "segmentation" else "depth"
            labels = root / name / split
            labels.mkdir(parents=True, exist_ok=True)
            if task == "depth":
                np.save(labels / f"{number}.npy", truth)
            else:
                Image.fromarray(truth).save(labels / f"{number}.png")


def trained(workdir, task, root, other):
    """A model trained on `root` and evaluated on `other`: (its folder, metrics)."""
    name, head, options = READERS[task]
    lr, steps = (0.01, 60) if task == "classification" else (0.001, 8)
    section = tiny.train(
        data={"name": name, "root": str(root), "options": options, "size": [64, 96]},
        evaluations={"validation": {"root": str(other)}},
        task={"name": task},
        model=tiny.MODEL | {"head": {"name": head}},
        lr=lr,
        steps=steps,
        samples=0,
    )
    config = {"study": "digits", "stages": {"x": section}}
    outcome = runs.run(config, workdir)
    assert outcome.ok, outcome.errors
    folder = workdir / "artifacts" / tiny.plan(config).by_name["x"].key[:20]
    rows = jsonl.read_json(folder / "manifest.json")["metrics"]
    return folder, {row["name"]: row["value"] for row in rows}


def afterwards(folder, task, other, path):
    name, _, options = READERS[task]
    arguments = [f"--artifact={folder}", f"--data={name}", f"--root={other}"]
    arguments += [f"--options={json.dumps(options)}", "--batch=3", f"--output={path}"]
    assert evaluate.main(arguments) == 0
    return jsonl.read_json(path)["metrics"]


def one_by_one(folder, task, other):
    """The metric fed with what the loaded model says of each image."""
    model, (name, _, options) = jaxseg.load(folder), READERS[task]
    data = {"name": name, "split": "validation", "root": str(other)}
    source = data_spec.DataSpec(**data, options=options).open()
    outputs = model.manifest["outputs"][model.head]
    built = build.task(model.task_section, outputs)
    metric = built.metric()
    state = metric.zeros()
    for index in range(len(source)):
        example = source[index]
        state = metric.merge(state, rows(built, model(example["image"]), example))
    return metric.compute(state, source.dataset.classes)


def rows(task, found, example):
    """What the metric merges of one image; its boxes and points are in pixels."""
    size = np.array([example["image"].shape[:2]], np.int32)
    batch = {k: np.asarray(x)[None] for k, x in example.items() if k != "id"}
    batch |= {"valid": np.array([True]), "label_size": size, "scaled": size}
    found = jax.tree.map(lambda x: np.asarray(x)[None], found)
    counts = task.update(*jax.tree.map(jnp.asarray, (found, batch)))
    made = task.rows(counts, found, batch)
    if isinstance(made, dict):
        made |= {k: found[k] for k in ("boxes", "keypoints") if k in made}
    return made


@pytest.mark.slow  # a program for each task
@pytest.mark.parametrize(
    "task",
    [
        "segmentation",
        *(
            pytest.param(name, marks=pytest.mark.release)
            for name in ("detection", "keypoints", "depth", "classification")
        ),
    ],
)
def test_three_ways_to_the_same_digits(task, tmp_path):
    train, plain, other = (tmp_path / name for name in ("train", "plain", "other"))
    dark, bright = both_sets(task)
    truths = [placeholder(task, n, (64, 64)) for n in range(len(dark))]
    write(train, task, "train", dark, truths)
    truths = [placeholder(task, n, size) for n, size in enumerate(SIZES)]
    write(plain, task, "val", bright, truths)
    folder, _ = trained(tmp_path / "work", task, train, plain)
    model = jaxseg.load(folder)
    found = [model(image) for image in bright]
    truths = [
        from_prediction(task, one, n, size)
        for n, (one, size) in enumerate(zip(found, SIZES))
    ]
    write(other, task, "val", bright, truths)
    folder, during = trained(tmp_path / "work", task, train, other)
    after = afterwards(folder, task, other, tmp_path / "found.json")
    alone = one_by_one(folder, task, other)
    close = pytest.approx(during, rel=1e-5) if task == "depth" else during
    assert after == close and alone == close
    headline = model.manifest["metrics"][0]["name"]
    assert 0 < during[headline] != 1
    if task == "classification":
        assert len({int(label) for label in found}) == len(CLASSES)
