"""Monocular depth (factors paper, section 4.2 and A.5)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg.core.types import Array, Batch, Example, Logs, Totals
from jaxseg.data.dataset import Dataset
from jaxseg.losses import depth as losses
from jaxseg.losses import reduce
from jaxseg.metrics import depth as metrics
from jaxseg.tasks import task

MILLIMETRES, MOST = 1000, np.iinfo(np.uint16).max  # of a metre; of a file's pixel
VERSION = 2  # goes up when the same weights would give another loss or metric


@dataclasses.dataclass(frozen=True)
class Depth(task.Task):
    """L1 of depth and of its gradients where depth is known; linear RMSE, delta."""

    smooth_weight: float = 1.0
    maximum: float | None = None  # metres; farther pixels count as unknown

    name = "depth"
    unit = "millimetres"
    fields = ("depth",)
    label_field = "depth"
    drawn = ("depth",)
    headline = "rmse"
    perfect = "delta1"
    higher_is_better = False

    def outputs(self, facts: Dataset) -> int:
        """Metres."""
        return 1

    def totals(self, batch: Batch) -> Totals:
        """Pixels of known depth, and pairs of them along rows and along columns."""
        valid = self._valid(batch)
        rows, columns = losses.pairs(valid)
        counted = {"pixels": valid, "rows": rows, "columns": columns}
        return {name: jnp.sum(mask) for name, mask in counted.items()}

    def loss(
        self, outputs: Array, batch: Batch, totals: Totals | None = None
    ) -> tuple[Array, Logs]:
        """Outputs [B, H, W, 1] metres; Eq. A.5, A.6 as means over valid pixels."""
        totals = totals or self.totals(batch)
        predicted, truth = outputs[..., 0], batch["depth"]
        valid = self._valid(batch)
        near = reduce.over(losses.absolute(predicted, truth, valid), totals["pixels"])
        (rows, _), (columns, _) = losses.gradient(predicted, truth, valid)
        smooth = reduce.over(rows, totals["rows"])
        smooth += reduce.over(columns, totals["columns"])
        parts = {"absolute_loss": near, "smooth_loss": smooth}
        return near + self.smooth_weight * smooth, parts

    def decode(self, outputs: Array) -> Array:
        """[B, H, W, 1] -> [B, H, W] metres."""
        return outputs[..., 0]

    def metric(self) -> metrics.DepthErrors:
        """Sums of errors over all valid pixels of a set."""
        return metrics.DepthErrors(self.maximum)

    def counting(self, facts: Dataset, state: Any) -> tuple[str, ...]:
        """The depth beyond which pixels do not count."""
        return () if self.maximum is None else (f"up to {self.maximum:g} m",)

    def update(self, predictions: Array, batch: Batch) -> Array:
        """[B, 10] sums of one batch."""
        return self.metric().update(predictions, batch["depth"], self._valid(batch))

    def as_fields(self, prediction: Array, size: tuple[int, int]) -> Example:
        """A depth map, cut to the image where it is padded."""
        return {"depth": prediction[: size[0], : size[1]]}

    def written(self, prediction: Array) -> task.Written:
        """Millimetres, at most MOST; 0 where the depth is not above 0."""
        millimetres = np.rint(np.asarray(prediction, np.float64) * MILLIMETRES)
        return task.Written(np.clip(millimetres, 0, MOST).astype(np.uint16))

    def perfect_predictions(self, batch: Batch) -> np.ndarray:
        """The metres themselves."""
        return batch["depth"]

    def is_labelled(self, batch: Batch) -> bool:
        """Whether any pixel of a batch has a known depth."""
        return bool((batch["depth"] > 0).any())

    def truth(self, example: Example) -> Example:
        """Depth, 0 (unknown) beyond `maximum`."""
        depth = example["depth"]
        far = self.maximum is not None and depth > self.maximum
        return {"depth": np.where(far, 0, depth)}

    def _valid(self, batch: Batch) -> Array:
        depth = batch["depth"]
        valid = (depth > 0) & jnp.isfinite(depth)
        if self.maximum is not None:
            valid &= depth <= self.maximum
        if "valid" in batch:  # padding of the last evaluation batch
            valid &= batch["valid"][:, None, None]
        return valid


def build(
    num_outputs: int, smooth_weight: float = 1.0, maximum: float | None = None
) -> Depth:
    """smooth_weight: of Eq. A.6 beside A.5 (none is printed). maximum: metres beyond
    which depth counts as unknown; None: the limit of the data set, else none.
    """
    return Depth(num_outputs, smooth_weight=smooth_weight, maximum=maximum)


def resolve(section: Mapping[str, Any], facts: Dataset) -> dict[str, Any]:
    """The section with the range of the data set's sensor."""
    return task.judged(section, facts)
