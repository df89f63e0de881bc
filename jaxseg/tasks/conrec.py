"""ConRec: SimCLR and four reconstructions of both views at once (decoder paper,
section 2.2; Dippel et al. 2021, arXiv:2104.04323).

The targets, as in Fig. 3b to 3e: the image before blocks were painted over, the same in
its colours before the jitter, where the blocks are, and the image with them in black.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import jax.numpy as jnp

from jaxseg.core import rules
from jaxseg.core.types import Array, Batch, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.tasks import masking, objective, reconstruction, simclr

VERSION = 1  # goes up when the same weights would give another loss
TARGETS = 4  # of the head
WEIGHT = 2.5
BLACK = -2.0  # about that of normalized images


@dataclasses.dataclass(frozen=True)
class ConRec(objective.Objective):
    """NT-Xent + weight x the mean of the four L2 losses."""

    weight: float = WEIGHT
    temperature: float = simclr.TEMPERATURE
    dimensions: int = simclr.DIMENSIONS

    name = "conrec"
    views = 2
    least = 2
    clean = True

    @property
    def heads(self) -> dict[str, int]:
        """Channels of each target, and dimensions of an embedding."""
        return {"reconstruction": self.num_outputs, "projection": self.dimensions}

    def outputs(self, facts: Dataset) -> int:
        """Channels of an image."""
        return facts.channels

    def prepare(self, batch: Batch, rng: Array) -> Batch:
        """With blocks painted over."""
        return masking.masked(batch, rng)

    def loss(
        self,
        outputs: Mapping[str, Array],
        batch: Batch,
        totals: Totals | None = None,
    ) -> tuple[Array, Logs]:
        """Outputs [B, 2, H, W, 4 C], target by target, and [B, 2, D]."""
        totals = totals or self.totals(batch)
        alike, logs = simclr.loss_of(
            outputs["projection"], self.temperature, batch, totals
        )
        parts = {
            name: reconstruction.squared(made, target, batch, totals)
            for name, (made, target) in self.pairs(outputs, batch).items()
        }
        rebuilt = sum(parts.values()) / len(parts)
        logs |= {"contrastive_loss": alike, "reconstruction_loss": rebuilt}
        logs |= {f"reconstruction_{name}": value for name, value in parts.items()}
        return alike + self.weight * rebuilt, logs

    def pairs(
        self, outputs: Mapping[str, Array], batch: Batch
    ) -> dict[str, tuple[Array, Array]]:
        """{target: (output, target)}, both [B, 2, H, W, C], of a prepared batch."""
        made = jnp.split(outputs["reconstruction"], TARGETS, axis=-1)
        both = zip(made, targets(batch).items(), strict=True)
        return {name: (own, target) for own, (name, target) in both}

    @property
    def unsplit(self) -> tuple[str, ...]:
        """What a view is compared with."""
        return simclr.APART


def targets(batch: Batch) -> dict[str, Array]:
    """{name: [B, 2, H, W, C]} of a prepared batch, in the order of the outputs."""
    whole, mask = batch["whole"], batch["mask"][..., None]
    return {
        "whole": whole,
        "colors": batch["clean"],
        "mask": jnp.broadcast_to(mask, whole.shape).astype(whole.dtype),
        "blackened": jnp.where(mask, BLACK, whole),
    }


def build(
    num_outputs: int,
    weight: Annotated[float, rules.at_least(0)] = WEIGHT,
    temperature: Annotated[float, rules.ABOVE_0] = simclr.TEMPERATURE,
    dimensions: Annotated[int, rules.at_least(1)] = simclr.DIMENSIONS,
) -> ConRec:
    """weight: of the reconstructions; the paper prints none. The public code has 100,
    for images from 0 to 1, whose squared errors are about a twentieth of those of
    normalized ones, beside twice the mean of NT-Xent.
    """
    return ConRec(num_outputs, weight, temperature, dimensions)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """As it is."""
    return dict(section)
