"""Shared by the configs: arguments, and the sections of stages, models and data."""

import difflib
import math
import pathlib

import ml_collections as mlc


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
    return values


def unknown(kind, name, known):
    """A ValueError for an unknown name, with the known names and the nearest one."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ValueError(f"unknown {kind} {name!r}. Known: {', '.join(known)}.{hint}")


def seeds(count):
    """range(count); ValueError unless it is 1 to 1000."""
    if not 1 <= count <= 1000:
        raise ValueError(f"seeds={count}: allowed are 1 to 1000")
    return range(count)


def steps(images, epochs, batch):
    """Optimizer steps of `batch` images after which each of `images` was seen `epochs`
    times; the last batch runs into the next epoch.

    >>> steps(367, epochs=30, batch=16)  # 688.125
    689
    """
    return math.ceil(images * epochs / batch)


def folder(path, key):
    """The path; ValueError with the name of the argument if it is no folder."""
    if not pathlib.Path(path).is_dir():
        raise ValueError(f"{key}={path}: no such folder")
    return path


def study(name, stages, smoke=False):
    """The config of a study; its stages run in this order, so parents come first.

    smoke: at its smallest size, see `small`.
    """
    if smoke:
        stages = small(stages)
    config = mlc.ConfigDict({"study": name})
    config.stages = mlc.ConfigDict(stages, sort_keys=False)
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
    if parent is not None:
        stage["parents"] = {"start": parent}
        start = {"parent": "start", "take": {"backbone": "backbone"}}
        stage["starts"] = [start | {"allow": list(allow)}]
    return stage


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
# The head of each task in the factors paper (4.2), and how wide on the tiny backbone.
HEADS = {
    "segmentation": ("linear", {}),
    "classification": ("classifier", {"width": 4}),
    "detection": ("centernet", {"neck": 32, "width": 32}),
    "keypoints": ("keypoints", {"width": 16}),
    "depth": ("depth", {}),
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


# A study at its smoke size, see `small`.
SIDE, IMAGES, STEPS, BATCH = 64, 4, 2, 2
# Fields of backbones that a variant sets to its own sizes.
SIZES = ("width", "widths", "lengths", "blocks", "modules", "stem", "first_width")
SIZES += ("first_blocks", "depth", "heads", "head_width", "image_size")
# Fields of analyses that are numbers of batches, or points with a measurement each.
FEWER = {"interpolation": {"at": [0, 0.5, 1], "batches": 2}}


def small(stages):
    """The stages of a study at its smoke size, which takes minutes.

    Data sets, tasks, heads, transplants and protocols stay. Backbones are `tiny`,
    images of SIDE pixels, at most IMAGES of each split, which needs as many; STEPS
    steps of BATCH images; one rate; each cell of a table once: a stage whose columns
    differ only in the seed from those of one before it is left out, unless another
    stage needs it. Imported weights stay, so give those of tiny networks.
    """
    inner = {name for stage in stages.values() for name in _parents(stage)}
    rules = {"train": _small_training, "measure": _small_measurement}
    stages = {
        name: dict(stage) | rules.get(stage["kind"], dict)(stage)
        for name, stage in stages.items()
    }
    for stage in stages.values():
        if stage["kind"] == "select":
            stage["parents"] = _of_one_rate(stage, stages)
    kept = _once(stages, inner)
    return {name: stage for name, stage in stages.items() if name in kept}


def _small_training(stage):
    small = dict(steps=STEPS, batch_size=BATCH, model=_tiny(stage["model"]))
    every = stage.get("parts") or {"": stage}
    parts = {
        name: dict(part) | {"data": _small_data(part["data"])}
        for name, part in every.items()
    }
    small |= {"parts": parts} if stage.get("parts") else {"data": parts[""]["data"]}
    split = {part["data"].get("split", "train") for part in parts.values()}
    given = stage.get("evaluations")
    if given is None:
        given = {f"{name}/validation".lstrip("/"): {} for name in parts}
    small["evaluations"] = {n: _small_evaluation(e, split) for n, e in given.items()}
    for key, least in dict(eval_every=1, patience=1, accumulate=BATCH).items():
        if stage.get(key):  # None and 0 stay
            small[key] = min(stage[key], least)
    if (stage.get("schedule") or {}).get("warmup_steps"):
        small["schedule"] = dict(stage["schedule"]) | {"warmup_steps": 1}
    return small


def _tiny(model):
    """A model section with the tiny variant of its backbone."""
    heads = dict(HEADS.values())
    backbone = {k: v for k, v in model["backbone"].items() if k not in SIZES}
    small = dict(model) | {"backbone": backbone | {"variant": "tiny"}}
    if "head" in model:
        small["head"] = dict(model["head"]) | heads.get(model["head"]["name"], {})
    if "heads" in model:
        small["heads"] = {
            name: dict(head) | heads.get(head["name"], {})
            for name, head in model["heads"].items()
        }
    return small


def _small_data(data):
    """The data section of a training."""
    small = _few(data) | {"size": [SIDE, SIDE]}
    if not isinstance(data.get("augment", ""), str):
        small["augment"] = [
            {k: SIDE if k in ("height", "width") else v for k, v in step.items()}
            for step in data["augment"]
        ]
    if "mix" in data:
        small["mix"] = [_few(one) for one in data["mix"]]
    return small


def _small_evaluation(section, splits):
    """splits: of trainings; there an evaluation takes over which images are drawn."""
    section = dict(section or {})
    if "size" in section:
        section["size"] = [SIDE, SIDE]
    drawn = {"count", "fraction"} & set(section)
    if section.get("split", "validation") in splits and not drawn:
        return section
    return _few(section)


def _few(data):
    """A data section with at most IMAGES images."""
    few = {key: value for key, value in data.items() if key != "fraction"}
    return few | {"count": min(data.get("count") or IMAGES, IMAGES)}


def _small_measurement(stage):
    """Its data sections, alone or in lists, name a set or the parent it is of."""

    def small(value):
        if isinstance(value, list | tuple):
            return [small(one) for one in value]
        is_data = hasattr(value, "items") and {"name", "of"} & set(value)
        return _few(value) if is_data else value

    analysis = {key: small(value) for key, value in stage["analysis"].items()}
    return {"analysis": analysis | FEWER.get(analysis["name"], {})}


def _of_one_rate(select, stages):
    """The parents of a selection: of those that differ only in their rate the one that
    its search begins with, or the first.
    """
    kept, seen = {}, []
    for role in sorted(select["parents"], key=lambda role: role != select.get("start")):
        name = select["parents"][role]
        alike = {key: value for key, value in stages[name].items() if key != "lr"}
        if alike not in seen:
            seen.append(alike)
            kept[role] = name
    return kept


def _once(stages, inner):
    """Names of the stages that fill no cell for a second time, and of all that they
    descend from. inner: names of parents; without a cell they are there for these.
    """
    seen, again, needed = [], set(), set()
    for name, stage in stages.items():
        cells = [
            {key: value for key, value in row.items() if key != "seed"}
            for row in stage.get("columns") or ()
        ]
        if cells in seen or (not cells and name in inner):
            again.add(name)
        elif cells:
            seen.append(cells)
    for name, stage in reversed(stages.items()):
        if name in needed or name not in again:
            needed |= {name, *_parents(stage)}
    return needed


def _parents(stage):
    return (stage.get("parents") or {}).values()


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
