"""How much encoders resemble each other: centered kernel alignment (CKA) of their
deepest maps, flattened, on the same images (decoder paper, 5.2 and Fig. 7; Kornblith et
al. 2019, arXiv:1905.00414).
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from jaxseg.analysis import features
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, rules
from jaxseg.data.spec import DataSpec

ROLES = None  # of the parents: encoders, any two or more, of any width
LEAST = 4  # images of a batch, for which the unbiased estimate is defined
Gram = Float[np.ndarray, "n n"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The images of `data` in batches of `batch_size`; what is left over is not used.

    Images are normalized by the mean and std of their set, as for domain distances.
    """

    name: str
    data: DataSpec
    batch_size: Annotated[int, rules.at_least(LEAST)] = 64


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> list[dict[str, Any]]:
    """A row {data, model, other, images, value, biased} for each pair of models, which
    a model makes with itself as well. `value` has no bias: it is about 0 of features
    that have nothing in common, where the usual estimate grows with their number.
    """
    source, names = tools.sources["data"], list(models)
    if len(source) < LEAST:
        raise errors.UserError(
            f"cka: {spec.data.called} has {len(source)} images, allowed are {LEAST} "
            "and more"
        )
    size = min(spec.batch_size, len(source))
    count, batches = len(source) // size, _batches(models, source, size)
    grams = []
    for number, batch in enumerate(itertools.islice(batches, count)):
        tools.progress(number, count, spec.data.called)
        grams.append([gram(one) for one in batch])
    whole, biased = similarity(grams, hsic), similarity(grams, biased_hsic)
    return [
        {"analysis": spec.name, "data": spec.data.called, "images": count * size}
        | {"model": names[i], "other": names[j]}
        | {"value": float(whole[i, j]), "biased": float(biased[i, j])}
        for i in range(len(names))
        for j in range(i, len(names))
    ]


def gram(vectors: Float[np.ndarray, "n d"]) -> Gram:
    """float64 inner products of all pairs of rows.

    Rows are centred first: neither estimate changes, and less is lost to rounding.
    """
    centred = np.asarray(vectors, np.float64)
    centred = centred - centred.mean(axis=0)
    return centred @ centred.T


def hsic(k: Gram, l: Gram) -> float:  # noqa: E741 (the names of the papers)
    """The Hilbert-Schmidt independence criterion without bias (Song et al. 2012; Eq. 3
    of Nguyen et al. 2021, arXiv:2010.15327).
    """
    n = len(k)
    k, l = (x - np.diag(np.diag(x)) for x in (k, l))  # noqa: E741
    product = np.sum(k * l)
    whole = k.sum() * l.sum() / ((n - 1) * (n - 2))
    crossed = 2 / (n - 2) * np.sum(k.sum(axis=0) * l.sum(axis=0))
    return float((product + whole - crossed) / (n * (n - 3)))


def biased_hsic(k: Gram, l: Gram) -> float:  # noqa: E741
    """The usual estimate (Eq. 2 of Kornblith et al.)."""
    centre = lambda x: x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()
    return float(np.sum(centre(k) * centre(l)) / (len(k) - 1) ** 2)


def similarity(grams: Sequence[Sequence[Gram]], estimate=hsic) -> np.ndarray:
    """[M, M] CKA of M models from the Gram matrices [batches][M]: means over batches
    are taken before the quotient (Eq. 2 of Nguyen et al.).

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 200, 5))
    >>> similarity([[gram(x), gram(2 * x), gram(y)]])[0].round(1) + 0.0
    array([1., 1., 0.])
    """
    count = len(grams[0])
    criteria = np.zeros((count, count))
    for batch in grams:
        for i, j in itertools.product(range(count), repeat=2):
            criteria[i, j] += estimate(batch[i], batch[j])
    own = np.sqrt(np.diag(criteria))
    return criteria / (own[:, None] * own)


def _batches(
    models: Mapping[str, Any], source: Any, size: int
) -> Iterator[list[np.ndarray]]:
    """[vectors [n, D] of each model] of the same images, a batch at a time."""
    from jaxseg.data import normalization, pipeline  # loads grain: a plan does without

    batches: Iterable[Mapping[str, Any]] = pipeline.eval_batches(
        source,
        normalize=normalization.Normalize.of(source.dataset),
        size=features.size(models.values()),
        batch_size=size,
        fields=("image",),
    )
    for batch in batches:
        maps = (model.features(batch["image"])[-1] for model in models.values())
        yield [np.asarray(one, np.float32).reshape(len(one), -1) for one in maps]
