"""Microbatches that differ much: a step with them is the step of the whole batch."""

import functools

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from jaxseg.core import compiled
from jaxseg.data.dataset import IGNORE
from jaxseg.tasks import detection, segmentation
from jaxseg.train import mesh, state, step
from tests.train import toy

ROWS, SIZE = 8, (6, 10)
RNG = np.random.default_rng(3)
KEEP = optax.GradientTransformation(  # the optimizer's state is the last gradient
    lambda params: jax.tree.map(np.zeros_like, params),
    lambda grads, state, params=None: (grads, grads),
)


class Maps(nn.Module):
    """One linear map of the pixels per output; a dict of them, or the only one."""

    channels: tuple[tuple[str, int], ...]

    @nn.compact
    def __call__(self, image, *, train, head=None):
        made = {name: nn.Dense(n, name=name)(image) for name, n in self.channels}
        return made.get("logits", made)


def image():
    return RNG.normal(size=(ROWS, *SIZE, 3)).astype(np.float32)


def one_and_seven():
    """Objects: one in image 0, seven in image 1."""
    low = RNG.uniform(0, 0.6, (ROWS, 7, 2))
    size = RNG.uniform(0.1, 0.4, low.shape)
    boxes = np.concatenate([low, low + size], axis=-1).astype(np.float32)
    labels = np.full((ROWS, 7), -1, np.int32)
    labels[0, 0], labels[1] = 1, 0
    return {"image": image(), "boxes": boxes, "box_labels": labels}


def mostly_void():
    """Every other image has one known pixel."""
    labels = RNG.integers(0, 3, (ROWS, *SIZE)).astype(np.int32)
    labels[::2] = np.where(np.arange(SIZE[1]) == 2, labels[::2], IGNORE)
    labels[::2, 1:] = IGNORE
    return {"image": image(), "segmentation": labels}


WEIGHED = segmentation.build(3, class_weights=(0.2, 1.0, 5.0), label_smoothing=0.1)
CASES = {
    "objects": (
        detection.build(2),
        (("heat", 2), ("offset", 2), ("size", 2)),
        one_and_seven(),
    ),
    "pixels": (WEIGHED, (("logits", 3),), mostly_void()),
}


def gradient(name, accumulate, devices=1, fsdp=1):
    """(float64 vector, logs) of one step."""
    task, channels, batch = CASES[name]
    model = Maps(channels)
    key = jax.random.key(0)
    variables = jax.jit(functools.partial(model.init, train=False))(
        key, batch["image"][:1]
    )
    where = toy.on(devices, fsdp)
    start = mesh.put_state(state.create(variables, KEEP, seed=0, ema=False), where)
    options = dict(model=model, task=task, tx=KEEP, accumulate=accumulate)
    run = functools.partial(step.train_step, mesh=where, **options)
    arrays = mesh.put_batch(batch, where)
    program = compiled.Program(run, donate_argnums=0)
    rate = mesh.put_state(np.float32(0.1), where)
    after, logs = program.compiled(start, arrays, rate, key=arrays)(start, arrays, rate)
    leaves = [np.float64(x).ravel() for x in jax.tree.leaves(after.opt_state)]
    return np.concatenate(leaves), {name: float(x) for name, x in logs.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_accumulation_changes_no_gradient(name):
    expected, logs = gradient(name, 1)
    assert np.linalg.norm(expected) > 0
    for accumulate, *where in ((2, 1), (4, 1), (2, 2), (2, 2, 2)):
        found, others = gradient(name, accumulate, *where)
        limit = 1e-6 if where == [1] else 3e-6
        assert np.linalg.norm(found - expected) <= limit * np.linalg.norm(expected)
        assert others == pytest.approx(logs, rel=limit)


def test_what_stays_with_a_microbatch_is_named():
    built = segmentation.build(3, losses={"dice": 1.0, "cross_entropy": 1.0}, ohem=0.5)
    text = step.microbatches(2, built.unsplit)
    assert text.startswith("accumulate 2: batch statistics, Dice over the batch, hard ")
    text = step.microbatches(4, detection.build(3).unsplit)
    assert text == "accumulate 4: batch statistics are of each microbatch"
