"""Disks that are full or read-only, and caches that are not there.

A study says so in one message of ours and leaves nothing half made; with room again the
same command ends it as if there had always been some.
"""

import functools
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxseg import main
from jaxseg.core import checkpoint, errors, hashing, jsonl, user_cache
from jaxseg.data import source as source_lib
from jaxseg.report import build
from jaxseg.train import hooks
from jaxseg.transfer import store, stored
from jaxseg.transfer.training import samples
from tests.data import trees
from tests.robustness import test_kills

# Where the disk is found full: (holder, function, number of the call).
FEW = [
    (hooks.Log, "_write", 2),  # metrics.jsonl and events
    (checkpoint.hashing, "folder_sums", 2),  # a checkpoint, before its meta.json
    (stored, "save", 1),
    (build, "build", 1),
]
MANY = [
    (hooks.Log, "_write", 1),
    (checkpoint, "_reserve", 1),
    (checkpoint, "_reserve", 3),
    (checkpoint.hashing, "folder_sums", 4),
    (checkpoint.shutil, "rmtree", 4),
    (jsonl, "write_json", 1),
    (jsonl, "write_json", 5),
    (samples, "write", 1),
    (store, "publish", 1),
]
SIZES = [4, 8, 40, 150, 600, 900, 1200, 1300]  # KiB of a whole disk


@pytest.fixture
def disk(tmp_path):
    """`disk("size=40k")` -> a folder on a file system of its own, mounted so."""
    mounted = []

    def mount(options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this user may not mount: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def config(**changes):
    """The source of the study that is killed; it keeps the last weights, so that no
    two checkpoints are written at once.
    """
    section = test_kills.config()["stages"]["source"] | {"keep": "last"} | changes
    return {"study": "shortages", "stages": {"source": section}}


@pytest.fixture
def run(tmp_path, capfd, caplog):
    """(exit code, all that was printed) of a study in a workdir."""

    def run(workdir, **changes):
        path = tmp_path / "config.py"
        path.write_text(f"def get_config(arg):\n    return {config(**changes)!r}\n")
        caplog.clear()
        code = main.main([f"--config={path}", f"--workdir={workdir}"])
        return code, "".join([*capfd.readouterr(), caplog.text])

    return run


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The results where nothing was short."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "c.py").write_text(f"def get_config(arg):\n    return {config()!r}\n")
    assert main.main([f"--config={folder / 'c.py'}", f"--workdir={folder / 'w'}"]) == 0
    return test_kills.results(folder / "w")


def fill(folder):
    """Takes all that is left, once no checkpoint is being written."""
    if threading.current_thread() is threading.main_thread():
        for thread in threading.enumerate():
            if "_write" in thread.name:
                thread.join()
    with open(folder / "filler", "wb", buffering=0) as file:
        for count in (2**16, 2**12, 1):
            try:
                while file.write(bytes(count)):
                    pass
            except OSError:
                continue


def problem(code, text, workdir):
    """What is wrong with the way in which a study ended, or None."""
    if code not in (1, 2) or "Traceback" in text:
        return f"code {code}: {text[-1000:]}"
    if str(workdir) not in text or "ree space" not in text:
        return f"says neither where nor what to do: {text[-1000:]}"
    for short in store.Store(workdir).stored():
        store.Store(workdir).verify(short)
    return f"left {left}" if (left := list(workdir.rglob(".*.tmp"))) else None


def mended(run, workdir, expected):
    """What is wrong with the same study once there is room, or None."""
    code, text = run(workdir)
    if code:
        return f"code {code} with room: {text[-1000:]}"
    found = test_kills.results(workdir)
    wrong = [name for name in expected if found[name] != expected[name]]
    return f"differ: {wrong}" if wrong else None


def full_at(point, workdir, run, expected, monkeypatch):
    """What went wrong with a disk that is full at one call of a function, or None."""
    holder, name, number = point
    calls, call = iter(range(1, 999)), getattr(holder, name)

    @functools.wraps(call)
    def filling(*arguments, **options):
        if next(calls) == number:
            fill(workdir.parent)
        return call(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(holder, name, filling)
        code, text = run(workdir)
    assert next(calls) > number, point  # it came to that call
    wrong = problem(code, text, workdir)
    (workdir.parent / "filler").unlink()
    return wrong or mended(run, workdir, expected)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(FEW, marks=pytest.mark.slow),
        pytest.param(MANY, marks=pytest.mark.release),
    ],
    ids=["few", "many"],
)
def test_a_disk_that_fills_up(disk, run, expected, monkeypatch, tally, points):
    row = tally("shortages: a disk that fills up")
    for point in points:
        workdir = disk("size=8m") / "workdir"
        wrong = full_at(point, workdir, run, expected, monkeypatch)
        row.add(wrong and f"{point[1]} {point[2]}: {wrong}")
    row.check(at_least=len(points))


