"""Sizes and kinds of files are looked at before memory is taken or a reader waits.

Each case is read by a process of its own, with a limit on its memory and on its time.
"""

import json
import os
import random
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest
import scipy.io
from PIL import Image

from jaxseg.core import errors, isolated
from jaxseg.data.readers import mat_files
from tests.data import layouts, test_containers, trees

MUCH = 100  # megabytes beside what importing takes
SIDE = 13_000
READ = """
import json, os, resource, signal, sys
from jaxseg.core import errors
from jaxseg.data import source as source_lib
import PIL.PngImagePlugin, PIL.JpegImagePlugin
PIL.Image.init()

def attempt(name, root, options):
    try:
        source = source_lib.open(name, split="train", root=root, options=options)
        for index in range(len(source)):
            source[index]
        return "read"
    except errors.UserError as error:
        return str(error)

def peak():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line[:5] == "VmHWM").split()[1])

for case in json.loads(sys.argv[1]):
    out, into = os.pipe()
    if not (child := os.fork()):
        signal.alarm(20)
        used = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30),) * 2)
        open("/proc/self/clear_refs", "w").write("5")  # the peak is that from now on
        before = peak()
        text = attempt(*case)
        found = {"text": text, "megabytes": (peak() - before) >> 10}
        os.write(into, json.dumps(found).encode())
        os._exit(0)
    os.close(into)
    _, status = os.waitpid(child, 0)
    with os.fdopen(out) as file:
        print(file.read() or json.dumps({"text": f"ended: {status}", "megabytes": 0}))
"""


def read_apart(cases):
    """The message and the megabytes of each (data set, root, options)."""
    text = json.dumps([(name, str(root), options) for name, root, options in cases])
    done = subprocess.run(
        [sys.executable, "-c", READ, text], capture_output=True, text=True, timeout=300
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(cases), done.stderr
    return lines


def big(path, mode="L"):
    Image.new(mode, (SIDE, SIDE)).save(path, "PNG", compress_level=1)


def npy(path, shape, kind="<f4"):
    """A header alone."""
    with open(path, "wb") as file:
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)


def label_of_a_table(root, label=3_000_000_000):
    lines = [test_containers.line(0, 1), test_containers.line(1, label)]
    test_containers.write_table(root, lines)
    return "table/classification", {}, r"train.csv.*3000000000.*0 to 65534.*Fix"


def id_of_a_mask(root):
    trees.write_folder(root, "abcdef")
    ids = np.zeros((12, 16), np.int32)
    ids[3, 4] = 2**31 - 1
    Image.fromarray(ids).save(root / "masks/b.tif")
    (root / "masks/b.png").unlink()
    options = {"classes": ["a", "b", "c"], "ids": {"2": 1}}
    return "folder/segmentation", options, r"2147483647.*Fix"


def raw_id_of_an_option(root):
    trees.write_folder(root, "abcdef")
    options = {"classes": ["a", "b", "c"], "ids": {str(2**31 - 1): 1}}
    return "folder/segmentation", options, "^read$"


def mask_of_another_size(root):
    trees.write_folder(root, "abcdef")
    big(root / "masks/a.png")
    return "folder/segmentation", {"classes": ["a", "b", "c"]}, "13000 x 13000.*Fix"


def image_of_another_size(root):
    trees.write_folder(root, "abcdef")
    big(root / "images/a.jpg", "RGB")
    return "folder/segmentation", {"classes": ["a", "b", "c"]}, "13000 x 13000.*Fix"


def image_of_a_json_file(root):
    layouts.write_coco(root)
    big(root / "train2017/0.jpg", "RGB")
    return "coco/instances", {}, r"0\.jpg.*13000 x 13000.*Fix"


def mask_of_a_table(root):
    label_of_a_table(root, 1)
    big(root / "masks/0.png")
    options = {"classes": ["a", "b"]}
    return "table/segmentation", options, r"train.csv:2: .*13000 x 13000.*Fix"


def array_without_values(root):
    trees.write_folder(root, "abcdef", masks="depth")
    for name in "abcdef":
        (root / f"depth/{name}.png").unlink()
        npy(root / f"depth/{name}.npy", (2**18, 2**18))
    return "depth/folder", {}, r"\.npy: not a readable array.*Fix"


def array_with_holes(root):
    trees.write_folder(root, "abcdef", masks="depth")
    (root / "depth/a.png").unlink()
    npy(root / "depth/a.npy", (2**13, 2**13))
    os.truncate(root / "depth/a.npy", 2**28 + 4096)
    return "depth/folder", {}, r"a\.npy: .*is 8192 x 8192.*Fix"


