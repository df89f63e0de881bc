"""Seconds of predicting images of many sizes against as many of one size.

python tests/bench/bench_sizes.py [IMAGES [VARIANT [SIDE]]]

A segmentation model with random weights is predicted with as `jaxseg.load` does, image
by image, each run in a process of its own with an empty JAXSEG_CACHE, one kind after
the other, three times. Sizes are drawn from half to double the canvas, no two alike.
The aim: at most twice as long.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KINDS = ("one", "many")
ROUNDS = 3


def model(variant, side):
    """What `jaxseg.load` gives, of weights that nobody trained."""
    from configs import common
    from jaxseg.models import initial
    from jaxseg.models import model as models
    from jaxseg.transfer import artifact

    task, outputs = {"name": "segmentation"}, {"segmentation": 6}
    section = models.bind_model(common.model(variant), where="model")
    network = models.build_model(section, head_outputs=outputs)
    made = object.__new__(artifact.Artifact)
    made.folder, made.head = Path("random"), "segmentation"
    made.manifest = {
        "model": section,
        "task": task,
        "spec": {},
        "outputs": outputs,
        "preprocessing": {
            "mean": [100.0] * 3,
            "std": [60.0] * 3,
            "size": [side, side],
            "channels": 3,
        },
    }
    values = initial.variables(network, (side, side, 3), seed=0)
    made.__dict__["on_device"] = values
    return made


def pictures(kind, count, side):
    """Noise of `count` sizes, none twice, or of the mean of these."""
    rng = np.random.default_rng(0)
    places = rng.permutation((2 * side - side // 2) ** 2)[:count]
    sizes = np.stack(np.divmod(places, 2 * side - side // 2), axis=1) + side // 2
    if kind == "one":
        sizes = np.tile(sizes.mean(axis=0).astype(int), (count, 1))
    return [rng.integers(0, 255, (h, w, 3), np.uint8) for h, w in sizes]


def measure(kind, count, variant, side):
    """Prints seconds from the first call to the last answer."""
    from jaxseg.core import user_cache

    assert not any(user_cache.folder().iterdir())
    made, images = model(variant, side), pictures(kind, count, side)
    start = time.perf_counter()
    for image in images:
        assert made(image).shape == image.shape[:2]
    print(time.perf_counter() - start)


def main(count=77, variant="tiny", side=128):
    for _ in range(ROUNDS):
        taken = {}
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                arguments = [__file__, kind, str(count), variant, str(side)]
                found = subprocess.run(
                    [sys.executable, *arguments],
                    env=os.environ | {"JAXSEG_CACHE": folder},
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            taken[kind] = float(found.stdout.split()[-1])
        ratio = taken["many"] / taken["one"]
        print(f"one size {taken['one']:.1f} s, many {taken['many']:.1f} s: {ratio:.2f}")


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] and given[0] in KINDS:
        measure(given[0], int(given[1]), given[2], int(given[3]))
    else:
        main(*map(int, given[:1]), *given[1:2], *map(int, given[2:]))
