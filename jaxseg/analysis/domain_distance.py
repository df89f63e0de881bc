"""How far a target lies from a source in feature space (factors paper, Eq. 1)."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from jaxseg.analysis import features
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, rules
from jaxseg.data.source import Source
from jaxseg.data.spec import DataSpec

ROLES = ("model",)  # of the parents


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledData(DataSpec):
    """One set of images to describe; its rows say `label`, or its name."""

    label: str | None = None

    @property
    def called(self) -> str:
        """What rows say."""
        return self.label or super().called


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """Eq. 1 between all ordered pairs of `datasets`, in the parent's feature space.

    Images are normalized by the mean and std of their own set, as the paper does with
    every set to take illumination out of its comparisons (4.1). The same images stand
    for a set as target and as source, as in the paper (1000 of each; count=None: all).
    """

    name: str
    datasets: tuple[LabelledData, ...]
    batch_size: Annotated[int, rules.at_least(1)] = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = collections.Counter(data.called for data in self.datasets)
        for label, count in counts.items():
            if count > 1:
                raise errors.UserError(
                    f"datasets: {count} are called {label!r}. Fix: a label each"
                )


def reads(spec: Spec) -> dict[str, LabelledData]:
    """{label: section} of all that is read."""
    return {data.called: data for data in spec.datasets}


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> list[dict[str, Any]]:
    """A row for each ordered pair of data sets, which have their labels."""
    vectors = {
        label: _vectors(models["model"], source, spec.batch_size)
        for label, source in tools.sources.items()
    }
    return [
        {
            "analysis": spec.name,
            "target": target,
            "source": source,
            "value": domain_distance(vectors[target], vectors[source]),
        }
        for target in vectors
        for source in vectors
    ]


def _vectors(model: Any, source: Source, batch_size: int) -> np.ndarray:
    """[N, D] pooled features of one data set, normalized by its own statistics."""
    from jaxseg.data import normalization, pipeline  # loads grain: a plan does without

    batches = pipeline.eval_batches(
        source,
        normalize=normalization.Normalize.of(source.dataset),
        size=tuple(model.manifest["preprocessing"]["size"]),
        batch_size=batch_size,
        fields=("image",),
    )
    return features.collect(model.features, batches)


def domain_distance(
    target: Float[np.ndarray, "t d"], source: Float[np.ndarray, "s d"]
) -> float:
    """D(T|S): mean Euclidean distance of a target image to its closest source image.

    Small where the source *includes* the target; D(T|S) differs from D(S|T).
    """
    from scipy.spatial import distance  # half a second: a plan does without

    return float(distance.cdist(target, source).min(axis=1).mean())
