"""How far a target lies from a source in feature space (factors paper, Eq. 1)."""

import numpy as np
from jaxtyping import Float


def domain_distance(
    target: Float[np.ndarray, "t d"], source: Float[np.ndarray, "s d"]
) -> float:
    """D(T|S): mean Euclidean distance of a target image to its closest source image.

    Small where the source *includes* the target; D(T|S) differs from D(S|T).
    """
    from scipy.spatial import distance  # half a second: a plan does without

    return float(distance.cdist(target, source).min(axis=1).mean())
