"""Losses and gradients of parts of a batch add up to those of the whole batch."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import lookup
from jaxseg.data.dataset import IGNORE
from jaxseg.tasks import (
    classification,
    depth,
    detection,
    keypoints,
    reconstruction,
    segmentation,
    simmim,
)

ROWS, SIZE, SLOTS = 8, (8, 12), 7
RNG = np.random.default_rng(5)
WEIGHTS = (0.1, 1.0, 7.0)
BOTH = {"cross_entropy": 1.0, "focal": 0.5}


def pixels():
    """Labels of which the first and third image know one pixel, the others most."""
    labels = RNG.integers(0, 3, (ROWS, *SIZE)).astype(np.int32)
    labels[RNG.random(labels.shape) < 0.2] = IGNORE
    labels[[0, 2]] = IGNORE
    labels[[0, 2], 3, 4] = 1
    return {"segmentation": labels}


def metres():
    """Depth, known nearly everywhere or nearly nowhere."""
    values = RNG.uniform(1, 9, (ROWS, *SIZE)).astype(np.float32)
    known = RNG.random(values.shape) < np.resize([0.05, 0.9], (ROWS, 1, 1))
    return {"depth": np.where(known, values, 0).astype(np.float32)}


def objects():
    """One object in image 0, seven in image 1, some of them a crowd, cut or broken."""
    low = RNG.uniform(0, 0.6, (ROWS, SLOTS, 2))
    boxes = np.concatenate([low, low + RNG.uniform(0.1, 0.4, low.shape)], axis=-1)
    labels = np.full((ROWS, SLOTS), -1, np.int32)
    labels[0, 0], labels[1] = 1, [0, 1, 2, 0, 1, 2, IGNORE]
    labels[5], labels[6, :2] = 2, 0
    crowd = np.zeros((ROWS, SLOTS), bool)
    crowd[1, 1] = crowd[6, 1] = True
    boxes[5, 0] = [0.9, 0.1, 1.3, 0.4]  # its center lies outside
    boxes[5, 1] = boxes[5, 2]  # two in one cell
    boxes[5, 3, 2] = np.nan
    points = low[:, :, None] + RNG.uniform(0, 0.5, (ROWS, SLOTS, 3, 2))
    seen = RNG.integers(0, 3, (ROWS, SLOTS, 3, 1))
    seen[5, 4] = 0
    fields = {"boxes": boxes, "keypoints": np.concatenate([points, seen], axis=-1)}
    fields = {name: x.astype(np.float32) for name, x in fields.items()}
    return fields | {"box_labels": labels, "crowd": crowd}


def classes():
    """Labels that only some images have; each also the other label of a mixture."""
    labels = np.array([1, 0, -1, 2, -1, IGNORE, -1, 1], np.int32)
    mix = np.full(ROWS, 0.3, np.float32)
    return {"label": labels, "other_label": labels[::-1].copy(), "mix": mix}


def several():
    """Labels of three kinds, most of them unknown in every other image."""
    labels = RNG.integers(0, 2, (ROWS, 3)).astype(np.int32)
    labels[::2, 1:] = -1
    return {"labels": labels}


def masked():
    """Images before and after blocks were painted over."""
    image = RNG.normal(size=(ROWS, *SIZE, 3)).astype(np.float32)
    return {"image": image, "whole": image + 0.5}


def hidden():
    """The same, and which pixels are to be filled, in no two images as many."""
    return masked() | {"mask": RNG.random((ROWS, *SIZE)) < 0.5}


def maps(**channels):
    return {k: RNG.normal(size=(ROWS, *SIZE, n)) for k, n in channels.items()}


CENTERS = dict(heat=3, offset=2, size=2)
POINTS = CENTERS | dict(heat=1, points=3, point_offset=2, allocation=6)
SCORES = RNG.normal(size=(ROWS, 3))
LOGITS = RNG.normal(size=(ROWS, *SIZE, 3))
PER_IMAGE = dict(losses={"dice": 1.0}, dice_per_image=True)
CASES = {  # name: (task, fields, outputs)
    "entropy": (segmentation.build(3), pixels, LOGITS),
    "two outputs": (segmentation.build(3, ignored=(0,)), pixels, (LOGITS, -LOGITS)),
    "weights": (
        segmentation.build(3, losses=BOTH, class_weights=WEIGHTS, label_smoothing=0.1),
        pixels,
        LOGITS,
    ),
    "binary": (
        segmentation.build(1, binary=True, losses=BOTH, class_weights=WEIGHTS[1:]),
        pixels,
        LOGITS[..., :1],
    ),
    "dice": (segmentation.build(3, **PER_IMAGE), pixels, LOGITS),
    "depth": (depth.build(1, maximum=8.0), metres, LOGITS[..., :1]),
    "mixup": (classification.build(3, label_smoothing=0.1), classes, SCORES),
    "multilabel": (classification.build(3, multilabel=True), several, SCORES),
    "detection": (detection.build(3), objects, maps(**CENTERS)),
    "reconstruction": (reconstruction.build(3), masked, LOGITS),
    "keypoints": (keypoints.build(3), objects, maps(**POINTS)),
    "pointless": (
        keypoints.build(3, pointless="background"),
        objects,
        maps(**POINTS),
    ),
    "simmim": (simmim.build(3, patch=1), hidden, LOGITS),
}


@functools.partial(jax.jit, static_argnums=0)
def run(task, outputs, batch, totals):
    """((loss, logs), gradient of the outputs)."""
    value = lambda outputs: task.loss(outputs, batch, totals)
    return jax.value_and_grad(value, has_aux=True)(outputs)


def case(task, fields, outputs):
    """(task, outputs, batch), float32 on the device."""
    put = lambda x: jnp.asarray(x, jnp.float32)
    return task, jax.tree.map(put, outputs), jax.tree.map(jnp.asarray, fields())


def of_parts(task, outputs, batch, totals, number):
    """Losses and logs added over strided parts; gradients in their rows' places."""
    values, places = None, []
    for part in range(number):
        rows = jax.tree.map(lambda x, part=part: x[part::number], (outputs, batch))
        value, gradient = run(task, *rows, totals)
        values = value if values is None else jax.tree.map(jnp.add, values, value)
        places.append(gradient)
    join = lambda *parts: np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])
    return values, jax.tree.map(join, *places)


