"""How fast the data come: `python tests/bench/bench_pipeline.py [--memory]`.

Prints, for photograph-like files of 480x360 PNG and 500x375 JPEG, each with a PNG label
map, and for 64-pixel images in memory, examples per second of CPU time of

  decode   both files into arrays, and nothing else
  pipeline the same and flip, rescale, crop, normalize, batches of 16

in turns, so that their ratio holds on a busy machine, for crops of the image's own size
and of 96x128; then the time to start an iterator, and with --memory the resident memory
after each of ten epochs.

On one core of a busy two-core server, Pillow 13 with libjpeg-turbo, rates of the first
of three runs, ratios of all three:

  files         crops    decode  pipeline  ratios
  480x360 PNG   360x480   129/s      79/s   0.61 0.59 0.60
  480x360 PNG    96x128   130/s     115/s   0.88 0.87 0.83
  500x375 JPEG  375x500   450/s     128/s   0.27 0.28 0.29
  500x375 JPEG   96x128   441/s     308/s   0.71 0.67 0.65

So the aim, 0.8, is reached for small crops of PNG only. At full size the resampling of
Pillow takes 4 ms an image, more than decoding a JPEG and its labels (2.2 ms); of small
crops only their window is resampled. Highest resident memory after epochs 1 and 10: 347
and 371 MB (PNG, level from the fourth but for 3 MB), 442 and 442 MB (JPEG).
"""

import functools
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from jaxseg.core import image_files
from jaxseg.data import pipeline, transforms
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import Dataset

ROUNDS = 15
COUNT = 96  # files of a kind
FIELDS = ("image", "segmentation")
KINDS = {"480x360 PNG": ("png", (360, 480)), "500x375 JPEG": ("jpg", (375, 500))}


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


def write_files(root: Path, suffix: str, size: tuple[int, int]) -> None:
    """Smooth colours with fine noise, which compress like photographs do."""
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        for split in ("train", "val"):
            (root / folder / split).mkdir(parents=True)
    for number in range(COUNT + 1):
        split = "train" if number < COUNT else "val"
        coarse = rng.integers(0, 256, (23, 30, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize(size[::-1], Image.BICUBIC)
        noisy = np.asarray(smooth) + rng.normal(0, 4, (*size, 3))
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        quality = {"quality": 90} if suffix == "jpg" else {}
        picture.save(root / f"images/{split}/{number}.{suffix}", **quality)
        regions = rng.integers(0, 11, (12, 16), np.uint8)
        labels = Image.fromarray(regions).resize(size[::-1], Image.NEAREST)
        labels.save(root / f"masks/{split}/{number}.png")


def batches(source, size, threads: int, start: int = 0):
    steps = (transforms.Flip(), transforms.Rescale(), transforms.Crop(*size))
    return pipeline.train_batches(
        source,
        transforms=steps,
        batch_size=16,
        seed=0,
        fields=FIELDS,
        start=start,
        threads=threads,
    )


def seconds(call: Callable[[], object], clock=time.process_time) -> float:
    begin = clock()
    call()
    return clock() - begin


def compare(title: str, source, decode: Callable[[int], object], size) -> None:
    """Rates of decoding alone and of the pipeline, in turns."""
    stream = batches(source, size, threads=0)
    next(stream)
    bare, whole = [], []
    for turn in range(ROUNDS):
        numbers = [(16 * turn + i) % len(source) for i in range(16)]
        bare.append(seconds(lambda n=numbers: [decode(i) for i in n]))
        whole.append(seconds(lambda: next(stream)))
    ratio = sum(bare) / sum(whole)
    print(
        f"{title}, crops of {size[0]}x{size[1]}: decode "
        f"{16 / statistics.median(bare):.0f}/s per core, pipeline "
        f"{16 / statistics.median(whole):.0f}/s per core, ratio {ratio:.2f}"
    )


def compare_files(title: str, suffix: str, size: tuple[int, int], root: Path) -> None:
    write_files(root, suffix, size)
    source = source_lib.open("folder/segmentation", split="train", root=root)
    if "--memory" in sys.argv:
        watch_memory(title, source)

    def decode(number: int) -> None:
        image_files.read(root / f"images/train/{number}.{suffix}")
        image_files.read_ids(root / f"masks/train/{number}.png")

    for crop in (size, (96, 128)):
        compare(title, source, decode, crop)


def watch_memory(title: str, source, epochs: int = 10) -> None:
    """Highest resident memory, in MB, up to the end of each epoch."""
    stream = batches(source, source.dataset.size, threads=2)
    resident = []
    for _ in range(epochs):
        for _ in range(len(source) // 16):
            next(stream)
        resident.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    stream.close()
    print(f"{title}: resident memory after each epoch, MB:", *resident)


def main() -> None:
    embedded = Embedded()
    compare("64x64 in memory", embedded, embedded.__getitem__, (64, 64))
    for title, (suffix, size) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            compare_files(title, suffix, size, Path(folder))
    for start in (0, 10**6):
        begin = functools.partial(batches, embedded, (64, 64), 2, start)
        times = [
            seconds(lambda b=begin: next(b()), time.perf_counter) for _ in range(20)
        ]
        middle, best = 1e3 * statistics.median(times), 1e3 * min(times)
        print(
            f"start at batch {start}, first 16 examples: {middle:.0f} ms ({best:.0f})"
        )


if __name__ == "__main__":
    main()
