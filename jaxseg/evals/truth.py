"""The truth taken for a prediction: every metric has to find it perfect.

It goes the way of a prediction, from the canvas to the image and into the metric, and
so shows that reader, pipeline and metric mean the same by a label.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import binding, lookup
from jaxseg.core.types import Batch
from jaxseg.data import pipeline
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.tasks import build

TASKS = {  # and the metric that is 1 for a perfect answer; None: the headline
    "segmentation": "miou",
    "detection": None,
    "keypoints": "ap",
    "depth": "delta1",
    "classification": None,
}
IMAGES = 500  # spread over the split
SIZE, BATCH = (64, 64), 16  # of the canvas: pixels are not looked at


def scores(source: Source, facts: Dataset | None = None) -> dict[str, float]:
    """{"task metric": value} of all tasks that this data set can train.

    facts: the fact sheet; None: that of the source.
    """
    count, found = min(len(source), IMAGES), {}
    chosen = np.linspace(0, len(source) - 1, count).astype(int)
    part = source.select(chosen.tolist())
    facts = facts or source.dataset
    # No pixel is looked at, so none has to be read for its mean.
    part.dataset = facts
    for name, metric in TASKS.items():
        task = _task(name, facts)
        if task is None:
            continue
        counter, anything = task.metric(), False
        state = counter.zeros()
        fields = ("image", *task.judged_fields_of(facts))
        for batch in pipeline.eval_batches(
            part, normalize=Normalize(), size=SIZE, batch_size=BATCH, fields=fields
        ):
            predictions = _as_predictions(task, batch)
            on_device = jax.tree.map(jnp.asarray, [predictions, batch])
            counts = task.update(*on_device)
            rows = task.rows(counts, predictions, batch)
            state = counter.merge(state, rows)
            anything |= _holds_something(task, batch)
        if anything:
            values = counter.compute(state, facts.classes)
            found[f"{name} {metric or task.headline}"] = values[metric or task.headline]
    return found


def _task(name: str, facts: Dataset) -> Any:
    """The task for this data set; None where it lacks the fields."""
    options = (
        {"multilabel": "labels" in facts.fields} if name == "classification" else {}
    )
    module = lookup.load("jaxseg.tasks", name)
    given = {"num_outputs": 1}
    section = binding.bind(
        module.build,
        section={"name": name} | options,
        where=name,
        given=given,
        named=True,
    )
    wanted = build.task(section, 1).fields
    if not set(wanted) <= set(facts.fields):
        return None
    section = module.resolve(section, facts)
    return build.task(section, build.outputs(section, facts))


def _as_predictions(task: Any, batch: Batch) -> Any:
    """What the model would have to say of a batch, on its canvas."""
    if task.fields == ("labels",):
        return np.maximum(batch["labels"], 0).astype(np.float32)
    if "boxes" not in task.fields:
        truth = batch[task.fields[0]]
        return np.where(truth == IGNORE, 0, truth) if task.name != "depth" else truth
    there = (batch["box_labels"] >= 0) & (batch["box_labels"] != IGNORE)
    for aside in ("crowd", "difficult"):  # neither to be found nor wrong to find
        there &= ~batch.get(aside, np.zeros_like(there))
    share = (batch["scaled"] / np.array(SIZE)).astype(np.float32)[:, None]
    found = {
        "boxes": batch["boxes"] * np.tile(share, 2),
        "scores": np.where(there, 1.0, -1.0).astype(np.float32),
        "box_labels": np.where(there, batch["box_labels"], -1),
    }
    if task.name != "keypoints":
        return found
    points = batch["keypoints"].copy()
    points[..., :2] *= share[:, None]
    known = (points[..., 2] > 0).any(axis=-1)  # nobody could find the others
    labels = np.where(there & known, 0, -1)
    return found | {"box_labels": labels, "keypoints": points}


def _holds_something(task: Any, batch: Batch) -> bool:
    """Whether there is anything to be right about."""
    truth = batch["keypoints" if task.name == "keypoints" else task.fields[-1]]
    if task.name == "keypoints":
        return bool((truth[..., 2] > 0).any())
    if task.name == "depth":
        return bool((truth > 0).any())
    return bool(((truth >= 0) & (truth != IGNORE))[batch["valid"]].any())
