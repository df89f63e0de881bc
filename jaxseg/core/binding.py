"""A config section is bound to a call: to a `Spec` class, or to a `build` function.

Binding writes the defaults of the signature into the section, so that a resolved
section says everything, and refuses keys and values that the signature does not allow.
The result is a frozen dataclass of a `Spec` class, a dict for a function.
"""

import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from jaxseg.core import errors, lookup, memo, rules

# Annotations that are enforced; anything else is the called function's own matter.
SCALARS = frozenset((float, int, bool, str, types.NoneType))
CHECKED = {float, int, bool, str, types.NoneType, Mapping, Sequence, tuple}
INT = 2**63 - 1  # what arrays and files hold
NAMES = {
    types.NoneType: "None",
    Mapping: "a section",
    Sequence: "a list",
    tuple: "a list",
}


_signature = functools.cache(inspect.signature)  # every stage asks for the same


@dataclasses.dataclass(frozen=True)
class By:
    """How a field is bound that is itself a section: `bind(section, where=...)`."""

    bind: Callable[..., Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
    """A bound section. Subclasses are frozen dataclasses whose fields are its keys."""

    def __post_init__(self) -> None:
        """UserError, beginning with the field, on a value that its Rules forbid."""
        for field, every in _rules_of(type(self)):
            for rule in every:
                rule.check(getattr(self, field), field)


def local(default: Any = dataclasses.MISSING) -> Any:
    """A field that says where or how fast, and changes no number: outside every key."""
    return dataclasses.field(default=default, metadata={"local": True})


def resolved(default: Any = None) -> Any:
    """A field that no section sets: what the data decide, written in later."""
    return dataclasses.field(default=default, metadata={"resolved": True})


def added() -> Any:
    """A field that came later: None, and then left out of what is written, so that
    sections without it keep their keys.
    """
    return dataclasses.field(default=None, metadata={"added": True})


def unwritten() -> Any:
    """A field that no section sets and nothing writes: what only plan and run know."""
    return dataclasses.field(default=None, metadata={"resolved": True, "hidden": True})


def bind(
    *functions: Callable[..., Any],
    section: Any,
    where: str,
    given: Mapping[str, Any] | None = None,
    named: bool = False,
) -> Any:
    """`section` with all defaults of `functions` written in: a dict, or an instance of
    the Spec class that `functions` is.

    named: the section's `name` has chosen the functions, and stays. given: parameters
    that the caller supplies and a section may not set, with any values they can have. A
    function with `**overrides` that returns a dataclass has that class's fields as
    parameters; their values are those of the object it builds.

    Equal sections are bound once and share what the result holds: do not change it.
    """
    parts = section.values() if isinstance(section, Mapping) else ()
    # One that holds bound sections is large, and seldom equal to another.
    bind_ = _bind if any(isinstance(part, Spec) for part in parts) else _bound
    bound = bind_(functions, section, given or {}, named, where=where)
    return dict(bound) if isinstance(bound, dict) else bound


def changed(spec: Spec, section: Mapping[str, Any], where: str) -> Any:
    """A bound section with the keys of another in place of its own."""
    parameters = _parameters((type(spec),), ())
    values = {key: _value(key, section, *parameters[key], where) for key in section}
    try:
        return dataclasses.replace(spec, **values)
    except errors.UserError as error:
        raise errors.UserError(f"{where}/{error}") from None


def _bind(
    functions: tuple[Callable[..., Any], ...],
    section: Any,
    given: Mapping[str, Any],
    named: bool,
    where: str,
) -> Any:
    if not isinstance(section, Mapping):
        raise _no_section(section, where)
    named = named or any("name" in _signature(each).parameters for each in functions)
    name = {"name": name_of(section, where)} if named and "name" in section else {}
    section = {key: value for key, value in section.items() if key not in name}
    parameters = _parameters(functions, (*given, "name"))
    for key in section:
        if key not in parameters:
            known = {*parameters, "name"} if named else parameters
            raise lookup.unknown(key, known, kind="key", where=where)
    if "name" in _required(functions) and not name:
        raise errors.UserError(f"{where}: key 'name' is missing")
    bound = {
        key: _value(key, section, annotation, default, where)
        for key, (annotation, default) in parameters.items()
    }
    if isinstance(functions[0], type) and issubclass(functions[0], Spec):
        return _instance(functions[0], name | bound, where)
    for key in section:
        for rule in _kind(parameters[key][0]).rules:
            rule.check(bound[key], f"{where}/{key}")
    for function in functions:
        if _made_class(function) is not None:
            with errors.located(where):
                bound |= _fields_of(function, bound, section, given)
    return name | bound


_bound = memo.placed(_bind)


def _value(
    key: str, section: Mapping[str, Any], annotation: Any, default: Any, where: str
) -> Any:
    """The value of one key: that of the section, or the default of the signature."""
    kind = _kind(annotation)
    if key not in section and default is inspect.Parameter.empty:
        raise errors.UserError(f"{where}: key {key!r} is missing")
    if key not in section and not (kind.by or kind.spec):
        return default
    return _cast(section.get(key, default), annotation, f"{where}/{key}")


def _instance(spec: type[Spec], values: Mapping[str, Any], where: str) -> Spec:
    try:
        return spec(**values)
    except errors.UserError as error:
        raise errors.UserError(f"{where}/{error}") from None


def _no_section(value: Any, where: str) -> errors.UserError:
    fix = f'. Fix: {{"name": "{value}"}}' if isinstance(value, str) else ""
    return errors.UserError(f"{where}: found {value!r}, allowed: a section{fix}")


def name_of(section: Any, where: str) -> str:
    """The `name` of a section; UserError where it has none."""
    if isinstance(section, str):
        raise _no_section(section, where)
    if not isinstance(section, Mapping) or "name" not in section:
        raise errors.UserError(
            f"{where}: found {section!r}, allowed: a section with a 'name'"
        )
    if not isinstance(section["name"], str):
        found = section["name"]
        raise errors.UserError(f"{where}/name: found {found!r}, allowed: a text")
    return section["name"]


@functools.cache
def _parameters(
    functions: tuple[Callable[..., Any], ...], given: tuple[str, ...]
) -> dict[str, tuple[Any, Any]]:
    """{key: (annotation, default)}; a made class's fields default to themselves."""
    found: dict[str, tuple[Any, Any]] = {}
    for function in functions:
        for key, parameter in _signature(function).parameters.items():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                found[key] = (parameter.annotation, parameter.default)
        if isinstance(function, type) and issubclass(function, Spec):
            every = dataclasses.fields(function)
            given = (*given, *(f.name for f in every if "resolved" in f.metadata))
        made = _made_class(function)
        if made is not None:
            found |= {f.name: (f.type, None) for f in _fields(made)} | found
    return {key: value for key, value in found.items() if key not in given}


@functools.cache
def _required(functions: tuple[Callable[..., Any], ...]) -> set[str]:
    """Parameters without a default, `name` as well."""
    signatures = [_signature(function) for function in functions]
    return {
        key
        for signature in signatures
        for key, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty
    }


@functools.cache
def _made_class(function: Callable[..., Any]) -> type | None:
    """The dataclass that a function with `**overrides` says it returns."""
    signature = _signature(function)
    kinds = {p.kind for p in signature.parameters.values()}
    made = signature.return_annotation
    takes_overrides = inspect.Parameter.VAR_KEYWORD in kinds
    return made if takes_overrides and dataclasses.is_dataclass(made) else None


def _fields(made: type) -> list[dataclasses.Field]:
    hidden = ("parent", "name")  # Linen's own
    return [f for f in dataclasses.fields(made) if f.init and f.name not in hidden]


def _fields_of(
    function: Callable[..., Any],
    bound: Mapping[str, Any],
    section: Mapping[str, Any],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    made = _made_class(function)
    own = {f.name for f in _fields(made)}
    arguments = {
        k: tuple(v) if isinstance(v, list) else v  # JSON's lists do not hash
        for k, v in bound.items()
        if k not in own or k in section
    }
    takes = {*_signature(function).parameters, *own}
    supplied = {key: value for key, value in given.items() if key in takes}
    built = function(**supplied, **arguments)
    return {name: getattr(built, name) for name in own if name in bound}


class _Kind(NamedTuple):
    """What an annotation asks for."""

    options: Mapping[Any, Any]  # {type without its arguments: the whole}
    rules: tuple[rules.Rule, ...]
    by: By | None
    spec: type[Spec] | None


@functools.cache
def _kind(annotation: Any) -> _Kind:
    """The annotation taken apart: Annotated, unions, and what they are of."""
    options, more = [annotation], []
    while True:
        for place, option in enumerate(options):
            if typing.get_origin(option) is Annotated:
                options[place], *rest = typing.get_args(option)
                more += rest
            elif typing.get_origin(option) in (types.UnionType, typing.Union):
                options[place : place + 1] = typing.get_args(option)
            else:
                continue
            break
        else:
            break
    classes = [
        one for one in options if isinstance(one, type) and issubclass(one, Spec)
    ]
    return _Kind(
        {typing.get_origin(option) or option: option for option in options},
        tuple(one for one in more if isinstance(one, rules.Rule)),
        next((one for one in more if isinstance(one, By)), None),
        next(iter(classes), None),
    )


@functools.cache
def _rules_of(spec: type[Spec]) -> list[tuple[str, tuple[rules.Rule, ...]]]:
    """(field, rules) of the fields that have any."""
    fields = dataclasses.fields(spec)
    every = [(field.name, _kind(field.type).rules) for field in fields]
    return [(name, own) for name, own in every if own]


def _cast(value: Any, annotation: Any, where: str) -> Any:
    """What a field holds for a value; UserError where the value is of another type.

    An int where a float is due becomes one; sections become what they are bound to.
    """
    kinds, _, by, spec = _kind(annotation)
    if isinstance(value, Spec):
        return value  # bound before
    if by is not None:
        left_out = value is None and types.NoneType in kinds
        if not (left_out or isinstance(value, Mapping)):
            raise _no_section(value, where)
        with errors.located(where):
            return by.bind(value, where=where)
    if spec is not None and (value is not None or types.NoneType not in kinds):
        return bind(spec, section={} if value is None else value, where=where)
    if not kinds.keys() <= CHECKED:
        return value
    if float in kinds and type(value) is int and abs(value) <= 2**53:
        value = float(value)
    if isinstance(value, Mapping) and Mapping in kinds:
        item = (*typing.get_args(kinds[Mapping]), Any)[1]
        return {key: _cast(each, item, f"{where}/{key}") for key, each in value.items()}
    for kind in {Sequence, tuple} & kinds.keys():
        if isinstance(value, list | tuple):
            return _cast_items(value, kinds[kind], where)
    if type(value) is int and int in kinds and abs(value) > INT:
        raise errors.UserError(
            f"{where}: found a number of {value.bit_length()} bits, allowed: whole "
            f"numbers from -{INT} to {INT}"
        )
    if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
        names = ", ".join(sorted(NAMES.get(kind, kind.__name__) for kind in kinds))
        if type(value) is float and float in kinds:
            names = "finite numbers"
        raise errors.UserError(
            f"{where}: found {value!r} ({type(value).__name__}), allowed: {names}"
        )
    return value


def _cast_items(value: Sequence[Any], annotation: Any, where: str) -> Sequence[Any]:
    """A list or tuple with each item cast; tuple[X, Y] has as many as it says."""
    items = typing.get_args(annotation)
    fixed = typing.get_origin(annotation) is tuple and items and ... not in items
    if fixed and len(items) != len(value):
        raise errors.UserError(
            f"{where}: found {value!r}, allowed: a list of {len(items)}"
        )
    first = (*items, Any)[0]
    kinds = items if fixed else [first] * len(value)
    cast = (
        _cast(each, kind, f"{where}/{n}")
        for n, (each, kind) in enumerate(zip(value, kinds, strict=True))
    )
    return tuple(cast) if fixed or _kind(first).spec else type(value)(cast)
