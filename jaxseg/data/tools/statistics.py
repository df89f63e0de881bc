"""Counts over the examples of a data set: sizes, classes, objects, points, depth."""

import dataclasses
import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import Any, TypeVar

import numpy as np
import rich.console
import rich.progress

from jaxseg.core import errors, text
from jaxseg.core.types import Example
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.source import Source

T = TypeVar("T")
THREADS = min(os.cpu_count() or 1, 8)  # Pillow and NumPy decode and count in parallel
CHUNK = 1024  # records in flight: memory does not grow with the data set


@dataclasses.dataclass
class Summary:
    """Counts summed over examples."""

    pixels: np.ndarray  # int64 [classes], of segmentation
    images: np.ndarray  # int64 [classes], with the class in mask, boxes or label
    objects: np.ndarray  # int64 [classes], boxes
    points: np.ndarray  # int64 [keypoints], known ones
    examples: int = 0
    ignored: int = 0  # pixels of segmentation without a class
    sizes: Counter = dataclasses.field(default_factory=Counter)  # height, width
    channels: Counter = dataclasses.field(default_factory=Counter)
    depth_pixels: int = 0
    depth_known: int = 0
    nearest: float = np.inf  # metres
    farthest: float = 0.0

    @classmethod
    def of(cls, facts: Dataset) -> "Summary":
        """The counts of no example."""
        classes = [np.zeros(facts.num_classes, np.int64) for _ in range(3)]
        return cls(*classes, np.zeros(len(facts.keypoints), np.int64))

    def add(self, other: "Summary") -> None:
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name in ("nearest", "farthest"):
                total = (min if field.name == "nearest" else max)(mine, theirs)
            else:
                total = mine + theirs
            setattr(self, field.name, total)


def summarize(example: Example, facts: Dataset) -> Summary:
    """The counts of one example that was checked."""
    summary = Summary.of(facts)
    height, width, channels = example["image"].shape
    summary.examples = 1
    summary.sizes[height, width] = summary.channels[channels] = 1
    if "segmentation" in example:
        known = example["segmentation"][example["segmentation"] != IGNORE]
        summary.ignored = example["segmentation"].size - known.size
        summary.pixels += np.bincount(known, minlength=facts.num_classes)
        summary.images |= summary.pixels > 0
    if "box_labels" in example:
        known = example["box_labels"][example["box_labels"] != IGNORE]
        summary.objects += np.bincount(known, minlength=facts.num_classes)
        summary.images |= summary.objects > 0
    if "label" in example and example["label"] != IGNORE:
        summary.images[int(example["label"])] = 1
    points = example.get("keypoints")
    if points is not None and points.shape[1] == len(summary.points):
        summary.points += (points[..., 2] > 0).sum(axis=0)
    if "depth" in example:
        _add_depth(summary, example["depth"])
    return summary


def scan(
    source: Source,
    look: Callable[[Example], T],
    *,
    indices: Iterable[int] | None = None,
    progress: bool = False,
) -> Iterator[tuple[int, T | errors.UserError]]:
    """(index, `look(example)` or the error of reading it), in order."""

    def attempt(index: int) -> tuple[int, T | errors.UserError]:
        try:
            return index, look(source[index])
        except errors.UserError as error:
            return index, error

    chosen = range(len(source)) if indices is None else list(indices)
    remaining = rich.progress.track(
        chosen,
        description=text.visible(f"{source.name} {source.split}", keep=""),
        console=rich.console.Console(file=text.raw(sys.stderr)),
        disable=not (progress and sys.stderr.isatty()),
        transient=True,
    )
    with futures.ThreadPoolExecutor(THREADS) as pool:
        while chunk := list(itertools.islice(remaining, CHUNK)):
            yield from pool.map(attempt, chunk)


def measure(source: Source, *, progress: bool = False) -> dict[str, Any]:
    """All that `stats` prints, as plain data; UserError for an unreadable record."""
    facts = source.dataset
    total = Summary.of(facts)
    for _, result in scan(source, lambda e: summarize(e, facts), progress=progress):
        if isinstance(result, errors.UserError):
            raise result
        total.add(result)
    sizes = np.array(list(total.sizes.elements()))
    report: dict[str, Any] = {
        "name": source.name,
        "split": source.split,
        "examples": total.examples,
        "channels": {str(count): n for count, n in sorted(total.channels.items())},
        "size": {
            "smallest": sizes.min(axis=0).tolist(),
            "median": np.median(sizes, axis=0).astype(int).tolist(),
            "largest": sizes.max(axis=0).tolist(),
        },
    }
    report |= {k: list(v) for k, v in source_lib.measure(source, len(source)).items()}
    if facts.num_classes:
        report["classes"] = _classes(total, facts)
    if "segmentation" in facts.fields:
        report["ignored"] = total.ignored / max(1, total.ignored + total.pixels.sum())
    if facts.keypoints:
        report["keypoints"] = dict(zip(facts.keypoints, total.points.tolist()))
    if "depth" in facts.fields:
        report["depth"] = {
            "known": total.depth_known / max(1, total.depth_pixels),
            "nearest": float(total.nearest) if total.depth_known else None,
            "farthest": float(total.farthest) if total.depth_known else None,
        }
    return report


def _classes(total: Summary, facts: Dataset) -> list[dict[str, Any]]:
    """One row for each class, with the counts that this data set has."""
    share = total.pixels / max(1, total.pixels.sum())
    rows = []
    for place, name in enumerate(facts.classes):
        row = {"name": name, "images": int(total.images[place])}
        if "segmentation" in facts.fields:
            row |= {"pixels": int(total.pixels[place]), "share": float(share[place])}
        if "box_labels" in facts.fields:
            row["objects"] = int(total.objects[place])
        rows.append(row)
    return rows


def _add_depth(summary: Summary, depth: np.ndarray) -> None:
    known = depth[np.isfinite(depth) & (depth > 0)]
    summary.depth_pixels, summary.depth_known = depth.size, known.size
    if known.size:
        summary.nearest, summary.farthest = float(known.min()), float(known.max())
