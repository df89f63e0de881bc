"""Damages trees of readers, in a process of its own with little memory.

python -m tests.robustness.fuzz_child FOLDER COUNT READER:FIRST...

A line of JSON for each input, before it is tried and after: where a line is missing,
the process died of it.
"""

import contextlib
import faulthandler
import json
import os
import resource
import shutil
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

from jaxseg.core import errors
from jaxseg.data.dataset import IGNORE
from tests.robustness import mutations, readers

MEMORY = 4 << 30  # bytes of address space, for every library
SECONDS = 20  # then it hangs
EXAMPLES = 3  # that are read of a source
FLOATS = {"boxes": (0, 1), "area": (0, np.inf), "depth": (0, np.inf)}
KINDS = {"segmentation": np.int32, "box_labels": np.int32, "label": np.int32}
KINDS |= {"labels": np.int32, "crowd": np.bool_, "difficult": np.bool_}
KINDS |= dict.fromkeys((*FLOATS, "keypoints"), np.float32)
RANKS = {"image": 3, "segmentation": 2, "depth": 2, "boxes": 2, "keypoints": 3}
RANKS |= dict.fromkeys(("box_labels", "crowd", "difficult", "area", "labels"), 1)


def attempt(name, root, options):
    """Opens a source and reads some of it; the text of our error, or None."""
    try:
        source = readers.opened(name, root, options)
        for index in range(min(len(source), EXAMPLES)):
            lawful(source[index], source.dataset)
        source.digest()
        list(source.listing())
    except errors.UserError as error:
        return str(error)
    return None


def lawful(example, facts):
    """AssertionError where an example does not obey the vocabulary of fields."""
    height, width = example["image"].shape[:2]
    assert example["image"].dtype in (np.uint8, np.uint16), "image"
    assert type(example["id"]) is str and example["id"], "id"
    assert set(facts.fields) <= set(example), "fields"
    classes = facts.num_classes
    for name, value in example.items():
        if name == "id":
            continue
        assert value.ndim == RANKS.get(name, 0), name
        assert name == "image" or value.dtype == KINDS[name], f"{name} {value.dtype}"
        if name in FLOATS:
            low, high = FLOATS[name]
            fits = np.isfinite(value) & (value >= low) & (value <= high)
            assert fits.all(), f"{name} {value[~fits][:4]}"
        if name in ("segmentation", "depth"):
            assert value.shape == (height, width), name
        if name in ("segmentation", "box_labels", "label"):
            known = (value >= 0) & (value < classes) | (value == IGNORE)
            assert known.all(), f"{name} {value[~known][:4]} of {classes}"
    if "labels" in example:
        assert example["labels"].shape == (classes,), "labels"
        assert np.isin(example["labels"], (-1, 0, 1)).all(), "labels"
    objects = [n for n in ("boxes", "box_labels", "crowd", "keypoints") if n in example]
    assert len({len(example[n]) for n in objects}) <= 1, "objects"
    if "boxes" in example:
        assert example["boxes"].shape[1] == 4, "boxes"
        sides = example["boxes"][:, 2:] - example["boxes"][:, :2]
        assert (sides > 0).all(), f"sides {sides}"
    if "keypoints" in example:
        points = example["keypoints"]
        assert points.shape[1:] == (len(facts.keypoints), 3), "keypoints"
        places, seen = points[..., :2], points[..., 2]
        assert (np.isfinite(places) & (places >= 0) & (places <= 1)).all(), "points"
        assert np.isin(seen, (0, 1, 2)).all(), "visibility"


def judge(name, tree, root, options, rng):
    """What was done to a copy of a tree, and what is wrong with the outcome, if any."""
    shutil.copytree(tree, root, symlinks=True)
    before = _names(root)
    done, _ = mutations.mutate(root, rng)
    known = before | _names(root)
    try:
        text = attempt(name, root, options)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        own = [
            f
            for f in traceback.extract_tb(error.__traceback__)
            if "jaxseg/" in f.filename
        ]
        place = (own or [last])[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return done, f"{type(error).__name__}: {str(error)[:120]!r} at {where}"
    if text is None:
        return done, None
    places = (f"{name} train, record ", f"{name} validation, record ")
    if not any(each in text for each in (*known, str(root), *places)):
        return done, f"names no file: {text[:200]!r}"
    return done, None


def _names(root):
    """What a message may name: the files and folders of a tree, and what they hold."""
    return {each.name for each in root.rglob("*")} | {
        each.stem for each in root.rglob("*")
    }


def main(folder, count, *chosen):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    folder = Path(folder)
    for reader, _, first in (each.partition(":") for each in chosen):
        cases = []
        for place, (write, names, options) in enumerate(readers.TREES):
            mine = [name for name in names if name.split("/")[0] == reader]
            tree = folder / f"tree-{place}"
            if mine and not tree.exists():
                tree.mkdir(parents=True)
                write(tree)
            cases += [(name, tree, options) for name in mine]
        for number in range(int(first), int(count)):
            rng = np.random.default_rng([number, sum(reader.encode())])
            name, tree, options = cases[rng.integers(len(cases))]
            root = folder / f"{reader}-{number}"
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            _say(reader=reader, number=number)
            done, wrong = judge(name, tree, root, options, rng)
            faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(os.fsencode(root), ignore_errors=True)
            _say(reader=reader, number=number, name=name, done=done, wrong=wrong)


def _say(**line):
    print(json.dumps(line), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # libraries print what they like
        main(*sys.argv[1:])
