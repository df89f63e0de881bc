r"""The factors study at full size, and its Table 3.

  --config=configs/factors.py:paper
  --config=configs/factors.py:paper,settings=small,targets=segmentation+coco@detection
  --config=configs/factors.py:paper,weights=hrnet_w48.safetensors,arch=hrnet_w48
  --config=configs/factors.py:validation

Tables 4 to 6: twenty data sets below $JAXSEG_DATA, each a source and a target of all
that it is annotated for (`_factors_sets.py`), small, full and small-source settings,
three multi-source models, one seed. HRNetV2-W48 with bilinear fusion, for only that
takes images of 420 and 713 pixels. The best of three rates is chosen on the reported
validation images (choose=holdout: on a fifth of the training images), as it is for
starts at random and from ILSVRC. ILSVRC itself is trained as in A.1, or is `weights`, a
file or the folder of an artifact.

In `sources` and `targets` a task type stands for all of its sets. Small targets are
tried with all sources, full ones of detection and keypoints as well, others with those
of their task type (the paper tried some of these pairs: Tables 4b to 4e are pictures).

Appendix B, each a plan of its own beside the others of a workdir:

  :paper,settings=small,sources=segmentation,targets=segmentation,size=713+713
  :paper,settings=small,sources=segmentation,targets=segmentation,\
backbone=resnet,variant=50
  :paper,settings=small,sources=segmentation+detection,targets=detection,\
backbone=resnet,variant=50

ResNet-50 has output stride 32. Ours: heads join its four maps at stride 4, as those of
HRNet do; the paper says only that its activations are at a lower resolution.

The study is called after its arguments: factors-paper, factors-validation.
"""

import re

from configs import _factors_sets as table
from configs import _factors_stages as stages_of
from configs import common

PRETRAINING = "ilsvrc"
STARTS = dict(weights="", arch="", choose="validation", smoke=False)
# Results of the first three differ by their keys anyway; `common.study` says smoke.
NOT_IN_NAME = ("weights", "arch", "root", "smoke")
FEATURES = 1000  # images of a set for Eq. 1 (3.2)
FEATURES_BY_TASK, SHOWN = ("coco", "sun_rgbd"), 150  # sets and their images in Fig. 3
FIELDS = {"hrnet": {"fusion": "bilinear"}}  # of a backbone


def whole(text):
    """The config of Tables 4 to 6."""
    tasks = tuple(table.TASKS)
    arg = common.parse(
        text,
        paper=False,
        sources=tasks,
        targets=tasks,
        settings=stages_of.SETTINGS,
        multi=stages_of.AUTO,
        pairs="all",
        seeds=1,
        backbone="hrnet",
        variant="w48",
        size=(0, 0),
        **STARTS,
    )
    sources = expanded(arg.sources, "source")
    study = stages_of.Study(
        sets={name: one_set(name, row, arg) for name, row in table.SETS.items()},
        sources=sources,
        targets=expanded(arg.targets, "target"),
        settings=arg.settings,
        groups=groups(arg.multi, sources),
        pretraining=PRETRAINING,
        seeds=dict.fromkeys(arg.settings, common.seeds(arg.seeds)),
        pairs=arg.pairs,
        choose=arg.choose,
        allow=allowed(arg),
    )
    stages = {PRETRAINING: pretraining(arg, "full")} | study.stages()
    if "segmentation" in study.groups:
        stages["domain_distance"] = distances()
    stages |= task_features(study.sources)
    return common.study(study_name(text), stages, smoke=arg.smoke)


def table_3(text):
    """The config of Table 3: the task types alone, from ILSVRC."""
    arg = common.parse(text, validation=False, **STARTS)
    arg.update(backbone="hrnet", variant="w48", size=(0, 0))
    rows = table.VALIDATION.items()
    study = stages_of.Study(
        sets={name: one_set(name, row, arg) for name, row in rows},
        sources=(),
        targets=tuple(table.VALIDATION),
        settings=(),
        pretraining=PRETRAINING,
        seeds={},
        choose=arg.choose,
        allow=allowed(arg),
    )
    stages = {PRETRAINING: pretraining(arg, "validation")}
    for name in table.VALIDATION:
        row = dict(setting="validation", target=name, source=PRETRAINING, role="target")
        stages |= study.trained(f"validation/{name}", name, "full", PRETRAINING, row)
    return common.study(study_name(text), stages, smoke=arg.smoke)


