r"""Chair Segments (Pinto-Alva et al. 2020): four networks, and chairs as a source.

  python -m jaxseg.main --config=configs/chairs.py
  python -m jaxseg.main --config=configs/chairs.py:seeds=4,sizes=32+64
  python -m jaxseg.main --config=configs/chairs.py:paper --plan
  python -m jaxseg.main --config=configs/chairs.py:paper,smoke
  python -m jaxseg.main --config=configs/chairs.py:paper,composites=DIR,objects=voc/cat

By default all data are rendered: cut-out chairs on surroundings (section 3), three sets
of one kind of thing each for Object Discovery's (5.3), chairs in rooms for those of
COCO; networks are `small`, and the numbers of images and steps are ours. `paper` has
the paper's networks, optimizers, rates, sizes and sets; `composites` is then a folder
of foregrounds/*.png and backgrounds/*, in place of rendered ones. `objects` may name
any sets of foreground and background.

Ours, since the paper does not say: batch size, patience and the numbers of steps at
most, random starts of all networks on chairs, images resized as a whole, and the
data sets' own validation images to stop on. By default also the rates: the small
networks see 8 x 150 images, with which the paper's 1e-4 and 1e-5 move nothing, and
a U-Net with 1e-3 has not settled after them. Each is the best of 10
to 1e-3 (SGD), of 1e-1 to 1e-3 (Adam) or of 1e-2 to 1e-5 (RMSprop), in tenths, on the
validation images of trainings with seed 99, which are in no table: on composites, and
for the U-Net and the ResNet-50 on objects on cars from random weights. The other rates
on objects are those on composites.
"""

from configs import common

