"""Shared by the configs: arguments, and the sections of stages, models and data."""

import difflib
import math
import pathlib

import ml_collections as mlc

from jaxseg.data import catalogue

SPLITS = ("train", "validation", "test")
REPEATED = ("size", "root")  # arguments with items that may be equal


def parse(arg, **defaults):
    """`a=1,b,c=x+y` -> ConfigDict of `defaults` with these values.

    A bare word is a flag; `+` separates the items of a list; types are those of the
    defaults. ValueError on an unknown key, naming the known ones.
    """
    values, given = mlc.ConfigDict(defaults), set()
    for part in filter(None, arg.split(",")):
        key, equals, text = part.partition("=")
        if key in given:
            raise ValueError(f"{key!r} is given twice")
        given.add(key)
        if key not in defaults:
            raise unknown("argument", key, defaults)
        values[key] = (
            _typed(text, defaults[key], key) if equals else _flag(key, defaults)
        )
        if isinstance(defaults[key], tuple) and key not in REPEATED:
            _check_once(values[key], key)
    return values


def _check_once(items, key):
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"{key}: {item!r} is given twice")


def unknown(kind, name, known):
    """A ValueError for an unknown name, with the known names and the nearest one."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ValueError(f"unknown {kind} {name!r}. Known: {', '.join(known)}.{hint}")


def seeds(count, name="seeds"):
    """range(count); ValueError unless it is 1 to 1000. name: of the argument."""
    if not 1 <= count <= 1000:
        raise ValueError(f"{name}={count}: allowed are 1 to 1000")
    return range(count)


def steps(images, epochs, batch):
    """Optimizer steps of `batch` images after which each of `images` was seen `epochs`
    times; the last batch runs into the next epoch.

    >>> steps(367, epochs=30, batch=16)  # 688.125
    689
    """
    return math.ceil(images * epochs / batch)


def rate(lr):
    """0.001 as "1e-03", 0.0015 as "0.0015": no two rates have one name."""
    short = f"{lr:.0e}"
    return short if float(short) == lr else repr(lr)


def size(values, default):
    """[height, width] of the argument `size`, `default` where it is (0, 0); ValueError
    unless it is two numbers.
    """
    if len(values) != 2 or (any(values) and min(values) < 1):
        raise ValueError(
            f"size={'+'.join(map(str, values))}: allowed are height and width, for "
            "example 96+128"
        )
    return list(values if any(values) else default)


def folder(path, key):
    """The path; ValueError with the name of the argument if it is no folder."""
    if not pathlib.Path(path).is_dir():
        raise ValueError(f"{key}={path}: no such folder")
    return path


def facts(dataset):
    """The fact sheet of a set of the catalogue: splits, domain, classes."""
    return catalogue.find(dataset)


def variants(family):
    """Names of the sets of the catalogue below FAMILY/."""
    names = (name.partition("/") for name in catalogue.names())
    return [variant for first, _, variant in names if first == family]


def splits(dataset):
    """{split: number of images} of a set of the catalogue; 0: only its folder knows.

    A user's own set, whose folder alone has splits, is taken to have SPLITS.
    """
    return dict(catalogue.find(dataset).splits) or dict.fromkeys(SPLITS, 0)


def classes(dataset):
    """The classes of a set of the catalogue; none where only its folder knows them."""
    return catalogue.find(dataset).classes


def study(name, stages, smoke=False):
    """The config of a study; its stages run in this order, so parents come first.

    smoke: at its smoke size, see `jaxseg.transfer.smoke`, under a name of its own.
    """
    named = {"study": f"{name}-smoke", "smoke": True} if smoke else {"study": name}
    config = mlc.ConfigDict(named)
    # Sections stay dicts: of thousands ConfigDicts would take a second.
    config.stages = mlc.ConfigDict(stages, sort_keys=False, convert_dict=False)
    return config


def train(dataset, *, task, model, steps, parent=None, allow=(), **section):
    """A `train` stage; it starts from the backbone of the stage `parent`, if given.

    dataset: a name or a data section. allow: fields of the backbone that may differ
    from the parent's.
    """
    data = {"name": dataset} if isinstance(dataset, str) else dict(dataset)
    stage = dict(
        kind="train", data=data, task=task, model=model, steps=steps, **section
    )
    return stage | _started(parent, allow)


def train_parts(parts, *, model, steps, parent=None, allow=(), **section):
    """As `train`, of several sets at once: {name: {data, task}}, a head for each."""
    stage = dict(kind="train", parts=parts, model=model, steps=steps, **section)
    return stage | _started(parent, allow)


def _started(parent, allow):
    if parent is None:
        return {}
    start = {"parent": "start", "take": {"backbone": "backbone"}, "allow": list(allow)}
    return {"parents": {"start": parent}, "starts": [start]}


def imported(file, **section):
    """An `imported` stage of a file of weights or of an artifact's folder."""
    return dict(kind="imported", file=file, **section)


