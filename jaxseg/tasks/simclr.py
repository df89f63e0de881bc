"""SimCLR: two views of an image are alike, those of others are not
(arXiv:2002.05709; decoder paper, section 2.2).
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import jax.numpy as jnp

from jaxseg.core import rules
from jaxseg.core.types import Array, Batch, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.losses import contrastive
from jaxseg.tasks import objective

VERSION = 1  # goes up when the same weights would give another loss
TEMPERATURE = 0.5  # in ConRec's public code; the paper prints none
DIMENSIONS = 128  # of an embedding
APART = ("pairs of views",)  # each has those of its own microbatch as distractors


def loss_of(
    embeddings: Array, temperature: float, batch: Batch, totals: Totals
) -> tuple[Array, Logs]:
    """(mean over all views, logs) of embeddings [B, 2, D]."""
    count = 2 * totals["images"]
    values, hits = contrastive.nt_xent(embeddings, temperature, batch.get("valid"))
    loss = jnp.sum(values) / count
    return loss, {"contrastive_accuracy": jnp.sum(hits) / count}


@dataclasses.dataclass(frozen=True)
class SimCLR(objective.Objective):
    """NT-Xent of two views, each against all others of the global batch."""

    temperature: float = TEMPERATURE
    dimensions: int = DIMENSIONS

    name = "simclr"
    views = 2
    least = 2

    @property
    def heads(self) -> dict[str, int]:
        """One for embeddings."""
        return {self.part or "projection": self.num_outputs}

    def outputs(self, facts: Dataset) -> int:
        """Dimensions of an embedding."""
        return self.dimensions

    def loss(
        self, outputs: Array, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs [B, 2, D]."""
        totals = totals or self.totals(batch)
        return loss_of(outputs, self.temperature, batch, totals)

    @property
    def unsplit(self) -> tuple[str, ...]:
        """What a view is compared with."""
        return APART


def build(
    num_outputs: int,
    temperature: Annotated[float, rules.ABOVE_0] = TEMPERATURE,
    dimensions: Annotated[int, rules.at_least(1)] = DIMENSIONS,
) -> SimCLR:
    """temperature: that cosines are divided by. dimensions: of an embedding."""
    return SimCLR(num_outputs, temperature, dimensions)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """As it is."""
    return dict(section)
