"""Values of cells by seed: of one seed cells share draws, order and fresh weights."""

from collections.abc import Iterable, Mapping

from jaxseg.report import gains

Seeds = Mapping[int, gains.Number]


def paired(one: Seeds, other: Seeds) -> Seeds:
    """The differences on the seeds that two cells share."""
    return {seed: one[seed] - other[seed] for seed in sorted(set(one) & set(other))}


def averaged(several: Iterable[Seeds]) -> Seeds:
    """The mean of several, on the seeds that all have: of differences to one and the
    same run, its scatter counts once.

    >>> averaged([{0: 1.0, 1: 3.0}, {1: 5.0}])
    {1: 4.0}
    """
    several = list(several)
    shared = sorted(set.intersection(*map(set, several))) if several else ()
    return {seed: sum(s[seed] for s in several) / len(several) for seed in shared}
