"""Logits that are enlarged to the image only where they are looked at.

1,001 classes of 64 images of 256 x 256 pixels are 16.8 GB in float32, once for the
logits, again for their gradient. In training a head with many outputs therefore gives
its small maps and the size they stand for; the loss enlarges a band of rows at a time.
"""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxseg.models import ops

MANY = 256  # outputs, from which on this is worth a loop over bands
ROWS = 8  # of a band


class Enlarged(flax.struct.PyTreeNode):
    """Maps [B, h, w, K] that stand for [B, *shown, K]: resized to `size`, then cut."""

    maps: Any  # an array, or what stands for one where shapes are evaluated
    size: tuple[int, int] = flax.struct.field(pytree_node=False)
    shown: tuple[int, int] = flax.struct.field(pytree_node=False)

    def cut(self, size: tuple[int, int]) -> "Enlarged":
        """The upper left part of so many rows and columns."""
        return self.replace(shown=tuple(size))

    def whole(self) -> Float[Array, "b p q k"]:
        """All of it at once."""
        height, width = self.shown
        return ops.resize_bilinear(self.maps, self.size)[:, :height, :width]

    def sum(
        self,
        function: Callable[[Array, Array, Array], Any],
        labels: Int[Array, "b p q"],
        valid: Bool[Array, "b p q"],
    ) -> Any:
        """The sum of function(logits, labels, valid) over bands of rows, where the
        gradient too has the memory of one band.

        function: its results, arrays in a tree, add up over pixels; it gives 0 for
        those that are not `valid`, with which the last band is filled up.
        """
        height, _ = self.shown
        bands = -(-height // ROWS)
        missing = bands * ROWS - height
        per_row, per_column = (
            jnp.asarray(ops.bilinear_weights(*pair)[:shown])
            for pair, shown in zip(
                zip(self.maps.shape[1:3], self.size), self.shown, strict=True
            )
        )

        def banded(x: Array, axis: int) -> Array:
            padding = [(0, missing if a == axis else 0) for a in range(x.ndim)]
            x = jnp.pad(x, padding)
            split = (*x.shape[:axis], bands, ROWS, *x.shape[axis + 1 :])
            return jnp.moveaxis(x.reshape(split), axis, 0)

        @jax.checkpoint
        def of_band(maps: Array, band: tuple[Array, Array, Array]) -> Any:
            rows, labels, valid = band
            # In turn: both at once would build a product over all small pixels.
            logits = jnp.einsum("bhwk,ph->bpwk", maps, rows, precision="highest")
            logits = jnp.einsum(
                "bpwk,qw->bpqk", logits, per_column, precision="highest"
            )
            return function(logits, labels, valid)

        each = banded(per_row, 0), banded(labels, 1), banded(valid, 1)
        first = jax.tree.map(lambda x: x[0], each)
        zeros = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype),
            jax.eval_shape(of_band, self.maps, first),
        )

        def add(total: Any, band: tuple[Array, Array, Array]) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, of_band(self.maps, band)), None

        return jax.lax.scan(add, zeros, each)[0]


def to_size(
    logits: Float[Array, "b h w k"], size: tuple[int, int], train: bool
) -> Float[Array, "b p q k"] | Enlarged:
    """Logits [B, *size, K]; in training those of MANY classes as `Enlarged`."""
    if train and logits.shape[-1] >= MANY and logits.shape[1:3] != tuple(size):
        return Enlarged(logits, tuple(size), tuple(size))
    return ops.resize_bilinear(logits, size)
