"""Seconds and memory of opening a data set of many records, and of reading ten of them.

python tests/bench/bench_open.py [RECORDS]

The aim is 2 s for a million records, whose names lie in arrays, not in objects. Each
kind is opened in a process of its own; its files are written into a temporary folder.
Seen on two cores that other work shared, with a million records: csv 1.3 s and 81 MiB,
parquet 0.1 s and 95 MiB, array_record 0.1 s and 28 MiB. With 100,000: folders 1.2 s and
8 MiB (the size of each file is asked for, twice), coco 7 s and 131 MiB before and 98
after its records were made on demand; its JSON is parsed whole. Since then each image
of a folder or table is part of the fingerprint: 100,000 small files took 2.2 s of a
core when they were first read, and 0.75 s where only their stamps were looked at.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from jaxseg.data import source as source_lib
from jaxseg.data.datasets import shards

KINDS = {
    "csv": "table/classification",
    "folders": "image_folder/classes",
    "parquet": "shards/classification",
    "array_record": "shards/classification",
    "coco": "coco/instances",
}
CLASSES = [f"class_{i}" for i in range(1000)]
SHARDS = 10


def write(kind, root, count):
    """Files of so many records; the images themselves are left out, or empty."""
    root.mkdir()
    if kind == "csv":
        rows = (f"images/{i % 1000:03d}/{i:09d}.jpg,{i % 1000}" for i in range(count))
        (root / "train.csv").write_text("image,label\n" + "\n".join(rows) + "\n")
    elif kind == "folders":
        for i, name in enumerate(CLASSES):
            (root / "train" / name).mkdir(parents=True)
            for j in range(i, count, len(CLASSES)):
                os.close(os.open(root / f"train/{name}/{j:09d}.jpg", os.O_CREAT))
    elif kind == "coco":
        write_coco(root, count)
    else:
        image = np.random.default_rng(0).integers(0, 256, 600, np.uint8).tobytes()
        rows = [{"image": image, "label": i % 1000} for i in range(count // SHARDS)]
        (root / "classes.txt").write_text("\n".join(CLASSES))
        shards.write(root, "train", rows, kind=kind)
        first = root / f"train-00000-of-00001.{kind}"
        for i in range(SHARDS):
            os.link(first, root / f"train-{i:05d}-of-{SHARDS:05d}.{kind}")
        first.unlink()


def write_coco(root, count):
    size = {"height": 480, "width": 640}
    content = {
        "images": [
            {"id": i, "file_name": f"{i:09d}.jpg", **size} for i in range(count)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [1, 2, 30, 40]}
            for i in range(count)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (root / "annotations").mkdir()
    (root / "train2017").mkdir()
    (root / "train2017/000000000.jpg").touch()
    (root / "annotations/instances_train2017.json").write_text(json.dumps(content))


def memory():
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(kind, root):
    """Prints one line."""
    before, start = memory(), time.perf_counter()
    source = source_lib.open(KINDS[kind], split="train", root=root)
    opened = time.perf_counter() - start
    chosen = np.random.default_rng(0).integers(0, len(source), 10)
    start = time.perf_counter()
    for index in chosen.tolist():
        source._records[index]
    read = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{kind:13} {len(source):8} records: opened in {opened:6.2f} s, "
        f"{memory() - before:5.0f} MiB more, peak {peak:5.0f} MiB; ten records in "
        f"{read * 1000:.1f} ms",
        flush=True,
    )


def main(count, kinds):
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / kind
            write(kind, root, count)
            own = os.environ | {"JAXSEG_CACHE": str(Path(folder) / "cache")}
            for _ in range(2):  # with no digest of a file known, and with all
                arguments = [sys.executable, __file__, kind, str(root)]
                subprocess.run(arguments, check=True, env=own)


if __name__ == "__main__":
    if len(sys.argv) == 3 and Path(sys.argv[2]).is_dir():
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int((sys.argv[1:] or [1_000_000])[0]), sys.argv[2:] or KINDS)
