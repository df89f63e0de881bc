"""A config section is a call: `name` plus keyword arguments of a `build` function.

Binding writes the defaults of the signature into the section, so that a resolved
section says everything, and refuses keys that the signature does not have.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxseg.core import errors, lookup

SCALARS = {float, int, bool, str}


def bind(
    *functions: Callable[..., Any],
    section: Mapping[str, Any],
    where: str,
    given: Mapping[str, Any] = types.MappingProxyType({}),
) -> dict[str, Any]:
    """`section` with all defaults of `functions` written in; its `name` stays.

    given: parameters that the caller supplies and a section may not set, with any
    values they can have. A function with `**overrides` that returns a dataclass has
    that class's fields as parameters; their values are those of the object it builds.
    """
    name = {key: section[key] for key in ("name",) if key in section}
    section = {key: value for key, value in section.items() if key != "name"}
    parameters = _parameters(functions, (*given, "name"))
    for key in section:
        if key not in parameters:
            error = lookup.unknown(key, parameters, kind="key")
            raise errors.UserError(f"{where}: {error}")
    bound = {}
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
        for key, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                found[key] = (parameter.annotation, parameter.default)
        made = _made_class(function)
        if made is not None:
            found |= {f.name: (f.type, None) for f in _fields(made)} | found
    return {key: value for key, value in found.items() if key not in given}


def _made_class(function: Callable[..., Any]) -> type | None:
    """The dataclass that a function with `**overrides` says it returns."""
    signature = inspect.signature(function)
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
    takes = {*inspect.signature(function).parameters, *own}
    supplied = {key: value for key, value in given.items() if key in takes}
    built = function(**supplied, **arguments)
    return {name: getattr(built, name) for name in own if name in bound}


def _cast(value: Any, annotation: Any, where: str) -> Any:
    """An int where a float is due becomes one; a scalar of another type is refused."""
    allowed = set(typing.get_args(annotation)) or {annotation}
    if isinstance(annotation, types.UnionType | type) and allowed <= SCALARS | {
        types.NoneType
    }:
        if float in allowed and type(value) is int:
            return float(value)
        if type(value) not in allowed:
            names = ", ".join(sorted(t.__name__ for t in allowed))
            raise errors.UserError(
                f"{where}: found {value!r} ({type(value).__name__}), allowed: {names}"
            )
    return value