def select(candidates, start=None, **section):
    """A `select` stage: the best of the stages with these names.

    start: the name of one, which a walk over their learning rates begins with, up and
    down to the best; without it all are trained.
    """
    parents = {f"candidate{place:02d}": name for place, name in enumerate(candidates)}
    if start is not None:
        roles = {name: role for role, name in parents.items()}
        if start not in roles:
            raise ValueError(f"start: found {start!r}, allowed: {', '.join(roles)}")
        section |= dict(search="peak", start=roles[start])
    return dict(kind="select", parents=parents, **section)


TYPES = {int: "a whole number", float: "a number"}
# The paper rescales by an unstated range; at 64 px small objects vanish below 0.75.
AUGMENT = [
    {"name": "flip"},
    {"name": "rescale", "low": 0.75, "high": 1.5},
    {"name": "crop"},
]
SELF_SUPERVISED = "simclr"
# How SimCLR and ConRec learn from few steps on rendered images. A linear probe of four
# things (scenes_things) reaches .77 to .85 on random encoders, .91 after 150 such steps
# and .90 after 300. With weaker colours images are told apart by their colours, and it
# falls to .68; with crops of .08 it is .83, with 32 images of 64 pixels .70.
CONTRAST = dict(
    augment="conrec_mild", temperature=0.5, lr=1e-3, batch_size=64, size=[32, 32]
)
# Of a linear classifier on a frozen backbone, which then runs in evaluation mode.
PROBE = dict(task={"name": "classification"}, lr_multipliers=[["backbone/.*", 0.0]])
POOLED = {"name": "pooled"}
# The head of each task in the factors paper (4.2), and how wide on the tiny backbone.
HEADS = {
    "segmentation": ("linear", {}),
    "classification": ("classifier", {"width": 4}),
    "detection": ("centernet", {"neck": 32, "width": 32}),
    "keypoints": ("keypoints", {"width": 16}),
    "depth": ("depth", {}),
    SELF_SUPERVISED: ("projection", {"hidden": [64, 64]}),
}


def model(variant, task="segmentation", backbone="hrnet"):
    """A backbone's variant with the head of a task; the tiny variant's head is tiny."""
    if task not in HEADS:
        raise unknown("task", task, HEADS)
    name, tiny = HEADS[task]
    head = {"name": name} | (tiny if variant == "tiny" else {})
    return {"backbone": {"name": backbone, "variant": variant}, "head": head}


def parts(name, default="segmentation"):
    """("driving_day", "detection") of "driving_day@detection"; `default` without @."""
    dataset, _, task = name.partition("@")
    return dataset, task or default


def _flag(key, defaults):
    if not isinstance(defaults[key], bool):
        raise ValueError(f"{key!r} needs a value: {key}=...")
    return True


def _typed(text, default, key):
    if isinstance(default, bool):
        if text not in ("true", "false", "True", "False", "1", "0"):
            raise ValueError(f"{key}={text!r}: allowed are true and false")
        return text in ("true", "True", "1")
    if isinstance(default, tuple):
        items = [_typed(item, default[0], key) for item in text.split("+") if item]
        if not items and not isinstance(default[0], str):  # no targets: a real one only
            raise ValueError(f"{key}={text!r}: allowed are numbers with + between")
        return tuple(items)
    try:
        return type(default)(text)
    except ValueError:
        raise ValueError(f"{key}={text!r}: allowed is {TYPES[type(default)]}") from None
