"""Seconds of `python -m jaxseg.data check` on many images with masks.

python tests/bench/bench_check.py [IMAGES]

The aim is 120 s for 10,000 images on two cores. They are JPEG files of 320 x 240 with
PNG masks, noise on smooth shapes, about 20 kB each.
Seen on two cores that other work shared: 55 s.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (240, 320)  # height, width


def write(root, count):
    """images/N.jpg and masks/N.png, every one another crop."""
    rng = np.random.default_rng(0)
    shape = (SIZE[0] * 2, SIZE[1] * 2)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    waves = [
        np.sin(rows / a) + np.cos(cols / b) for a, b in rng.uniform(9, 60, (16, 2))
    ]
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        wave = waves[number % len(waves)]
        top, left = (int(rng.integers(side)) for side in SIZE)
        place = np.s_[top : top + SIZE[0], left : left + SIZE[1]]
        noise = rng.integers(0, 40, (*SIZE, 3))
        pixels = (wave[place][..., None] * 50 + 110 + noise).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"images/{number:05d}.jpg", quality=85)
        ids = np.digitize(wave[place], (-1, -0.3, 0.3, 1)).astype(np.uint8)
        Image.fromarray(ids).save(root / f"masks/{number:05d}.png")


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), count)
        image = next((Path(folder) / "images").iterdir())
        command = [sys.executable, "-m", "jaxseg.data", "check", folder]
        start = time.perf_counter()
        code = subprocess.run(command).returncode
        seconds = time.perf_counter() - start
        print(
            f"check of {count} images ({image.stat().st_size} bytes): {seconds:.1f} s, "
            f"exit code {code}",
            flush=True,
        )


if __name__ == "__main__":
    main(int((sys.argv[1:] or [10_000])[0]))
