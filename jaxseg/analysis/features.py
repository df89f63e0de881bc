"""One vector per image: the maps of a backbone, pooled over space."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxseg.core import errors
from jaxseg.core.types import Batch
from jaxseg.data.source import Source


@functools.partial(jax.jit, static_argnames="canvas")
def pooled(
    maps: tuple[Float[Array, "b ..."], ...],
    scaled: Int[Array, "b 2"],
    canvas: tuple[int, int],
) -> Float[Array, "b d"]:
    """Spatial means of all maps side by side: 720 numbers for HRNetV2-W48.

    Of each map only the cells that begin within the image, `scaled` of the `canvas`.
    """
    return jnp.concatenate([_mean(x, scaled, canvas) for x in maps], axis=-1)


def _mean(x: Array, scaled: Array, canvas: tuple[int, int]) -> Array:
    def inside(axis: int) -> Array:
        cells = x.shape[1 + axis]
        begins = jnp.arange(cells) * (canvas[axis] / cells)
        return begins[None] < scaled[:, axis, None]

    mask = inside(0)[:, :, None] & inside(1)[:, None, :]
    total = jnp.sum(x.astype(jnp.float32) * mask[..., None], axis=(1, 2))
    return total / jnp.sum(mask, axis=(1, 2))[:, None]


def size(models: Iterable[Any]) -> tuple[int, int]:
    """(height, width) that the first of the models was trained on; one that was
    imported may not know it. UserError where none does.
    """
    folders = []
    for model in models:
        if model.preprocessing is not None:
            return tuple(model.preprocessing["size"])
        folders.append(str(model.folder))
    raise errors.UserError(
        f"{', '.join(folders)}: imported without preprocessing, so the size of images "
        "is not known. Fix: a parent that was trained here"
    )


def of(
    model: Any, source: Source, batch_size: int, size: tuple[int, int]
) -> np.ndarray:
    """float32 [N, D] pooled features of one data set, its images fitted into `size` and
    normalized by the mean and std of the set itself.
    """
    from jaxseg.data import normalization, pipeline  # loads grain: a plan does without

    batches = pipeline.eval_batches(
        source,
        normalize=normalization.Normalize.of(source.dataset),
        size=size,
        batch_size=batch_size,
        fields=("image",),
    )
    rows = collect(model.features, batches)
    if not np.isfinite(rows).all():
        raise errors.UserError(
            f"{model.folder}: its features of {source.name} are not finite: the model "
            "has diverged. Fix: train it at a lower rate, or leave it out"
        )
    return rows


def collect(
    features: Callable[[Array], tuple[Array, ...]], batches: Iterable[Batch]
) -> np.ndarray:
    """float32 [N, D], a row for each valid image of `pipeline.eval_batches`."""
    rows = []
    for batch in batches:
        image = batch["image"]
        row = pooled(features(image), batch["scaled"], canvas=image.shape[1:3])
        rows.append(np.asarray(row)[batch["valid"]])
    return np.concatenate(rows)


def plane(
    vectors: Float[np.ndarray, "n d"], metric: str = "euclidean"
) -> Float[np.ndarray, "n 2"]:
    """float32 [N, 2]: t-SNE of the vectors from their principal components on, so that
    equal input gives equal output; few vectors have a lower perplexity than 30.
    """
    from sklearn import manifold  # a second: a plan does without

    # In units of about the largest number: scikit-learn takes squares to float32, which
    # those of a diverged model exceed. A power of two keeps all digits.
    vectors = np.asarray(vectors, np.float64)
    vectors = np.ldexp(vectors, -np.frexp(np.abs(vectors).max())[1])
    alike = not np.ptp(vectors, axis=0).any()  # which has no principal component
    model = manifold.TSNE(
        perplexity=min(30.0, (len(vectors) - 1) / 3),
        metric=metric,
        init="random" if alike else "pca",
        random_state=0,
    )
    return model.fit_transform(vectors)
