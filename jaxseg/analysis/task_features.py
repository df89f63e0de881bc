"""Whether features cluster by the model that made them or by the image (factors paper,
Fig. 3b and c): the same images in models of several task types.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from jaxseg.analysis import features
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, rules
from jaxseg.data.spec import DataSpec

ROLES = None  # of the parents: task types, any two or more
VERSION = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The images of `data` in the feature space of each parent, which have backbones
    of one width; roles of parents are their task types.

    Images are normalized by the mean and std of their set, as for domain distances.
    """

    name: str
    data: DataSpec
    batch_size: Annotated[int, rules.at_least(1)] = 32


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> tools_lib.Found:
    """A row {data, model, image, by_model, by_image} for each image in each model: the
    silhouette of its features (cosine distance) where models are the labels, and where
    images are. The array `embedding` [models, images, 2] has their points by t-SNE.
    """
    source = tools.sources["data"]
    if len(source) < 2:
        raise errors.UserError(
            f"task_features: {spec.data.called} has {len(source)} image, allowed are 2 "
            "and more"
        )
    size = features.size(models.values())
    vectors = {}
    for number, (role, model) in enumerate(models.items()):
        tools.progress(number, len(models), role)
        vectors[role] = features.of(model, source, spec.batch_size, size)
    _check_alike(vectors)
    scores, points = compared(np.stack(list(vectors.values())))
    rows = [
        {"analysis": spec.name, "data": spec.data.called, "model": role, "image": image}
        | dict(zip(("by_model", "by_image"), map(float, scores[:, number, image])))
        for number, role in enumerate(vectors)
        for image in range(len(source))
    ]
    return tools_lib.Found(rows, {"embedding": points})


def compared(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([2, M, N] silhouettes by model and by image, [M, N, 2] points of the plane) of
    the features [M, N, D] of N images in M models.
    """
    from sklearn import metrics  # a second: a plan does without

    count, images = vectors.shape[:2]
    flat = vectors.reshape(count * images, -1).astype(np.float64)
    # Squares of what a diverged model gives exceed float32; of tiny lengths
    # scikit-learn makes zeros.
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(lengths > 0, lengths, 1.0)
    model, image = (x.ravel() for x in np.indices((count, images)))
    scores = [
        metrics.silhouette_samples(flat, labels, metric="cosine")
        for labels in (model, image)
    ]
    points = features.plane(flat, "cosine").reshape(count, images, 2)
    return np.reshape(scores, (2, count, images)), points


def _check_alike(vectors: Mapping[str, np.ndarray]) -> None:
    """UserError unless all models give vectors of one length."""
    lengths = {role: x.shape[1] for role, x in vectors.items()}
    if len(set(lengths.values())) > 1:
        raise errors.UserError(
            f"task_features: lengths of features are {lengths}; allowed is one. Fix: "
            "parents with the same backbone"
        )
