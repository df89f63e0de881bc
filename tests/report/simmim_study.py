"""A finished SimMIM study with the columns of `report/studies/simmim.py`."""

import numpy as np

from jaxseg.report.studies import _simmim_cells as cells
from tests.report import decoder_study, workdirs

SEEDS = (0.0, 0.004, -0.003)  # of mIoU, by seed
# {images: mIoU from random weights, share of a gain, loss by scenes}.
SIZES = {
    25: (0.30, 1.0, 0.05),
    50: (0.40, 0.8, 0.04),
    100: (0.50, 0.6, 0.032),
    200: (0.58, 0.4, 0.02),
    400: (0.62, 0.3, 0.015),
    600: (0.625, 0.2, 0.01),
}
GAINS = {0: 0.0, 450: 0.06, 1000: 0.08, 2000: 0.0875}  # images of the pretraining


def starts():
    return [
        cells.Start(images, classified)
        for classified in (False, True)
        for images in GAINS
        if images or not classified
    ]


def value(images, start):
    """mIoU of a fine-tuning."""
    base, share, loss = SIZES[images]
    return base + share * GAINS[start.images] - loss * start.classified


def write(folder, error=0.2, visible=0.5, without=()):
    """error: of the filling of masked patches, where the mean colour has 1 and that of
    what is visible `visible`. without: (images, start, seed) that have not ended.
    """
    made = workdirs.Workdir(folder, "simmim")
    for images in filter(None, GAINS):
        own = workdirs.target(f"masked, {images}", "random") | {"role": "source"}
        own |= {"study": "simmim", "setting": None}
        made.done(f"masked/{images}", None, [own])
        rows = [
            dict(image=i, target="whole", error=0.0, filled=1.0, data="websearch")
            | dict(error_masked=error + 0.01 * i, filled_masked=1.0)
            | dict(visible_masked=visible)
            for i in range(4)
        ]
        place = dict(target="masked", source=str(images))
        shown = dict(images=decoder_study.pictures(2, 3))
        title = f"rebuilt/{images}"
        decoder_study.measured(made, title, "reconstructions", rows, place, shown)
        own = own | {"target": f"scenes, {images}", "target_task": "classification"}
        made.done(f"classified/{images}", 0.8, [own], metric="top1")
    ids, image = np.zeros((8, 8), int), np.full((8, 8, 3), 90, np.uint8)
    for images in SIZES:
        for start in starts():
            for seed, more in enumerate(SEEDS):
                name = f"pets/{images}/{start.name}/seed{seed}"
                own = {"study": "simmim", "baseline": "random"}
                own |= {"setting": f"{images} images", "target_images": images}
                own |= {"cell": f"{images}/{start.name}", "backbone": "vit/small"}
                own = [workdirs.target("pets", start.name, seed) | own]
                if (images, start.name, seed) in without:
                    made.stage(name, own)
                    continue
                mean = value(images, start) + more
                made.done(
                    name,
                    mean,
                    own,
                    others={"pixel_accuracy": mean + 0.2},
                    floor=0.1,
                    files=workdirs.samples(ids, image, ids) if seed == 0 else {},
                )
    return made.plan()
