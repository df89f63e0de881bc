"""A config with a training of each task type, a chain with a refit, and odd ones.

get_config(arg): names of stages, joined by "+".
"""

LINEAR = {"name": "linear"}
UNET = {"name": "unet", "variant": "tiny"}
COARSE = {"name": "hrnet", "variant": "tiny"}  # drawing objects on its maps is quick
DAY = {"name": "worlds/driving_day", "count": 12}
TASKS = {
    "segmentation": (DAY, LINEAR, {}),
    "detection": (DAY, {"name": "centernet"}, {}),
    "keypoints": (
        {"name": "worlds/closeups_dogs", "count": 12},
        {"name": "keypoints"},
        {},
    ),
    "depth": (DAY, {"name": "depth"}, {}),
    "classification": (
        {"name": "worlds/websearch", "count": 12},
        {"name": "classifier"},
        {"mixup": 0.4},
    ),
}
OBJECTS = ("detection", "keypoints")


def train(task, data, head, **more):
    return {
        "kind": "train",
        "data": data,
        "evaluations": {"validation": {"count": 10}},
        "task": {"name": task},
        "model": {"backbone": COARSE if task in OBJECTS else UNET, "head": head},
        "optimizer": {"name": "sgd", "clip": 1.0},
        "steps": 3,
        "batch_size": 8,
        "lr": 0.01,
        "samples": 1,
        "run": {"log_every": 1},
    } | more


def get_config(arg):
    stages = {
        task: train(task, data, head, **more)
        for task, (data, head, more) in TASKS.items()
    }
    held = {"split": "train", "part": "holdout"}
    start = {"parent": "start", "take": {"backbone": "backbone"}}
    stages["candidate"] = train(
        "segmentation",
        {"name": "worlds/driving_night", "count": 12, "part": "train"},
        LINEAR,
        evaluations={"validation": {"count": 10}, "holdout": held},
        parents={"start": "depth"},
        starts=[start],
        eval_every=2,
        keep="best",
        choose_by="holdout",
    )
    parents = {"a": "candidate"}
    stages["chosen"] = {"kind": "select", "parents": parents}
    often = {"log_every": 1, "checkpoint_every": 5}
    stages["long"] = train("segmentation", DAY, LINEAR, steps=200, run=often)
    stages["split"] = stages["long"] | {
        "steps": 60,
        "ema": 0.9,
        "run": often | {"mesh": {"fsdp": 8}},
    }
    stages["divided"] = stages["candidate"] | {
        "ema": 0.9,
        "run": {"log_every": 1, "mesh": {"fsdp": 8}},
    }
    stages["explained"] = {
        "kind": "pseudo",
        "parents": {"model": "classification"},
        "data": {"name": "worlds/websearch", "count": 11},
        "method": {"samples": 2},
        "batch_size": 2,
        "per_shard": 6,
    }
    stages["sliding"] = train("segmentation", DAY, LINEAR)
    windows = {"count": 2, "protocol": {"mode": "sliding"}}
    stages["sliding"]["evaluations"] = {"validation": windows}
    return {"study": "five", "stages": {name: stages[name] for name in arg.split("+")}}
