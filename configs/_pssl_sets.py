"""Data sets of the PSSL study, rendered and real."""

from configs import common

EMBEDDED = dict(
    classified=(
        dict(name="worlds/websearch_aside"),
        dict(name="worlds/websearch_aside", split="validation"),
    ),
    masks=dict(name="worlds/websearch_aside_masks", split="validation"),
    augment=common.AUGMENT,  # small images lose too much by rotation and blur
)
PAPER = dict(
    classified=(
        dict(name="ilsvrc/2012"),
        dict(name="ilsvrc/2012", split="validation"),
    ),
    masks=None,  # nothing in the catalogue has masks of ILSVRC's objects
    augment="pssl",
)


def target(name, test="validation", decay=1e-4, epochs=None, size=(480, 480), **few):
    """A set that is fine-tuned on (5.4)."""
    train = dict(name=name, split="train")
    return dict(
        train=train | few,
        test=dict(name=name, split=test),
        decay=decay,
        epochs=epochs,
        size=size and list(size),
    )


def world(name, count, decay=1e-4):
    """A rendered set of so many images."""
    return target(f"worlds/{name}", decay=decay, size=None, count=count)


# Kinds of scenes, and which set is small, as in the paper.
TARGETS = {
    "CamVid": world("driving_day", 40, decay=1e-3),
    "VOC-A": world("consumer_everyday", 80),
    "VOC-C": world("consumer_travel", 80),
    "ADE20K": world("indoor_home", 120),
    "Cityscapes": world("driving_night", 80),
}
PAPER_TARGETS = {
    "CamVid": target("camvid/11", "test", 1e-3, 30),
    "VOC-A": target("voc/augmented", epochs=50),
    "VOC-C": target("pascal_context/60", epochs=50),
    "ADE20K": target("ade20k/150"),
    "Cityscapes": target("cityscapes/19", size=(864, 864)),
}
LONGEST = {("ADE20K", "DeepLabV3"): 180}  # epochs (5.4)