@pytest.mark.release
def test_disks_of_all_sizes(disk, run, expected, tally):
    row = tally("shortages: disks too small")
    for size in SIZES:
        workdir = disk(f"size={size}k") / "workdir"
        wrong = problem(*run(workdir), workdir)
        again = ["mount", "-o", "remount,size=64m", str(workdir.parent)]
        subprocess.run(again, check=True)
        wrong = wrong or mended(run, workdir, expected)
        row.add(wrong and f"{size} KiB: {wrong}")
    row.check(at_least=len(SIZES))


def test_a_read_only_workdir(disk, run):
    workdir = disk("size=1m,ro") / "workdir"
    code, text = run(workdir)
    assert code == 2 and "Traceback" not in text
    assert f"{workdir}" in text and "the file system is read-only. Fix" in text


@pytest.mark.slow
def test_checkpoints_that_may_not_grow(run, tmp_path, expected):
    """A refusal that no user needs a disk of his own for: `ulimit -f`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, before[1]))
    try:
        code, text = run(tmp_path / "workdir")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 1 and "Traceback" not in text and "Fix: raise `ulimit -f`" in text
    assert store.Store(tmp_path / "workdir").stored() == []
    assert mended(run, tmp_path / "workdir", expected) is None


CACHES = {
    "below a file": lambda disk, path: path / "file" / "cache",
    "read-only": lambda disk, path: disk("size=1m,ro"),
    "full": lambda disk, path: disk("size=64k"),
}


@pytest.mark.parametrize("name", CACHES)
def test_images_without_a_cache(disk, tmp_path, monkeypatch, caplog, tally, name):
    """Of rendered images, and of those of a folder that were decoded before."""
    row = tally("shortages: caches of images")
    (tmp_path / "file").write_text("")
    trees.write_camvid(tmp_path / "camvid")
    folder = CACHES[name](disk, tmp_path)
    camvid = {"name": "camvid/11", "root": tmp_path / "camvid", "cache": "disk"}
    for data in ({"name": "worlds/driving_day", "cache": "none", "count": 2}, camvid):
        found = []
        for cache in (tmp_path / "cache", folder):
            monkeypatch.setenv("JAXSEG_CACHE", str(cache))
            source = source_lib.open(split="train", **data)
            found.append([hashing.arrays_sum(source[i]) for i in (0, 1, 0)])
        told = sum(str(folder) in record.getMessage() for record in caplog.records)
        same = found[0] == found[1] and told <= 2
        row.add(None if same else f"{data['name']}, {told}: {caplog.text}")
        caplog.clear()
    row.check(at_least=2)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("below a file", marks=pytest.mark.slow),
        pytest.param("read-only", marks=pytest.mark.release),
        pytest.param("full", marks=pytest.mark.release),
    ],
)
def test_a_run_without_a_cache(disk, tmp_path, expected, tally, name):
    """Our warning, once; JAX would say it of each program that could not be kept."""
    row = tally("shortages: a run without a cache")
    (tmp_path / "file").write_text("")
    cache = CACHES[name](disk, tmp_path)
    path = tmp_path / "config.py"
    path.write_text(f"def get_config(arg):\n    return {config()!r}\n")
    command = ["-m", "jaxseg.main", f"--config={path}", f"--workdir={tmp_path / 'w'}"]
    root = Path(__file__).parents[2]
    more = {"PYTHONPATH": str(root), "JAXSEG_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, *command], env=os.environ | more, capture_output=True
    )
    text = done.stderr.decode()
    assert done.returncode == 0, text
    said = text.count(f"{cache}: cannot be written") == 1
    silent = "UserWarning" not in text and "Traceback" not in text
    row.add(None if said and silent else text[-1000:])
    row.check()
    assert test_kills.results(tmp_path / "w") == expected


def test_a_user_without_a_home(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("JAXSEG_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(errors.UserError, match="Fix: set JAXSEG_CACHE"):
        user_cache.folder()
