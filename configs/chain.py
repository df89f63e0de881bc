r"""One transfer chain: weights -> any number of sources -> target, and its gain.

  python -m jaxseg.main --config=configs/chain.py
  python -m jaxseg.main --config=configs/chain.py:task=depth,seeds=3
  python -m jaxseg.main --config=configs/chain.py:weights=hrnet_w48.safetensors,\
arch=hrnet_w48,variant=w48,sources=coco/instances@detection,target=camvid/11,root=DIR

Each stage starts from the backbone of the stage before it, with a new head. `weights`
is an artifact's folder or a published file (`python -m jaxseg.weights --list` shows
what `arch` takes); without it the first source starts from random weights. The target
is also trained from the weights alone and from random weights; the gain is over the
weights alone, or over random weights if there are none.

A data set may name its task, `NAME@TASK`; `task` is the task of those that do not.
`root` is the folder of the target; sources on disk lie below $JAXSEG_DATA.
"""

from configs import common


def get_config(arg=""):
    """A minute on embedded data by default."""
    arg = common.parse(
        arg,
        weights="",
        arch="",
        sources=("worlds/consumer_everyday", "worlds/driving_day"),
        target="worlds/driving_night",
        task="segmentation",
        root="",
        backbone="hrnet",
        variant="tiny",
        source_steps=300,
        source_count=1000,
        steps=60,
        count=30,
        seeds=1,
        batch=8,
        lr=0.003,
        smoke=False,
    )
    stages, starts, last = {}, {"random": None}, None
    if arg.weights:
        stages["weights"] = common.imported(arg.weights, arch=arg.arch or None)
        starts["weights"] = last = "weights"
    for name in arg.sources:
        stage = f"sources/{short(name)}"
        if stage in stages:
            raise ValueError(f"sources: {name!r} is given twice")
        stages[stage] = source(arg, name, last)
        last = stage
    if last is None:
        raise ValueError("a chain needs weights=FILE or sources=NAME")
    starts[last.removeprefix("sources/")] = last
    for seed in common.seeds(arg.seeds):
        for start in starts:
            name = f"target/{short(arg.target)}/from_{start}/seed{seed}"
            stages[name] = target(arg, start, starts, seed)
    return common.study("chain", stages, smoke=arg.smoke)


def short(name):
    """The name of a data set as a part of a stage's name."""
    return name.removeprefix("worlds/").replace("/", "_")


def source(arg, name, parent):
    """Training on `source_count` images of a source (0: all), from the stage before."""
    before = (parent or "random").removeprefix("sources/")
    row = dict(setting="full", target=short(name), source=before, role="source")
    data = dict(count=arg.source_count or None)
    return train(arg, name, parent, arg.source_steps, data, row)


def target(arg, start, starts, seed):
    """Training on `count` images of the target (0: all) from one of the starts.

    The seed draws the images, the new head and the order.
    """
    row = dict(setting="small", target=short(arg.target), source=start, role="target")
    row["baseline"] = list(starts)[-2]  # the start that lacks the sources
    data = dict(count=arg.count or None, seed=seed, root=arg.root or None)
    return train(arg, arg.target, starts[start], arg.steps, data, row, seed=seed)


def train(arg, name, parent, steps, data, row, **section):
    """A training of the chain, with the head of its task."""
    dataset, task = common.parts(name, arg.task)
    return common.train(
        dict(name=dataset, augment=common.AUGMENT, **data),
        task={"name": task},
        model=common.model(arg.variant, task, arg.backbone),
        steps=steps,
        batch_size=arg.batch,
        lr=arg.lr,
        eval_every=None,
        parent=parent,
        columns=[row],
        **section,
    )
