"""Pytrees as flat `a/b/c` paths: matching, splitting, comparing, sizes."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxseg.core import errors, lookup


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """{a: {b: leaf}} -> {"a/b": leaf}, sorted by path.

    >>> flatten({"head": {"bias": 0.5}, "backbone": {"conv": {"kernel": 1.0}}})
    {'backbone/conv/kernel': 1.0, 'head/bias': 0.5}
    """
    flat = traverse_util.flatten_dict(tree, sep="/")
    return dict(sorted(flat.items()))


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b": leaf} -> {a: {b: leaf}}.

    >>> unflatten({"head/bias": 0.5, "head/kernel": 1.0})
    {'head': {'bias': 0.5, 'kernel': 1.0}}
    """
    return traverse_util.unflatten_dict(dict(flat), sep="/")


def under(prefix: str, path: str) -> bool:
    """Whether `path` is `prefix` or lies below it."""
    return path == prefix or path.startswith(prefix + "/")


def under_any(prefixes: Iterable[str], path: str) -> bool:
    """Whether `path` is one of the prefixes or lies below one."""
    return any(under(prefix, path) for prefix in prefixes)


def matching(pattern: str, paths: Iterable[str], *, what: str) -> list[str]:
    """Paths that the regex matches in full; UserError where it matches none.

    what: the field that holds the pattern, for the message.

    >>> matching("head/.*", ["backbone/kernel", "head/bias"], what="freeze")
    ['head/bias']
    """
    paths = list(paths)
    try:
        matched = [path for path in paths if re.fullmatch(pattern, path)]
    except re.error as error:
        raise errors.UserError(f"{what}: {pattern!r} is not a regex: {error}") from None
    if not matched:
        hint = lookup.did_you_mean(pattern, paths)
        raise errors.UserError(
            f"{what}: pattern {pattern!r} matches no leaf of {len(paths)}, for example "
            f"{', '.join(paths[:3])}. Patterns are regexes matched in full.{hint}"
        )
    return matched


def first_match(
    table: Sequence[Sequence[Any]], paths: Iterable[str], default: Any, *, what: str
) -> dict[str, Any]:
    """{path: value} by the first pattern of `table` that matches each path.

    UserError for a pattern that matches nothing, and for a value below 0.

    >>> paths = ["backbone/kernel", "head/bias"]
    >>> first_match([["head/.*", 1.0]], paths, 0.1, what="lr_multipliers")
    {'backbone/kernel': 0.1, 'head/bias': 1.0}
    """
    paths = list(paths)
    values = dict.fromkeys(paths, default)
    for pair in reversed(table):
        match pair:
            case [str() as pattern, int() | float() as value] if 0 <= value < math.inf:
                values |= dict.fromkeys(matching(pattern, paths, what=what), value)
            case _:
                raise errors.UserError(
                    f"{what}: found {pair!r}, allowed: [regex, number from 0]"
                )
    return values


def num_parameters(tree: Any) -> int:
    """Number of scalars in all leaves."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def num_bytes(tree: Any) -> int:
    """Bytes of all leaves."""
    leaves = jax.tree.leaves(tree)
    return sum(int(np.prod(x.shape)) * np.dtype(x.dtype).itemsize for x in leaves)


def not_finite(tree: Mapping[str, Any]) -> str | None:
    """Path of the first leaf with a NaN or an infinity; None where all are finite."""
    for path, leaf in flatten(tree).items():
        # NumPy does not count bfloat16 among the floating types.
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not _finite(leaf):
            return path
    return None


def _finite(leaf: Any) -> bool:
    """Of what this process has of it; of equal parts one process looks at one."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
        return bool(np.isfinite(leaf).all())
    parts = (part for part in leaf.addressable_shards if part.replica_id == 0)
    return all(np.isfinite(np.asarray(part.data)).all() for part in parts)
