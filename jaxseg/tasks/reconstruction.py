"""Reconstruction: the whole image from one whose blocks are painted over, by L2
(decoder paper, section 2.2).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jaxseg.core.types import Array, Batch, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.tasks import masking, objective

VERSION = 1  # goes up when the same weights would give another loss


def squared(outputs: Array, targets: Array, batch: Batch, totals: Totals) -> Array:
    """Mean squared error over pixels and channels [B, ..., H, W, C] of all images, and
    of all views, that are valid.
    """
    errors = jnp.square(outputs - targets)
    each = jnp.mean(errors, axis=tuple(range(1, errors.ndim)))
    valid = batch.get("valid", jnp.ones(len(each), bool))
    return jnp.sum(jnp.where(valid, each, 0)) / totals["images"]


@dataclasses.dataclass(frozen=True)
class Reconstruction(objective.Objective):
    """L2 on all pixels of normalized images, masked or not."""

    name = "reconstruction"

    def outputs(self, facts: Dataset) -> int:
        """Channels of an image."""
        return facts.channels

    def prepare(self, batch: Batch, rng: Array) -> Batch:
        """With blocks painted over."""
        return masking.masked(batch, rng)

    def loss(
        self, outputs: Array, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs [B, H, W, C]. Logs what filling all with one colour gives, the mean
        that images are normalized by.
        """
        totals = totals or self.totals(batch)
        ((made, target),) = self.pairs(outputs, batch).values()
        zeros = jnp.zeros_like(outputs)  # that colour, normalized
        mean_color = squared(zeros, target, batch, totals)
        loss = squared(made, target, batch, totals)
        return loss, {"mean_color": mean_color}

    def pairs(self, outputs: Array, batch: Batch) -> dict[str, tuple[Array, Array]]:
        """{target: (output, target)}, both [B, H, W, C], of a prepared batch."""
        return {"whole": (outputs, batch["whole"])}


def build(num_outputs: int) -> Reconstruction:
    """Without options."""
    return Reconstruction(num_outputs)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """As it is."""
    return dict(section)
