"""Foreground against background: IoU, Dice and pixel accuracy, pooled and per image.

Papers use both; the name of each metric says which one it is.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

NAMES = ("iou_pooled", "dice_pooled", "pixel_accuracy")
NAMES += ("iou_per_image", "dice_per_image", "pixel_accuracy_per_image")


@dataclasses.dataclass(frozen=True)
class Binary:
    """Counts [tp, fp, fn, tn] of each image of a set; 1 is the foreground."""

    def zeros(self) -> Int[np.ndarray, "0 4"]:
        """No images."""
        return np.zeros((0, 4), np.int64)

    def update(
        self,
        predictions: Int[Array, "b h w"],
        labels: Int[Array, "b h w"],
        valid: Bool[Array, "b h w"],
    ) -> Int[Array, "b 4"]:
        """Counts of one batch; pixels that are not valid count nowhere."""
        guess, true = predictions == 1, labels == 1
        cells = [guess & true, guess & ~true, ~guess & true, ~guess & ~true]
        ones = [(cell & valid).astype(jnp.int32) for cell in cells]
        # One pass: four sums of 8 maps of 2048 x 2048 take 0.35 s on CPU, this 0.01 s.
        add = lambda one, other: tuple(map(jnp.add, one, other))
        counts = jax.lax.reduce(ones, [jnp.int32(0)] * 4, add, (1, 2))
        return jnp.stack(counts, axis=1)

    def merge(
        self, state: Int[np.ndarray, "n 4"], rows: Int[Array | np.ndarray, "b 4"]
    ) -> Int[np.ndarray, "m 4"]:
        """`state` and the images of one batch that have a valid pixel."""
        rows = np.asarray(rows, np.int64)
        return np.concatenate([state, rows[rows.sum(axis=1) > 0]])

    def compute(
        self, state: Int[np.ndarray, "n 4"], classes: Sequence[str]
    ) -> dict[str, float]:
        """NAMES in [0, 1]: over all pixels of the set, then as means over its images.

        Pixel accuracy is the share of right pixels, background too; the chairs paper
        calls it precision.

        No foreground in truth and prediction counts as 1; a set without images as 0.
        """
        if not len(state):
            return dict.fromkeys(NAMES, 0.0)
        pooled = _scores(state.sum(axis=0, keepdims=True))[0]
        per_image = _scores(state).mean(axis=0)
        values = np.concatenate([pooled, per_image]).tolist()
        return dict(zip(NAMES, values, strict=True))

    def floor(self, state: Int[np.ndarray, "n 4"], name: str) -> float | None:
        """The better value of two answers: all foreground, and all background."""
        if not len(state):
            return None
        there, empty = state[:, 0] + state[:, 2], state[:, 1] + state[:, 3]
        none = np.zeros_like(there)
        constants = ((there, empty, none, none), (none, none, there, empty))
        return max(self.compute(np.stack(c, axis=1), ())[name] for c in constants)


def _scores(counts: Int[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 3"]:
    """IoU, Dice, pixel accuracy of each row."""
    hits, false, missed, empty = counts.T
    wrong = false + missed
    shares = [(hits, hits + wrong), (2 * hits, 2 * hits + wrong)]
    shares.append((hits + empty, hits + empty + wrong))
    return np.stack([_share(part, whole) for part, whole in shares], axis=1)


def _share(
    part: Int[np.ndarray, " n"], whole: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """part / whole; 1 where there is no whole."""
    return np.where(whole > 0, part / np.maximum(whole, 1), 1.0)
