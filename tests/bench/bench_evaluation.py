"""Where the time of an evaluation goes: the model, or metrics on the host.

python tests/bench/bench_evaluation.py [TASK ...]

1,000 embedded images at 128 px, the tiny HRNet, batches of 16; random weights, which
predict boxes everywhere and so cost the metrics most. Host time is that of `rows`,
`merge` and `compute`, model time that of the compiled program alone, in one process.
The host has to take less time than the model.
"""

import sys
import time

import jax
import numpy as np

from configs import common
from jaxseg.core import binding, lookup
from jaxseg.data import pipeline
from jaxseg.data import source as source_lib
from jaxseg.data.normalization import Normalize
from jaxseg.evals import predictor
from jaxseg.models import initial, model
from jaxseg.tasks import build

IMAGES, SIZE, BATCH = 1000, (128, 128), 16
WORLD = "worlds/driving_day"


def measure(name):
    """(seconds of the model, seconds of the metric on the host)."""
    source = source_lib.open(WORLD, split="validation", count=200)
    module = lookup.load("jaxseg.tasks", name)
    bound = binding.bind(
        module.build, section={"name": name}, where=name, given={"num_outputs": 1}
    )
    section = module.resolve(bound, source.dataset)
    outputs = build.outputs(section, source.dataset)
    bound_model = model.bind_model(common.model("tiny", name), where="model")
    network, task = build.network(bound_model, section, outputs)
    variables = initial.variables(network, (*SIZE, 3), seed=0)
    fields = ("image", *task.fields_of(source.dataset))
    given = {"normalize": Normalize.of(source.dataset), "size": SIZE}
    given |= {"batch_size": BATCH}
    predict = predictor.Predictor(bound_model, section, outputs, **given)
    batches = list(pipeline.eval_batches(source, fields=fields, **given))
    metric = task.metric()
    state, on_device, on_host = metric.zeros(), 0.0, 0.0
    for index in range(-1, IMAGES // BATCH):  # the first compiles
        batch = batches[index % len(batches)]
        if task.dense:  # labels of the canvas, as at training resolution
            batch = batch | {name: at_canvas(batch[name]) for name in task.fields}
        seen = {k: x for k, x in batch.items() if k not in ("crowd", "difficult")}
        begin = time.perf_counter()
        found = predict.run(variables, [seen], None)
        jax.block_until_ready(found)
        middle = time.perf_counter()
        if index < 0:
            continue
        state = metric.merge(state, task.rows(found[1], found[0], batch))
        on_device += middle - begin
        on_host += time.perf_counter() - middle
    begin = time.perf_counter()
    metric.compute(state, source.dataset.classes)
    return on_device, on_host + time.perf_counter() - begin


def at_canvas(labels):
    """Labels [B, h, w] enlarged by nearest pixels to the canvas."""
    factor = SIZE[0] // labels.shape[1]
    return np.kron(labels, np.ones((1, factor, factor), labels.dtype))


def main(names):
    print(f"{'task':14} {'model s':>8} {'host s':>8} {'ratio':>6}")
    for name in names or ("segmentation", "detection", "keypoints", "depth"):
        device, host = measure(name)
        print(f"{name:14} {device:8.2f} {host:8.2f} {host / device:6.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
