"""Seconds and memory of the report of a study with many artifacts.

python -m tests.bench.bench_report [ARTIFACTS]

Twenty targets of four domains from twenty sources, some seeds of each, with curves and
pictures; a quarter, half and all of them. The aim is 60 s for 2,000 artifacts.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.report import workdirs

DOMAINS = ("driving", "indoor", "aerial", "consumer")


def study(folder, count):
    """Artifacts of the demo's kind, whose values are drawn."""
    made, rng = workdirs.Workdir(folder), np.random.default_rng(0)
    ids = rng.integers(0, 2, (64, 64))
    files = workdirs.samples(ids, rng.integers(0, 255, (64, 64, 3), np.uint8), ids)
    names = [f"{DOMAINS[i % 4]}_{i}" for i in range(20)]
    for place in range(count):
        target, source = names[place % 20], ["websearch", *names][place // 20 % 20]
        domain, other = (name.split("_")[0] for name in (target, source))
        label = workdirs.target(target, source, place // 400, domain, other)
        made.cell(label, rng.uniform(0.3, 0.6), files=files)
    return made.plan()


def main(count=2000):
    for some in (count // 4, count // 2, count):
        with tempfile.TemporaryDirectory() as folder:
            workdir = study(Path(folder), some)
            command = [sys.executable, "-m", "jaxseg.report", f"--workdir={workdir}"]
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - start
            # Of the largest so far, which is this one or no larger than one before.
            kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            page = (workdir / "report" / "index.html").stat().st_size
        print(
            f"{some} artifacts: {seconds:.1f} s, at most {kilobytes / 1024:.0f} MiB, "
            f"page {page / 2**20:.1f} MiB"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
