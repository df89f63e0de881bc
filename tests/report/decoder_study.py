"""A finished decoder study with the columns of `report/studies/decoder.py`."""

import io
import itertools
import json

import numpy as np

from tests.report import workdirs

SEEDS = (0.0, 0.004, -0.003)  # of Dice, by seed
# {start: Dice above that of random weights}.
BRINGS = {
    "random": 0.0,
    "SimCLR": 0.02,
    "Classification": 0.03,
    "Reconstruction": 0.05,
    "Reconstruction-EncOnly": 0.05,
    "ConRec": 0.06,
    "ConRec-EncOnly": 0.06,
    "Segmentation": 0.09,
    "Segmentation-EncOnly": 0.088,
}
SELF = ("SimCLR", "Reconstruction", "ConRec")
STARTS = {
    "1 %": [name for name in BRINGS if name.startswith(("random", *SELF))],
    "cars": list(BRINGS),
    "dogs": [name for name in BRINGS if name.startswith(("random", "Cl", "Seg"))],
    "similarity": ["random", *SELF, "Classification"]
    + [f"Segmentation {name}" for name in ("motorbike", "person", "car")],
}
STARTS |= {"20 %": STARTS["1 %"]}
TARGETS = {
    "1 %": {"flowers": 2.0, "pets": 2.0},  # times what a start brings
    "20 %": {"flowers": 0.5, "pets": 0.5},
    "cars": {"bus": 1.0, "airplane": 1.0},
    "dogs": {"cat": 1.0, "horse": 1.0},
    "similarity": {"horse": 1.0},
}
SOURCES = {"cars": "cityscapes", "dogs": "dogs", "similarity": "voc"}


def write(folder):
    """Cells of four parts, probes, reconstructions, Grad-CAM and CKA."""
    made, sources = workdirs.Workdir(folder, "decoder"), {}
    for setting, targets in TARGETS.items():
        for target, times in targets.items():
            images = SOURCES.get(setting, target)
            for start in STARTS[setting]:
                name = start.removesuffix("-EncOnly")
                if start != "random":
                    sources[images, name] = None
                for seed, more in enumerate(SEEDS):
                    more += 0.7 + times * BRINGS.get(name, 0.07)
                    fine_tuned(made, setting, target, start, images, seed, more)
    for images, name in sources:
        pretext(made, images, name)
    for images in dict.fromkeys(images for images, _ in sources):
        for name, accuracy in (("random", 0.4), ("SimCLR", 0.6), ("ConRec", 0.7)):
            if (images, name) in sources or name == "random":
                probe(made, images, name, accuracy)
    names = STARTS["similarity"][1:]
    pairs = itertools.combinations_with_replacement(names, 2)
    rows = [
        dict(model=a, other=b, value=alike(a, b), biased=0.9, images=64, data="voc")
        for a, b in pairs
    ]
    measured(made, "similarity", "cka", rows, {"setting": "similarity"})
    looked = [
        dict(image=i, predicted=1, label=i % 2, inside=0.6, chance=0.2, data="cars")
        for i in range(4)
    ]
    heat = dict(images=pictures(4), maps=np.linspace(0, 1, 256).reshape(4, 8, 8))
    place = dict(target="cityscapes", source="Classification")
    measured(made, "grad_cam/cityscapes", "grad_cam", looked, place, heat)
    return made.plan()


def alike(one, other):
    """CKA: 1 of one encoder, .8 of two of a kind, .3 of others."""
    kind = lambda name: "self" if name in SELF else name.split()[0]
    return 1.0 if one == other else 0.8 if kind(one) == kind(other) else 0.3


def fine_tuned(made, setting, target, start, images, seed, value):
    name = start.removesuffix("-EncOnly")
    own = {"study": "decoder", "setting": setting, "baseline": "random"}
    own |= {"cell": f"{setting}/{target}/{start}", "backbone": "unet/small"}
    chain = "random" if start == "random" else f"pretext/{images}/{name}"
    own |= {"start": chain, "target_dataset": f"worlds/objects_{target}"}
    steps = 10 if start == name else 30
    curve = [
        {"kind": "evaluation", "step": step, "split": "curve"}
        | {"metrics": {"dice_per_image": value * min(1, step / steps)}}
        for step in (10, 20, 30)
    ]
    ids, image = np.zeros((8, 8), int), np.full((8, 8, 3), 90, np.uint8)
    made.done(
        f"{setting}/{target}/{start}/seed{seed}",
        value,
        [workdirs.target(target, start, seed) | own],
        metric="dice_per_image",
        floor=0.3,
        files=workdirs.samples(ids, image, ids) if seed == 0 else {},
        curve=curve,
    )


def pretext(made, images, name):
    own = workdirs.target(f"{images}, {name}", "random") | {"role": "source"}
    own |= {"study": "decoder", "setting": None}
    made.done(f"pretext/{images}/{name}", None, [own], kind="train")
    if name in ("Reconstruction", "ConRec"):
        targets = ("whole", "colors", "mask", "blackened")[
            : 4 if name == "ConRec" else 1
        ]
        rows = [
            dict(image=i, target=t, error=0.2 + 0.01 * i, filled=1.0, data=images)
            for i in range(4)
            for t in targets
        ]
        shown = pictures(2, 1 + 2 * len(targets))
        place = dict(target=images, source=name)
        title = f"rebuilt/{images}/{name}"
        measured(made, title, "reconstructions", rows, place, dict(images=shown))


def probe(made, images, name, accuracy):
    for seed, more in enumerate(SEEDS):
        own = workdirs.target(images, name, seed) | {"study": "decoder"}
        own |= {
            "setting": "probe",
            "baseline": "random",
            "target_task": "classification",
        }
        own |= {"cell": f"probe/{images}/{name}"}
        made.done(
            f"probe/{images}/{name}/seed{seed}", accuracy + more, [own], metric="top1"
        )


def measured(made, stage, analysis, rows, place, arrays=None):
    text = "".join(json.dumps({"analysis": analysis} | row) + "\n" for row in rows)
    files = {"rows.jsonl": text.encode()}
    if arrays:
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        files["arrays.npz"] = packed.getvalue()
    spec = {"analysis": {"name": analysis}}
    columns = [place | {"role": "measure"}]
    made.done(stage, None, columns, kind="measure", spec=spec, files=files)


def pictures(*count):
    """uint8 [*count, 8, 8, 3]."""
    return np.full((*count, 8, 8, 3), 120, np.uint8)
