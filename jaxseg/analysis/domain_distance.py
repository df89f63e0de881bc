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
from jaxseg.data.spec import DataSpec

ROLES = ("model",)  # of the parents
VERSION = 4
DRAWN = 150  # images of a set in Fig. 3a


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
) -> tools_lib.Found:
    """A row {target, source, value, one_to_one} for each ordered pair of data sets,
    which have their labels: Eq. 1, and the distance of the best one-to-one assignment.

    The array `embedding` [sets, DRAWN, 2] has the first images of each set by t-SNE
    (Fig. 3a), NaN where there are fewer; one set alone has none.
    """
    vectors, size = {}, features.size(models.values())
    for number, (label, source) in enumerate(tools.sources.items()):
        tools.progress(number, len(tools.sources), label)
        vectors[label] = features.of(models["model"], source, spec.batch_size, size)
    rows = [
        {
            "analysis": spec.name,
            "target": target,
            "source": source,
            "value": domain_distance(vectors[target], vectors[source]),
            "one_to_one": one_to_one(vectors[target], vectors[source]),
        }
        for target in vectors
        for source in vectors
    ]
    if len(vectors) < 2:
        return tools_lib.Found(rows, {})
    drawn = [some[:DRAWN] for some in vectors.values()]
    points = np.full((len(drawn), DRAWN, 2), np.nan, np.float32)
    here = np.arange(DRAWN) < np.array([[len(some)] for some in drawn])
    points[here] = features.plane(np.concatenate(drawn))
    return tools_lib.Found(rows, {"embedding": points})


def domain_distance(
    target: Float[np.ndarray, "t d"], source: Float[np.ndarray, "s d"]
) -> float:
    """D(T|S): mean Euclidean distance of a target image to its closest source image.

    Small where the source *includes* the target; D(T|S) differs from D(S|T).
    """
    from scipy.spatial import distance  # half a second: a plan does without

    return float(distance.cdist(target, source).min(axis=1).mean())


def one_to_one(
    target: Float[np.ndarray, "t d"], source: Float[np.ndarray, "s d"]
) -> float:
    """The mean distance of pairs of images, one of each set, of the assignment with the
    least sum; as many pairs as the smaller set has images (assignment 1 of Table 10).
    """
    from scipy import optimize
    from scipy.spatial import distance

    apart = distance.cdist(target, source)
    return float(apart[optimize.linear_sum_assignment(apart)].mean())
