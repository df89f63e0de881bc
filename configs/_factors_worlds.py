"""What the factors studies of embedded worlds share: their sets, their pretraining."""

from configs import _factors_stages as stages_of
from configs import common

PRETRAINING = "websearch"  # in the role of ILSVRC
VALIDATION = 100  # images of embedded validation sets: a second per stage counts here
FEATURES = 100  # images of a set whose features are compared
BATCH = 8  # of sources and targets alike, which then share one compiled program
PROBE = dict(count=500, steps=200, lr=0.01)  # of a linear classifier (A.4)


def pretraining(variant, images, steps, pretext="classification"):
    """Classification, with HRNet's own classification head (4.2), or SimCLR (A.2)."""
    if pretext not in ("classification", common.SELF_SUPERVISED):
        allowed = f"classification and {common.SELF_SUPERVISED}"
        raise ValueError(f"pretext={pretext!r}: allowed are {allowed}")
    return common.train(
        dict(data(PRETRAINING, pretext), count=images),
        task={"name": pretext},
        model=common.model(variant, pretext),
        steps=steps,
        batch_size=16,
        lr=0.003,
        evaluations=dict(validation=dict(count=VALIDATION)),
        run={"checkpoint_every": 100},
        columns=[dict(setting="full", target=PRETRAINING, role="pretraining")],
    ) | contrast({"name": pretext})


def data(world, task="segmentation"):
    """The section of an embedded set."""
    found = dict(name=f"worlds/{world}", augment=common.AUGMENT)
    if task == common.SELF_SUPERVISED:
        found |= {key: common.CONTRAST[key] for key in ("augment", "size")}
    return found


def contrast(task):
    """What differs in a training without labels; {} for others."""
    if task["name"] != common.SELF_SUPERVISED:
        return {}
    task = task | dict(temperature=common.CONTRAST["temperature"])
    own = {key: common.CONTRAST[key] for key in ("batch_size", "lr")}
    return dict(task=task, **own)


def probe(variant, name, start, parent):
    """A linear classifier on the frozen backbone of a stage (A.4)."""
    few, steps, lr = PROBE.values()
    row = dict(setting="probe", target=f"{name}@classification", source=start)
    return common.train(
        dict(data(name), count=few),
        model=common.model(variant) | dict(head=common.POOLED),
        steps=steps,
        batch_size=16,
        lr=lr,
        **common.PROBE,
        evaluations=dict(validation=dict(count=400)),
        parent=parent,
        columns=[row | dict(role="target", baseline=PRETRAINING)],
    )


def check(names):
    """ValueError for a name that no embedded set has."""
    known = common.variants("worlds")
    for name in names:
        world, _ = common.parts(name)
        if world not in known:
            error = common.unknown("set", world, known)
            raise ValueError(f"{error} Sets on disk are named by real=NAME,root=DIR.")


def one_set(name, variant, **by_setting):
    """An embedded set for `_factors_stages`; by_setting: counts, steps, rates."""
    world, task = common.parts(name)
    kept = {key: {"checkpoint_every": 100} for key in ("full", "small_source")}
    made = by_setting | dict(
        data=data(world, task),
        task=stages_of.section(task),
        model=common.model(variant, task),
        domain=world.split("_")[0],
        evaluation=dict(count=VALIDATION),
        run=kept | dict(small={"log_every": 10}),
        recipe=dict(batch_size=BATCH),
        features=FEATURES,
    )
    if own := contrast(made["task"]):
        rate = own.pop("lr")
        made |= dict(task=own.pop("task"), recipe=own)
        made |= dict(rates=dict.fromkeys(made["rates"], (rate,)))
    return made


def on_disk(names, roots, size):
    """{name: fields of a real set, in place of those of `one_set`}; roots: their
    folders, none for sets below $JAXSEG_DATA; size: of their images, (0, 0) as those of
    worlds.
    """
    names, roots = (list(filter(None, some)) for some in (names, roots))
    shape = common.size(size, default=(64, 64))
    if any(size) and not names:
        raise ValueError("size: of the sets that real= names, and it names none")
    if roots and len(roots) != len(names):
        raise ValueError(
            f"real={'+'.join(names)}, root={'+'.join(roots)}: allowed is a folder for "
            "each set, or none"
        )
    found = {}
    for name, root in zip(names, roots or [None] * len(names)):
        dataset, task = common.parts(name)
        if task not in common.HEADS:
            raise common.unknown("task", task, common.HEADS)
        if root:
            common.folder(root, "root")
        data = dict(
            name=dataset,
            root=root,
            size=shape,
            augment=common.AUGMENT,
        )
        domain = common.facts(dataset).domain
        found[name] = dict(data=data, domain=domain, evaluation={}, features=None)
    return found


def groups(tasks, sources):
    """{task type: sources of it} of the multi-source models that are asked for."""
    found = {}
    for task in filter(None, tasks):
        if task not in common.HEADS:
            raise common.unknown("task", task, common.HEADS)
        found[task] = [name for name in sources if common.parts(name)[1] == task]
        if len(found[task]) < 2:
            raise ValueError(
                f"multi={task}: found {len(found[task])} sources of that task, allowed "
                "are two or more. Fix: more sources, or multi= for no such model"
            )
    return found


def distances(sets, model):
    """Eq. 1 between the images of sets; one of several task types is there once."""
    drawn = {}
    for one in sets:
        place = {key: one["data"].get(key) for key in ("name", "root")}
        drawn[place["name"]] = dict(place, count=one["features"])
    return stages_of.distances(model, drawn.values())
