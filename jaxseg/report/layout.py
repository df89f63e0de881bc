"""Starts x seeds of one target as a randomized block design, on the log of values.

log value = start + seed + residual, fitted by least squares; cells may be missing. All
starts of the pool share one residual variance, so that two seeds of ten starts leave
nine degrees of freedom and not one. Every function takes any number of leading axes.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

EXCESS = 3  # a baseline above this many residual deviations of the pool decides nothing
LEVEL = 0.95
RARE = 0.01  # probability below which a scatter counts as larger than the pool's
NOISE = 1e-20  # variance of equal values after rounding
Array = np.ndarray | np.generic  # no leading axes: NumPy gives scalars


class Fit(NamedTuple):
    """Residual squares, their variance (NaN if none) and degrees of freedom, [...]."""

    squares: Array
    variance: Array
    dof: Array


class Comparison(NamedTuple):
    """Each start against the first one, [..., starts]; NaN where there is none.

    difference: mean difference over the `shared` seeds; error: its standard error, of
    `dof` degrees of freedom; excess and apart: see `compare`.
    """

    difference: Array
    error: Array
    dof: Array
    shared: Array
    excess: Array
    apart: Array

    @property
    def undecided(self) -> Array:
        """Whether the baseline scatters so much that nothing is sure, [...]."""
        return self.apart[..., 0] & (self.excess[..., 0] > EXCESS)


def fit(table: Array) -> Fit:
    """The two-way fit of a table [..., starts, seeds], NaN where a value is missing.

    dof = values - starts - seeds + 1 in each connected block, summed over the blocks:
    the rank of the normal equations of the seeds is seeds - blocks.
    """
    here = np.isfinite(table)
    count = np.maximum(here.sum(-1, keepdims=True), 1)
    centred = _centred(np.where(here, table, 0), here, count)
    # Starts eliminated: normal equations of the seeds alone.
    within = np.swapaxes(here / count, -1, -2) @ here
    normal = _diagonal(here.sum(-2)) - within
    values, vectors = np.linalg.eigh(normal)
    kept = values > 1e-9
    inverse = np.where(kept, 1 / np.where(kept, values, 1), 0)
    right = np.swapaxes(vectors, -1, -2) @ centred.sum(-2)[..., None]
    seeds = (vectors @ (inverse[..., None] * right))[..., 0]
    effects = _centred(np.where(here, seeds[..., None, :], 0), here, count)
    squares = ((centred - effects) ** 2).sum((-1, -2))
    dof = here.sum((-1, -2)) - here.any(-1).sum(-1) - kept.sum(-1)
    return Fit(squares, _ratio(squares, dof), dof)


def compare(table: Array, pooled: Array) -> Comparison:
    """Every start of a table against its first one, the baseline.

    The difference is the mean over the seeds that both have: the fit's own difference
    where no cell is missing, and always the ratio of two geometric means. Its variance
    is 2 MSE / shared seeds. A start outside the pool has the variance of its paired
    differences; so has every start where the baseline is outside.

    excess: residual deviation of a start divided by that of the rest of the pool. A
    start is apart, and leaves the pool, if chance gives its excess with a probability
    below RARE and it has at least three seeds: with two, its own variance is no better
    known and intervals would cover less. A baseline above EXCESS is apart with two
    seeds as well, and its whole target is undecided.
    """
    paired = table - table[..., :1, :]
    both = np.isfinite(paired)
    shared = both.sum(-1)
    difference = _ratio(np.where(both, paired, 0).sum(-1), shared)
    excess, apart = _apart(table, pooled)
    pooled = pooled & ~apart
    pool = fit(_only(table, pooled))
    own = ~pooled | ~pooled[..., :1]
    around = np.where(both, paired - difference[..., None], 0)
    variance = _ratio((around**2).sum(-1), shared - 1)
    variance = np.where(own, variance, 2 * pool.variance[..., None])
    dof = np.where(own, shared - 1, pool.dof[..., None])
    error = np.sqrt(_ratio(variance, shared))
    return Comparison(difference, error, dof, shared, excess, apart)


def half_width(error: Array | float, dof: Array | int, level: float = LEVEL) -> Array:
    """Half of a t interval."""
    return special.stdtrit(dof, (1 + level) / 2) * error


def chance_within(error: float, dof: int, margin: float, level: float = LEVEL) -> float:
    """The chance that a t interval around an estimate of 0 lies within +-margin: the
    power of two one-sided tests at (1 - level) / 2 where there is no difference
    (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15).

    error: the true standard error of the estimate, of which the interval has an
    estimate of `dof` degrees of freedom. Estimate and interval are independent, so
    this is an integral over the interval's length alone.
    """
    from scipy import integrate  # other reports do without

    if error == 0:
        return 1.0
    # The estimated error over the true one is x / sqrt(dof), x of a chi distribution.
    half = float(half_width(error, dof, level)) / math.sqrt(dof)
    constant = (dof / 2 - 1) * math.log(2) + float(special.gammaln(dof / 2))

    def integrand(x: float) -> float:
        density = math.exp((dof - 1) * math.log(x) - x * x / 2 - constant)
        return density * (1 - 2 * special.ndtr((half * x - margin) / error))

    # Beyond ten standard deviations, each below 0.71, the density is 0.
    middle = math.sqrt(dof)
    low, high = max(middle - 8, 1e-12), min(middle + 8, margin / half)
    return integrate.quad(integrand, low, high)[0] if low < high else 0.0


@functools.cache
def best_quantile(starts: int, dof: int) -> float:
    """Dunnett's one-sided 95 % point, which the best of null starts exceeds in 5 %.

    At least the point of one two-sided interval, so that a start which is sure as the
    best of many is also sure by itself.
    """
    beyond = lambda q: _all_below(q, starts, dof, two_sided=False) - LEVEL
    single = float(special.stdtrit(dof, (1 + LEVEL) / 2))
    if beyond(single) >= 0:
        return single
    return optimize.brentq(beyond, single, 2 * single * starts, xtol=1e-6)


@functools.cache
def both_sure(dof: int) -> float:
    """The probability that two null starts over one baseline are both sure."""
    t = float(special.stdtrit(dof, (1 + LEVEL) / 2))
    return 1 - 2 * LEVEL + _all_below(t, 2, dof, two_sided=True)


def _all_below(limit: float, starts: int, dof: int, *, two_sided: bool) -> float:
    """P(all t, or all |t|, <= limit) of null starts that share a baseline."""
    nodes, weights, scale, shares = _quadrature(dof)
    edge = np.sqrt(2) * limit * scale[:, None]
    below = special.ndtr(nodes + edge)
    if two_sided:
        below -= special.ndtr(nodes - edge)
    return float(below**starts @ weights @ shares)


@functools.cache
def _quadrature(dof: int) -> tuple[Array, ...]:
    """Quadrature over a baseline's deviation and a pool's: nodes, weights of each."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(48)
    ranks, shares = np.polynomial.legendre.leggauss(96)
    chi = 2 * special.gammaincinv(dof / 2, (ranks + 1) / 2)
    return nodes, weights / weights.sum(), np.sqrt(chi / dof), shares / 2


