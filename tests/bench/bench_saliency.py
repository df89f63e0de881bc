"""SmoothGrad beside plain gradient steps, and deciles of a map.

python -m tests.bench.bench_saliency [BATCH]

The aims: maps of 15 samples at 80 % or more of the throughput of 15 gradients of the
same images without noise; deciles of 500 x 375 pixels in 5 ms. A ResNet-50 with 1000
classes at 224 x 224, five rounds in turn, medians.
"""

import sys
import time

import jax
import numpy as np

from jaxseg.analysis import saliency
from jaxseg.data.normalization import Normalize
from jaxseg.models import model as models
from jaxseg.tasks import build

SIDE, CLASSES, SAMPLES, ROUNDS = 224, 1000, 15, 5


class Classifier:
    """What `saliency.Explainer` asks of an artifact, with random weights."""

    folder, preprocessing, head = "random", {}, "classification"

    def __init__(self):
        section = {"backbone": {"name": "resnet", "variant": "50"}}
        section["head"] = {"name": "pooled"}
        task = {"name": "classification"}
        self.model, _ = build.network(section, task, CLASSES)
        self.multiple = self.model.backbone.multiple
        self.variables = models.init(self.model, (SIDE, SIDE, 3), seed=0)
        self.manifest = {"outputs": {self.head: CLASSES}}
        self.objective = build.task(task, CLASSES)
        normalize = Normalize((120.0,) * 3, (60.0,) * 3)
        self.prediction = {"normalize": normalize, "size": (SIDE, SIDE)}


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(batch):
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 255, (batch, SIDE, SIDE, 3), np.uint8))
    model, names = Classifier(), [str(number) for number in range(CLASSES)]
    of = lambda name: saliency.Explainer(
        model, saliency.Method(name=name, samples=SAMPLES), names
    )
    smooth, plain = of(saliency.SMOOTHGRAD), of(saliency.GRADIENT)
    gradient = plain._gradient
    image = jax.numpy.asarray(np.stack(pictures), "float32") / 60 - 2
    classes = jax.numpy.arange(batch)

    def steps():
        for _ in range(SAMPLES):
            gradient(plain._variables, image, classes).block_until_ready()

    maps = lambda: smooth(pictures, range(batch), range(batch))
    both = maps, steps
    for call in both:
        call()  # compiles
    times = np.median([[seconds(call) for call in both] for _ in range(ROUNDS)], axis=0)
    print(
        f"batch {batch}: {SAMPLES} gradients {times[1]:.2f} s, SmoothGrad with as many "
        f"samples {times[0]:.2f} s: {100 * times[1] / times[0]:.0f} % of the throughput"
    )
    heat = rng.random((375, 500), np.float32)
    rounds = [seconds(lambda: saliency.deciles(heat)) for _ in range(50)]
    print(f"deciles of 500 x 375: {1000 * np.median(rounds):.1f} ms")


if __name__ == "__main__":
    main(int((sys.argv[1:] or [4])[0]))
