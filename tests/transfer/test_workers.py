"""Stages made side by side by processes with cores of their own."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxseg.core import errors
from jaxseg.transfer import store as stores
from jaxseg.transfer.running import status, workers
from tests import tiny

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="needs two cores"
)


def study(steps=2):
    """Four trainings after a first one, of two programs."""
    stages = {"first": tiny.train()}
    for seed in (1, 2):
        for size in (32, 64):
            one = tiny.train("worlds/driving_night", seed=seed, steps=steps)
            one["data"] |= {"size": [size, size]}
            row = {"role": "target", "target": f"night{size}", "seed": seed}
            one["run"] = {"checkpoint_every": 20}
            row |= {"setting": "small", "source": "first"}
            one |= {"parents": {"start": "first"}, "columns": [row]}
            one["starts"] = [{"parent": "start", "take": {"backbone": "backbone"}}]
            stages[f"target/{size}/{seed}"] = one
    return {"study": "side", "stages": stages}


def start(folder, *flags, steps=2, cores=None):
    """`python -m jaxseg.main` on that study with one device."""
    file = folder / "config.py"
    file.write_text(f"def get_config(arg):\n    return {study(steps)!r}\n")
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or own)  # inherited
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "jaxseg.main", f"--config={file}", *flags],
            env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    finally:
        os.sched_setaffinity(0, own)


def ended(process):
    out, _ = process.communicate(timeout=900)
    return process.returncode, out


def children(process):
    """PIDs of the workers."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    args = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in found.split()}
    return [pid for pid, text in args.items() if "spawn_main" in text]


def until(holds, seconds=600):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.release  # a minute or more
def test_the_numbers_are_those_of_one_process_with_as_many_cores(tmp_path):
    found = []
    one = {min(os.sched_getaffinity(0))}
    for name, jobs, cores in (("alone", 1, one), ("two", 2, None)):
        flags = f"--jobs={jobs}", f"--workdir={tmp_path / name}"
        code, out = ended(start(tmp_path, *flags, cores=cores))
        assert code == 0, out
        assert len(re.findall(r"^\[ +\d/5\] done ", out, re.M)) == 5
        with open(tmp_path / name / "report/results.csv") as file:
            rows = [(r["target"], r["seed"], r["value"]) for r in csv.DictReader(file)]
        found.append(rows)
    assert found[0] == found[1]
    assert len(found[0]) == 4


@pytest.mark.slow
@pytest.mark.release  # beside those of one process, in test_main
@pytest.mark.parametrize(
    "number, code",
    [("SIGTERM", 130), ("SIGKILL", -9)],
)
def test_a_stop_saves_and_a_kill_leaves_nobody(tmp_path, number, code):
    running = tmp_path / "w/running"
    saved = lambda: {path.parts[-3] for path in running.glob("*/checkpoints/*")}
    process = start(tmp_path, "--jobs=2", f"--workdir={tmp_path / 'w'}", steps=5000)
    until(lambda: len(saved()) == 2)
    pids = children(process)
    assert len(pids) == 2
    process.send_signal(getattr(signal, number))
    found, out = ended(process)
    assert found == code
    assert ("stopped, " in out) == (number == "SIGTERM")
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 20)
    assert len(saved()) == 2


@pytest.mark.release  # a minute or more
def test_a_worker_that_dies_costs_its_stage_alone(tmp_path):
    flags = "--jobs=2", f"--workdir={tmp_path / 'w'}"
    process = start(tmp_path, *flags, steps=150)
    until(lambda: (tmp_path / "w/artifacts").is_dir() and len(children(process)) == 2)
    until(lambda: len(list((tmp_path / "w/running").iterdir())) == 2)
    os.kill(children(process)[0], signal.SIGKILL)
    code, out = ended(process)
    assert code == 1
    assert len(re.findall(r"^\[ +\d/5\] done ", out, re.M)) == 4
    [line] = re.findall(r"^\[ +\d/5\] failed .*", out, re.M)
    assert "its process ended with code -9, as where the memory is full" in line
    assert ended(start(tmp_path, *flags, steps=150))[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_a_ctrl_c_reaches_workers_that_still_start(tmp_path, seconds):
    process = start(tmp_path, "--jobs=2", f"--workdir={tmp_path / 'w'}", steps=5000)
    until(lambda: len(children(process)) == 2)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    code, out = ended(process)
    assert code == 130, out
    assert "jaxseg: stopped, " in out and "Traceback" not in out


class Process:
    """In place of a worker."""

    alive = True

    def __init__(self, cores, given):
        self.cores, self.makes, self.programs = cores, [], set()
        self.pipe = self.process = self

    def is_alive(self):
        return self.alive

    def send(self, order):
        self.sent = order


def test_a_program_stays_with_its_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_Worker", Process)
    plan = tiny.plan(study()).stages
    given = stores.Store(tmp_path), status.Watcher(), lambda: False
    made = workers.Workers(2, plan, lambda *_: ("", ""), *given)
    _, a32, a64, b32, b64 = plan
    assert made.pick([]) is None

    def begin(*ready):
        one = made.pick(iter(ready))
        if one is not None:
            made.begin(one, again=False)
        return one, made.workers.index(made.next)

    assert begin(a32, a64, b32, b64) == (a32, 0)
    assert begin(b32, a64, b64) == (a64, 1)  # b32 would be compiled twice
    assert made.pick(iter([b32, b64])) is None  # all hands are full
    made.workers[1].makes.clear()
    assert begin(b32, b64) == (b64, 1)
    made.workers[1].makes.clear()
    assert begin(b32) == (b32, 1)  # better twice than not at all
    assert made.workers[1].sent == (b32.name, False)
    assert sorted(made.running) == sorted([a32.key, b32.key])
    made.workers[1].makes.clear()
    made.workers[1].alive = False
    before = made.workers[1]
    assert begin(b64) == (b64, 1)  # another process in its place
    assert made.workers[1] is not before and made.workers[1].sent == (b64.name, False)


def test_how_many(monkeypatch):
    plan = tiny.plan(study()).stages
    with pytest.raises(errors.UserError, match=r"--jobs: found 2, allowed: 1 to 1, a"):
        workers.count(2, plan)  # tests have two devices
    monkeypatch.setattr(workers.jax, "device_count", lambda: 1)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: range(3))
    assert workers.count(None, plan) == 3
    assert workers.count(2, plan) == 2
    assert workers.count(None, plan[:2]) == 1  # one after the other
    assert workers.count(None, plan[:3]) == 2
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: range(64))
    assert workers.count(None, plan) == 4
    for wrong in (0, 65):
        with pytest.raises(errors.UserError, match=f"found {wrong}, allowed: 1 to 64"):
            workers.count(wrong, plan)