OWN_SEEDS = 1000  # of objects: no random start has the weights that a source began with
COMMON = 64  # pixels, of all models and of all that starts from one (5.1)
LETTERBOX, SIDES = {"name": "letterbox"}, ("height", "width")
SGD = {"name": "sgd", "momentum": 0.0}
MOMENTUM = {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-5}
RMSPROP = {"name": "rmsprop", "momentum": 0.9, "weight_decay": 1e-6}
ADAM = {"name": "adam"}
# Backbone with its variant in the paper and what makes it small; the head of that of
# the paper; optimizer and rate on composites, and on objects (5.2, 5.3).
MODELS = {
    "U-Net": dict(
        backbone="unet",
        paper={"variant": "classic"},
        small={"variant": "small"},
        head={"name": "unet"},
        composites=(ADAM, 1e-3),
        objects=(ADAM, 1e-3),
    ),
    "FCN-VGG-16": dict(
        backbone="vgg",
        paper={"variant": "16"},
        small={"variant": "small"},
        head={"name": "fcn"},
        composites=(SGD, 1e-4),
        objects=(SGD, 1e-4),
    ),
    "FCN-ResNet-50": dict(
        backbone="resnet",
        paper={"variant": "50", "output_stride": 8},
        small={"variant": "small", "output_stride": 8},
        head={"name": "fcn"},
        composites=(RMSPROP, 1e-5),
        objects=(MOMENTUM, 1e-4),
    ),
    "FCN-ResNet-101": dict(
        backbone="resnet",
        paper={"variant": "101", "output_stride": 8},
        small={"variant": "small", "output_stride": 8, "lengths": [2, 2, 6, 2]},
        head={"name": "fcn"},
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
    seeds=3,
    fcn_seeds=2,  # on objects
    batch=8,
    images=1000,  # of composites and of scenes; 0: all
    steps=150,
    eval_every=15,
    object_images=60,  # as Object Discovery's; 0: all
    object_steps=100,
    object_eval_every=10,
    patience=6,  # 90 and 60 steps: at first a network may answer "background" for 75
    validation=50,  # of composites
    test=100,
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
    object_images=0,
    object_steps=common.steps(60, epochs=400, batch=16),
    object_eval_every=common.steps(60, epochs=4, batch=16),
    patience=8,
    validation=2000,
    test=0,
    object_validation=0,
    object_test=0,
)


def get_config(arg=""):
    """Arguments: sizes of the study; `paper`; sets and folders in place of others."""
    text = arg
    own = dict(paper=False, smoke=False, composites="")
    arg = common.parse(text, **own, **EMBEDDED)
    if arg.paper:
        arg = common.parse(text, **own, **PAPER)
    if COMMON not in arg.sizes:
        raise ValueError(f"sizes={arg.sizes}: {COMMON} is missing, where models start")
    if len({short(name) for name in arg.objects}) < len(arg.objects):
        raise ValueError(f"objects={arg.objects}: two have the same last name")
    stages = {}
    for size in arg.sizes:
        for model in MODELS if size == COMMON else TABLE_1:
            for seed in common.seeds(arg.seeds):
                stages[composites_name(model, size, seed)] = composites(
                    arg, model, size, seed
                )
    stages["scene_chairs"] = scenes(arg)
    for dataset in arg.objects:
        for model in MODELS:
            seeds = arg.seeds if model == "U-Net" else min(arg.fcn_seeds, arg.seeds)
            for source in sources(model):
                for seed in common.seeds(seeds):
                    name = object_name(dataset, model, source, seed)
                    stages[name] = objects(arg, dataset, model, source, seed)
        stages |= measurements(arg, dataset)
    stages["all_background"] = dict(
        kind="measure",
        analysis=dict(
            name="constant_predictor", data=composites_data(arg, COMMON, "test")
        ),
        columns=[dict(role="measure", setting="composites", target=f"chairs/{COMMON}")],
    )
    return common.study("chairs", stages, smoke=arg.smoke)


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
    data = composites_data(arg, size, "train")
    return train(arg, model, data, None, row, size)


def scenes(arg):
    """The U-Net on chairs in scenes, the other source of 5.3."""
    row = dict(variant="U-Net", target="scene_chairs", source="random", role="source")
    row["seed"] = 0
    data = dict(name=arg.scenes, count=arg.images or None)
    # The chairs of COCO have no test images.
    held_out = ("validation", "validation") if arg.paper else ("validation", "test")
    return train(arg, "U-Net", data, None, row, splits=held_out)


def objects(arg, dataset, model, source, seed):
    """A training on one kind of thing, of a whole network from a source or random."""
    row = dict(variant=model, setting="objects", target=short(dataset), source=source)
    row |= dict(role="target", baseline="random", seed=seed)
    data = dict(name=dataset, count=arg.object_images or None)
    return train(arg, model, data, sources(model)[source], row)


def composites_data(arg, size, split):
    """The composites of a split: rendered, or of the files of a folder."""
    counts = dict(train=arg.images, validation=arg.validation, test=arg.test)
    data = dict(name=f"chairs/{size}", split=split, count=counts[split] or None)
    if not arg.composites:
        return data
    return data | dict(
        name="chairs/folder", root=arg.composites, options=dict(size=size)
    )


def train(arg, model, data, parent, row, size=COMMON, splits=("validation", "test")):
    """A training that its validation IoU stops, and that keeps its best weights.

    splits: of the evaluations `validation` and `test`.
    """
    setting = row.get("setting", "composites")
    facts, of_objects = MODELS[model], setting == "objects"
    optimizer, rate = facts[setting]
    if not arg.paper:
        rate = RATES.get(model, {}).get(setting, rate)
    counts = dict(validation=arg.object_validation, test=arg.object_test)
    if row.get("setting") == "composites":
        counts = dict(validation=arg.validation, test=arg.test)
    stage = common.train(
        data
        | dict(size=[size, size], augment=[LETTERBOX | dict.fromkeys(SIDES, size)]),
        task=dict(name="segmentation", binary=True, headline="iou_per_image"),
        model=dict(
            backbone=dict(name=facts["backbone"])
            | facts["paper" if arg.paper else "small"],
            head=facts["head"],
        ),
        steps=arg.object_steps if of_objects else arg.steps,
        batch_size=arg.batch,
        lr=rate,
        optimizer=optimizer,
        schedule={"name": "constant"},
        seed=row["seed"] + (OWN_SEEDS if of_objects else 0),
        eval_every=arg.object_eval_every if of_objects else arg.eval_every,
        patience=arg.patience,
        keep="best",
        choose_by="validation",
        headline="test",
        evaluations={
            name: dict(split=split, count=counts[name] or None)
            for name, split in zip(("validation", "test"), splits)
        },
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
    data = dict(name=dataset, split="test", count=arg.object_test or None)
    training = dict(name=dataset, count=arg.object_images or None)
    for kind in starts:
        for seed in range(0, arg.seeds - 1, 2):
            stages[f"{place}/{kind}-{kind}/seed{seed}"] = dict(
                kind="measure",
                parents=dict(a=stage(kind, seed), b=stage(kind, seed + 1)),
                analysis=dict(name="interpolation", data=data, training=training),
                columns=[row | dict(pair=f"{kind}-{kind}", seed=seed)],
            )
    return stages
