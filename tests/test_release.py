"""Once per release, without a time limit: the demo itself, and the demo killed."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.release
ROOT = Path(__file__).parent.parent
DETAILS = ("seconds",)  # all that a restart may change
KILLS = 5


def command(workdir):
    config = ROOT / "configs" / "factors.py"
    return [
        sys.executable,
        "-m",
        "jaxseg.main",
        f"--config={config}",
        f"--workdir={workdir}",
    ]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """As on a user's machine: one device, caches of its own."""
    cache = str(tmp_path_factory.mktemp("cache"))
    return {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | {
        "JAXSEG_CACHE": cache
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, environment):
    workdir = tmp_path_factory.mktemp("unbroken")
    start = time.monotonic()
    subprocess.run(command(workdir), env=environment, check=True)
    print(f"the demo took {time.monotonic() - start:.0f} s")
    return workdir


def table(workdir, name, without=()):
    with open(workdir / "report" / name, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in without} for row in rows]


def test_within_the_domain_is_ahead(unbroken):
    rows = table(unbroken, "results.csv")
    domains = {r["source"]: r["source_domain"] for r in rows if r["setting"] == "small"}
    targets = {r["target"]: r["target_domain"] for r in rows if r["setting"] == "small"}
    gains = table(unbroken, "gains.csv")
    pairs = [g for g in gains if g["source"] != "random" and g["gain"]]
    assert len(pairs) >= 25
    sides = {True: [], False: []}
    for row in pairs:
        same = domains[row["source"]] == targets[row["target"]]
        sides[same].append(float(row["gain"]))
    within, cross = (sum(side) / len(side) for side in (sides[True], sides[False]))
    print(f"within {within:+.1f} %, cross {cross:+.1f} %")
    assert within > cross + 10


def test_a_second_run_takes_seconds(unbroken, environment):
    start = time.monotonic()
    subprocess.run(command(unbroken), env=environment, check=True)
    print(f"the second run took {time.monotonic() - start:.0f} s")


def test_killed_at_random_moments_it_ends_the_same(unbroken, tmp_path, environment):
    seconds = sum(float(row["seconds"]) for row in table(unbroken, "results.csv"))
    moments = random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(command(tmp_path), env=environment)
        time.sleep(moments.uniform(5, max(10, seconds / KILLS)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(tmp_path), env=environment, check=True)
    killed = table(tmp_path, "results.csv", without=DETAILS)
    assert killed == table(unbroken, "results.csv", without=DETAILS)