def pages_of_a_tiff(root):
    trees.write_folder(root, "abcdef")
    page = Image.new("L", (4000, 4000))
    for name in "abcdef":
        (root / f"images/{name}.jpg").unlink()
        path = root / f"images/{name}.tif"
        more = {"save_all": True, "append_images": [page] * 40}
        page.save(path, "TIFF", compression="tiff_lzw", **more)
        Image.new("L", page.size).save(root / f"masks/{name}.png")
    options = {"classes": ["a", "b"], "channels": 3}
    return "folder/segmentation", options, r"41 pages.*Fix"


def bomb(root):
    trees.write_folder(root, "abcdef")
    header = (root / "masks/a.png").read_bytes()
    sides = (60_000).to_bytes(4, "big") * 2 + header[24:29]
    chunk = header[12:16] + sides
    check = zlib.crc32(chunk).to_bytes(4, "big")
    for kind, end in (("masks", "png"), ("images", "jpg")):
        path = root / kind / f"a.{end}"
        path.write_bytes(header[:12] + chunk + check + header[33:])
    options = {"classes": ["a", "b", "c"]}
    return "folder/segmentation", options, r"a\.\w+: not a readable image.*Fix"


CASES = [
    label_of_a_table,
    id_of_a_mask,
    raw_id_of_an_option,
    mask_of_another_size,
    image_of_another_size,
    image_of_a_json_file,
    mask_of_a_table,
    array_without_values,
    array_with_holes,
    pages_of_a_tiff,
    bomb,
]


@pytest.mark.slow  # importing, and writing large files
def test_what_files_ask_for_is_not_taken_on_trust(tmp_path, tally):
    cases, texts = [], []
    for write in CASES:
        name, options, text = write(tmp_path / write.__name__)
        cases.append((name, tmp_path / write.__name__, options))
        texts.append(text)
    row = tally("resources: sizes, ids, headers")
    for write, text, found in zip(CASES, texts, read_apart(cases)):
        with_limit = found["megabytes"] <= MUCH
        matches = re.search(text, found["text"])
        failure = None if matches and with_limit else f"{write.__name__}: {found}"
        row.add(failure)
    row.check(len(CASES))


def damaged(data, seed):
    """A few bytes of the file are others, and its packed parts, if any, are none."""
    rng, changed = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(128, len(changed))] = rng.randrange(256)
    return bytes(changed)


def try_damaged(folder, row, count):
    content = {"a": np.arange(60.0).reshape(6, 10), "s": {"x": [1, "two"], "y": {}}}
    content["c"] = np.array([1, "three", np.eye(3)], object)
    scipy.io.savemat(folder / "whole.mat", content)
    data, codes = (folder / "whole.mat").read_bytes(), []
    for seed in range(count):
        path = folder / "damaged.mat"
        path.write_bytes(damaged(data, seed))
        try:
            mat_files.read(path)
            row.add()
        except errors.UserError as error:
            said = str(error)
            row.add(None if str(path) in said and "Fix" in said else said)
            codes += ["ended with code"] if "ended with code" in said else []
    return codes


@pytest.mark.slow
def test_damaged_matlab_files_end_no_process_of_ours(tmp_path, tally):
    row = tally("resources: damaged .mat files")
    try_damaged(tmp_path, row, 200)
    row.check(200)


@pytest.mark.release
def test_many_damaged_matlab_files_end_no_process_of_ours(tmp_path, tally, monkeypatch):
    monkeypatch.setattr(isolated, "SECONDS", 10.0)  # two of these files are a hang
    row = tally("resources: damaged .mat files")
    ended = try_damaged(tmp_path, row, 1000)
    row.check(1000)
    assert ended  # or nothing here needs a process of its own


def test_a_reader_that_crashes_is_started_again():
    for _ in range(2):
        with pytest.raises(isolated.Failed, match="ended with code -11"):
            isolated.call("ctypes:string_at", 1)
        assert isolated.call("math:sqrt", 4.0) == 2.0
    with pytest.raises(isolated.Failed, match="ValueError: math domain error"):
        isolated.call("math:sqrt", -4.0)
    with pytest.raises(isolated.Failed, match="MemoryError"):
        isolated.call("builtins:bytes", 1 << 36)


def test_a_reader_that_hangs_is_ended(monkeypatch):
    isolated.call("math:sqrt", 4.0)  # starting it takes longer
    monkeypatch.setattr(isolated, "SECONDS", 0.5)
    with pytest.raises(isolated.Failed, match="ended with code -9"):
        isolated.call("time:sleep", 100)