def norm(tree):
    return float(sum(np.square(np.float64(x)).sum() for x in jax.tree.leaves(tree)))


def check(found, wanted):
    chex.assert_trees_all_close(found[0], wanted[0], rtol=1e-5)
    difference = jax.tree.map(lambda a, b: np.float64(a) - b, found[1], wanted[1])
    assert norm(wanted[1]) > 0
    assert norm(difference) <= 1e-12 * norm(wanted[1])  # 1e-6 of its length


@pytest.mark.parametrize("name", CASES)
def test_parts_add_up(name):
    task, outputs, batch = case(*CASES[name])
    assert not task.unsplit
    whole = run(task, outputs, batch, None)
    assert float(whole[0][0]) > 0
    totals = task.totals(batch)
    check(of_parts(task, outputs, batch, totals, 4), whole)


def test_every_task_is_among_them():
    """But for those that say that theirs do not."""
    tested = {task.name for task, _, _ in CASES.values()}
    built = [
        lookup.load("jaxseg.tasks", name).build(3)
        for name in lookup.names("jaxseg.tasks")
    ]
    assert tested == {task.name for task in built if not task.unsplit}
    assert {task.name for task in built} - tested == {"simclr", "conrec"}


UNSPLIT = {
    "Dice over the batch": dict(losses={"dice": 1.0}),
    "Lovasz": dict(losses={"lovasz": 1.0}),
    "hard pixels": dict(ohem=0.5, ohem_keep=5, class_weights=WEIGHTS, losses=BOTH),
}


@pytest.mark.parametrize("name", UNSPLIT)
def test_what_looks_at_all_pixels_is_a_mean_over_parts(name):
    built = segmentation.build(3, **UNSPLIT[name])
    task, outputs, batch = case(built, pixels, LOGITS)
    assert task.unsplit == (name,)
    found = of_parts(task, outputs, batch, task.totals(batch), 2)
    (values, logs), gradient = of_parts(task, outputs, batch, None, 2)
    half = lambda tree: jax.tree.map(lambda x: x / 2, tree)
    check(found, ((half(values), half(logs)), half(gradient)))


def test_objects_are_counted_as_they_are_drawn():
    """Labels alone tell what maps of any size would hold."""
    _, _, batch = case(keypoints.build(3), objects, {})
    assert detection.build(3).totals(batch)["objects"] == 1 + 5 + 5 + 1
    known = np.asarray(batch["keypoints"][..., 2] > 0)
    inside = (batch["keypoints"][..., :2] >= 0) & (batch["keypoints"][..., :2] < 1)
    learnt = np.asarray(batch["box_labels"] >= 0) & ~np.asarray(batch["crowd"])
    learnt[1, 6] = learnt[5, 0] = learnt[5, 3] = learnt[5, 4] = False
    learnt &= known.any(axis=-1)
    points = (known & np.asarray(inside).all(axis=-1) & learnt[..., None]).sum()
    totals = keypoints.build(3).totals(batch)
    assert totals["points"] == points and totals["objects"] == learnt.sum()
