r"""Predictions of an artifact for images without labels, as files.

python -m jaxseg.predict --artifact=DIR --input=IMAGES --output=predictions
python -m jaxseg.predict --artifact=DIR --input a.jpg 'scans/*.tif' --output=predictions
python -m jaxseg.predict --artifact=DIR --input=IMAGES --output=predictions \
    --scales=0.5,1,2 --flip
python -m jaxseg.predict --artifact=DIR --input=IMAGES --output=predictions \
    --mode=sliding --overlap=0.5

Segmentation gives a PNG of class ids for each image, depth one of millimetres,
detection and keypoints one coco.json, classification one predictions.csv; all of them
predictions.json, with classes and colours. Maps and objects are drawn on the images.
The same call goes on after an interruption. An image that cannot be read is named, the
others go on; the exit code is then 1.
"""

import argparse
import glob
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import command, errors
from jaxseg.evals import arguments as seeing
from jaxseg.evals import protocol

# An image with a side so many times longer than the working size is worth a word: its
# things may be smaller than any that were learned.
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
    if path.is_file():
        return [(path, path.name)]
    matching = glob.glob(str(path), recursive=True)
    every = path.rglob("*") if path.is_dir() else map(Path, matching)
    images = sorted(
        one
        for one in every
        if one.suffix.lower() in image_files.SUFFIXES and one.is_file()
    )
    below = path.is_dir()
    return [(p, p.relative_to(path).as_posix() if below else p.name) for p in images]


