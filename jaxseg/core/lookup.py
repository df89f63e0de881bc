"""Finding parts by name: a file in a package is a part, its file name is its name."""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from jaxseg.core import errors


def names(package: str) -> list[str]:
    """Sorted names of the parts in `package`: its modules, without private ones,
    the one that defines what a part is (`task` in `tasks`), and its SHARED ones.
    """
    return list(_names(package))


@functools.cache  # a plan of a hundred stages asks thousands of times
def _names(package: str) -> tuple[str, ...]:
    module = importlib.import_module(package)
    found = {info.name for info in pkgutil.iter_modules(module.__path__)}
    found -= {*getattr(module, "SHARED", ()), package.rsplit(".", 1)[-1][:-1]}
    return tuple(sorted(n for n in found if n[0] != "_"))


def load(package: str, name: Any) -> ModuleType:
    """The module `package.name`; UserError with what exists where there is none."""
    if name not in names(package):
        raise unknown(
            name, names(package), kind=package.rsplit(".", 1)[-1].removesuffix("s")
        )
    return importlib.import_module(f"{package}.{name}")


def pick(table: Mapping[str, Any], key: Any, *, kind: str) -> Any:
    """`table[key]`; UserError with what exists where there is none."""
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
    """A variant's fields with single ones overridden; lists become tuples."""
    chosen = dict(pick(variants, variant, kind=f"{kind} variant")) | dict(overrides)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()}


def unknown(
    name: Any, known: Iterable[str], *, kind: str, where: str = ""
) -> errors.UserError:
    """The error for a name that does not exist: what does, and what was meant.

    where: what a message begins with, a file, field or section.
    """
    known = sorted(map(str, known))
    text = f"unknown {kind} {name!r}. Known: {', '.join(known) or 'none'}."
    text = f"{where}: {text}" if where else text
    return errors.UserError(text + did_you_mean(name, known))


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest known name, or ''."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
