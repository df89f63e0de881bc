r"""Predictions of an artifact for images without labels, as files.

python -m jaxseg.predict --artifact=DIR --input=IMAGES --output=predictions
python -m jaxseg.predict --artifact=DIR --input a.jpg 'scans/*.tif' --output=predictions
python -m jaxseg.predict --artifact=DIR --input=IMAGES --output=predictions \
    --scales=0.5,1,2 --flip
python -m jaxseg.predict --artifact=DIR --input=IMAGES --output=predictions \
    --mode=sliding --overlap=0.5

Segmentation gives a PNG of class ids for each image, depth one of millimetres (uint16),
detection and keypoints one coco.json, classification one predictions.csv; all of them
predictions.json, with classes and colours, and the predictions drawn on the images.
The same call goes on after an interruption. An image that cannot be read is named, the
others go on; the exit code is then 1.
"""

import argparse
import glob
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple

from jaxseg.core import command, errors

# A side of an image that is as many times longer than those of training is cut into
# windows: in a letterbox its things would be smaller than any that were learned.
LARGE = 4
PIXELS = 1 << 21  # of all images of a batch together, on the device
MOST = 16  # images in a batch
EVERY = 30.0  # seconds between lines where no terminal shows a bar
THREADS = 2  # that read images while others are predicted


class Input(NamedTuple):
    """An image that was asked for."""

    path: Path
    file: str  # as the user gave it, or below the folder that was given
    name: str  # of its files


@command.entry
def main(argv: Sequence[str]) -> int:
    """Exit code: 0; 1 where an image could not be read; 2 on a mistake."""
    arguments = _parser().parse_args(argv)
    chosen = inputs(arguments.input)
    job = _Job(arguments)
    waiting = [one for one in chosen if not job.has(one)]
    print(job.described(len(chosen), len(chosen) - len(waiting)))
    bad = _run(job, waiting)
    for path in job.files.finish([one.file for one in chosen]):
        print(f"wrote {path}")
    for message in bad:
        print(f"jaxseg: {message}", file=sys.stderr)
    if bad:
        print(f"{len(bad)} of {len(chosen)} images have no prediction", file=sys.stderr)
    return 1 if bad else 0


def inputs(given: Sequence[str]) -> list[Input]:
    """The images of files, folders (with those below) and patterns, in order, each
    once; UserError where there are none, or two would be written to one file.
    """
    found: dict[Path, str] = {}
    for one in given:
        below = _found(one)
        if not below:
            raise errors.UserError(
                f"--input={one}: no images there. Fix: a file, a folder or a pattern "
                f"such as '{one.rstrip('/')}/*.jpg'"
            )
        for path, file in below:
            found.setdefault(path, file)
    short = {path: str(Path(file).with_suffix("")) for path, file in found.items()}
    counts: dict[str, int] = {}
    for name in short.values():
        counts[name] = counts.get(name, 0) + 1
    named = {
        path: short[path] if counts[short[path]] == 1 else file
        for path, file in found.items()
    }
    owners: dict[str, Path] = {}
    for path, name in named.items():
        if owners.setdefault(name, path) != path:
            raise errors.UserError(
                f"--input: {owners[name]} and {path} would both be written as {name}. "
                "Fix: give the folder above both, or call twice"
            )
    return [Input(path, file, named[path]) for path, file in found.items()]


def _found(given: str) -> list[tuple[Path, str]]:
    """(path, what it is called) of the images that an argument means."""
    from jaxseg.core import image_files

    path = Path(given).expanduser()
    if path.is_dir():
        every = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES())
        return [(p, p.relative_to(path).as_posix()) for p in every if p.is_file()]
    if path.is_file():
        return [(path, path.name)]
    every = sorted(map(Path, glob.glob(str(path), recursive=True)))
    known = image_files.SUFFIXES
    return [(p, p.name) for p in every if p.is_file() and p.suffix.lower() in known]
