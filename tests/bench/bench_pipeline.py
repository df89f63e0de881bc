"""How fast the data come: `python tests/bench/bench_pipeline.py [CAMVID_DIR]`.

Prints examples per second of CPU time of the pipeline (flip, rescale, crop, whiten,
batch) beside bare reading of the same examples, taken in turns, so that the figures
hold on a busy machine; then the time to start an iterator and to skip far ahead.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from jaxseg.data import pipeline, sources, transforms
from jaxseg.data.dataset import Dataset

ROUNDS = 5
FIELDS = ("image", "segmentation")
SECTIONS = ({"name": "flip"}, {"name": "rescale"}, {"name": "crop"})


class Embedded:
    """64-pixel examples held in memory, as rendered sets are after the first epoch."""

    name = "bench/64"

    def __init__(self, count: int = 512):
        rng = np.random.default_rng(0)
        self.dataset = Dataset(
            fields=FIELDS,
            domain="synthetic",
            splits={"train": count},
            version=1,
            size=(64, 64),
            classes=("a", "b", "c"),
            mean=(120.0,) * 3,
            std=(60.0,) * 3,
        )
        self._images = rng.integers(0, 256, (count, 64, 64, 3), np.uint8)
        self._labels = rng.integers(0, 3, (count, 64, 64), np.int32)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> dict:
        image, labels = self._images[index], self._labels[index]
        return {"image": image, "segmentation": labels, "id": str(index)}


def batches(source, threads: int, size: int = 16, start: int = 0):
    steps = [transforms.build(section) for section in SECTIONS]
    return pipeline.train_batches(
        source,
        transforms=steps,
        batch_size=size,
        seed=0,
        fields=FIELDS,
        start=start,
        threads=threads,
    )


def seconds(call: Callable[[], object], clock=time.process_time) -> float:
    begin = clock()
    call()
    return clock() - begin


def compare(title: str, source, count: int) -> None:
    """Rates of bare reading and of the pipeline over `count` examples, in turns."""
    stream = batches(source, threads=0)
    next(stream)
    bare, whole = [], []
    for _ in range(ROUNDS):
        bare.append(seconds(lambda: [source[i % len(source)] for i in range(count)]))
        whole.append(seconds(lambda: [next(stream) for _ in range(count // 16)]))
    ratio = statistics.median(b / w for b, w in zip(bare, whole))
    print(
        f"{title}: bare {count / statistics.median(bare):.0f}/s per core, "
        f"pipeline {count / statistics.median(whole):.0f}/s per core, ratio {ratio:.2f}"
    )


def main() -> None:
    embedded = Embedded()
    compare("64x64 in memory", embedded, 1024)
    if len(sys.argv) > 1:
        camvid = sources.open("camvid/11", split="train", root=sys.argv[1])
        compare("CamVid 480x360", camvid, 64)
    for start in (0, 10**6):
        begin = functools.partial(batches, embedded, 2, start=start)
        times = [
            seconds(lambda b=begin: next(b()), time.perf_counter) for _ in range(20)
        ]
        middle, best = 1e3 * statistics.median(times), 1e3 * min(times)
        print(
            f"start at batch {start}, first 16 examples: {middle:.0f} ms ({best:.0f})"
        )


if __name__ == "__main__":
    main()
