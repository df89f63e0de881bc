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

    Of the pixels marked valid those count whose truth is finite, above 0 and not
    above `maximum`. Predictions are clipped to [0.001, maximum] metres.
    """

    maximum: float | None = None  # metres, the cap of the benchmark; None: no cap

    def zeros(self) -> Float[np.ndarray, "9"]:
        """Zeros, in the order of `update`."""
        return np.zeros(9, np.float64)

    def update(
        self,
        predictions: Float[Array, "b h w"],
        truth: Float[Array, "b h w"],
        valid: Bool[Array, "b h w"],
    ) -> Float[Array, "b 9"]:
        """Per image: valid pixels, sums of squared error (m^2) and |error| / truth,
        pixels with max(p / t, t / p) < 1.25, 1.25^2, 1.25^3, sums of |error| (m), of
        the truth (m) and of its square (m^2).
        """
        valid = valid & (truth > 0) & jnp.isfinite(truth)
        if self.maximum is not None:
            valid = valid & (truth <= self.maximum)
        # 1 where nothing is known: no division by 0, whatever stands there.
        true = jnp.where(valid, truth, 1.0)
        guess = jnp.where(valid, jnp.clip(predictions, NEAREST, self.maximum), 1.0)
        error = jnp.abs(guess - true)
        ratio = jnp.maximum(guess / true, true / guess)
        close = [(ratio < delta) & valid for delta in DELTAS]
        truths = [jnp.where(valid, true**power, 0.0) for power in (1, 2)]
        parts = [valid, error**2, error / true, *close, error, *truths]
        sums = [jnp.sum(part.astype(jnp.float32), axis=(1, 2)) for part in parts]
        return jnp.stack(sums, axis=1)

    def merge(
        self, state: Float[np.ndarray, "9"], rows: Float[Array | np.ndarray, "b 9"]
    ) -> Float[np.ndarray, "9"]:
        """Adds the images of one batch in float64."""
        return state + np.asarray(rows, np.float64).sum(axis=0)

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
        mean, square = state[7:] / state[0]
        return float(np.sqrt(max(square - mean**2, 0.0)))
