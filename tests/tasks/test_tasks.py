"""What every file in tasks/ must keep to."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import binding, lookup
from jaxseg.data import dataset
from jaxseg.metrics import binary, metric
from jaxseg.tasks import detection, objective, task

NAMES = lookup.names("jaxseg.tasks")
CLASSES = ("classification", "segmentation")  # the others: test_objects.py
FACTS = dataset.Dataset(
    fields=("image", "segmentation", "label"),
    domain="own",
    splits={"train": 1},
    version=1,
    classes=("background", "a", "b"),
    background=0,
)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    module = lookup.load("jaxseg.tasks", name)
    assert type(module.VERSION) is int and module.VERSION >= 1
    section = binding.bind(
        module.build,
        section={"name": name},
        where="x",
        given={"num_outputs": 1},
        named=True,
    )
    resolved = module.resolve(section, FACTS)
    assert module.resolve(resolved, FACTS) == resolved
    options = {key: value for key, value in resolved.items() if key != "name"}
    built = module.build(num_outputs=3, **options)
    assert isinstance(built, objective.Objective)
    assert built.name == name and built.num_outputs == 3
    assert next(iter(built.heads.values())) == 3
    assert set(built.fields) <= set(dataset.FIELDS)
    assert built.label_field in (None, *built.fields)
    assert hash(built) == hash(module.build(num_outputs=3, **options))
    if isinstance(built, task.Task):
        assert built.higher_is_better in (True, False)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_overrides_what_is_not_there(name):
    """A misspelt method of a task would silently never be called."""
    made = type(lookup.load("jaxseg.tasks", name).build(num_outputs=3))
    own = {n for n, _ in inspect.getmembers(made, inspect.isfunction) if n[0] != "_"}
    base = task.Task if issubclass(made, task.Task) else objective.Objective
    assert own <= {n for n, _ in inspect.getmembers(base, inspect.isfunction)}


@functools.partial(jax.jit, static_argnums=0)
def run(task, logits, batch):
    """(loss, logs, predictions, counts)."""
    loss, logs = task.loss(logits, batch)
    predictions = task.decode(logits)
    return loss, logs, predictions, task.update(predictions, batch)


@pytest.mark.parametrize("name", CLASSES)
def test_one_batch_through_loss_and_metric(name):
    built = lookup.load("jaxseg.tasks", name).build(num_outputs=3)
    shape = (2, 4, 4) if built.dense else (2,)
    logits = jnp.asarray(np.float32([[0, 9, 0]]) * np.ones((*shape, 1), np.float32))
    batch = {field: jnp.asarray(np.ones(shape, np.int32)) for field in built.fields}
    loss, logs, predictions, counts = run(built, logits, batch)
    assert loss.shape == () and loss.dtype == jnp.float32 and 0 < loss < 0.01
    assert all(value.shape == () for value in logs.values())
    assert predictions.dtype == jnp.int32 and (predictions == 1).all()
    state = built.metric()
    assert isinstance(state, metric.Metric)
    counts = metric.add(state.zeros(), counts)
    values = state.compute(counts, FACTS.classes)
    assert values[built.headline] == 1.0
    assert all(type(value) is float for value in values.values())


@pytest.mark.parametrize("name", CLASSES)
def test_padding_rows_count_nowhere(name):
    built = lookup.load("jaxseg.tasks", name).build(num_outputs=3)
    shape = (3, 4, 4) if built.dense else (3,)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, shape, dtype=np.int32)
    logits = rng.normal(size=(*shape, 3)).astype(np.float32)
    field = built.fields[0]
    padded = {field: labels, "valid": np.array([True, True, False])}
    real = {field: labels[:2]}
    loss, _, _, counts = run(built, logits, padded)
    expected, _, _, fewer = run(built, logits[:2], real)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(counts, fewer)


def test_one_name_is_one_rule():
    """What VOC calls AP50 is not COCO's, and nobody else calls accuracy precision."""
    named = {}
    for protocol, (build, headlines) in detection.METRICS.items():
        values = build(1).compute([], ("cat",))
        assert headlines[0] in values
        for name in values:
            named.setdefault(name, set()).add(protocol)
    assert named == {
        "map": {"coco"},
        "ap50": {"coco"},
        "ap50_voc": {"voc"},
        "ap50_voc07": {"voc07"},
    }
    pooled = {name for name in binary.NAMES if not name.endswith("_per_image")}
    assert pooled == {"iou_pooled", "dice_pooled", "pixel_accuracy"}
