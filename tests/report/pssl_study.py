"""A finished PSSL study with the columns of `report/studies/pssl.py`."""

import numpy as np

from jaxseg.report.studies import _pssl_cells as cells
from tests.report import decoder_study, workdirs

SEEDS = (0.0, 0.004, -0.003)  # of mIoU, by seed
MODELS = ("PSPNet", "DeepLabV3", "OCRNet")
TARGETS = {"CamVid": (40, 0.03), "VOC-A": (200, 0.015), "ADE20K": (300, 0.01)}
BACKBONE = 0.50  # mIoU after a classifier
WEIGHTS = {"0.001": -0.02, "0.01": -0.002, "0.1": 0.0, "1": -0.03}
SAMPLES = {100: 0.46, 250: 0.48, 500: 0.51, 1000: 0.53}
ABLATIONS = {"D8 ignored": -0.01, "D8 as foreground": -0.02}
TOP1 = {cells.PSSL: 0.776, cells.TWICE: 0.786}


def values():
    """{cell: mIoU}."""
    found = {}
    for model in MODELS:
        for target, (_, gain) in TARGETS.items():
            found[cells.Cell(model, target, cells.IMAGENET)] = BACKBONE
            found[cells.Cell(model, target, cells.PSSL)] = BACKBONE + gain
    found[cells.Cell("PSPNet", "VOC-A", cells.TWICE)] = BACKBONE - 0.01
    compared = {cells.IMAGENET: BACKBONE}
    for samples, mean in SAMPLES.items():
        more = WEIGHTS if samples in (100, 500) else {"0.1": 0.0}
        for weight, change in more.items():
            compared[f"{samples} samples, background {weight}"] = mean + change
    for name, change in ABLATIONS.items():
        compared[f"500 samples, {name}"] = SAMPLES[500] + change
    found |= {
        cells.Cell(cells.ABLATED, "VOC-A", start): mean
        for start, mean in compared.items()
    }
    return found


def write(folder, lead=0.1, without=()):
    """lead: of the top decile's IoU over that of a disc. without: (cell, seed) that
    have not ended.
    """
    made = workdirs.Workdir(folder, "pssl")
    own = workdirs.target("classification", "resnet") | {"role": "source"}
    own |= {"study": "pssl", "setting": None, "target_task": "classification"}
    made.done("classifier/resnet/0", 0.787, [own], metric="top1")
    maps = {"classifier_resnet_0": 0.5, "classifier_hrnet_0": 0.4, cells.CONSENSUS: 0.6}
    rows = [
        dict(image=i, map=name, iou=iou + 0.01 * i, disc=0.6 - lead)
        | dict(data="websearch")
        for i in range(4)
        for name, iou in maps.items()
    ]
    rows[-1] |= {"iou": None, "disc": None}  # an image without a top decile
    shown = dict(images=np.full((2, 8, 8, 3), 90, np.uint8))
    shown |= dict(maps=np.linspace(0, 1, 2 * 5 * 64, dtype=np.float32))
    shown["maps"] = shown["maps"].reshape(2, 5, 8, 8)
    decoder_study.measured(made, "consensus", "consensus", rows, {}, shown)
    for source, top1 in TOP1.items():
        rows = [dict(images=400, top1=top1, data="websearch")]
        place = dict(source=source)
        decoder_study.measured(made, f"votes/{source}", "pixel_vote", rows, place, {})
    ids, image = np.zeros((8, 8), int), np.full((8, 8, 3), 90, np.uint8)
    for cell, mean in values().items():
        for seed, more in enumerate(SEEDS):
            name = f"tuned/{'/'.join(cell)}/seed{seed}"
            own = {"study": "pssl", "baseline": cells.IMAGENET, "setting": cell.model}
            own |= {"target_images": TARGETS[cell.target][0], "backbone": "small"}
            own |= {"cell": "/".join(cell)}
            own = [workdirs.target(cell.target, cell.start, seed) | own]
            if (cell, seed) in without:
                made.stage(name, own)
                continue
            files = workdirs.samples(ids, image, ids) if seed == 0 else {}
            made.done(name, mean + more, own, floor=0.1, files=files)
    return made.plan()
