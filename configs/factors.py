r"""Factors of influence (arXiv:2103.13318): ILSVRC -> source -> target, a gain table.

  python -m jaxseg.main --config=configs/factors.py
  python -m jaxseg.main --config=configs/factors.py:seeds=5,lrs=0.001+0.003+0.01
  python -m jaxseg.main --config=configs/factors.py:targets=consumer_travel
  python -m jaxseg.main --config=configs/factors.py:real=camvid/11,root=DIR,size=96+128

By default all data are embedded: one classification pretraining in the role of
ILSVRC, sources in six domains and of four task types, targets of other data sets with
few images, beside random and pretraining-only starts (5.1, 5.2). A name alone is
semantic segmentation, `driving_day@detection` another task type, as in Tables 4b to 4e.
A source is tried on a target that shares its domain or its task type (pairs=all: on
every target). As in the paper, segmentation drops the background from the loss (A.1).
Ours: the background is dropped from mIoU as well (the paper does not say; with no loss
its IoU would be 0), Adam with a cosine for all tasks in place of SGD with steps for
segmentation (A.2), steps, rates and image counts, of which the paper prints none.
"""

from configs import common

PRETRAINING = "websearch"
SOURCES = (
    "consumer_everyday",
    "driving_day",
    "indoor_home",
    "aerial_city",
    "underwater_reef",
    "closeups_insects",
    "driving_day@detection",
    "closeups_insects@keypoints",
    "indoor_home@depth",
)
TARGETS = (
    "driving_night",
    "indoor_office",
    "aerial_farm",
    "driving_night@detection",
    "closeups_dogs@keypoints",
    "indoor_office@depth",
)
# Detection and keypoints need more images and steps than segmentation before their
# metrics are above zero, so that a gain in percent exists.
EFFORT = {"segmentation": 1, "depth": 1, "detection": 2, "keypoints": 2}
VALIDATION = 100  # images of embedded validation sets: a second per stage counts here
BATCH = 8  # of sources and targets alike, which then share one compiled program


def get_config(arg=""):
    """Arguments: sizes of the study, and `real` with `root` for a set on disk."""
    arg = common.parse(
        arg,
        seeds=3,
        sources=SOURCES,
        targets=TARGETS,
        target_images=30,
        target_steps=60,
        source_images=500,
        source_steps=300,
        pretraining_images=1500,
        pretraining_steps=600,
        lrs=(0.003,),
        variant="tiny",
        pairs="near",
        real="",
        root="",
        size=(64, 64),
        smoke=False,
    )
    if arg.pairs not in ("near", "all"):
        raise ValueError(f"pairs={arg.pairs!r}: allowed are near and all")
    stages = {PRETRAINING: pretraining(arg)}
    stages |= {f"sources/{name}": source(name, arg) for name in arg.sources}
    for target in [*arg.targets, *filter(None, [arg.real])]:
        starts = {PRETRAINING: PRETRAINING, "random": None}
        starts |= {s: f"sources/{s}" for s in arg.sources if meet(s, target, arg)}
        for seed in common.seeds(arg.seeds):
            for start, parent in starts.items():
                stages |= cell(target, start, parent, seed, arg)
    stages["domain_distance"] = distances(arg)
    return common.study("factors", stages, smoke=arg.smoke)


def pretraining(arg):
    """Classification, with HRNet's own classification head (4.2)."""
    return common.train(
        data("websearch", arg.pretraining_images),
        task={"name": "classification"},
        model=common.model(arg.variant, "classification"),
        steps=arg.pretraining_steps,
        batch_size=16,
        lr=0.003,
        evaluations=dict(validation=dict(count=VALIDATION)),
        run={"checkpoint_every": 100},
        columns=[dict(setting="full", target=PRETRAINING, role="pretraining")],
    )


def data(world, count):
    """The section of so many images of an embedded set."""
    return dict(name=f"worlds/{world}", count=count, augment=common.AUGMENT)


def section(task):
    """The section of a task type; segmentation learns nothing of the background (A.1).

    A data set without a background (aerial_city, as iSAID has none) learns all classes.
    """
    if task == "segmentation":
        return {"name": task, "ignored": "background"}
    return {"name": task}


def meet(source, target, arg):
    """Whether the target is also trained from this source."""
    (world, task), (other, target_task) = common.parts(source), common.parts(target)
    near = task == target_task or world.split("_")[0] == other.split("_")[0]
    return near or arg.pairs == "all"


def source(name, arg):
    """Full training set of a source, from the pretrained backbone (5.1)."""
    world, task = common.parts(name)
    return common.train(
        data(world, arg.source_images),
        task=section(task),
        model=common.model(arg.variant, task),
        steps=arg.source_steps,
        batch_size=BATCH,
        lr=0.003,
        evaluations=dict(validation=dict(count=VALIDATION)),
        run={"checkpoint_every": 100},
        parent=PRETRAINING,
        columns=[dict(setting="full", target=name, source=PRETRAINING, role="source")],
    )


def cell(target, start, parent, seed, arg):
    """Stages of one cell at one seed: {name: section}; several rates add a selection.

    The seed draws the small subset, the new leaves and the order.
    """
    name = f"targets/small/{target.replace('/', '_')}/from_{start}/seed{seed}"
    row = dict(setting="small", target=target, source=start, role="target")
    columns = [row | dict(baseline=PRETRAINING)]
    images = target_data(target, arg) | dict(seed=seed)
    task = common.parts(target)[1]
    steps = arg.target_steps * EFFORT[task]
    stage = dict(
        task=section(task),
        model=common.model(arg.variant, task),
        steps=steps,
        batch_size=BATCH,
        seed=seed,
        parent=parent,
        eval_every=None,
        run={"log_every": 10},
    )
    count = None if target == arg.real else VALIDATION
    evaluations = dict(validation=dict(count=count))
    if len(arg.lrs) == 1:
        stage |= dict(lr=arg.lrs[0], columns=columns, evaluations=evaluations)
        return {name: common.train(images, **stage)}
    # The rate is chosen on a fifth of the target's training images, which the
    # candidates do not train on; the paper does not say on what it chose.
    evaluations["holdout"] = dict(split="train", part="holdout")
    candidates = {
        f"{name}/lr{rate(lr)}": common.train(
            images | dict(part="train"), lr=lr, evaluations=evaluations, **stage
        )
        for lr in arg.lrs
    }
    chosen = common.select(candidates, evaluation="holdout", columns=columns)
    return {**candidates, name: chosen}


def rate(lr):
    """0.001 as "1e-03", 0.0015 as "0.0015": no two rates have one name."""
    short = f"{lr:.0e}"
    return short if float(short) == lr else repr(lr)


def target_data(target, arg):
    """A small subset: of an embedded world, or of the real set on disk."""
    if target != arg.real:
        world, task = common.parts(target)
        count = arg.target_images * EFFORT[task]
        return data(world, count)
    place = dict(name=target, root=arg.root or None, size=list(arg.size))
    return place | dict(count=arg.target_images, augment=common.AUGMENT)


def distances(arg):
    """Eq. 1 between all sets, in the pooled maps of the pretrained model.

    The paper's features are those of its multi-source segmentation model.
    """
    worlds = dict.fromkeys(
        common.parts(name)[0] for name in (*arg.sources, *arg.targets)
    )
    names = [f"worlds/{world}" for world in worlds]
    return dict(
        kind="measure",
        parents={"model": PRETRAINING},
        analysis=dict(
            name="domain_distance",
            datasets=[dict(name=name, count=100) for name in names],
        ),
    )
