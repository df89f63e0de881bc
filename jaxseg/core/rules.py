"""Rules for values of fields, as annotations: `Annotated[int, at_least(1)]`."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from jaxseg.core import errors

SEED = 2**32 - 1  # `jax.random.PRNGKey` keeps 32 bits: a higher seed would be another's


@dataclasses.dataclass(frozen=True)
class Rule:
    """What values an annotated field may have: `Annotated[int, at_least(1)]`.

    It holds for every item of a list; None is not looked at.
    """

    allowed: str  # in words, for the message
    holds: Callable[[Any], bool]

    def check(self, value: Any, field: str) -> None:
        """UserError that begins with the field, unless the rule holds."""
        if value is None or (not isinstance(value, list | tuple) and self.holds(value)):
            return
        items = np.ravel(value).tolist() if isinstance(value, list | tuple) else [value]
        if not all(map(self.holds, items)):
            raise errors.UserError(f"{field}: found {value!r}, allowed: {self.allowed}")


def at_least(low: int | float) -> Rule:
    """Numbers from `low`."""
    return Rule(f"{low} or more", lambda x: x >= low)


def at_most(high: int | float) -> Rule:
    """Numbers up to `high`."""
    return Rule(f"at most {high}", lambda x: x <= high)


ABOVE_0 = Rule("more than 0", lambda x: x > 0)
SHARE = Rule("0 to 1", lambda x: 0 <= x <= 1)
BELOW_1 = Rule("from 0, below 1", lambda x: 0 <= x < 1)
INSIDE = Rule("between 0 and 1", lambda x: 0 < x < 1)
Seed = Annotated[int, at_least(0), at_most(SEED)]


def one_of(*names: str) -> Rule:
    """One of these texts."""
    return Rule(", ".join(names), lambda x: x in names)
