"""An evaluation without a network: the truth with noise is what was predicted.

Images, maps and numbers of objects differ from example to example, so that each process
would pad its batches otherwise.
"""

import jax
import numpy as np

from jaxseg.data.normalization import Normalize
from jaxseg.evals import evaluator, predictor
from jaxseg.tasks import build
from jaxseg.train import mesh
from tests.data import trees

POINTS = ("nose", "left", "right")
TASKS = {
    "segmentation": ({}, ("segmentation",), 3),
    "binary": ({"binary": True}, ("segmentation",), 1),
    "depth": ({}, ("depth",), 1),
    "classification": ({}, ("label",), 3),
    "multilabel": ({"multilabel": True}, ("labels",), 3),
    "detection": ({}, ("boxes", "box_labels"), 3),
    "keypoints": ({}, ("boxes", "box_labels", "keypoints"), 3),
}


def source(fields, count=11):
    """Example 6 has more objects than fit into the usual padding."""

    def example(number):
        rng = np.random.default_rng(number)
        size = (8, 8) if number < 4 else (20 + 40 * number, 30 + number)
        objects = 70 if number == 6 else 1 + number % 3
        corner = rng.uniform(0, 0.6, (objects, 2))
        points = rng.uniform(0.1, 0.9, (objects, 3, 2))
        seen = np.full((objects, 3, 1), 2)
        given = {
            "segmentation": rng.integers(0, 2, size),
            "depth": rng.uniform(1, 9, size).astype(np.float32),
            "label": np.int32(number % 3),
            "labels": rng.integers(0, 2, 3),
            "boxes": np.concatenate([corner, corner + 0.3], 1).astype(np.float32),
            "box_labels": rng.integers(0, 3, objects, dtype=np.int32),
            "keypoints": np.concatenate([points, seen], 2).astype(np.float32),
        }
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        own = {name: given[name] for name in fields}
        own = {n: x.astype(np.int32) if x.dtype == int else x for n, x in own.items()}
        return {"id": str(number), "image": image} | own

    examples = [example(number) for number in range(count)]
    return trees.in_memory(examples, ("image", *fields), keypoints=POINTS)


class Noisy(evaluator.Evaluator):
    """Its predictions are those that a network would make, on the devices of `put`."""

    def _outputs(self, variables):
        run = jax.jit(self._task.update)
        for (batch,) in self._views():
            there = self._task.perfect_predictions(batch)
            predictions = jax.tree.map(_noise, there)
            if isinstance(predictions, dict):
                kept = there["box_labels"]
                score = np.where(kept >= 0, _noise(np.float32(kept) * 0), -1.0)
                predictions |= {"scores": score.astype(np.float32), "box_labels": kept}
            labels = {n: x for n, x in batch.items() if n in (*self._fields, "valid")}
            made = self._put(predictions)
            yield batch, (made, run(made, self._put(labels)))

    def _put(self, tree):
        return jax.tree.map(lambda x: self.predictor.put({"x": x})["x"], tree)


def _noise(array):
    """The array with a change that depends on its value and place, not on its size."""
    if array.ndim < 2 and array.dtype != np.float32:
        return np.where(array == 1, 0, array)
    place = sum(7 * (n + 1) * own for n, own in enumerate(np.indices(array.shape)[1:]))
    flat = array.reshape(len(array), -1)
    of_row = flat.sum(axis=1) if array.ndim == 2 else flat[:, 0]
    first = of_row.reshape(-1, *[1] * (array.ndim - 1))
    share = (place + np.floor(97 * first)) % 10 / 10
    if array.dtype == np.float32:
        size = 1.5 if array.ndim == 2 else 0.01  # of scores; of metres and places
        return (array + size * share).astype(np.float32)
    return np.where(share > 0.6, 0, array).astype(array.dtype)


def measured(name, batch_size=4):
    """The metrics of a task by the processes that work together, or by one."""
    options, fields, outputs = TASKS[name]
    own = {"binary": "segmentation", "multilabel": "classification"}.get(name, name)
    data = source(fields)
    section = build.bind({"name": own} | options, "task")
    devices = mesh.create()
    predict = predictor.Predictor(
        model={},
        task=section,
        num_outputs=outputs,
        size=(8, 8),
        normalize=Normalize.of(data.dataset),
        batch_size=batch_size,
        put=lambda batch: mesh.put_batch(batch, devices),
    )
    return Noisy(predict, data).measure({})
