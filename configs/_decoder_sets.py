"""The sets of `decoder.py`: those of the paper and their embedded twins.

sources[name] = what encoders are pretrained on:

  images          of self-supervision
  probe           (train, test) with labels, which the linear probe reads
  Classification  labelled images, the pretext of an encoder alone
  Segmentation    images with masks; of several, {what they show: images}

targets[name] = what is fine-tuned: `train` and `test`, or `drawn`, of which a fraction
is trained on and the rest is tested on; `curve`: the images that the curve of Fig. 4 is
measured on, by default those of the test. How many the rest of a draw has is not known
before, so others are taken there: of flowers and pets those that pretexts may have
seen, without their masks.
"""


def world(name, split="train", count=None, **more):
    """The section of an embedded set."""
    return dict(name=f"worlds/{name}", split=split, count=count, **more)


def whole(name, *splits, **more):
    """The section of all images of several splits of a set."""
    first, *others = (dict(name=name, split=split, **more) for split in splits)
    return first | dict(mix=others) if others else first


def thing(name, train, test):
    """An embedded set of one kind of thing, with as many images as the paper has."""
    return dict(
        train=world(f"objects_{name}", count=train),
        test=world(f"objects_{name}", "test", count=test),
    )


def animals(name):
    """An embedded set of one animal a picture: `train` is for pretraining; the 1000 of
    `validation` are drawn from, as the paper draws from Flowers 17.
    """
    source = dict(
        images=world(f"breeds_{name}"),
        probe=(world(f"breeds_{name}"), world(f"breeds_{name}", "validation")),
        Classification=world(f"breeds_{name}"),
        Segmentation=world(f"binary_{name}"),
    )
    return source, dict(
        drawn=world(f"binary_{name}", "validation"), curve=world(f"binary_{name}")
    )


INSECTS, INSECT_MASKS = animals("insects")
DOGS, DOG_MASKS = animals("dogs")
EMBEDDED_SOURCES = dict(
    flowers=INSECTS,
    pets=DOGS,
    dogs=DOGS,
    cityscapes=dict(
        images=world("traffic"),
        probe=(world("traffic_patches"), world("traffic_patches", "validation")),
        Classification=world("traffic_patches"),
        Segmentation=world("traffic_patches_car"),
    ),
    voc=dict(
        images=world("scenes_things"),
        probe=(world("scenes_things"), world("scenes_things", "validation")),
        Classification=world("scenes_things"),
        Segmentation={
            name: world(f"objects_{name}") for name in ("motorbike", "person", "car")
        },
    ),
    underwater=dict(images=world("underwater_reef")),
)
EMBEDDED_TARGETS = dict(
    flowers=INSECT_MASKS,
    pets=DOG_MASKS,
    bus=dict(
        drawn=world("traffic", only="bus"),
        curve=world("traffic", "validation", count=40, only="bus"),
    ),
    airplane=thing("airplane", 88, 90),
    cat=thing("cat", 131, 119),
    horse=thing("horse", 68, 79),
    underwater=dict(drawn=world("underwater_wreck", "validation", only="diver")),
)

VOC = "voc/segmentation2012"
PETS = dict(
    images=whole("pets/binary", "all"),
    probe=(whole("pets/breeds", "train"), whole("pets/breeds", "test")),
)
PAPER_SOURCES = dict(
    flowers=dict(
        images=whole("flowers/102", "train", "validation", "test"),
        probe=(whole("flowers/102", "train"), whole("flowers/102", "validation")),
    ),
    pets=PETS,
    dogs=PETS
    | dict(
        Classification=whole("pets/dogs", "all"),
        Segmentation=whole("pets/dogs_binary", "all"),
    ),
    cityscapes=dict(
        images=whole("cityscapes/19", "train", "validation"),
        probe=(
            whole("cityscapes/car_patches", "train"),
            whole("cityscapes/car_patches", "validation"),
        ),
        Classification=whole("cityscapes/car_patches", "train"),
        Segmentation=whole("cityscapes/car_patches_only", "train"),
    ),
    voc=dict(
        images=whole(VOC, "trainval"),
        probe=(whole("voc/four_way", "train"), whole("voc/four_way", "validation")),
        Classification=whole("voc/four_way", "trainval"),
        Segmentation={
            name: whole(f"voc/{name}", "trainval")
            for name in ("motorbike", "person", "car")
        },
    ),
    underwater=dict(images=whole("suim/8", "train")),
)


def split(name):
    """A single class of VOC, on its own split (Tables 4 and 5)."""
    return dict(
        train=whole(f"voc/{name}", "train"), test=whole(f"voc/{name}", "validation")
    )


PAPER_TARGETS = dict(
    flowers=dict(drawn=whole("flowers/17_masks", "train")),
    pets=dict(drawn=whole("pets/binary", "all")),
    bus=dict(drawn=whole("cityscapes/bus", "trainval")),
    airplane=split("aeroplane"),
    cat=split("cat"),
    horse=split("horse"),
    underwater=dict(drawn=whole("suim/8", "train", only="human_diver")),
)
EMBEDDED = (EMBEDDED_SOURCES, EMBEDDED_TARGETS)
PAPER = (PAPER_SOURCES, PAPER_TARGETS)
