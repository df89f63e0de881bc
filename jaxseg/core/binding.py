"""A config section is a call: `name` plus keyword arguments of a `build` function.

Binding writes the defaults of the signature into the section, so that a resolved
section says everything, and refuses keys that the signature does not have.
"""

import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jaxseg.core import errors, lookup

# Annotations that are enforced; anything else is the called function's own matter.
CHECKED = {float, int, bool, str, types.NoneType, Mapping, Sequence, tuple}
INT = 2**63 - 1  # what arrays and files hold
SEED = 2**32 - 1  # `jax.random.PRNGKey` keeps 32 bits: a higher seed would be another's
NAMES = {
    types.NoneType: "None",
    Mapping: "a section",
    Sequence: "a list",
    tuple: "a list",
}


_signature = functools.cache(inspect.signature)  # every stage asks for the same


def bind(
    *functions: Callable[..., Any],
    section: Any,
    where: str,
    given: Mapping[str, Any] = types.MappingProxyType({}),
    named: bool = False,
) -> dict[str, Any]:
    """`section` with all defaults of `functions` written in.

    named: the section's `name` has chosen the functions, and stays. given: parameters
    that the caller supplies and a section may not set, with any values they can have. A
    function with `**overrides` that returns a dataclass has that class's fields as
    parameters; their values are those of the object it builds.
    """
    if not isinstance(section, Mapping):
        raise errors.UserError(f"{where}: found {section!r}, allowed: a section")
    named = named or any("name" in _signature(each).parameters for each in functions)
    name = {"name": name_of(section, where)} if named and "name" in section else {}
    section = {key: value for key, value in section.items() if key not in name}
    parameters = _parameters(functions, (*given, "name"))
    for key in section:
        if key not in parameters:
            error = lookup.unknown(key, parameters, kind="key")
            raise errors.UserError(f"{where}: {error}")
    bound = {}
    if "name" in _required(functions) and not name:
        raise errors.UserError(f"{where}: key 'name' is missing")
    for key, (annotation, default) in parameters.items():
        if key in section:
            bound[key] = _cast(section[key], annotation, f"{where}/{key}")
        elif default is inspect.Parameter.empty:
            raise errors.UserError(f"{where}: key {key!r} is missing")
        else:
            bound[key] = default
    made = [f for f in functions if _made_class(f) is not None]
    for function in made:
        bound |= _fields_of(function, bound, section, given)
    return name | bound


def name_of(section: Any, where: str) -> str:
    """The `name` of a section; UserError where it has none."""
    if not isinstance(section, Mapping) or not isinstance(section.get("name"), str):
        raise errors.UserError(
            f"{where}: found {section!r}, allowed: a section with a 'name'"
        )
    return section["name"]


def _parameters(
    functions: tuple[Callable[..., Any], ...], given: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """{key: (annotation, default)}; a made class's fields default to themselves."""
    found: dict[str, tuple[Any, Any]] = {}
    for function in functions:
        for key, parameter in _signature(function).parameters.items():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                found[key] = (parameter.annotation, parameter.default)
        made = _made_class(function)
        if made is not None:
            found |= {f.name: (f.type, None) for f in _fields(made)} | found
    return {key: value for key, value in found.items() if key not in given}


def _required(functions: tuple[Callable[..., Any], ...]) -> set[str]:
    """Parameters without a default, `name` as well."""
    signatures = [_signature(function) for function in functions]
    return {
        key
        for signature in signatures
        for key, parameter in signature.parameters.items()
        if parameter.default is inspect.Parameter.empty
    }


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
    arguments = {k: v for k, v in bound.items() if k not in own or k in section}
    takes = {*_signature(function).parameters, *own}
    supplied = {key: value for key, value in given.items() if key in takes}
    built = function(**supplied, **arguments)
    return {name: getattr(built, name) for name in own if name in bound}


def _cast(value: Any, annotation: Any, where: str) -> Any:
    """An int where a float is due becomes one; a value of another type is refused."""
    unions = (types.UnionType, typing.Union)
    is_union = typing.get_origin(annotation) in unions
    options = typing.get_args(annotation) if is_union else (annotation,)
    kinds = {typing.get_origin(option) or option: option for option in options}
    if not kinds.keys() <= CHECKED:
        return value
    if float in kinds and type(value) is int and abs(value) <= 2**53:
        value = float(value)
    if isinstance(value, Mapping) and Mapping in kinds:
        item = (*typing.get_args(kinds[Mapping]), Any)[1]
        return {key: _cast(each, item, f"{where}/{key}") for key, each in value.items()}
    for kind in {Sequence, tuple} & kinds.keys():
        if isinstance(value, list | tuple):
            items = typing.get_args(kinds[kind])
            if (
                kind is tuple
                and items
                and ... not in items
                and len(items) != len(value)
            ):
                raise errors.UserError(
                    f"{where}: found {value!r}, allowed: a list of {len(items)}"
                )
            item = (*items, Any)[0]
            return type(value)(_cast(each, item, where) for each in value)
    if type(value) is int and int in kinds and abs(value) > INT:
        raise errors.UserError(
            f"{where}: found a number of {value.bit_length()} bits, allowed: whole "
            f"numbers from -{INT} to {INT}"
        )
    if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
        names = ", ".join(sorted(NAMES.get(kind, kind.__name__) for kind in kinds))
        raise errors.UserError(
            f"{where}: found {value!r} ({type(value).__name__}), allowed: {names}"
        )
    return value
