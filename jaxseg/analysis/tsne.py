"""t-SNE: points of the plane whose neighbours are those of long vectors (van der Maaten
& Hinton 2008, JMLR 9), exact, and how well labels separate vectors (Rousseeuw 1987).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Shaped

PERPLEXITY = 30.0
STEPS, EARLY = 1000, 250  # and how many of them are exaggerated
EXAGGERATION = 12.0
HALVINGS = 64  # of the interval that holds a precision


def embedding(
    vectors: Float[np.ndarray, "n d"],
    metric: str = "euclidean",
    perplexity: float = PERPLEXITY,
    steps: int = STEPS,
) -> Float[np.ndarray, "n 2"]:
    """float32 [N, 2], from the two principal components on; equal input gives equal
    output. metric: of `scipy.spatial.distance`; few points have a lower perplexity.
    """
    perplexity = min(perplexity, (len(vectors) - 1) / 3)
    p = affinities(distances(vectors, metric) ** 2, perplexity)
    points = _principal(vectors) if metric != "cosine" else _principal(_unit(vectors))
    return np.asarray(_descend(p.astype(np.float32), points, steps))


def distances(vectors: Float[np.ndarray, "n d"], metric: str) -> np.ndarray:
    """[N, N] of all pairs."""
    from scipy.spatial import distance  # half a second: a plan does without

    return distance.cdist(vectors, vectors, metric)


def affinities(
    squares: Float[np.ndarray, "n n"], perplexity: float
) -> Float[np.ndarray, "n n"]:
    """The symmetric probabilities p of squared distances, which sum to 1. The entropy
    of the neighbours of each point is log(perplexity).
    """
    others = ~np.eye(len(squares), dtype=bool)
    near = np.where(others, squares, np.inf)
    near = near - near.min(axis=1, keepdims=True)  # p stays the same
    scale = np.where(others, near, 0).sum(axis=1, keepdims=True) / (len(near) - 1)
    near = near / np.where(scale > 0, scale, 1)
    low, high = (np.full((len(near), 1), end) for end in (-25.0, 25.0))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        p = _neighbours(near, np.exp(middle))
        wide = _entropy(p) > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return (p + p.T) / (2 * len(p))


def _neighbours(near: np.ndarray, precision: np.ndarray) -> np.ndarray:
    weights = np.exp(-near * precision)
    return weights / weights.sum(axis=1, keepdims=True)


def _entropy(p: np.ndarray) -> np.ndarray:
    """[N, 1] of each row."""
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return -(p * logs).sum(axis=1, keepdims=True)


def slopes(
    points: Float[Array, "n 2"],
    p: Float[Array, "n n"],
    exaggeration: float | Array = 1.0,
) -> Float[Array, "n 2"]:
    """The gradient of the KL divergence of p from Student's neighbours of the points;
    exaggeration: of the attraction, which is the part of p.
    """
    x, y = points.T
    apart = (x[:, None] - x[None]) ** 2 + (y[:, None] - y[None]) ** 2
    near = 1 / (1 + apart)
    q = near / (jnp.sum(near) - len(points))
    pull = (exaggeration * p - q) * near
    return 4 * (jnp.sum(pull, axis=1, keepdims=True) * points - pull @ points)


@functools.partial(jax.jit, static_argnames="steps")
def _descend(p: Array, points: Array, steps: int) -> Array:
    """Gradient descent with the rate of Belkina et al. 2019 (Nat. Commun. 10)."""
    tx = optax.sgd(len(p) / EXAGGERATION, momentum=0.9)

    def step(index, carry):
        points, state = carry
        early = jnp.where(index < min(EARLY, steps // 3), EXAGGERATION, 1.0)
        updates, state = tx.update(slopes(points, p, early), state)
        return optax.apply_updates(points, updates), state

    return jax.lax.fori_loop(0, steps, step, (points, tx.init(points)))[0]


def _principal(vectors: np.ndarray) -> np.ndarray:
    """float32 [N, 2]: the first two principal components, 1e-4 wide."""
    centred = vectors - vectors.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    points = left[:, :2] * sizes[:2]
    return (1e-4 * points / (points[:, 0].std() or 1.0)).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def silhouettes(
    apart: Float[np.ndarray, "n n"], labels: Shaped[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Of each vector (b - a) / max(a, b), from -1 to 1: a is its mean distance to those
    of its own label, b that to those of the nearest other label. 0 where it is the only
    one of its label; apart: distances.

    >>> silhouettes(np.array([[0.0, 1, 4], [1, 0, 4], [4, 4, 0]]), np.array([0, 0, 1]))
    array([0.75, 0.75, 0.  ])
    """
    _, groups = np.unique(labels, return_inverse=True)
    member = np.eye(groups.max() + 1)[groups]
    total, count = apart @ member, member.sum(axis=0)
    own = np.arange(len(groups)), groups
    alone = count[groups] == 1
    inside = total[own] / np.maximum(count[groups] - 1, 1)
    means = total / count
    means[own] = np.inf
    outside = means.min(axis=1)
    larger = np.maximum(inside, outside)
    found = (outside - inside) / np.where(larger > 0, larger, 1)
    return np.where(alone, 0.0, found)
