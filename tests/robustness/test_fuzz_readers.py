"""Readers meet damaged files: they read what is right, or say which file is not.

Trees are damaged by seed in a child process (`fuzz_child`) with little memory, so that
a crash or a hang costs one input. What a reader accepts must obey the vocabulary.
"""

import json
import os
import subprocess
import sys

import pytest

from jaxseg.data import catalogue
from tests.robustness import readers

FEW, ALL = 20, 1500
NAMES = [name for name in catalogue.names() if catalogue.find(name).on_disk]
READERS = sorted({name.split("/")[0] for name in NAMES})


def fuzz(folder, row, readers_, count):
    """Counts `count` damaged trees of each reader; its death is a failure."""
    left = dict.fromkeys(readers_, 0)  # reader: its next input
    while left:
        lines, code, said = run(folder, left, count)
        for line in lines:
            if "done" in line:
                what = f"{line['number']} {line['name']} {line['done']}"
                row.add(line["wrong"] and f"{what}: {line['wrong']}")
        if code == 0:
            return
        assert lines, said
        last = lines[-1]
        row.add(f"{last['reader']} {last['number']}: exit code {code}: {said}")
        passed = list(left)[: list(left).index(last["reader"])]
        left = {reader: n for reader, n in left.items() if reader not in passed}
        left[last["reader"]] = last["number"] + 1


def run(folder, left, count):
    """The lines that a child prints, its exit code, and the end of its complaint."""
    command = [sys.executable, "-m", "tests.robustness.fuzz_child", folder, count]
    command += [f"{reader}:{first}" for reader, first in left.items()]
    environment = os.environ | {"JAXSEG_CACHE": str(folder / "cache")}
    text = dict(capture_output=True, text=True, errors="replace")
    done = subprocess.run(map(str, command), env=environment, **text)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, done.returncode, done.stderr[-300:]


def test_each_reader_has_a_tree():
    there = {name.split("/")[0] for _, names, _ in readers.TREES for name in names}
    assert there == set(READERS)


@pytest.mark.slow
def test_a_few_damaged_trees_of_each_reader(tmp_path, tally):
    row = tally(f"fuzz: readers, {FEW} inputs each")
    fuzz(tmp_path, row, READERS, FEW)
    row.check(FEW * len(READERS))


@pytest.mark.release
@pytest.mark.parametrize("reader", READERS)
def test_many_damaged_trees(tmp_path, tally, reader):
    row = tally(f"fuzz: {reader}")
    fuzz(tmp_path, row, [reader], ALL)
    row.check(ALL)
