"""Results remembered by the content of the arguments, which need not hash."""

import functools
import pickle
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P, R = ParamSpec("P"), TypeVar("R")


def by_content(function: Callable[P, R]) -> Callable[P, R]:
    """The function, called once for equal arguments; they must pickle.

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
        return known(pickle.dumps((arguments, options)))

    remembered.cache_clear = known.cache_clear
    return remembered
