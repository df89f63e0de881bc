"""Canonical JSON and content keys: equal values have equal keys."""

import hashlib
import json
import math
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import errors

PLAIN = frozenset((str, int, bool, types.NoneType))


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, tuples as lists.

    UserError for NaN and infinity, TypeError for what is not plain data.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))


def plain(value: Any) -> Any:
    """The value as dict, list, str, int, float, bool, None; errors as `canonical`."""
    kind = type(value)  # a plan has millions of values: the frequent types first
    if kind in PLAIN:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {
            str(key): item if type(item) in PLAIN else plain(item)
            for key, item in value.items()
        }
    if kind is list or isinstance(value, list | tuple):
        return [item if type(item) in PLAIN else plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise errors.UserError(f"found {value} in a config, allowed: finite numbers")
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"{value!r} of {type(value).__name__} is not plain data")


def key(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits.

    >>> key({"steps": 10, "lr": 0.1}) == key({"lr": 0.1, "steps": 10})
    True
    >>> key({"size": (64, 96)})[:8]
    'a33e5749'
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_sum(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_sum(array: Any) -> str:
    """SHA-256 of dtype, shape and bytes of an array, 64 hex digits."""
    array = np.asarray(array)
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def arrays_sum(flat: Mapping[str, Any]) -> str:
    """SHA-256 of {path: array}; it does not depend on how the arrays are stored."""
    return key({path: array_sum(array) for path, array in flat.items()})


def folder_sums(
    folder: Path, own: Callable[[str], bool] = lambda name: True
) -> dict[str, str]:
    """{relative path: SHA-256} of every file below `folder`, sorted.

    own: whether to sum the file of a relative path.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: file_sum(path) for name, path in named.items() if own(name)}
