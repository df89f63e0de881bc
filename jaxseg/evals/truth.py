"""The truth taken for a prediction: it must be perfect by every metric.

It goes the way of a prediction, from the canvas to the image and into the metric. A
value below 1 shows that reader, pipeline and metric do not mean the same by a label.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import binding, lookup
from jaxseg.data import pipeline
from jaxseg.data.dataset import Dataset
from jaxseg.data.normalization import Normalize
from jaxseg.data.source import Source
from jaxseg.tasks import build
from jaxseg.tasks import task as tasks

IMAGES = 500  # spread over the split
SIZE, BATCH = (64, 64), 16  # of the canvas: pixels are not looked at


def scores(source: Source, facts: Dataset | None = None) -> dict[str, float]:
    """{"task metric": value} of all tasks that this data set can train.

    facts: the fact sheet; None: that of the source.
    """
    count = min(len(source), IMAGES)
    chosen = np.linspace(0, len(source) - 1, count).astype(int)
    part, values = source.select(chosen.tolist()), {}
    part.dataset = facts = facts or source.dataset
    for name in lookup.names("jaxseg.tasks"):
        task = _task(name, facts)
        score = None if task is None else _score(task, part)
        if score is not None:
            values[f"{name} {task.perfect or task.headline}"] = score
    return values


def _score(task: tasks.Task, source: Source) -> float | None:
    """The metric that is 1 for a perfect prediction; None where nothing is labelled."""
    metric, labelled = task.metric(), False
    state, facts = metric.zeros(), source.dataset
    fields = ("image", *task.judged_fields_of(facts))
    for batch in pipeline.eval_batches(  # no pixel counts, so none is normalized
        source, normalize=Normalize(), size=SIZE, batch_size=BATCH, fields=fields
    ):
        predictions = task.perfect_predictions(batch)
        on_device = jax.tree.map(jnp.asarray, [predictions, batch])
        rows = task.rows(task.update(*on_device), predictions, batch)
        state = metric.merge(state, rows)
        labelled |= task.is_labelled(batch)
    values = metric.compute(state, facts.classes) if labelled else {}
    return values.get(task.perfect or task.headline)


def _task(name: str, facts: Dataset) -> tasks.Task | None:
    """The task for this data set; None where the data set lacks its fields, or where
    nothing is compared with a label.
    """
    module = lookup.load("jaxseg.tasks", name)
    given = {"num_outputs": 1}
    section = binding.bind(
        module.build, section={"name": name}, where=name, given=given, named=True
    )
    built = build.task(section, 1)
    if not isinstance(built, tasks.Task) or built.label_field is None:
        return None
    section = section | built.options_for(facts)
    if not set(build.task(section, 1).fields) <= set(facts.fields):
        return None
    section = module.resolve(section, facts)
    return build.task(section, build.outputs(section, facts))
