"""SimMIM: the colours of masked patches from the patches around them, by L1 (Xie et al.
2022, arXiv:2111.09886; SimMIM study, section 2.1).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from jaxseg.core import errors, rules
from jaxseg.core.types import Array, Batch, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.tasks import objective

VERSION = 1  # goes up when the same weights would give another loss
PATCH, RATIO = 16, 0.5
TINY = {"patch": 16}  # of the ViT `tiny`


@dataclasses.dataclass(frozen=True)
class SimMIM(objective.Objective):
    """L1 on the pixels of masked patches of normalized images.

    The backbone puts its mask token in the place of these patches; in the batch they
    are grey, the mean that images are normalized by.
    """

    patch: int = PATCH
    ratio: float = RATIO

    name = "simmim"
    letterboxed = False  # patches of padding would be the easiest to fill

    def outputs(self, facts: Dataset) -> int:
        """Channels of an image."""
        return facts.channels

    def check(self, model: Any) -> None:
        """UserError unless the backbone has a mask token and patches of this size."""
        backbone = model.backbone
        if not getattr(backbone, "mask_token", False):
            raise errors.UserError(
                "model/backbone: found no mask_token, which simmim needs; allowed is a "
                "ViT with mask_token=True, such as variant simmim"
            )
        if backbone.patch != self.patch:
            raise errors.UserError(
                f"task/patch: found {self.patch}, allowed: {backbone.patch}, the patch "
                "of the backbone"
            )

    def prepare(self, batch: Batch, rng: Array) -> Batch:
        """With `mask` bool [B, H, W] of whole patches, as many in each image."""
        whole = batch["image"]
        mask = patches(rng, whole.shape[:-1], self.patch, self.ratio)
        image = jnp.where(mask[..., None], 0, whole)
        return batch | {"image": image, "whole": whole, "mask": mask}

    def inputs(self, batch: Batch) -> dict[str, Array]:
        """bool [B, h, w]: which patches."""
        return {"mask": batch["mask"][:, :: self.patch, :: self.patch]}

    def totals(self, batch: Batch) -> Totals:
        """Masked pixels times channels."""
        return {"masked": batch["image"].shape[-1] * jnp.sum(_counted(batch))}

    def loss(
        self, outputs: Array, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs [B, H, W, C]. Logs what filling with one colour gives, the mean that
        images are normalized by.
        """
        count = (totals or self.totals(batch))["masked"]
        where = _counted(batch)[..., None]

        def error(made: Array | float) -> Array:
            return jnp.sum(jnp.where(where, jnp.abs(made - batch["whole"]), 0)) / count

        return error(outputs), {"mean_color": error(0.0)}

    def pairs(self, outputs: Array, batch: Batch) -> dict[str, tuple[Array, Array]]:
        """{target: (output, target)}, both [B, H, W, C], of a prepared batch: outputs
        in the place of masked patches (Fig. 1), for others are not trained.
        """
        whole = batch["whole"]
        return {"whole": (jnp.where(batch["mask"][..., None], outputs, whole), whole)}


def patches(key: Array, shape: tuple[int, int, int], patch: int, ratio: float) -> Array:
    """bool [B, H, W]: `ratio` of the square patches of each image, at random; rounded
    up, as in SimMIM's code, but of several patches not all.
    """
    count, height, width = shape
    rows, columns = -(-height // patch), -(-width // patch)
    every = rows * columns
    masked = min(math.ceil(ratio * every), max(every - 1, 1))
    places = jnp.broadcast_to(jnp.arange(every) < masked, (count, every))
    drawn = jax.random.permutation(key, places, axis=1, independent=True)
    mask = drawn.reshape(count, rows, columns)
    mask = mask.repeat(patch, axis=1).repeat(patch, axis=2)
    return mask[:, :height, :width]


def _counted(batch: Batch) -> Array:
    """bool [B, H, W]: the masked pixels of valid images."""
    valid = batch.get("valid", jnp.ones(len(batch["mask"]), bool))
    return batch["mask"] & valid[:, None, None]


def build(
    num_outputs: int,
    patch: Annotated[int, rules.at_least(1)] = PATCH,
    ratio: Annotated[float, rules.INSIDE] = RATIO,
) -> SimMIM:
    """patch: side in pixels, that of the backbone; ratio: of patches that are masked,
    in the SimMIM study half of them (2.1).
    """
    return SimMIM(num_outputs, patch, ratio)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """As it is."""
    return dict(section)