def study_name(text):
    """factors-paper-settings.small of "paper,settings=small"."""
    words = [w for w in text.split(",") if w.partition("=")[0] not in NOT_IN_NAME]
    plain = [re.sub(r"[^\w.]+", ".", word) for word in words if word]
    return "-".join(["factors", *plain])


def expanded(names, kind):
    """Names of sets, with those of each task type that is named."""
    found = []
    for name in names:
        if name not in (*table.TASKS, *table.SETS):
            raise common.unknown(kind, name, (*table.TASKS, *table.SETS))
        found += [s for s in table.SETS if common.parts(s)[1] == name] or [name]
    return tuple(dict.fromkeys(found))


def groups(tasks, sources):
    """{task type: names of the sets of its multi-source model}; by default of each task
    type that sources have.
    """
    if tuple(tasks) == stages_of.AUTO:
        there = {common.parts(name)[1] for name in sources}
        tasks = [task for task in table.GROUPS if task in there]
    for task in tasks:
        if task not in table.GROUPS:
            raise common.unknown("task", task, table.GROUPS)
    names = lambda task: [table.named(task, name) for name in table.GROUPS[task]]
    return {task: names(task) for task in tasks}


def allowed(arg):
    """What published weights may differ in; timm's HRNet has fusion="nearest"."""
    return tuple(FIELDS.get(arg.backbone, ())) if arg.weights else ()


def one_set(name, row, arg):
    """A set of the paper, as `_factors_stages` takes it."""
    task = common.parts(name)[1]
    batch, optimizer, rates = table.RECIPES[task]
    facts = common.facts(row["dataset"])
    total = facts.splits[row["split"]]
    few = total > table.SMALL_SOURCE
    full, settings = row["steps"], stages_of.SETTINGS
    crops = table.SMALL_CROPS * (2 if row["small"] > table.SMALL else 1)
    return dict(
        data=dict(
            name=row["dataset"],
            split=row["split"],
            size=common.size(arg.size, row["size"]),
        ),
        task=stages_of.section(task),
        model=model(arg, task),
        domain=facts.domain,
        evaluation=dict(split=row["judged"]),
        counts=dict(
            full=None,
            small=row["small"],
            small_source=table.SMALL_SOURCE if few else None,
        ),
        steps=dict(
            full=full,
            small=common.steps(crops, epochs=1, batch=batch),
            small_source=full // 4 if few else full,
        ),
        rates=dict.fromkeys(settings, rates),
        run=dict.fromkeys(settings),
        recipe=dict(batch_size=batch, optimizer=optimizer, schedule=row["schedule"]),
    )


def model(arg, task):
    """A backbone with the head of a task (4.2)."""
    section = common.model(arg.variant, task, arg.backbone)
    section["backbone"] |= FIELDS.get(arg.backbone, {})
    if task == "classification" and arg.backbone != "hrnet":
        section["head"] = {"name": "pooled"}
    return section


def pretraining(arg, setting):
    """ILSVRC (A.1), or weights from elsewhere."""
    if arg.arch and not arg.weights:
        raise ValueError(f"arch={arg.arch}: needs weights=FILE")
    if arg.weights:
        return common.imported(arg.weights, arch=arg.arch or None)
    return common.train(
        table.ILSVRC["data"],
        task={"name": "classification"},
        model=model(arg, "classification"),
        columns=[dict(setting=setting, target=PRETRAINING, role="pretraining")],
        **table.ILSVRC["recipe"],
    )


def distances():
    """Eq. 1 between all sets of segmentation, in the maps of their multi-source model;
    of sets with fewer images all.
    """
    facts = {
        row["dataset"]: common.facts(row["dataset"])
        for row in table.SEGMENTATION.values()
    }
    counts = {n: min(FEATURES, one.splits["train"]) for n, one in facts.items()}
    datasets = [dict(name=name, count=count) for name, count in counts.items()]
    return stages_of.distances(f"sources/{stages_of.MULTI}", datasets)


def task_features(sources):
    """Fig. 3b and c: the same images in the models of each task type, where there are
    two or more, and in that of ILSVRC.
    """
    made = {}
    for name in FEATURES_BY_TASK:
        own = {t: table.named(t, name) for t in table.TASKS}
        parents = {t: f"sources/{full}" for t, full in own.items() if full in sources}
        if "segmentation" in parents and len(parents) > 1:
            row = table.SEGMENTATION[name]
            data = dict(name=row["dataset"], split=row["split"], count=SHOWN)
            made[f"task_features/{name}"] = stages_of.task_features(
                parents, PRETRAINING, data
            )
    return made
