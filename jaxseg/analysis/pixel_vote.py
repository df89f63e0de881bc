"""A segmenter judged as a classifier: the class with the highest mean probability over
all pixels of an image (PSSL, section 6.1 and Table 4).
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxseg.analysis import saliency
from jaxseg.analysis import tools as tools_lib
from jaxseg.core import binding, errors
from jaxseg.data.spec import DataSpec
from jaxseg.models import ops
from jaxseg.tasks import segmentation

ROLES = ("model",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(binding.Spec):
    """data: images of one class each; the model knows these classes by their names."""

    name: str
    data: DataSpec


def run(
    models: Mapping[str, Any], spec: Spec, tools: tools_lib.Tools
) -> list[dict[str, Any]]:
    """One row {data, images, top1}: the share of the images whose class is found, at
    one scale, of images with a label; None of none. The background does not vote, nor
    do classes that the data do not have.
    """
    from jaxseg.data import pipeline  # loads grain: a plan does without

    (model,), source = models.values(), tools.sources["data"]
    if "label" not in source.dataset.fields:
        raise errors.UserError(
            f"pixel_vote/data: {spec.data.called} has "
            f"{', '.join(source.dataset.fields)}; needed is label, one class for each "
            "image. Fix: a classification set"
        )
    tools_lib.check_trained(model)
    task = model.objective
    if not isinstance(task, segmentation.Segmentation) or task.binary:
        raise errors.UserError(
            f"pixel_vote: {model.folder} was trained for {task.name}; allowed is "
            "segmentation of several classes. Fix: a parent that is such a segmenter"
        )
    outputs = jnp.asarray(saliency.outputs_of(model, source.dataset.classes))
    if source.dataset.background is not None:
        outputs = outputs.at[source.dataset.background].set(-1)
    batches = pipeline.eval_batches(
        source,
        normalize=model.prediction["normalize"],
        size=model.prediction["size"],
        batch_size=model.batch_size or tools_lib.BATCH,
        fields=("image", "label"),
    )
    found, seen = 0, 0
    with contextlib.closing(batches):
        for batch in batches:
            tools.progress(seen, len(source), spec.data.called)
            image = jnp.asarray(batch["image"])
            padded = ops.pad_to_multiple(image, model.multiple)
            mean = mean_probability(model.logits(padded), jnp.asarray(batch["scaled"]))
            votes = jnp.where(outputs[None] >= 0, mean[:, outputs], -1.0)
            hit = np.asarray(jnp.argmax(votes, axis=-1)) == batch["label"]
            known = batch["valid"] & (batch["label"] < len(outputs))
            found += int(np.sum(hit, where=known))
            seen += int(known.sum())
    named = {"analysis": spec.name, "data": spec.data.called}
    return [named | {"images": seen, "top1": found / seen if seen else None}]


@jax.jit
def mean_probability(
    logits: Float[Array, "b h w k"], scaled: Int[Array, "b 2"]
) -> Float[Array, "b k"]:
    """Over the pixels of the image, which fills the upper left corner of its canvas.

    scaled: its height and width there.
    """
    rows, columns = (jnp.arange(n) for n in logits.shape[1:3])
    inside = rows[None, :, None] < scaled[:, 0, None, None]
    inside &= columns[None, None, :] < scaled[:, 1, None, None]
    chances = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
    chances = jnp.where(inside[..., None], chances, 0)
    return jnp.sum(chances, axis=(1, 2)) / jnp.prod(scaled, axis=1)[:, None]
