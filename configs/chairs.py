r"""Chair Segments (Pinto-Alva et al. 2020): four networks, and chairs as a source.

  python -m jaxseg.main --config=configs/chairs.py
  python -m jaxseg.main --config=configs/chairs.py:seeds=6,sizes=32+64
  python -m jaxseg.main --config=configs/chairs.py:paper --plan
  python -m jaxseg.main --config=configs/chairs.py:paper,smoke
  python -m jaxseg.main --config=configs/chairs.py:paper,composites=DIR,objects=voc/cat

By default all data are rendered: cut-out chairs on surroundings (section 3), three sets
of one kind of thing each for Object Discovery's (5.3), chairs in rooms for those of
COCO; networks are `small`, and the numbers of images and steps are ours. `paper` has
the paper's networks, optimizers, rates, sizes and sets; `composites` is then a folder
of foregrounds/*.png and backgrounds/*, in place of rendered ones. `objects` and
`scenes` may name any sets of foreground and background. One without test images, such
as COCO's chairs, is tested on its validation images, and a fifth of its training images
is held out to stop on.

The paper's U-Net is that of Ronneberger et al. with zero padding (5), so `paper` takes
its decoder: transposed convolutions, and skips as they are. The small one has the head
`unet` as it is by default, as in ConRec's code: nearest neighbours (up="nearest"), and
a 1x1 convolution on each skip (project_skip=True).

Chairs in scenes stand in for composites as a source (5.3). They are trained by the
recipe of composites at that size: optimizer, rate, batch, numbers of images and steps
at most, and patience. So the two sources differ in their images alone.

Ours, since the paper does not say: batch size, patience and the numbers of steps at
most, random starts of all networks on chairs, images resized as a whole, and the
data sets' own validation images to stop on; of the paper's 20,000 validation composites
2,000, since all of them every quarter of an epoch would cost more than the training.
Patience is 8 evaluations everywhere. By default these are 80 steps on objects and 120
on composites: random starts may answer "background" for the first 75, and a training
must not end there. So the default's 100 and 150 steps seldom end early; in `paper` a
training may last 12 and 10 times its patience. By default the rates are ours as well:
the small networks see 8 x 150 images, with which the paper's 1e-4 and 1e-5 move
nothing, and a U-Net with 1e-3 has not settled after them. Each is the best of 10 to
1e-3 (SGD), of 1e-1 to 1e-3 (Adam) or of 1e-2 to 1e-5 (RMSprop), in tenths, on the
validation images of trainings with seed 99, which are in no table: on composites, and
for the U-Net and the ResNet-50 on objects on cars from random weights. The other rates
on objects are those on composites.
"""

import math
import zlib

from configs import common

OWN_SEEDS = 1000  # of each set: no two sets, nor a source, begin at the same weights
COMMON = 64  # pixels, of all models and of all that starts from one (5.1)
LETTERBOX, SIDES = {"name": "letterbox"}, ("height", "width")
SGD = {"name": "sgd", "momentum": 0.0}
MOMENTUM = {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-5}
RMSPROP = {"name": "rmsprop", "momentum": 0.9, "weight_decay": 1e-6}
ADAM = {"name": "adam"}


def fcn(backbone, variant, small=None, **fields):
    """The model of the paper and the small one, of a backbone with the head `fcn`."""
    paper = dict(name=backbone, variant=variant) | fields
    small = dict(name=backbone, variant="small") | fields | (small or {})
    return {
        name: dict(backbone=one, head={"name": "fcn"})
        for name, one in dict(paper=paper, small=small).items()
    }


