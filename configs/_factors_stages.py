"""The stages of a factors study, of embedded or of real sets: sources, multi-source
models and the cells of its tables.

A set is a dict:

  data, task, model, evaluation   sections; that of data lacks the count of images
  domain                          of its images
  counts, steps, rates, run       {setting: ...}: images (None: all), steps, learning
                                  rates, the section `run`
  recipe                          batch_size, optimizer, schedule
  images                          of a set that stands for a smaller one, its size

Of several rates the best one stands (5.1).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from configs import common

SETTINGS = ("small", "full", "small_source")  # 5.2, 5.3, 5.4
# Which targets have sources of another task type: all of small ones; of full ones only
# these, for Table 8 counts 7 such targets, 6 of them within a domain; none with small
# sources, which 5.4 has for segmentation alone.
CROSSED = {"small": tuple(common.HEADS), "full": ("detection", "keypoints")}
SMALL_SOURCE = "segmentation"
MULTI = "multi"
AUTO = ("auto",)  # the argument `multi` of `grid` and of `paper`, which say what it is


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained.

    sets: {name: set}; names such as driving_day and driving_day@depth. groups: {task
    type: names}, a multi-source model of each. pretraining: the stage that sources
    start from and gains are relative to. pairs: "all", or "near": of one domain or task
    type. choose: what the best of several rates is chosen on, a "holdout" of the
    training images, or the reported "validation" images. seeds: {setting: seeds}.
    twins: sources of other task types than segmentation are trained from random weights
    as well, for a source has to beat that one. allow: see `common.train`.
    """

    sets: Mapping[str, Mapping[str, Any]]
    sources: Sequence[str]
    targets: Sequence[str]
    settings: Sequence[str]
    pretraining: str
    seeds: Mapping[str, Sequence[int]]
    groups: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    pairs: str = "all"
    choose: str = "holdout"
    twins: bool = False
    allow: Sequence[str] = ()

    def __post_init__(self):
        _check("pairs", self.pairs, ("near", "all"))
        _check("choose", self.choose, ("holdout", "validation"))
        for setting in self.settings:
            _check("settings", setting, SETTINGS)
        for key in ("sources", "targets"):
            for name in getattr(self, key):
                base, marked, task = name.partition("@")
                if marked and task == "segmentation":
                    raise ValueError(f"{key}: found {name!r}, allowed: {base!r} alone")
                if task == common.SELF_SUPERVISED and key == "targets":
                    raise ValueError(f"targets: found {name!r}, which predicts nothing")

    def stages(self):
        """{name: section}, sources first."""
        for key in ("targets", "settings"):
            if not getattr(self, key):
                raise ValueError(f"{key}: found none, allowed: one or more")
        made = {}
        for name in self.sources:
            made |= self.source(name)
        for task in self.groups:
            made |= self.multi(task)
        for setting in self.settings:
            for target in self.targets:
                for seed in self.seeds[setting]:
                    for start in self.starts(setting, target):
                        self.add_cell(made, setting, target, start, seed)
        return made

    def source(self, name):
        """A source on its full training set (5.1), and on few images (5.4)."""
        made = {}
        for setting in ("full", "small_source"):
            place = self.source_place(name, setting)
            if place not in made:
                row = dict(setting=setting, target=name, source=self.pretraining)
                row |= dict(role="source")
                made |= self.trained(place, name, setting, self.pretraining, row)
        if self.twins and common.parts(name)[1] != SMALL_SOURCE:
            row = dict(setting="full", target=name, source="random", role="source")
            made |= self.trained(f"sources/{name}/random", name, "full", None, row)
        return made

    def source_place(self, name, setting):
        """The stage of a source; where all its images are few, that on all of them."""
        counts, (_, task) = self.sets[name]["counts"], common.parts(name)
        few = setting == "small_source" and setting in self.settings
        few = few and task == SMALL_SOURCE and counts[setting] != counts["full"]
        return f"small_sources/{name}" if few else f"sources/{name}"

    def multi(self, task):
        """A model of several sets: one backbone, a head for each, batches of one set
        each. The metric of the first set chooses the rate.
        """
        names = self.groups[task]
        first, place = self.sets[names[0]], f"sources/{multi_name(task)}"
        row = dict(setting="full", target=multi_name(task), source=self.pretraining)
        return best(
            place,
            {common.parts(name)[0]: self.part(name, "full") for name in names},
            first["rates"]["full"],
            self.choose,
            [row | dict(role="source")],
            keep=True,
            model=first["model"],
            steps=sum(self.sets[name]["steps"]["full"] for name in names) // 2,
            parent=self.pretraining,
            allow=self.allow,
            **first["recipe"],
            **_given(run=first["run"]["full"]),
        )

    def starts(self, setting, target):
        """Names of what a target starts from in a setting."""
        task = common.parts(target)[1]
        if setting == "small_source" and task != SMALL_SOURCE:
            return []
        found = [self.pretraining, "random"]
        found += [name for name in self.sources if self.meet(setting, name, target)]
        if setting != "small_source":
            multi = [multi_name(task) for task in self.groups]
            found += [name for name in multi if self.meet(setting, name, target)]
        return found

    def meet(self, setting, source, target):
        """Whether a target is trained from this source, or multi-source model.

        A small target is not trained from a model of which it was a part (5.2).
        """
        task, other = (common.parts(name)[1] for name in (source, target))
        members = self.members(source)
        if source == target or (target in members and setting == "small"):
            return False
        if task != other and other not in CROSSED.get(setting, ()):
            return False
        domains = {self.sets[name]["domain"] for name in members}
        near = task == other or self.sets[target]["domain"] in domains
        return near or self.pairs == "all"

    def members(self, source):
        """Names of the sets that a source is trained on."""
        base, task = common.parts(source)
        return self.groups[task] if base == MULTI else (source,)

    def overlap(self, source, target):
        """ "part" of a target that a source was trained on, "images" where it was with
        other labels, else "".
        """
        members = self.members(source)
        if target in members:
            return "part"
        bases = {common.parts(name)[0] for name in members}
        return "images" if common.parts(target)[0] in bases else ""

    def add_cell(self, made, setting, target, start, seed):
        """Adds the stages of one cell at one seed, or its row to the stage that is it.

        The seed draws the small subset, the new leaves and the order.
        """
        row = dict(setting=setting, target=target, source=start, role="target")
        row |= dict(baseline=self.pretraining)
        parent, again = self.parent(start, setting), setting
        if start not in (self.pretraining, "random"):
            row |= _given(overlap=self.overlap(start, target))
        row |= _given(target_set_images=self.sets[target].get("images"))
        if setting == "small_source":
            again = setting if parent and parent.startswith("small_") else "small"
        place = f"targets/{again}/{target.replace('/', '_')}/from_{start}/seed{seed}"
        source = (setting, start, seed) == ("full", self.pretraining, 0)
        if source and target in self.sources:
            place = f"sources/{target}"
        if place in made:
            made[place]["columns"].append(row)
        else:
            size = "full" if setting == "full" else "small"
            made |= self.trained(place, target, size, parent, row, seed)

    def parent(self, start, setting):
        """The stage that a start is; None: random weights."""
        if start == "random":
            return None
        known = start in self.sources
        if start == self.pretraining:
            return start
        return self.source_place(start, setting) if known else f"sources/{start}"

    def trained(self, place, name, setting, parent, row, seed=0):
        """{stage name: section} of a training on one set.

        Full sets are evaluated at the end only: they are large, and a source is its
        own full target.
        """
        one = self.sets[name]
        return best(
            place,
            {"": self.part(name, setting, seed)},
            one["rates"][setting],
            self.choose,
            [row],
            keep=setting != "small" and parent == self.pretraining,
            model=one["model"],
            steps=one["steps"][setting],
            seed=seed,
            parent=parent,
            allow=self.allow if parent == self.pretraining else (),
            eval_every=None if setting == "small" else 0,
            **one["recipe"],
            **_given(run=one["run"][setting]),
        )

    def part(self, name, setting, seed=0):
        """Data, task and evaluation of a set."""
        one = self.sets[name]
        drawn = seed if setting == "small" else 0  # a full set is one set
        data = one["data"] | dict(count=one["counts"][setting], seed=drawn)
        return dict(data=data, task=one["task"], evaluation=one["evaluation"])


