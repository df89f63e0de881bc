r"""Factors of influence (arXiv:2103.13318): ILSVRC -> source -> target, a gain table.

  python -m jaxseg.main --config=configs/factors.py
  python -m jaxseg.main --config=configs/factors.py:seeds=5,lrs=0.001+0.003+0.01
  python -m jaxseg.main --config=configs/factors.py:targets=consumer_travel
  python -m jaxseg.main --config=configs/factors.py:multi=segmentation
  python -m jaxseg.main --config=configs/factors.py:pretext=simclr
  python -m jaxseg.main --config=configs/factors.py:real=camvid/11,root=DIR,size=96+128
  python -m jaxseg.main --config=configs/factors.py:grid
  python -m jaxseg.main --config=configs/factors.py:paper --plan
  python -m jaxseg.main --config=configs/factors.py:paper,weights=FILE,arch=hrnet_w48
  python -m jaxseg.main --config=configs/factors.py:paper,smoke
  python -m jaxseg.main --config=configs/factors.py:validation --plan

By default all data are embedded: one classification pretraining in the role of
ILSVRC, sources in six domains and of four task types, targets of other data sets with
few images, beside random and pretraining-only starts (5.1, 5.2). A name alone is
semantic segmentation, `driving_day@detection` another task type, as in Tables 4b to 4e.
A source is tried on a target that shares its domain or its task type (pairs=all: on
every target). As in the paper, segmentation drops the background from the loss (A.1).
Ours: the background is dropped from mIoU as well (the paper does not say; with no loss
its IoU would be 0), Adam with a cosine for all tasks in place of SGD with steps for
segmentation (A.2), steps, rates and image counts, of which the paper prints none.

`pretext=simclr` pretrains without labels (A.2), and has another such training among its
sources (A.4), `NAME@simclr`, with linear probes of both on what it saw. In the workdir
of a study with labels it is V3 and V4 of that one.

`real` names sets on disk that join the targets, `root` their folders, `size` the height
and width of their images: real=camvid/11+voc/boxes@detection,root=DIR+OTHER.

`multi` names task types: all sources of one are trained together as well, with a head
for each set and one backbone (5.1), called `multi` or `multi@detection`. It starts
targets that were no part of it, and with the full target set those as well. The column
`overlap` marks these: "part"; and "images" where source and target have a data set in
common, with other labels. `grid` has one of segmentation by default, `paper` one
of each task type that its sources have, of the sets that the paper names (multi= for
none).

`grid` is the whole study in small, less than an hour on two cores: `_factors_grid.py`.
`paper` is the study at full size, and `validation` is its Table 3: `_factors_paper.py`.
"""

from configs import _factors_grid as grid
from configs import _factors_paper as paper
from configs import _factors_stages as stages_of
from configs import _factors_worlds as worlds
from configs import common

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
# A.4's second training without labels.
CHAIN = f"scenes_places@{common.SELF_SUPERVISED}"
# Detection and keypoints need more images and steps than segmentation before their
# metrics are above zero, so that a gain in percent exists.
EFFORT = {"segmentation": 1, "depth": 1, "detection": 2, "keypoints": 2}
WORDS = {"grid": grid.whole, "paper": paper.whole, "validation": paper.table_3}


def get_config(arg=""):
    """Arguments: sizes of the study, sets on disk; or one of WORDS and those of its
    study.
    """
    for word, config in WORDS.items():
        if word in arg.split(","):
            return config(arg)
    simclr = f"pretext={common.SELF_SUPERVISED}" in arg.split(",")
    arg = common.parse(
        text := arg,
        seeds=3,
        sources=(*segmentation(SOURCES), CHAIN) if simclr else SOURCES,
        targets=segmentation(TARGETS) if simclr else TARGETS,
        multi=("",),
        target_images=30,
        target_steps=60,
        source_images=500,
        source_steps=300,
        pretraining_images=1500,
        pretraining_steps=600,
        pretext="classification",
        lrs=(0.003,),
        choose="holdout",
        variant="tiny",
        pairs="all" if simclr else "near",
        real=("",),
        root=("",),
        size=(0, 0),
        smoke=False,
    )
    real = worlds.on_disk(arg.real, arg.root, arg.size)
    worlds.check((*arg.sources, *arg.targets))
    names = (*arg.sources, *arg.targets, *real)
    sets = {name: one_set(name, arg) | real.get(name, {}) for name in names}
    study = stages_of.Study(
        sets=sets,
        sources=tuple(arg.sources),
        targets=(*arg.targets, *real),
        settings=("small",),
        groups=worlds.groups(arg.multi, arg.sources),
        pretraining=worlds.PRETRAINING,
        seeds={"small": common.seeds(arg.seeds)},
        pairs=arg.pairs,
        choose=arg.choose,
    )
    sizes = arg.variant, arg.pretraining_images, arg.pretraining_steps, arg.pretext
    stages = {worlds.PRETRAINING: worlds.pretraining(*sizes)} | study.stages()
    stages["domain_distance"] = worlds.distances(sets.values(), worlds.PRETRAINING)
    if simclr and CHAIN in arg.sources:
        name = common.parts(CHAIN)[0]
        for start, parent in ((worlds.PRETRAINING,) * 2, (CHAIN, f"sources/{CHAIN}")):
            probe = worlds.probe(arg.variant, name, start, parent)
            stages[f"probe/{name}/from_{start}"] = probe
    named = paper.study_name(text) if simclr else "factors"
    return common.study(named, stages, smoke=arg.smoke)


def segmentation(names):
    """Those of that task type, all that A.2 has."""
    return tuple(name for name in names if "@" not in name)


def one_set(name, arg):
    """A set as a source and as a target."""
    effort = EFFORT.get(common.parts(name)[1], 1)
    return worlds.one_set(
        name,
        arg.variant,
        counts=dict(full=arg.source_images, small=arg.target_images * effort),
        steps=dict(full=arg.source_steps, small=arg.target_steps * effort),
        rates=dict(full=(0.003,), small=tuple(arg.lrs)),
    )
