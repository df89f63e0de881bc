"""Finds parts by name: each file in a package is a part with the name of the file."""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from jaxseg.core import errors


def names(package: str) -> list[str]:
    """Sorted names of the parts in `package`: its modules, without private ones, those
    in its SHARED and the one that defines a part (`task` in `tasks`).

    >>> names("jaxseg.models.backbones")
    ['hrnet', 'resnest', 'resnet', 'unet', 'vgg', 'vit']
    """
    return list(_names(package))


@functools.cache  # a plan of a hundred stages asks thousands of times
def _names(package: str) -> tuple[str, ...]:
    module = importlib.import_module(package)
    parts = {info.name for info in pkgutil.iter_modules(module.__path__)}
    parts -= {*getattr(module, "SHARED", ()), package.rsplit(".", 1)[-1][:-1]}
    return tuple(sorted(name for name in parts if name[0] != "_"))


def load(package: str, name: Any) -> ModuleType:
    """The module `package.name`; UserError with the known names where there is none."""
    if name not in _names(package):
        plural = package.rsplit(".", 1)[-1]
        kind = plural if plural.endswith("sis") else plural.removesuffix("s")
        raise unknown(name, names(package), kind=kind)
    return _module(f"{package}.{name}")


_module = functools.cache(importlib.import_module)


def pick(table: Mapping[str, Any], key: Any, *, kind: str) -> Any:
    """`table[key]`; UserError with the known keys where there is none."""
    if not isinstance(key, str) or key not in table:
        raise unknown(key, table, kind=kind)
    return table[key]


def fields(
    variants: Mapping[str, Mapping[str, Any]],
    variant: str,
    overrides: Mapping[str, Any],
    *,
    kind: str,
) -> dict[str, Any]:
    """The fields of a variant, with those of `overrides` replaced; lists become tuples.

    >>> variants = {"tiny": {"widths": (4, 8), "depth": 2}}
    >>> fields(variants, "tiny", {"depth": 3}, kind="net")
    {'widths': (4, 8), 'depth': 3}
    """
    chosen = dict(pick(variants, variant, kind=f"{kind} variant")) | dict(overrides)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()}


def unknown(
    name: Any, known: Iterable[str], *, kind: str, where: str = ""
) -> errors.UserError:
    """A UserError for a name that does not exist, with the known names and the nearest.

    where: the file, field or section that the message begins with.
    """
    known = sorted(map(str, known))
    text = f"unknown {kind} {name!r}. Known: {', '.join(known) or 'none'}."
    text = f"{where}: {text}" if where else text
    return errors.UserError(text + did_you_mean(name, known))


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest known name, or ''."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
