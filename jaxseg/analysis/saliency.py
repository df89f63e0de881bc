"""Where classifiers look, pixel by pixel, and what several agree on (PSSL, section 3).

SmoothGrad is of Smilkov et al. 2017, arXiv:1706.03825. The paper states neither its
noise nor its samples, nor how channels become one value: the defaults are ours, and
channels are summed by size.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped, UInt8

from jaxseg.analysis import grad_cam
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, images, rules
from jaxseg.data import transforms
from jaxseg.models import ops
from jaxseg.tasks import classification

SMOOTHGRAD, GRADIENT, GRAD_CAM = "smoothgrad", "gradient", "grad_cam"
TENTHS = 10
TOP = TENTHS - 1  # the highest decile


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(binding.Spec):
    """How a map is made of a classifier and an image.

    gradient: of the image without noise. samples, noise: of SmoothGrad alone; the
    standard deviation is this share of the range of an image's normalized values.
    """

    name: Annotated[str, rules.one_of(SMOOTHGRAD, GRADIENT, GRAD_CAM)] = SMOOTHGRAD
    samples: Annotated[int, rules.at_least(1)] = 15
    noise: Annotated[float, rules.at_least(0)] = 0.1


Score = Callable[[Float[Array, "b h w c"]], Float[Array, " b"]]


def gradient(score: Score, image: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Of the score of each image, which depends on no other image."""
    return jax.grad(lambda x: jnp.sum(score(x)))(image)


def noisy(
    image: Float[Array, "b h w c"],
    keys: Shaped[PRNGKeyArray, " b"],
    sample: Int[Array, ""],
    deviation: Float[Array, " b"],
) -> Float[Array, "b h w c"]:
    """The images with Gaussian noise, of each its own and another in each sample."""
    own = jax.vmap(jax.random.fold_in, (0, None))(keys, sample)
    draw = functools.partial(jax.random.normal, shape=image.shape[1:])
    return image + deviation[:, None, None, None] * jax.vmap(draw)(own)


def size_of(gradients: Float[Array, "b h w c"]) -> Float[Array, "b h w"]:
    """The sum of the sizes of all channels."""
    return jnp.sum(jnp.abs(gradients), axis=-1)