# The model of the paper and the small one; optimizer and rate on composites, and on
# objects (5.2, 5.3).
MODELS = {
    "U-Net": dict(
        paper=dict(
            backbone={"name": "unet", "variant": "classic"},
            head={"name": "unet", "up": "transpose", "project_skip": False},
        ),
        small=dict(
            backbone={"name": "unet", "variant": "small"}, head={"name": "unet"}
        ),
        composites=(ADAM, 1e-3),
        objects=(ADAM, 1e-3),
    ),
    "FCN-VGG-16": dict(
        **fcn("vgg", "16"),
        composites=(SGD, 1e-4),
        objects=(SGD, 1e-4),
    ),
    "FCN-ResNet-50": dict(
        **fcn("resnet", "50", output_stride=8),
        composites=(RMSPROP, 1e-5),
        objects=(MOMENTUM, 1e-4),
    ),
    "FCN-ResNet-101": dict(
        **fcn("resnet", "101", dict(lengths=[2, 2, 6, 2]), output_stride=8),
        composites=(RMSPROP, 1e-5),
        objects=(RMSPROP, 1e-5),
    ),
}
# Of the small networks.
RATES = {
    "U-Net": dict(composites=1e-2, objects=1e-2),
    "FCN-VGG-16": dict(composites=1.0, objects=1.0),
    "FCN-ResNet-50": dict(composites=1e-4, objects=1.0),
    "FCN-ResNet-101": dict(composites=1e-4, objects=1e-4),
}
TABLE_1 = ("U-Net", "FCN-VGG-16", "FCN-ResNet-50")  # at all sizes
EMBEDDED = dict(
    sizes=(32, 64, 128),
    objects=("worlds/objects_car", "worlds/objects_horse", "worlds/objects_airplane"),
    scenes="worlds/objects_chairs",
    seeds=7,  # of the U-Net, as many as twenty minutes allow
    fcn_seeds=(3, 2),  # at most, on composites and on objects
    batch=8,
    patience=8,
    images=1000,  # of composites and of scenes; 0: all
    steps=150,
    eval_every=15,
    validation=50,  # of composites and of scenes
    test=100,
    object_images=60,  # as Object Discovery's; 0: all
    object_steps=100,
    object_eval_every=10,
    object_validation=50,
    object_test=100,
)
PAPER = EMBEDDED | dict(
    sizes=(32, 64, 128, 256),
    objects=tuple(f"object_discovery/{n}" for n in ("car", "horse", "airplane")),
    scenes="coco/chairs",
    seeds=2,  # as in Fig. 6
    batch=16,
    images=0,
    steps=common.steps(50_000, epochs=20, batch=16),
    eval_every=common.steps(50_000, epochs=0.25, batch=16),
    validation=2000,
    test=0,
    object_images=0,
    object_steps=common.steps(60, epochs=400, batch=16),
    object_eval_every=common.steps(60, epochs=4, batch=16),
    object_validation=0,
    object_test=0,
)


COUNTS = [f"{of}{name}" for of in ("", "object_") for name in ("validation", "test")]
COUNTS += ["images", "object_images"]


def get_config(arg=""):
    """Arguments: sizes of the study; `paper`; sets and folders in place of others."""
    text = arg
    own = dict(paper=False, smoke=False, composites="")
    arg = common.parse(text, **own, **EMBEDDED)
    if arg.paper:
        arg = common.parse(text, **own, **PAPER)
    if COMMON not in arg.sizes:
        raise ValueError(f"sizes={arg.sizes}: {COMMON} is missing, where models start")
    if len(arg.fcn_seeds) != 2:
        raise ValueError(
            f"fcn_seeds={arg.fcn_seeds}: allowed are two, on composites and on objects"
        )
    if len({short(name) for name in arg.objects}) < len(arg.objects):
        raise ValueError(f"objects={arg.objects}: two have the same last name")
    for name in COUNTS:
        if arg[name] < 0:
            raise ValueError(f"{name}={arg[name]}: allowed are 0 (all) and more")
    stages = {}
    for size in arg.sizes:
        for model in MODELS if size == COMMON else TABLE_1:
            for seed in seeds_of(arg, model, "composites"):
                stages[composites_name(model, size, seed)] = composites(
                    arg, model, size, seed
                )
    stages["scene_chairs"] = scenes(arg)
    for dataset in arg.objects:
        for model in MODELS:
            for source in sources(model):
                for seed in seeds_of(arg, model, "objects"):
                    name = object_name(dataset, model, source, seed)
                    stages[name] = objects(arg, dataset, model, source, seed)
        stages |= measurements(arg, dataset)
    stages["all_background"] = dict(
        kind="measure",
        analysis=dict(
            name="constant_predictor", data=composites_images(arg, COMMON)["test"]
        ),
        columns=[dict(role="measure", setting="composites", target=f"chairs/{COMMON}")],
    )
    return common.study("chairs", stages, smoke=arg.smoke)


def seeds_of(arg, model, recipe):
    """The seeds of a model; most claims compare U-Nets, which have more."""
    seeds = common.seeds(arg.seeds)
    if model == "U-Net":
        return seeds
    most = dict(zip(("composites", "objects"), arg.fcn_seeds, strict=True))
    return seeds[: len(common.seeds(most[recipe], "fcn_seeds"))]


def composites_name(model, size, seed):
    """Of a training on composites."""
    return f"composites/{model}/{size}/seed{seed}"


def object_name(dataset, model, source, seed):
    """Of a training on objects."""
    return f"objects/{short(dataset)}/{model}/from_{source}/seed{seed}"


def short(dataset):
    """car of worlds/objects_car and of object_discovery/car."""
    return dataset.split("/")[-1].removeprefix("objects_")


def sources(model):
    """{source: the stage objects start from}; scenes are for the U-Net alone (5.3)."""
    found = {"random": None}
    if model == "U-Net":
        found["scene_chairs"] = "scene_chairs"
    return found | {"chairs": composites_name(model, COMMON, 0)}


def composites(arg, model, size, seed):
    """A training on composites, from random weights (5.1, 5.2)."""
    row = dict(variant=model, setting="composites", target=f"chairs/{size}")
    row |= dict(source="random", role="target", seed=seed)
    drawn = composites_images(arg, size)
    return train(arg, model, "composites", drawn, row, seed, size=size)