class _Job:
    """The model, how it sees images, and the folder that predictions go to."""

    def __init__(self, arguments: argparse.Namespace):
        from jaxseg.evals import files
        from jaxseg.transfer import artifact

        self.arguments = arguments
        self.model = artifact.load(
            Path(arguments.artifact).expanduser(), arguments.head
        )
        self.model.check_predicts()
        self.model.predictor()  # refuses a task that only trains
        self.task = self.model.objective
        self.size = command.size(arguments.size) or self._trained_size
        self.how = seeing.protocol_of(arguments)
        protocol.check(self.how, self.task, "--mode, --scales, --flip")
        self.files = files.Files(arguments.output, self._settings())

    def has(self, one: Input) -> bool:
        """Whether an image is done."""
        return self.files.has(one.file, one.name, seen(one.path))

    def described(self, images: int, done: int) -> str:
        """What will be done, for people."""
        height, width = self.size
        whose = "as in training" if self.size == self._trained_size else "--size"
        name = self.model.manifest["name"]
        return (
            f"{images} images, {done} of them done before; {self.task.name} by {name}, "
            f"working size {height}x{width} ({whose})"
        )

    def is_large(self, image: Any) -> bool:
        """Whether it is much larger than the letterbox that it is scaled into."""
        if self.how.mode == "sliding" or not self.task.dense:
            return False
        return any(n > LARGE * m for n, m in zip(image.shape[:2], self.size))

    def predicted(self, images: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """(prediction, columns of the table) of each image."""
        batch = max(1, min(MOST, PIXELS // math.prod(self.size), len(images)))
        predict = self.model.predictor(
            batch_size=self.arguments.batch or batch, size=self.size, how=self.how
        )
        variables = self.model.on_device
        if not self.columns:
            return zip(predict(variables, images), [{}] * len(images))
        every = predict.scores(variables, images)
        said = [np.asarray(self.task.decode(scores[None]))[0] for scores in every]
        return zip(said, map(self._values, said, every))

    @property
    def drawn(self) -> bool:
        """Whether predictions are drawn; a class of a whole image is not."""
        return not self.arguments.no_overlays and self.task.written_as != "table"

    @property
    def columns(self) -> list[str]:
        """Of the table, besides the image: those of a classifier."""
        if self.task.written_as != "table":
            return []
        return ["class", *(f"p({name})" for name in self.model.classes)]

    def _values(self, prediction: Any, scores: Any) -> dict[str, Any]:
        names, shares = self.model.classes, self.task.probabilities(scores).tolist()
        fields = self.task.as_fields(prediction, (1, 1))
        if "label" in fields:
            said = names[int(fields["label"])]
        else:
            said = "+".join(n for n, on in zip(names, fields["labels"]) if on)
        return {"class": said} | {f"p({n})": p for n, p in zip(names, shares)}

    @property
    def _trained_size(self) -> tuple[int, int]:
        return tuple(self.model.preprocessing["size"])

    def _settings(self) -> dict[str, Any]:
        manifest = self.model.manifest
        return {
            "artifact": manifest["key"],
            "weights": manifest["weights"],
            "name": manifest["name"],
            "head": self.model.head,
            "task": self.task.name,
            "classes": list(self.model.classes),
            "palette": manifest["palette"],
            "protocol": self.how.text(self.size),
            "unit": self.task.unit,
            "objects": self.task.written_as == "objects",
            "columns": self.columns,
            "overlays": self.drawn,
        }


def seen(path: Path) -> str:
    """What tells a file from another one of its name: size and time of change."""
    facts = path.stat()
    return f"{facts.st_size}@{facts.st_mtime_ns}"


def _run(job: _Job, waiting: Sequence[Input]) -> list[str]:
    """Predicts and writes; returns the messages on images that cannot be read."""
    bad, large, progress = [], 0, _Progress(len(waiting))
    with futures.ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(waiting), MOST):
            group = waiting[begin : begin + MOST]
            both: list[tuple[Input, Any]] = []
            read = pool.map(lambda one: _read(job.model, one), group)
            for one, image in zip(group, read):
                if isinstance(image, errors.UserError):
                    bad.append(str(image))
                else:
                    both.append((one, image))
            if both:
                _write(job, both)
            large += sum(job.is_large(image) for _, image in both)
            progress.add(len(group))
    if large:
        print(
            f"{large} images have a side over {LARGE} times that of the working size "
            "and were scaled into it, as in evaluation. --mode=sliding cuts images "
            "into windows instead; --size=HxW scales them less",
            file=sys.stderr,
        )
    return bad


def _write(job: _Job, some: Sequence[tuple[Input, Any]]) -> None:
    """Predicts images and writes their files."""
    from jaxseg.evals import files

    found = job.predicted([image for _, image in some])
    for (one, image), (prediction, values) in zip(some, found):
        job.files.add(
            files.One(
                file=one.file,
                name=one.name,
                size=image.shape[:2],
                seen=seen(one.path),
                written=job.task.written(prediction),
                overlay=job.model.overlay(image, prediction) if job.drawn else None,
                values=values,
            )
        )


def _read(model: Any, one: Input) -> Any:
    """The image, or the UserError of reading it."""
    try:
        return model.given(one.path)
    except errors.UserError as error:
        return error


class _Progress:
    """A line at least every EVERY seconds with the rate and the time left."""

    def __init__(self, total: int):
        self.total, self.done = total, 0
        self.start = self.last = time.monotonic()

    def add(self, count: int) -> None:
        """Counts images; says so where it is time, or on a terminal."""
        self.done += count
        now = time.monotonic()
        rate = self.done / max(now - self.start, 1e-9)
        left = (self.total - self.done) / rate
        text = f"{self.done} of {self.total} images, {rate:.1f}/s, {left:.0f} s left"
        if sys.stderr.isatty():
            end = "\n" if self.done == self.total else ""
            print(f"\r{text}   ", end=end, file=sys.stderr, flush=True)
        elif now - self.last > EVERY:
            self.last = now
            print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jaxseg.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    seeing.add(parser)
    add = parser.add_argument
    add(
        "--input",
        required=True,
        nargs="+",
        metavar="PATH",
        help="images, folders or quoted patterns such as 'scans/*.tif'",
    )
    add("--output", required=True, type=_folder, metavar="DIR", help="a new folder")
    add("--no_overlays", action="store_true", help="draw no pictures")
    return parser


def _folder(given: str) -> Path:
    """For argparse: a folder that can be made."""
    path = Path(given).expanduser()
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{given!r} is a file. Fix: name a folder")
    return path


if __name__ == "__main__":
    sys.exit(main())
