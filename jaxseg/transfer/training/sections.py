"""Binds the section of a training: data sections inherit what they leave out."""

from collections.abc import Mapping
from typing import Any

from jaxseg.core import binding, lookup, memo
from jaxseg.data import subsets
from jaxseg.data.spec import SET
from jaxseg.transfer.spec import EvalSpec, PartSpec, TrainData, TrainSpec

ANY_SET = ("size", "cache")  # what other data sections inherit from that of training
VARIED = ("seed", "starts")  # in these alone most trainings of a study differ
SAME_SET = (*ANY_SET, *SET, "only", "full_digest")  # where they name no other set


def place(where: str, part: str) -> str:
    """Where the sections of a part stand, in messages."""
    return f"{where}/parts/{part}" if part else where


def bind_training(section: Mapping[str, Any], where: str) -> TrainSpec:
    """A `train` section; its evaluations inherit from the data of their part."""
    own = {key: value for key, value in section.items() if key in VARIED}
    alike = {key: value for key, value in section.items() if key not in VARIED}
    return binding.changed(_bind_alike(alike, where=where), own, where)


@memo.placed
def _bind_alike(section: Mapping[str, Any], where: str) -> TrainSpec:
    filled, parts = dict(section), section.get("parts")
    if isinstance(parts, Mapping):
        bound = {name: _part(own, place(where, name)) for name, own in parts.items()}
        filled = {"data": None, "task": None, "headline": None} | filled
        filled |= {"parts": bound}
        filled |= _evaluations(section, {n: p.data for n, p in bound.items()}, where)
    elif isinstance(section.get("data"), Mapping):
        data = train_data(section["data"], f"{where}/data")
        filled |= {"data": data} | _evaluations(section, {"": data}, where)
        if not filled["evaluations"]:
            filled = {"headline": None} | filled
    return binding.bind(TrainSpec, section=filled, where=where)


def _part(section: Any, where: str) -> PartSpec:
    if isinstance(section, Mapping) and isinstance(section.get("data"), Mapping):
        section = {**section, "data": train_data(section["data"], f"{where}/data")}
    return binding.bind(PartSpec, section=section, where=where)


def _evaluations(
    section: Mapping[str, Any], parts: Mapping[str, TrainData], where: str
) -> dict[str, Any]:
    """{"evaluations": bound}; parts: {name: data of training}."""
    given = section.get("evaluations")
    if given is None:
        given = {f"{name}/validation".lstrip("/"): {} for name in parts}
    if isinstance(given, Mapping):
        bound = {}
        for name, own in given.items():
            data = parts.get("") or parts.get(name.partition("/")[0])
            if data is None:
                known = [f"{part}/..." for part in parts]
                place = f"{where}/evaluations"
                raise lookup.unknown(name, known, kind="evaluation", where=place)
            bound[name] = evaluation(data, own, f"{where}/evaluations/{name}")
        given = bound
    return {"evaluations": given}


def train_data(section: Any, where: str) -> TrainData:
    """The data section of a training; what its `mix` leaves out is as there."""
    mix = section.get("mix", ())
    alone = {key: value for key, value in section.items() if key != "mix"}
    data = binding.bind(TrainData, section=alone, where=where)
    if not mix:
        return data
    if isinstance(mix, list | tuple):
        mix = [inherited(data, one) if isinstance(one, Mapping) else one for one in mix]
    return binding.bind(TrainData, section=alone | {"mix": mix}, where=where)


def evaluation(data: TrainData, section: Any, where: str) -> EvalSpec:
    """The data section of an evaluation; what it leaves out is as in training."""
    if not isinstance(section, Mapping | None):
        return binding.bind(EvalSpec, section=section, where=where)
    own = {"split": "validation"} | dict(section or {})
    filled = inherited(data, own)
    same = _same_set(data, own) and own["split"] == data.split
    if same and not {"count", "fraction"} & set(own):
        filled = {key: getattr(data, key) for key in subsets.DRAW} | filled
    return binding.bind(EvalSpec, section=filled, where=where)


def inherited(data: TrainData, section: Mapping[str, Any]) -> dict[str, Any]:
    """A data section with what it takes over from that of training."""
    keys = SAME_SET if _same_set(data, section) else ANY_SET
    return {key: getattr(data, key) for key in keys} | dict(section)


def _same_set(data: TrainData, section: Mapping[str, Any]) -> bool:
    """Whether a data section names no other set than that of training."""
    names = {name: getattr(data, name) for name in ("name", "of")}
    return all(section.get(name, own) == own for name, own in names.items())
