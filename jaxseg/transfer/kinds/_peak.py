"""A walk to the peak of a list: which candidate a search asks for next.

The pssl study tunes its learning rate so: nine rates, each arm walked to its own peak.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxseg.core import errors


def walk(
    order: Sequence[str], start: str, worth: Callable[[str], float | None]
) -> list[str]:
    """The candidates that are asked for, in this sequence; all but the last have ended,
    and the walk is over once that one has.

    From the start it goes towards the front of the list, and then towards the back
    unless a candidate on the way to the front was better than the start. Either way it
    goes on while a candidate is not worse than the one before it, so over equal ones as
    well, and ends with the first worse one or at the border of the list.

    worth: higher is better; -inf of a candidate that diverged, which is worse than any
    number and equal to another such; None of one that has not ended.

    >>> walk("abcde", "c", {"c": 0.5, "b": 0.4, "d": 0.6, "e": 0.3}.get)
    ['c', 'b', 'd', 'e']
    """
    asked, place = [start], order.index(start)
    first = worth(start)
    if first is None:
        return asked
    for side in (order[:place][::-1], order[place + 1 :]):
        best = first
        for role in side:
            asked.append(role)
            value = worth(role)
            if value is None:
                return asked
            if value < best:
                break
            best = value
        if best > first:
            break
    return asked


def check(spec: Any, parents: Mapping[str, Any], where: str) -> None:
    """UserError where a search has no list to walk over, or no place to begin."""
    if spec.search is None:
        if spec.start is not None:
            raise errors.UserError(
                f"{where}/start: found {spec.start!r}, allowed: None, for there is no "
                "search. Fix: search='peak'"
            )
        return
    if spec.start not in parents:
        raise errors.UserError(
            f"{where}/start: found {spec.start!r}, allowed: the role of the candidate "
            f"that the search begins with, of {', '.join(parents)}"
        )
    rates = [getattr(one.spec, "lr", None) for one in parents.values()]
    if None in rates or len(set(rates)) < len(rates):
        raise errors.UserError(
            f"{where}/search: found candidates with the learning rates {rates}, "
            "allowed: trainings with a rate each"
        )
