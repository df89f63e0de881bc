"""Results remembered by the content of the arguments, which need not hash."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import logging
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from jaxseg.core import errors, hashing, user_cache

P, R = ParamSpec("P"), TypeVar("R")
PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("jax", "flax", "optax")  # a result on disk is of these versions
_log = logging.getLogger(__name__)


def content(value: Any) -> bytes | None:
    """Bytes that only equal values share; None of what cannot be pickled."""
    try:
        return pickle.dumps(value)
    except (TypeError, AttributeError, pickle.PicklingError):
        return None


def by_content(function: Callable[P, R]) -> Callable[P, R]:
    """The function, called once for arguments of equal content (order counts), if
    they can be pickled.

    Its results are shared: do not change them. `cache_clear` forgets them.

    >>> total = by_content(lambda section: sum(section["sizes"]))
    >>> total({"sizes": [1, 2]}), total({"sizes": [1, 2]})
    (3, 3)
    """

    @functools.lru_cache(maxsize=4096)  # a study has thousands of stages, few sections
    def known(call: bytes) -> R:
        arguments, options = pickle.loads(call)
        return function(*arguments, **options)

    @functools.wraps(function)
    def remembered(*arguments: P.args, **options: P.kwargs) -> R:
        call = content((arguments, options))
        return function(*arguments, **options) if call is None else known(call)

    remembered.cache_clear = known.cache_clear
    return remembered


def placed(function: Callable[..., R]) -> Callable[..., R]:
    """As `by_content`, but for `where`, a place in a config, which only errors show."""
    known = by_content(functools.partial(function, where=""))

    @functools.wraps(function)
    def remembered(*arguments: Any, where: str, **options: Any) -> R:
        try:
            return known(*arguments, **options)
        except errors.UserError:
            return function(*arguments, where=where, **options)

    return remembered


def on_disk(function: Callable[P, R]) -> Callable[P, R]:
    """The function, called once by this code for equal arguments: results are kept in
    the user's cache from run to run, errors are not.

    Arguments: plain data and dataclasses of it, by position; a list equals a tuple.
    Results: what can be pickled.
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def remembered(*arguments: P.args, **options: P.kwargs) -> R:
        given = [_plain(argument) for argument in arguments]
        key = hashing.key([code(), name, given, options])
        path = user_cache.folder() / "results" / key
        found = _read(path)
        if found is not None:
            return pickle.loads(found)
        result = function(*arguments, **options)
        draft = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = pickle.dumps(result)
            draft.write_bytes(hashlib.sha256(whole).digest() + whole)
            os.replace(draft, path)
        except OSError as error:  # `user_cache.check` has warned
            _log.debug("%s: not kept (%s)", path, error)
        return result

    return remembered


def _read(path: Path) -> bytes | None:
    """What was written with its digest; None where it is missing or damaged."""
    try:
        written = path.read_bytes()
    except OSError:
        return None
    digest, whole = written[:32], written[32:]
    return whole if hashlib.sha256(whole).digest() == digest else None


def _plain(argument: Any) -> Any:
    if dataclasses.is_dataclass(argument):
        return dataclasses.asdict(argument)
    return argument


@functools.cache
def code() -> str:
    """Digest of the source of jaxseg, with the versions of what it is traced by."""
    total = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        total.update(f"{path.relative_to(PACKAGE)}\n".encode() + path.read_bytes())
    versions = [importlib.metadata.version(name) for name in LIBRARIES]
    return hashing.key([total.hexdigest(), versions])
