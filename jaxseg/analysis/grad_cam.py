"""Where a classifier looks: Grad-CAM of its deepest map (decoder paper, Fig. 5c and
footnote 3; Selvaraju et al. 2017, arXiv:1610.02391).
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxseg.analysis import pixels
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors, images, rules
from jaxseg.core.types import Batch
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.source import Source
from jaxseg.data.spec import DataSpec
from jaxseg.models import ops
from jaxseg.tasks import classification

ROLES = ("model",)
PREDICTED, LABEL = "predicted", "label"
OPTIONAL = ("segmentation", "label")  # fields read where the data have them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """The first `count` images of `data`, or all of fewer; pictures of the first
    `pictures` of them.

    of: the class whose logit is looked at, the predicted one or the label of the data.
    """

    name: str
    data: DataSpec
    count: Annotated[int, rules.at_least(1)] = 64
    pictures: Annotated[int, rules.at_least(1)] = 8
    of: Annotated[str, rules.one_of(PREDICTED, LABEL)] = PREDICTED


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> tools_lib.Found:
    """A row {data, image, predicted, label, inside, chance} for each image.

    inside: the share of the map that lies on objects of the mask; chance: the share of
    pixels that do, which is what a map without knowledge has. Background are class 0,
    or the one that the data set names, and only pixels with a label count. None where
    the data have no mask, the label is not one class, or the map is 0 everywhere.

    The arrays `images` uint8 [N, H, W, 3] and `maps` float32 [N, H, W], each from 0 to
    its largest value 1, show images on the canvas of evaluation.
    """
    (model,), source = models.values(), tools.sources["data"]
    _check(model, source, spec)
    normalize, count = model.prediction["normalize"], min(spec.count, len(source))
    rows, pictures, maps = [], [], []
    with contextlib.closing(_batches(model, source)) as batches:
        seen = itertools.islice(_seen(model, batches, spec.of), count)
        for number, (example, heat, predicted) in enumerate(seen):
            tools.progress(number, count, spec.data.called)
            named = {"analysis": spec.name, "data": spec.data.called, "image": number}
            named |= {"predicted": predicted, "label": example.get("label")}
            rows.append(named | _shares(heat, example, source.dataset))
            if number < spec.pictures:
                pictures.append(pixels.shown(example["image"], normalize))
                maps.append(heat)
    return tools_lib.Found(rows, {"images": np.stack(pictures), "maps": np.stack(maps)})


def cam(
    deepest: Float[Array, "b h w c"],
    head: Callable[[Float[Array, "b h w c"]], Float[Array, "b k"]],
    classes: Int[Array, " b"],
) -> Float[Array, "b h w"]:
    """float32 sums of the channels, each weighted by the mean gradient of the logit of
    `classes` over space, where they are above 0 (Eqs. 1 and 2).

    head: what gives the logits from the deepest maps, each image for itself.
    """

    def score(maps: Array) -> Array:
        return jnp.sum(jnp.take_along_axis(head(maps), classes[:, None], axis=1))

    gradient = jax.grad(score)(deepest).astype(jnp.float32)
    weights = jnp.mean(gradient, axis=(1, 2), keepdims=True)
    return jax.nn.relu(jnp.sum(weights * deepest, axis=-1))


def shares(
    heat: Float[np.ndarray, "h w"], mask: Int[np.ndarray, "h w"], background: int = 0
) -> tuple[float | None, float | None]:
    """(share of the map, share of the pixels) on objects, of pixels that have a label;
    None of nothing.

    >>> shares(np.array([[3.0, 1.0]]), np.array([[1, 0]]))
    (0.75, 0.5)
    """
    known, total = mask != IGNORE, np.sum(heat, where=mask != IGNORE)
    objects = known & (mask != background)
    inside = float(np.sum(heat, where=objects) / total) if total > 0 else None
    return inside, float(objects.sum() / known.sum()) if known.any() else None


def _check(model: Any, source: Source, spec: Spec) -> None:
    """UserError unless the model is a classifier and the data have what is needed."""
    tools_lib.check_trained(model)
    if not isinstance(model.objective, classification.OfImages):
        raise errors.UserError(
            f"grad_cam: {model.folder} was trained for {model.objective.name}; allowed "
            "is classification. Fix: a parent that is a classifier"
        )
    if spec.of == LABEL and "label" not in source.dataset.fields:
        raise errors.UserError(
            f"grad_cam/of: found 'label', and {spec.data.called} has no label; it has "
            f"{', '.join(source.dataset.fields)}. Fix: of='predicted'"
        )


def _batches(model: Any, source: Source) -> Iterator[Batch]:
    """Images as in an evaluation of the model, with mask and label if there are any."""
    from jaxseg.data import pipeline  # loads grain: a plan does without

    there = [name for name in OPTIONAL if name in source.dataset.fields]
    return pipeline.eval_batches(
        source,
        normalize=model.prediction["normalize"],
        size=model.prediction["size"],
        batch_size=tools_lib.BATCH,
        fields=("image", *there),
    )


def _seen(
    model: Any, batches: Iterator[Batch], of: str
) -> Iterator[tuple[dict[str, Any], np.ndarray, int]]:
    """(example, map float32 [H, W] on its canvas, predicted class) of each image."""
    for batch in batches:
        predicted, heat = _maps(model, batch, of)
        for row in np.flatnonzero(batch["valid"]):
            example = {name: values[row] for name, values in batch.items()}
            if "label" in example:
                example["label"] = int(example["label"])
            own = _largest_1(heat[row], example["scaled"])
            yield example, own, int(predicted[row])


def heat(
    model: Any,
    image: Float[Array, "b h w c"],
    classes: Int[Array, " b"],
) -> Float[Array, "b h w"]:
    """`cam` of normalized images, in their size."""
    return _looked_at(model, image, lambda logits: classes)[0]


def _looked_at(
    model: Any, image: Array, choose: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """(maps [B, H, W], logits [B, K]) of the classes that are chosen by the logits."""
    padded = ops.pad_to_multiple(image, model.multiple)
    *others, deepest = model.features(padded)
    head = lambda x: model.from_maps((*others, x), padded.shape[1:3])
    logits = head(deepest)
    small = cam(deepest, head, choose(logits))[..., None]
    rows, columns = image.shape[1:3]
    whole = ops.resize_bilinear(small, padded.shape[1:3])
    return whole[:, :rows, :columns, 0], logits


def _maps(model: Any, batch: Batch, of: str) -> tuple[np.ndarray, np.ndarray]:
    """(predicted classes [B], maps float32 [B, H, W] as large as the images)."""

    def choose(logits: Array) -> Array:
        if of == PREDICTED:
            return jnp.argmax(logits, axis=-1)
        _check_labels(batch["label"][batch["valid"]], logits.shape[-1])
        return jnp.asarray(batch["label"])

    heat, logits = _looked_at(model, jnp.asarray(batch["image"]), choose)
    return np.asarray(jnp.argmax(logits, axis=-1)), np.asarray(heat)


def _check_labels(labels: np.ndarray, count: int) -> None:
    """UserError unless all of them are classes of the model."""
    others = labels[(labels < 0) | (labels >= count)]
    if others.size:
        raise errors.UserError(
            f"grad_cam/of: found an image with the label {others[0]}, allowed: 0 to "
            f"{count - 1}, the classes of the model. Fix: of='predicted'"
        )


def _largest_1(heat: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """The map of the image alone, 0 beside it, over its largest value."""
    inside = np.zeros_like(heat)
    content = np.s_[: scaled[0], : scaled[1]]
    inside[content] = heat[content]
    largest = inside.max()
    return inside / largest if largest > 0 else inside


def _shares(
    heat: np.ndarray, example: Mapping[str, Any], facts: Dataset
) -> dict[str, float | None]:
    """{inside, chance} on the canvas."""
    if "segmentation" not in example:
        return {"inside": None, "chance": None}
    height, width = example["label_size"]
    rows, columns = (int(side) for side in example["scaled"])
    mask = images.resize_ids(example["segmentation"][:height, :width], (rows, columns))
    inside, chance = shares(heat[:rows, :columns], mask, facts.background or 0)
    return {"inside": inside, "chance": chance}
