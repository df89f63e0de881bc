"""The twenty data sets of the factors paper (Table 1) and what each is trained by.

Printed in the paper, with the section: task types and sets (Table 1), 420 x 420, 713 x
713 and 512 x 1024 pixels (4.1), optimizers, batches, schedules and which sets have
"poly" (A.2 to A.5), 150 or 1000 images of a small target (5.2), 1500 of a small source
(5.4), the three groups (5.1), the training on ILSVRC (A.1). Everything else is ours,
for the paper prints none of it, and says so with "ours":

- Rates: of a training the best of three. Momentum and weight decay of SGD as in
  HRNet's code.
- The schedule "step" drops the rate at 60 and 80 % of a run; the paper chose when, for
  each set.
- Steps of a source and of a full target: HRNet's code has as many images for Pascal
  Context, ADE20K and Cityscapes, CenterNet's for COCO and VOC; other sets are between
  those of about their size.
- Small targets: 160,000 crops, about 1000 epochs of 150 images; of 1000 images twice as
  many.
- Small sources: a quarter of the steps, but those of KITTI and CamVid, which are small.
- Multi-source models: half of the steps of all their sets together. For segmentation
  these are 2.4 times COCO's; the hours of appendix D are 2.5 times COCO's.
- Other resolutions: the shape of the images, with 512 pixels on the short side of
  streets; 520 for photos as in HRNet's code, 512 for objects as in CenterNet's.
"""

from configs import common

STEP = {"name": "step", "at": [0.6, 0.8], "factor": 0.1}
POLY = {"name": "poly", "power": 0.9}  # unsteady otherwise (A.2)
SGD = {"name": "sgd", "momentum": 0.9, "weight_decay": 5e-4}
ADAM = {"name": "adam"}
SGD_RATES, ADAM_RATES = (0.01, 0.03, 0.1), (1e-4, 3e-4, 1e-3)
# Of each task type: batch, optimizer, rates (A.2 to A.5).
RECIPES = {
    "segmentation": (32, SGD, SGD_RATES),
    "detection": (128, ADAM, ADAM_RATES),
    "keypoints": (128, ADAM, ADAM_RATES),
    "depth": (64, ADAM, ADAM_RATES),
}
SMALL, MANY_CLASSES, SMALL_SOURCE = 150, 1000, 1500  # images
SMALL_CROPS = 160_000

# On ILSVRC (A.1): batch, 200 epochs and the drops after 60, 120 and 180. Ours: rate,
# decay, warm-up for 5 epochs and augmentation, of large batches (arXiv:1706.02677).
IMAGES, BATCH, EPOCHS, DROPS, WARM_UP = 1_281_167, 4096, 200, (60, 120, 180), 5
ILSVRC = dict(
    data=dict(
        name="ilsvrc/2012",
        augment=[
            {"name": "flip"},
            {"name": "random_resized_crop", "area_low": 0.08, "pad": False},
        ],
    ),
    recipe=dict(
        steps=common.steps(IMAGES, EPOCHS, BATCH),
        batch_size=BATCH,
        lr=1.6,
        optimizer=SGD | {"weight_decay": 1e-4},
        schedule={
            "name": "step",
            "at": [(epoch - WARM_UP) / (EPOCHS - WARM_UP) for epoch in DROPS],
            "factor": 0.1,
            "warmup_steps": common.steps(IMAGES, WARM_UP, BATCH),
        },
    ),
)


def row(dataset, size, steps, small=SMALL, split="train", judged="validation", **more):
    """A line of the table: steps of the full set, images of the small one, and which
    splits are trained and judged on.
    """
    return dict(
        dataset=dataset, size=size, steps=steps, small=small, split=split, judged=judged
    ) | dict(dict(schedule=STEP), **more)


# Within a domain by size, as the columns of Table 4a.
SEGMENTATION = {
    "pascal_context": row("pascal_context/60", (420, 420), 30_000),  # size: 4.1
    "voc": row("voc/augmented", (480, 480), 30_000),
    "ade20k": row("ade20k/150", (520, 520), 75_000, MANY_CLASSES),
    "coco": row("coco/panoptic134", (520, 520), 90_000, MANY_CLASSES),
    "kitti": row("kitti/segmentation", (368, 1216), 5_000, schedule=POLY),
    "camvid": row("camvid/32", (512, 688), 10_000),
    "cityscapes": row("cityscapes/33", (512, 1024), 45_000),  # size: 4.1
    "idd": row("idd/35", (512, 912), 45_000),
    "bdd": row("bdd/20", (512, 912), 45_000),
    "mapillary": row("mapillary/66", (512, 688), 90_000),
    "isprs": row("isprs/potsdam_vaihingen", (800, 800), 20_000),
    "isaid": row("isaid/16", (800, 800), 60_000),
    "sun_rgbd": row("sun_rgbd/segmentation", (713, 713), 30_000),  # size: 4.1
    "scannet": row("scannet/segmentation", (480, 640), 60_000),
    "suim": row("suim/8", (480, 640), 10_000, judged="test", schedule=POLY),
    "vkitti": row("vkitti/segmentation", (368, 1216), 60_000),
    "vgallery": row("vgallery/segmentation", (512, 912), 60_000),
}
DETECTION = {
    "voc2007": row(
        "voc/detection2007", (512, 512), 10_000, split="trainval", judged="test"
    ),
    "coco": row("coco/boxes80", (512, 512), 130_000, MANY_CLASSES),
    "bdd": row("bdd/detection", (512, 912), 75_000),
    "underwater_trash": row("underwater_trash/boxes", (360, 480), 8_000, judged="test"),
}
KEYPOINTS = {
    "mpii": row("mpii/person", (512, 512), 23_000),
    "coco": row("coco/person17", (512, 512), 75_000, MANY_CLASSES),
    "dogs": row("dogs/keypoints", (512, 512), 10_000),
}
DEPTH = {
    "sun_rgbd": row("sun_rgbd/depth", (713, 713), 10_000),
    "vkitti": row("vkitti/depth", (368, 1216), 25_000),
    "vgallery": row("vgallery/depth", (512, 912), 25_000),
}
TASKS = {
    "segmentation": SEGMENTATION,
    "detection": DETECTION,
    "keypoints": KEYPOINTS,
    "depth": DEPTH,
}
# The sets of the multi-source models (5.1); ours: the first one's metric decides.
GROUPS = {
    "segmentation": (
        *("coco", "mapillary", "isaid", "scannet", "suim", "vkitti", "vgallery"),
    ),
    "detection": ("coco", "bdd", "voc2007", "underwater_trash"),
    "depth": ("sun_rgbd", "vkitti", "vgallery"),
}
# Table 3: of segmentation the classes of MSeg [65]; those of COCO and Pascal Context
# are the study's own without the background.
VALIDATION = {
    "bdd19": row("bdd/19", (512, 912), 45_000),
    "cityscapes19": row("cityscapes/19", (512, 1024), 45_000),
    "coco": SEGMENTATION["coco"],
    "pascal_context": SEGMENTATION["pascal_context"],
    "scannet20": row("scannet/20", (480, 640), 60_000),
    "coco@detection": DETECTION["coco"],
    "coco@keypoints": KEYPOINTS["coco"],
    "nyu@depth": row("nyu/depth", (480, 640), 5_000, judged="test"),
}


def named(task, name):
    """The name of a set with its task type: coco, coco@detection."""
    return name if task == "segmentation" else f"{name}@{task}"


SETS = {
    named(task, name): one for task, of in TASKS.items() for name, one in of.items()
}
