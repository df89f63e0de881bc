"""A finished chairs study with the columns of `report/studies/chairs.py`."""

import json

import numpy as np

from tests.report import workdirs

BACKBONES = {
    "U-Net": "unet/small",
    "FCN-VGG-16": "vgg/small",
    "FCN-ResNet-50": "resnet/small",
    "FCN-ResNet-101": "resnet/small",
}
# {model: IoU at 32, 64, 128 px}
COMPOSITES = {
    "U-Net": (0.77, 0.85, 0.89),
    "FCN-VGG-16": (0.60, 0.62, 0.70),
    "FCN-ResNet-50": (0.53, 0.60, 0.68),
    "FCN-ResNet-101": (None, 0.61, None),
}
OBJECTS = {"car": 0.80, "horse": 0.60, "airplane": 0.65}
BRINGS = {"random": 0.0, "scene_chairs": 0.03, "chairs": 0.06}
STARTS = {
    "U-Net": BRINGS,
    **{model: {"random": 0.0, "chairs": 0.05} for model in list(COMPOSITES)[1:]},
}


def columns(model, setting, target, source, seed, **more):
    own = {"study": "chairs", "variant": model, "setting": setting, "baseline": None}
    own |= {"cell": f"{setting}/{target}/{model}/{source}", "target_dataset": target}
    own |= {"backbone": BACKBONES[model], "target_domain": "synthetic"}
    return workdirs.target(target, source, seed) | own | more


def write(folder, seeds=3):
    """Every cell at 32, 64 and 128 px; distances and paths of the first two seeds."""
    made = workdirs.Workdir(folder, "chairs")
    for model, line in COMPOSITES.items():
        for size, value in zip((32, 64, 128), line):
            for seed in range(seeds) if value else ():
                place = (model, "composites", f"chairs/{size}", "random", seed)
                train(made, columns(*place), value + 0.004 * seed)
    scenes = columns("U-Net", "full", "scene_chairs", "random", 0, role="source")
    train(made, scenes, 0.7)
    for model, starts in STARTS.items():
        for target, value in OBJECTS.items():
            for source, more in starts.items():
                for seed in range(seeds):
                    place = (model, "objects", target, source, seed)
                    own = columns(*place, baseline="random")
                    early = 150 if source == "random" else 100
                    train(made, own, value + more + 0.004 * seed, steps=early)
    for target in OBJECTS:
        _measured(made, "parameter_distance", target, _distances(seeds))
        for kind, fall in (("Ft-Ft", 0.0), ("Ri-Ri", 0.5)):
            own = {"pair": kind, "seed": 0}
            _measured(made, "interpolation", target, _path(fall), **own)
    constant = [{"metric": "pixel_accuracy", "value": 0.78}]
    constant += [{"metric": "iou_per_image", "value": 0.0}]
    _measured(made, "constant_predictor", "chairs/64", constant, setting="composites")
    return made.plan()


def train(made, own, value, steps=150):
    others = {"dice_per_image": value + 0.05, "pixel_accuracy": value + 0.1}
    others |= {"iou_pooled": value + 0.02, "dice_pooled": value + 0.08}
    ids, image = np.zeros((8, 8), int), np.full((8, 8, 3), 90, np.uint8)
    files = workdirs.samples(ids, image, ids) if own["seed"] == 0 else {}
    made.done(
        f"{own['cell']}/seed{own['seed']}",
        value,
        [own],
        metric="iou_per_image",
        others=others,
        floor=0.3,
        files=files,
        steps=steps,
        spec={"steps": 150, "batch_size": 10},
        curve=curve(value, steps),
    )


def curve(value, steps):
    """Validation IoU at half of the steps and at their end."""
    return [
        {
            "kind": "evaluation",
            "step": step,
            "split": "validation",
            "metrics": {"iou_per_image": value * step / steps},
        }
        for step in (steps // 2, steps)
    ]


def _measured(made, analysis, target, rows, **more):
    own = {"role": "measure", "variant": "U-Net", "setting": "objects"}
    text = "".join(json.dumps(row) + "\n" for row in rows)
    made.done(
        "/".join(map(str, (analysis, target, *more.values()))),
        None,
        [own | {"target": target} | more],
        kind="measure",
        spec={"analysis": {"name": analysis}},
        files={"rows.jsonl": text.encode()},
    )


def _distances(seeds):
    """300 from P to each fine-tuned model, 500 to each random start, 400 and 600."""
    ends = {f"Ft{seed}": 300 for seed in range(seeds)}
    rows = [("P", end, d) for end, d in ends.items()]
    rows += [(f"Ri{seed}", "P", 500 + seed) for seed in range(seeds)]
    for name, distance in (("Ft", 400), ("Ri", 600)):
        rows += [
            (f"{name}{i}", f"{name}{j}", distance + j)
            for j in range(seeds)
            for i in range(j)
        ]
    return [
        {"a": a, "b": b, "layer": layer, "distance": share * distance}
        for a, b, distance in rows
        for layer, share in (
            ("total", 1),
            ("params/backbone", 0.8),
            ("params/head", 0.6),
        )
    ]


def _path(fall):
    """IoU 0.8 at both ends, in between less by a share of it."""
    return [
        {
            "t": t,
            "statistics": statistics,
            "metric": "iou_per_image",
            "value": 0.8 * (1 - more * 4 * t * (1 - t)),
            "loss": 0.2 + more,
            "barrier": more,
        }
        for statistics, more in (("raw", fall + 0.2), ("re-estimated", fall))
        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
