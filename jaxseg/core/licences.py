"""Licences of data and weights, as manifests list them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

UNSTATED = "not stated"
# "MIT; the set is for research", "CC BY-NC 4.0", "academic use only", "research".
RESTRICTED = re.compile(
    r"non-?commercial|\bnc\b|\bresearch (use|only|purposes)|\bfor research|"
    r"(^|[,;]) *research *($|[,;])|academic use",
    re.IGNORECASE,
)


def row(of: str, licence: str) -> dict[str, Any]:
    """{of, licence, noncommercial} of one data set or one file of weights."""
    licence = licence or UNSTATED
    return {"of": of, "licence": licence, "noncommercial": noncommercial(licence)}


def noncommercial(licence: str) -> bool:
    """Whether the text of a licence allows only research or private use.

    False is no proof: many texts do not mention it.

    >>> noncommercial("CC BY-NC 4.0"), noncommercial("MIT")
    (True, False)
    """
    return RESTRICTED.search(licence) is not None


def merge(*lists: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The distinct rows of all lists, in their order."""
    merged: list[dict[str, Any]] = []
    for one in (dict(one) for rows in lists for one in rows):
        if one not in merged:
            merged.append(one)
    return merged
