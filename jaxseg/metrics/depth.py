"""Errors of depth pooled over all valid pixels of a set (Eigen et al. 2014)."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

NEAREST = 1e-3  # metres; predictions are clipped to it, so that no ratio is infinite
DELTAS = (1.25, 1.25**2, 1.25**3)  # exact in float32
NAMES = ("abs_rel", "delta1", "delta2", "delta3", "mae")  # means; rmse is its own


@dataclasses.dataclass(frozen=True)
class DepthErrors:
    """Sums over valid pixels: float32 per image on device, float64 over the set.

    Squares of depths would cancel in float32, those of distances to the mean do not:
    depths are summed relative to a shift that each image has for itself.

    Of the pixels marked valid those count whose truth is finite, above 0 and not
    above `maximum`. Predictions are clipped to [0.001, maximum] metres.
    """

    maximum: float | None = None  # metres, the cap of the benchmark; None: no cap

    def zeros(self) -> Float[np.ndarray, "9"]:
        """Zeros: the first seven of `update`, mean depth (m) and sum of squares about
        it (m^2).
        """
        return np.zeros(9, np.float64)

    def update(
        self,
        predictions: Float[Array, "b h w"],
        truth: Float[Array, "b h w"],
        valid: Bool[Array, "b h w"],
    ) -> Float[Array, "b 10"]:
        """Per image: valid pixels, sums of squared error (m^2) and |error| / truth,
        pixels with max(p / t, t / p) < 1.25, 1.25^2, 1.25^3, sums of |error| (m), a
        shift (m) near the mean truth, sums of truth - shift (m) and of its square.
        """
        valid = valid & (truth > 0) & jnp.isfinite(truth)
        if self.maximum is not None:
            valid = valid & (truth <= self.maximum)
        # 1 where depth is unknown, so that nothing is divided by 0.
        true = jnp.where(valid, truth, 1.0)
        guess = jnp.where(valid, jnp.clip(predictions, NEAREST, self.maximum), 1.0)
        error = jnp.abs(guess - true)
        ratio = jnp.maximum(guess / true, true / guess)
        close = [(ratio < delta) & valid for delta in DELTAS]
        count = jnp.maximum(jnp.sum(valid, axis=(1, 2)), 1)
        shift = jnp.sum(true, axis=(1, 2), where=valid) / count
        apart = jnp.where(valid, true - shift[:, None, None], 0.0)
        parts = [valid, error**2, error / true, *close, error, apart, apart**2]
        sums = [jnp.sum(part.astype(jnp.float32), axis=(1, 2)) for part in parts]
        return jnp.stack([*sums[:7], shift, *sums[7:]], axis=1)

    def merge(
        self, state: Float[np.ndarray, "9"], rows: Float[Array | np.ndarray, "b 10"]
    ) -> Float[np.ndarray, "9"]:
        """Adds the images of one batch in float64."""
        rows = np.asarray(rows, np.float64)
        counts, (shifts, firsts, seconds) = rows[:, 0], rows[:, 7:].T
        each = np.maximum(counts, 1.0)
        moments = _pooled(
            np.append(counts, state[0]),
            np.append(shifts + firsts / each, state[7]),
            np.append(seconds - firsts**2 / each, state[8]),
        )
        return np.concatenate([state[:7] + rows[:, :7].sum(axis=0), moments])

    def compute(
        self, state: Float[np.ndarray, "9"], classes: Sequence[str]
    ) -> dict[str, float]:
        """`rmse` and `mae` in metres, `abs_rel`, fractions `delta1` to `delta3`, and
        `valid_pixels`; all 0 where not one pixel was valid.
        """
        means = state[1:] / max(state[0], 1.0)
        values = {name: float(x) for name, x in zip(NAMES, means[1:6], strict=True)}
        rmse = float(np.sqrt(means[0]))
        return {"rmse": rmse} | values | {"valid_pixels": float(state[0])}

    def floor(self, state: Float[np.ndarray, "9"], name: str) -> float | None:
        """The RMSE of the mean depth as the answer everywhere, metres."""
        if name != "rmse" or not state[0]:
            return None
        return float(np.sqrt(max(state[8], 0.0) / state[0]))


def _pooled(
    counts: Float[np.ndarray, " n"],
    means: Float[np.ndarray, " n"],
    squares: Float[np.ndarray, " n"],
) -> tuple[float, float]:
    """Mean and sum of squares about it of all parts together (Chan et al. 1983)."""
    mean = counts @ means / max(counts.sum(), 1.0)
    return mean, squares.sum() + counts @ (means - mean) ** 2
