"""The side of one library: a process that steps when its parent asks.

It prints a line of JSON when its programs are compiled, then one for each line that it
reads: "train N" and "predict N" take N steps and answer with the seconds of one; "end"
answers with the peak memory since the last compilation.
"""

import ctypes
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.steps import networks

PATCH = 16


def batch(network: networks.Network) -> dict[str, np.ndarray]:
    """Noise and labels, NHWC, the same for both libraries."""
    rng = np.random.default_rng(0)
    size, count = network.size, network.batch
    made = {"image": rng.normal(size=(count, size, size, 3)).astype(np.float32)}
    if network.task == "segmentation":
        made["segmentation"] = rng.integers(0, network.outputs, (count, size, size))
    elif network.task == "classification":
        made["label"] = rng.integers(0, network.outputs, count)
    elif network.task == "simmim":
        cells = (count, size // PATCH, size // PATCH)
        mask = rng.uniform(size=cells) < 0.6
        made["mask"] = mask.repeat(PATCH, axis=1).repeat(PATCH, axis=2)
    else:
        corner = rng.uniform(0, 0.5, (count, networks.BOXES, 2))
        extent = rng.uniform(0.1, 0.5, corner.shape)
        made["boxes"] = np.concatenate([corner, corner + extent], -1, dtype=np.float32)
        made["box_labels"] = rng.integers(0, network.outputs, corner.shape[:2])
    narrow = lambda x: x.astype(np.int32) if x.dtype == np.int64 else x
    return {name: narrow(x) for name, x in made.items()}


def serve(
    ready: dict[str, Any],
    train: Callable[[], Any],
    predict: Callable[[], Any],
    wait: Callable[[Any], Any],
    peak_bytes: Callable[[], int],
) -> None:
    """Answers the parent until it says "end"; `wait` blocks until a result is there."""
    print(json.dumps(ready), flush=True)
    steps = {"train": train, "predict": predict}
    for line in sys.stdin:
        if line.strip() == "end":
            print(json.dumps(peak_bytes()), flush=True)
            return
        name, count = line.split()
        start = time.perf_counter()
        for _ in range(int(count)):
            result = steps[name]()
        wait(result)
        seconds = (time.perf_counter() - start) / int(count)
        print(json.dumps(seconds), flush=True)


def reset_peak() -> None:
    """The resident memory counts anew, without what compilation has freed."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def resident_peak() -> int:
    """Highest resident bytes of this process since `reset_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return 1024 * int(kilobytes)