def best(name, parts, rates, choose, columns, keep, **section):
    """{stage name: section} of a training; of several rates the best one and all
    candidates.

    parts: {name: {data, task, evaluation}}, "" the name of the only one. choose:
    "holdout", a fifth of the training images, which the candidates do not train on, and
    the best one is trained again with; or "validation". The paper does not say which.
    keep: the weights of candidates are kept once nothing needs them, for one is those
    of a source.
    """
    held = len(rates) > 1 and choose == "holdout"
    first = next(iter(parts))
    evaluations, trained = {}, {}
    for part, own in parts.items():
        data = own["data"]
        evaluations[_inside(part, "validation")] = own["evaluation"]
        if held:
            rest = dict(split=data.get("split", "train"), part="holdout")
            evaluations[_inside(part, "holdout")] = rest
            data = data | dict(part="train")
        trained[part] = dict(data=data, task=own["task"])
    section |= dict(evaluations=evaluations)
    if first:
        section |= dict(headline=_inside(first, "validation"))

    def stage(**more):
        if first:
            return common.train_parts(trained, **section, **more)
        return common.train(trained[""]["data"], task=own["task"], **section, **more)

    if len(rates) == 1:
        return {name: stage(lr=rates[0], columns=columns)}
    store = "all" if keep and not held else "metrics"
    candidates = {
        f"{name}/lr{common.rate(lr)}": stage(lr=lr, store=store) for lr in rates
    }
    evaluation = _inside(first, choose)
    chosen = common.select(candidates, evaluation=evaluation, columns=columns)
    return {**candidates, name: chosen}


def section(task):
    """The section of a task type; segmentation learns nothing of the background (A.1).

    A data set without a background (aerial_city, SUN RGB-D) learns all classes.
    """
    if task == "segmentation":
        return {"name": task, "ignored": "background"}
    return {"name": task}


def distances(model, datasets):
    """Eq. 1 between the images of data sets, in the pooled maps of a stage's model."""
    return dict(
        kind="measure",
        parents={"model": model},
        analysis=dict(name="domain_distance", datasets=list(datasets)),
    )


def task_features(models, pretraining, data):
    """The same images in the maps of {task type: stage} and of the pretraining."""
    return dict(
        kind="measure",
        parents=dict(models, classification=pretraining),
        analysis=dict(name="task_features", data=data),
    )


def multi_name(task):
    """Of the multi-source model of a task type: multi, multi@depth."""
    return MULTI if task == "segmentation" else f"{MULTI}@{task}"


def _inside(part, evaluation):
    return f"{part}/{evaluation}" if part else evaluation


def _given(**values):
    return {key: value for key, value in values.items() if value}


def _check(key, value, allowed):
    if value not in allowed:
        raise ValueError(f"{key}={value!r}: allowed are {' and '.join(allowed)}")
