"""Bound sections with all that they hold: as plain data, or with inner ones changed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from jaxseg.core import binding


def plain(value: Any, without: str = "") -> Any:
    """Specs as dicts and tuples as lists, all the way down.

    without: "local" or "resolved": leaves such fields out.
    """
    if type(value) in binding.SCALARS:
        return value
    if isinstance(value, binding.Spec):
        added = _names(type(value), "", "added")
        values = [(name, getattr(value, name)) for name in _names(type(value), without)]
        value = {n: x for n, x in values if x is not None or n not in added}
    if isinstance(value, Mapping):
        return {
            key: item if type(item) in binding.SCALARS else plain(item, without)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(item, without) for item in value]
    return value


def mapped(
    value: Any, kind: type[binding.Spec], change: Callable[[Any, str], Any], where: str
) -> Any:
    """A bound section with `change(one, its place)` for each `kind` in it, inner ones
    first; the same object where nothing changes.
    """
    if isinstance(value, binding.Spec):
        items = {field: getattr(value, field) for field in _names(type(value), "")}
    elif isinstance(value, Mapping):
        items = value
    elif isinstance(value, list | tuple):
        items = dict(enumerate(value))
    else:
        return value
    new = {
        key: mapped(item, kind, change, f"{where}/{key}")
        for key, item in items.items()
        if type(item) not in binding.SCALARS
    }
    if any(item is not items[key] for key, item in new.items()):
        value = _rebuilt(value, {**items, **new})
    return change(value, where) if isinstance(value, kind) else value


def _rebuilt(value: Any, items: Mapping[Any, Any]) -> Any:
    if isinstance(value, binding.Spec):
        return dataclasses.replace(value, **items)
    return dict(items) if isinstance(value, Mapping) else type(value)(items.values())


@functools.cache
def _names(spec: type[binding.Spec], without: str, marked: str = "") -> list[str]:
    """Names of fields that are written, of all or of those with that mark."""
    return [
        field.name
        for field in dataclasses.fields(spec)
        if not {without, "hidden"} & field.metadata.keys()
        and (not marked or marked in field.metadata)
    ]