def scenes(arg):
    """The U-Net on chairs in scenes, the other source of 5.3."""
    row = dict(variant="U-Net", target="scene_chairs", source="random", role="source")
    drawn = images(arg, "composites", arg.scenes)
    return train(arg, "U-Net", "composites", drawn, row | dict(seed=0), 0)


def objects(arg, dataset, model, source, seed):
    """A training on one kind of thing, of a whole network from a source or random."""
    row = dict(variant=model, setting="objects", target=short(dataset), source=source)
    row |= dict(role="target", baseline="random", seed=seed)
    drawn, parent = images(arg, "objects", dataset), sources(model)[source]
    seed += OWN_SEEDS * (1 + zlib.crc32(dataset.encode()) % 10**6)
    return train(arg, model, "objects", drawn, row, seed, parent)


def composites_images(arg, size):
    """`images` of composites: rendered, or of the files of a folder."""
    if not arg.composites:
        return images(arg, "composites", f"chairs/{size}")
    place = dict(root=arg.composites, options=dict(size=size))
    return images(arg, "composites", "chairs/folder", **place)


def images(arg, recipe, dataset, **place):
    """{"train", "validation", "test": data section} of what is trained, stopped and
    tested on: of each at most as many images as the arguments say.
    """
    known, front = common.splits(dataset), "object_" if recipe == "objects" else ""
    tested = next((split for split in ("test", "validation") if split in known), None)
    if tested is None or "train" not in known:
        raise ValueError(
            f"{dataset}: has the splits {', '.join(known)}; allowed are sets with "
            "train, and test or validation"
        )

    def section(split, most):
        few = 0 < most < (known[split] or math.inf)
        data = dict(name=dataset, split=split, count=most if few else None)
        return data | place

    train = section("train", arg[f"{front}images"])
    if tested == "test" and "validation" in known:
        stopped = section("validation", arg[f"{front}validation"])
    else:
        train, stopped = (train | dict(part=part) for part in ("train", "holdout"))
    tested = section(tested, arg[f"{front}test"])
    return dict(train=train, validation=stopped, test=tested)


def train(arg, model, recipe, drawn, row, seed, parent=None, size=COMMON):
    """A training that its validation IoU stops, and that keeps its best weights.

    recipe: composites or objects, whose optimizer, rate and steps these are. drawn:
    `images`.
    """
    facts, front = MODELS[model], "object_" if recipe == "objects" else ""
    optimizer, rate = facts[recipe]
    shape = dict(size=[size, size], augment=[LETTERBOX | dict.fromkeys(SIDES, size)])
    stage = common.train(
        drawn["train"] | shape,
        task=dict(name="segmentation", binary=True, headline="iou_per_image"),
        model=facts["paper" if arg.paper else "small"],
        steps=arg[f"{front}steps"],
        batch_size=arg.batch,
        lr=rate if arg.paper else RATES[model][recipe],
        optimizer=optimizer,
        schedule={"name": "constant"},
        seed=seed,
        eval_every=arg[f"{front}eval_every"],
        patience=arg.patience,
        keep="best",
        choose_by="validation",
        headline="test",
        evaluations={name: drawn[name] for name in ("validation", "test")},
        parent=parent,
        columns=[row],
    )
    if parent is not None:  # the head as well: foreground and background here and there
        whole = ("backbone", "heads_segmentation")
        stage["starts"] = [dict(parent="start", take=dict(zip(whole, whole)))]
    return stage


def measurements(arg, dataset):
    """Distances (Table 5) and straight lines (Fig. 7) between the U-Nets of a set."""
    row = dict(
        role="measure", variant="U-Net", setting="objects", target=short(dataset)
    )
    starts = {"Ft": "chairs", "Ri": "random"}

    def stage(kind, seed):
        return object_name(dataset, "U-Net", starts[kind], seed)

    parents = {"P": composites_name("U-Net", COMMON, 0)}
    parents |= {f"{k}{s}": stage(k, s) for k in starts for s in range(arg.seeds)}
    place = f"measured/{short(dataset)}"
    stages = {
        f"{place}/distance": dict(
            kind="measure",
            parents=parents,
            analysis=dict(name="parameter_distance"),
            columns=[row],
        )
    }
    drawn = images(arg, "objects", dataset)
    data = dict(data=drawn["test"], training=drawn["train"])
    for kind in starts:
        for seed in range(0, arg.seeds - 1, 2):
            stages[f"{place}/{kind}-{kind}/seed{seed}"] = dict(
                kind="measure",
                parents=dict(a=stage(kind, seed), b=stage(kind, seed + 1)),
                analysis=dict(name="interpolation", **data),
                columns=[row | dict(pair=f"{kind}-{kind}", seed=seed)],
            )
    return stages
