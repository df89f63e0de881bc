"""What the factors studies of embedded worlds share: their sets, their pretraining."""

from configs import _factors_stages as stages_of
from configs import common

PRETRAINING = "websearch"  # in the role of ILSVRC
VALIDATION = 100  # images of embedded validation sets: a second per stage counts here
BATCH = 8  # of sources and targets alike, which then share one compiled program


def pretraining(variant, images, steps):
    """Classification, with HRNet's own classification head (4.2)."""
    return common.train(
        dict(data(PRETRAINING), count=images),
        task={"name": "classification"},
        model=common.model(variant, "classification"),
        steps=steps,
        batch_size=16,
        lr=0.003,
        evaluations=dict(validation=dict(count=VALIDATION)),
        run={"checkpoint_every": 100},
        columns=[dict(setting="full", target=PRETRAINING, role="pretraining")],
    )


def data(world):
    """The section of an embedded set."""
    return dict(name=f"worlds/{world}", augment=common.AUGMENT)


def one_set(name, variant, **by_setting):
    """An embedded set for `_factors_stages`; by_setting: counts, steps, rates."""
    world, task = common.parts(name)
    kept = {key: {"checkpoint_every": 100} for key in ("full", "small_source")}
    return by_setting | dict(
        data=data(world),
        task=stages_of.section(task),
        model=common.model(variant, task),
        domain=world.split("_")[0],
        evaluation=dict(count=VALIDATION),
        run=kept | dict(small={"log_every": 10}),
        recipe=dict(batch_size=BATCH),
    )


def groups(tasks, sources):
    """{task type: sources of it} of the multi-source models that are asked for."""
    found = {}
    for task in filter(None, tasks):
        if task not in common.HEADS:
            raise common.unknown("task", task, common.HEADS)
        found[task] = [name for name in sources if common.parts(name)[1] == task]
        if len(found[task]) < 2:
            raise ValueError(f"multi={task}: needs two sources or more of that task")
    return found


def distances(names, model):
    """Eq. 1 between the images of all sets, in the pooled maps of a stage's model."""
    worlds = dict.fromkeys(common.parts(name)[0] for name in names)
    return dict(
        kind="measure",
        parents={"model": model},
        analysis=dict(
            name="domain_distance",
            datasets=[dict(name=f"worlds/{world}", count=100) for world in worlds],
        ),
    )