def _apart(table: Array, pooled: Array) -> tuple[Array, Array]:
    """`excess` and `apart` of `compare`, [..., starts]."""
    baseline = np.arange(pooled.shape[-1]) == 0
    excess, chance, dof = _excess(table, pooled)
    apart = ~baseline & (chance < RARE) & (dof > 1)
    # The baseline is compared with what is left, even if it is in no pool itself.
    known, rare, left = _excess(table, pooled & ~apart | baseline)
    wild = baseline & (rare < RARE) & ((left > 1) | (known > EXCESS))
    return np.where(baseline, known, excess), apart | wild


def _excess(table: Array, pooled: Array) -> tuple[Array, Array, Array]:
    """Each start's residual deviation over that of the rest, its probability, its dof.

    The ratio uses what the start adds to squares and dof of the fit. It is exactly F
    distributed where deviations are equal, also with missing cells. NaN outside the
    pool and where no degree of freedom is left.
    """
    every = fit(_only(table, pooled))
    others = pooled[..., None, :] & ~np.eye(pooled.shape[-1], dtype=bool)
    rest = fit(_only(table[..., None, :, :], others))
    more = every.dof[..., None] - rest.dof
    added = np.maximum(every.squares[..., None] - rest.squares, 0)
    ratio = _ratio(added, more) / np.maximum(rest.variance, NOISE)
    return np.sqrt(ratio), special.fdtrc(more, rest.dof, ratio), more


def _only(table: Array, pooled: Array) -> Array:
    return np.where(pooled[..., None], table, np.nan)


def _centred(values: Array, here: Array, count: Array) -> Array:
    """Values minus the mean of those in `here`; 0 elsewhere."""
    mean = values.sum(-1, keepdims=True) / np.maximum(count, 1)
    return np.where(here, values - mean, 0)


def _diagonal(values: Array) -> Array:
    return values[..., None] * np.eye(values.shape[-1])


def _ratio(total: Array, count: Array) -> Array:
    """total / count, NaN where count is not positive."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
