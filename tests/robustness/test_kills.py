"""A study killed outright, at named points and at any time, ends as an unbroken one.

Every try is a process of its own, `killer.py`. After the kills the same command runs to
the end; weights, metrics, logged lines, samples and rows must be those of a study that
nobody killed, and nothing else may be left.
"""

import csv
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxseg.core import hashing, jsonl, trees
from jaxseg.transfer import artifact, store
from tests import tiny
from tests.robustness import killer

ROOT = Path(__file__).parents[2]
BEGUN = "running/*/artifact"
CHECKPOINT = "running/*/checkpoints/*/meta.json"
SLOW = "0.3"  # seconds that a checkpoint takes longer
# Orbax writes a time into some files of the weights; their values have a sum.
MADE_ANEW = ("weights/", "events/", "metrics.jsonl")
TIMES = {"examples_per_second"}
KILLS = {BEGUN: 10, CHECKPOINT: 22}  # at any time after such a file is there
KILLS_A_TRIAL, MOST_TRIALS = 3, 40
MODEL = {"backbone": {"name": "unet", "variant": "tiny"}, "head": {"name": "linear"}}


def config():
    """source -> target; distance, by source. Logs, evaluations and checkpoints fall
    on different steps, so that a checkpoint holds part of a line and of a patience.
    """
    run = {"log_every": 5, "checkpoint_every": 3}
    many = dict(steps=16, run=run, eval_every=2, keep="best", model=MODEL)
    starts = [{"parent": "start", "take": {"backbone": "backbone"}}]
    child = dict(parents={"start": "source"}, starts=starts, patience=3, seed=1)
    return {
        "study": "kills",
        "stages": {
            "source": tiny.train(columns=[{"role": "source", "setting": "full"}])
            | many,
            "target": tiny.train("worlds/driving_night", columns=[tiny.LABEL])
            | many
            | child,
            "distance": tiny.config()["stages"]["distance"],
        },
    }


@dataclasses.dataclass
class Study:
    """The study in one workdir, tried again and again."""

    config: Path
    workdir: Path

    def start(self, **more):
        """A try; `more` are variables of its environment."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.robustness.killer", *self.arguments()],
            env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def arguments(self):
        return [f"--config={self.config}", f"--workdir={self.workdir}"]

    def kill_at(self, point, slow="0"):
        """Whether the process came to that point and was killed there."""
        process = self.start(KILL_AT=point, SLOW=slow)
        process.communicate(timeout=300)
        return process.returncode == -signal.SIGKILL

    def kill_after(self, pattern, seconds, slow="0"):
        """Whether it was killed before its end, so long after `pattern` was there."""
        process = self.start(SLOW=slow)
        while process.poll() is None and not any(self.workdir.glob(pattern)):
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        process.communicate(timeout=300)
        return process.returncode == -signal.SIGKILL

    def ended_otherwise(self, expected):
        """What differs from `expected` once the study has run to its end, or None."""
        process = self.start()
        text, _ = process.communicate(timeout=300)
        if process.returncode or "Traceback" in text:
            return f"exit code {process.returncode}: {text[-2000:]}"
        found = results(self.workdir)
        wrong = [name for name in expected if found.get(name) != expected[name]]
        wrong += found.keys() - expected.keys()
        return f"differ: {', '.join(sorted(wrong))}" if wrong else None


def results(workdir):
    """All that a study leaves, but for times: {what: value}."""
    found = {"left": [str(p.name) for p in workdir.glob("running/*")]}
    with open(workdir / "report" / "results.csv", newline="") as file:
        found["report"] = [row | {"seconds": ""} for row in csv.DictReader(file)]
    box = store.Store(workdir)
    for short in box.stored():
        box.verify(short)
        manifest, folder = box.manifest(short), box.folder(short)
        name, files = manifest["name"], manifest["files"]
        for key in ("metrics", "weights", "steps", "best_step", "parent_weights"):
            found[f"{name} {key}"] = manifest.get(key)
        rest = {n: s for n, s in files.items() if not n.startswith(MADE_ANEW)}
        found[f"{name} files"] = rest
        rows = jsonl.read(folder / "metrics.jsonl")
        found[f"{name} log"] = [
            {k: v for k, v in row.items() if k not in TIMES} for row in rows
        ]
        if "weights" in manifest:
            leaves = trees.flatten(artifact.load(folder).variables)
            found[f"{name} bits"] = hashing.arrays_sum(leaves)
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A new workdir for the same study, at each call."""
    folder = tmp_path_factory.mktemp("kills")
    file = folder / "config.py"
    file.write_text(f"def get_config(arg):\n    return {config()!r}\n")

    def start(name):
        shutil.rmtree(folder / name, ignore_errors=True)
        return Study(file, folder / name)

    return start


@pytest.fixture(scope="module")
def unbroken(study):
    """(results, {point: calls}, seconds from the first checkpoint to the end)."""
    one = study("unbroken")
    count = one.workdir.with_suffix(".json")
    process = one.start(COUNT=str(count))
    while process.poll() is None and not any(one.workdir.glob(CHECKPOINT)):
        time.sleep(0.01)
    begin = time.monotonic()
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    seconds = time.monotonic() - begin
    return results(one.workdir), json.loads(count.read_text()), seconds


@pytest.mark.slow
def test_killed_four_times_it_ends_the_same(study, unbroken, tally):
    """In one workdir: near the first checkpoint's end, at any time, at publication."""
    expected, _, seconds = unbroken
    one, moments, row = study("four"), random.Random(0), tally("kills: a few")
    kills = [
        one.kill_at("checkpoint.durable.sync_folder:after:3", SLOW),
        one.kill_after(CHECKPOINT, moments.uniform(0, seconds / 2), SLOW),
        one.kill_at("store.os.rename:before:1"),
        one.kill_at("checkpoint.shutil.rmtree:half:3"),
    ]
    assert kills[0] and kills[2]
    for _ in filter(None, kills[1:]):
        row.add()
    row.add(one.ended_otherwise(expected))
    row.check(at_least=3)


def points(calls):
    """Each named point at one of its calls."""
    moments = random.Random(1)
    for point, whens in killer.POINTS.items():
        for when in whens:
            yield f"{point}:{when}:{moments.randint(1, calls[point])}"


@pytest.mark.release
def test_killed_at_named_points(study, unbroken, tally):
    expected, calls, _ = unbroken
    row = tally("kills: at named points")
    for point in points(calls):
        one = study("point")
        assert one.kill_at(point, SLOW), point
        wrong = one.ended_otherwise(expected)
        row.add(wrong and f"{point}: {wrong}")
    row.check(at_least=16)


@pytest.mark.release
@pytest.mark.parametrize("pattern", KILLS, ids=["begun", "checkpointed"])
def test_killed_at_any_time(study, unbroken, tally, pattern):
    expected, _, seconds = unbroken
    moments = random.Random(2)
    when = "after the first checkpoint" if pattern == CHECKPOINT else "at any time"
    row = tally(f"kills: {when}")
    for trial in range(MOST_TRIALS):
        if row.tried >= KILLS[pattern]:
            break
        one, slow = study("random"), moments.choice(["0", SLOW])
        delays = [moments.uniform(0, seconds) for _ in range(KILLS_A_TRIAL)]
        hits = [one.kill_after(pattern, delay, slow) for delay in delays]
        wrong = one.ended_otherwise(expected)
        for _ in range(sum(hits) - 1):
            row.add()
        if any(hits):
            row.add(wrong and f"trial {trial}, slow {slow}, after {delays}: {wrong}")
    row.check(at_least=KILLS[pattern])
