"""A finished factors study with the columns of `report/studies/factors.py`."""

import io
import json
import zlib

import numpy as np

from jaxseg.core import arrays
from tests.report import workdirs

DOMAINS = {
    "day": "driving",
    "night": "driving",
    "rooms": "indoor",
    "office": "indoor",
    "every": "consumer",
    "travel": "consumer",
}
IMAGES = {"day": 2000, "rooms": 100, "every": 1000, "multi": 3300}
TARGETS = ("night", "office", "travel", "night@detection", "day@depth")
SOURCES = ("day", "rooms", "every", "day@detection", "multi")
PARTS = ("day", "rooms", "every")
SEEDS = {"small": 3, "full": 2, "small_source": 2}
# Gains in per cent, small; full ones are a fourth of these, of few images a half.
SAME, OTHER_TASK, MULTI, CONSUMER, FAR, FAR_TASK = 30, 6, 12, 6, -6, -12


def columns(setting, target, source, seed, **more):
    base, task = _parts(target)
    few = {"small": 150, "small_source": 150, "full": 3000}[setting]
    own = {"cell": f"{setting}/{target}/{source}", "setting": setting}
    own |= {"target_dataset": f"worlds/{base}", "target_task": task}
    own |= {"target_domain": DOMAINS[base], "target_images": few} | _of_source(source)
    if setting == "small_source" and source in IMAGES:
        own |= {"source_images": 250 + IMAGES[source] % 7}
    return workdirs.target(target, source, seed) | own | more


def _parts(name):
    base, _, task = name.partition("@")
    return base, task or "segmentation"


def _of_source(source):
    if source in ("random", "websearch"):
        return {}
    base, task = _parts(source)
    names = PARTS if base == "multi" else (base,)
    return {
        "source_dataset": " + ".join(f"worlds/{name}" for name in names),
        "source_domain": " + ".join(dict.fromkeys(DOMAINS[n] for n in names)),
        "source_task": task,
        "source_images": IMAGES[base],
    }


def gain(setting, target, source):
    """In per cent."""
    base, task = _parts(target)
    of, other = _parts(source)
    if source == "multi":
        found = MULTI if task == other else FAR_TASK
    elif DOMAINS[of] == DOMAINS[base]:
        found = SAME if task == other else OTHER_TASK
    elif task == other:
        found = CONSUMER if DOMAINS[of] == "consumer" else FAR
    else:
        found = FAR_TASK
    return found / {"small": 1, "full": 4, "small_source": 2}[setting]


def noise(*place):
    """A repeatable factor near 1."""
    return 1 + 0.004 * (zlib.crc32(repr(place).encode()) % 1000 / 1000 - 0.5)


def write(folder, study="factors", settings=tuple(SEEDS), scale=1.0, **more):
    """All cells, distances, features by task type; `scale` of the values, `more`
    columns of all rows.
    """
    made = workdirs.Workdir(folder, study)
    for setting in settings:
        for target in TARGETS:
            if setting == "small_source" and "@" in target:
                continue
            for source in ("websearch", "random", *SOURCES):
                cells(made, setting, target, source, scale, more)
    if not more:
        sources(made, "day", 0.7, 0.5)
        sources(made, "day@detection", 0.3, 0.3)
        sources(made, "day@keypoints", 0.2, 0.0)
        measured(made)
    return made


def cells(made, setting, target, source, scale, more):
    if setting == "small_source" and ("@" in source or source == "multi"):
        return
    for seed in range(SEEDS[setting]):
        own = {"source": 0.5, "day@depth": 0.3}.get(target, 0.4) * scale
        if source == "random":
            own *= 0.7
        elif source != "websearch":
            own *= 1 + gain(setting, target, source) / 100
        row = columns(setting, target, source, seed, study=made.study, **more)
        if source not in ("random", "websearch") and "multi" not in source:
            same = _parts(source)[0] == _parts(target)[0]
            row |= {"overlap": "images"} if same else {}
        name = f"{setting}/{target}/from_{source}/seed{seed}"
        metric = {"detection": "map", "depth": "delta1"}.get(_parts(target)[1], "miou")
        made.done(name, own * noise(name), [row], metric=metric, floor=0.01)


def sources(made, name, own, start):
    metric = "map" if "@" in name else "miou"
    for source, value in (("websearch", own), ("random", start)):
        row = columns("full", name, source, 0, role="source", study=made.study)
        made.done(f"sources/{name}/from_{source}", value, [row], metric=metric)


def measured(made):
    """Distance 1 within a domain, 2 from a set to consumer images, 3 to others."""
    names = list(DOMAINS)
    rows = [
        {"target": f"worlds/{t}", "source": f"worlds/{s}"}
        | {"value": apart(t, s), "one_to_one": 2 * apart(s, t)}
        for t in names
        for s in names
    ]
    points = np.full((len(names), 5, 2), np.nan, np.float32)
    points[:, :3] = np.random.default_rng(0).normal(size=(len(names), 3, 2))
    _measure(made, "domain_distance", "domain_distance", rows, points)
    rows = [
        {"data": "worlds/day", "model": model, "image": image}
        | {"by_model": 0.5 + image / 50, "by_image": -0.25}
        for model in ("segmentation", "detection")
        for image in range(4)
    ]
    features = np.random.default_rng(1).normal(size=(2, 4, 2)).astype(np.float32)
    _measure(made, "task_features/day", "task_features", rows, features)


def apart(target, source):
    if target == source:
        return 0.0
    if DOMAINS[target] == DOMAINS[source]:
        return 1.0
    return 2.0 if DOMAINS[source] == "consumer" else 3.0


def _measure(made, name, analysis, rows, points):
    file = io.BytesIO()
    np.savez(file, embedding=points)
    text = "".join(json.dumps({"analysis": analysis} | row) + "\n" for row in rows)
    files = {"rows.jsonl": text.encode(), arrays.FILE: file.getvalue()}
    spec = {"analysis": {"name": analysis}}
    made.done(name, None, [], kind="measure", spec=spec, files=files)