def rescaled(heat: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """float32 from 0 to 1 (min-max); 0 everywhere where the map is constant.

    >>> rescaled(np.array([[1.0, 3.0, 2.0]])).tolist()
    [[0.0, 1.0, 0.5]]
    """
    low, high = heat.min(), heat.max()
    if not np.isfinite([low, high]).all():
        raise errors.UserError(
            f"found a map of {low} to {high}, allowed are finite values: the model may "
            "have diverged. Fix: leave it out, or train it with a smaller rate"
        )
    return ((heat - low) / (high - low or 1)).astype(np.float32)


def deciles(heat: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """floor(10 Z / N) of each pixel, Z the number of pixels with lower values, N of all
    (Eq. 2). Equal values share the lowest rank, so with ties fewer than a tenth of the
    pixels, or none, have TOP; a constant map is 0 everywhere.

    >>> deciles(np.array([[0.1, 0.2, 0.2, 0.9]])).tolist()
    [[0, 2, 2, 7]]
    """
    # Z >= m is the same as being above the m-th smallest value.
    needed = [-(-heat.size * tenth // TENTHS) - 1 for tenth in range(1, TENTHS)]
    borders = np.partition(heat, needed, axis=None)[needed]
    found = np.zeros(heat.shape, np.uint8)
    for border in borders:
        found += heat > border
    return found


def explained(
    explain: Mapping[str, "Explainer"],
    examples: Sequence[Mapping[str, Any]],
    numbers: Sequence[int],
    batch: int,
) -> Iterator[dict[str, Float[np.ndarray, "h w"]]]:
    """{role: map} of each example, of all models. batch: rows computed at once; fewer
    examples are filled up, so that one program serves.
    """
    full = [*examples, *[examples[-1]] * (batch - len(examples))]
    filled = [*numbers, *[numbers[-1]] * (batch - len(examples))]
    seen = [example["image"] for example in full]
    labels = [int(example["label"]) for example in full]
    maps = {role: one(seen, labels, filled) for role, one in explain.items()}
    for row in range(len(examples)):
        yield {role: own[row] for role, own in maps.items()}


def mean(maps: Mapping[str, Float[np.ndarray, "h w"]]) -> Float[np.ndarray, "h w"]:
    """float32 mean of the models' maps (Eq. 1)."""
    return np.mean(list(maps.values()), axis=0, dtype=np.float64).astype(np.float32)


class Explainer:
    """Maps of one classifier, which sees an image as in its evaluation.

    names: the classes of the data, as their labels count; where the model knows the
    names of its own, a label is looked up by name.
    """

    def __init__(self, model: Any, method: Method, names: Sequence[str], seed: int = 0):
        tools_lib.check_trained(model)
        if not isinstance(model.objective, classification.OfImages):
            raise errors.UserError(
                f"saliency: {model.folder} was trained for {model.objective.name}; "
                "allowed is classification. Fix: a parent that is a classifier"
            )
        self._model, self._method = model, method
        self._names, self._classes = names, outputs_of(model, names)
        self._normalize = model.prediction["normalize"]
        self._letterbox = transforms.Letterbox(
            *model.prediction["size"], fill=self._normalize.mean
        )
        self._variables = jax.device_put(model.variables)
        self._key = jax.random.key(seed)

    def __call__(
        self,
        pictures: Sequence[np.ndarray],
        labels: Sequence[int],
        numbers: Sequence[int],
    ) -> list[Float[np.ndarray, "h w"]]:
        """`rescaled` maps in the images' own pixels.

        numbers: of the images, which decide about the noise: a map depends neither on
        its neighbours nor on the size of the batch but for rounding.
        """
        examples = [self._letterbox({"image": picture}) for picture in pictures]
        image = np.stack([self._normalize(one["image"]) for one in examples])
        classes = [self._class(label) for label in labels]
        spans = []
        for own, example in zip(image, examples):
            rows, columns = example["scaled"]
            spans.append(np.ptp(own[:rows, :columns]))
        given = (jnp.asarray(x) for x in (image, classes, numbers, spans))
        heats = np.asarray(self._heat(*given))
        found = []
        for heat, example, picture in zip(heats, examples, pictures):
            rows, columns = example["scaled"]
            seen = np.ascontiguousarray(heat[:rows, :columns], np.float32)
            with errors.located(str(self._model.folder)):
                found.append(rescaled(images.resize(seen, picture.shape[:2])))
        return found

    def _class(self, label: int) -> int:
        """The output for a label of the data."""
        known = 0 <= label < len(self._classes)
        if known and self._classes[label] >= 0:
            return int(self._classes[label])
        name = repr(self._names[label]) if known else f"number {label}"
        raise errors.UserError(
            f"saliency: found an image of the class {name}, which {self._model.folder} "
            "does not know. Fix: a model of the classes of the data"
        )

    def _heat(
        self, image: Array, classes: Array, numbers: Array, spans: Array
    ) -> Array:
        if self._method.name == GRAD_CAM:
            return grad_cam.heat(self._model, image, classes)
        if self._method.name == GRADIENT:
            return size_of(self._gradient(self._variables, image, classes))
        fold = jax.vmap(jax.random.fold_in, (None, 0))
        keys, total = fold(self._key, numbers), jnp.zeros_like(image)
        deviation = self._method.noise * spans
        for sample in range(self._method.samples):
            drawn = keys, sample, deviation
            total = self._more(self._variables, total, image, classes, *drawn)
        return size_of(total / self._method.samples)

    @functools.cached_property
    def _gradient(self) -> Callable[..., Array]:
        return jax.jit(self._plain)

    @functools.cached_property
    def _more(self) -> Callable[..., Array]:
        def more(variables, total, image, classes, keys, sample, deviation):
            seen = noisy(image, keys, sample, deviation)
            return total + self._plain(variables, seen, classes)

        return jax.jit(more, donate_argnums=1)

    def _plain(self, variables: Any, image: Array, classes: Array) -> Array:
        """[B, H, W, C] gradient of the logit of each image's class."""
        network, head = self._model.model, self._model.head

        def score(x: Array) -> Array:
            padded = ops.pad_to_multiple(x, self._model.multiple)
            logits = network.apply(variables, padded, train=False, head=head)
            return jnp.take_along_axis(logits, classes[:, None], axis=1)[:, 0]

        return gradient(score, image)


def outputs_of(model: Any, names: Sequence[str]) -> Int[np.ndarray, " n"]:
    """The output of the model for each class of the data, -1 for one it does not know;
    UserError where it knows none.
    """
    known = model.manifest.get("classes")
    if not known:
        outputs = model.manifest["outputs"][model.head]
        if len(names) != outputs:
            raise errors.UserError(
                f"saliency: {model.folder} has {outputs} outputs without names, and "
                f"the data {len(names)} classes. Fix: data with its classes"
            )
        return np.arange(outputs)
    own = {name: place for place, name in enumerate(known)}
    if not set(names) & own.keys():
        raise errors.UserError(
            f"{model.folder} knows none of the {len(names)} classes of the data "
            f"({names[0]}, ...); known: {', '.join(sorted(own))}. Fix: data of the "
            "classes that it was trained on"
        )
    return np.array([own.get(name, -1) for name in names])
