"""Results remembered by the content of the arguments, which need not hash."""

import functools
import pickle
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from jaxseg.core import errors

P, R = ParamSpec("P"), TypeVar("R")


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
