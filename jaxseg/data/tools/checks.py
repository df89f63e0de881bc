"""Problems of a data set: reads each record, counts annotations, compares images."""

import hashlib
import json
import logging
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors
from jaxseg.core.types import Example
from jaxseg.data import catalogue, refusals
from jaxseg.data.dataset import Dataset
from jaxseg.data.source import Source
from jaxseg.data.tools import problems as problems_lib
from jaxseg.data.tools import statistics
from jaxseg.data.tools.problems import Problem
from jaxseg.data.tools.statistics import Summary

QUICK = 48  # records that a quick check reads
CONFIRM = 500  # records read before it refuses: 48 may miss rare classes
NAMED = 8  # names in one message
FEW = 8  # with fewer examples, missing classes are no sign of a mistake
_log = logging.getLogger(__name__)
_seen: set[tuple] = set()
_warned: set[str] = set()


class Findings(NamedTuple):
    """The result of a check of one split."""

    split: str
    records: int
    problems: list[Problem]
    digests: Mapping[
        bytes, str
    ] = {}  # {digest of an image's pixels: id of its example}
    classes: Mapping[int, int] = {}  # {class: number of examples that show it}
    first: Mapping[int, str] = {}  # {class: id of the first example that shows it}

    @property
    def fatal(self) -> int:
        return sum(problem.fatal for problem in self.problems)


class _Look(NamedTuple):
    """The result of one example."""

    id: str
    summary: Summary
    problems: list[Problem]
    digest: bytes


def check(
    source: Source,
    *,
    facts: Dataset | None = None,
    official: int | None = None,
    score: Callable[[Source], Mapping[str, float]] | None = None,
    progress: bool = False,
) -> Findings:
    """Reads every record.

    facts: None: those of the source, whose mean needs readable images. official: the
    number of records that the split must have. score: metrics of the truth used as
    prediction, by name; each must be 1.
    """
    facts = facts or source.dataset
    problems = check_facts(facts)
    if official is not None and len(source) != official:
        text = f"{source.split}: found {len(source)} records, the official set has"
        fix = "get the data again, or the missing part"
        problems.append(Problem("count", f"{text} {official}", fix))
    every = range(len(source))
    summary, digests, first = _read(source, facts, every, problems, progress)
    problems += judge(summary, facts, source.split)
    if score is not None and summary.examples == len(source):
        problems += _check_scores(score(source), source.split)
    classes = {place: int(summary.images[place]) for place in first}
    return Findings(source.split, len(source), problems, digests, classes, first)


def once(source: Source) -> None:
    """Runs `quick`, but not on embedded data, and once per process and data."""
    key = (source.name, source.split, source.fingerprint, source.root)
    key += (source.indices.tobytes(),)
    if source.dataset.on_disk and key not in _seen:
        quick(source)
        _seen.add(key)


def quick(source: Source) -> None:
    """Checks data before training: UserError if labels cannot be right; logs the rest.

    Reads QUICK records spread over the split, and CONFIRM if these have problems.
    """
    facts, problems = source.dataset, []
    for count in (QUICK, CONFIRM):
        chosen = np.linspace(0, len(source) - 1, min(count, len(source))).astype(int)
        problems = check_facts(facts)
        summary, *_ = _read(source, facts, chosen.tolist(), problems, progress=False)
        problems += judge(summary, facts, source.split)
        if not any(problem.fatal for problem in problems):
            break
    kept = [p for p in problems if p.kind != "duplicate"]  # allowed in training
    fatal = [str(problem) for problem in kept if problem.fatal]
    if fatal:
        raise errors.UserError(
            f"{source.name} {source.split}: the labels cannot be right:\n"
            + "\n".join(fatal[:NAMED])
            + (f"\nand {len(fatal) - NAMED} more" if len(fatal) > NAMED else "")
            + f"\n`python -m jaxseg.data check {_as_given(source)}` reads every record."
        )
    for problem in kept:
        text = f"{source.name} in {source.root}: {problem}"
        if text not in _warned:  # parts of one split have the same problems
            _log.warning("%s", text)
            _warned.add(text)


def _as_given(source: Source) -> str:
    """The command line arguments that name these data."""
    if source.root is None:
        return source.name
    text = f"{source.name} --root={shlex.quote(str(source.root))}"
    if source.options != catalogue.bind_options(source.name, None):
        text += f" --options={shlex.quote(json.dumps(source.options))}"
    return text


def refused(error: errors.UserError, split: str = "") -> list[Problem]:
    """A problem for each line of the error, or for each unpaired file."""
    if isinstance(error, refusals.Unpaired):
        where = f"{split}: " if split else ""
        files = error.files.items()
        return [Problem("unpaired", f"{where}{f}: {w}", error.fix) for f, w in files]
    return [_refusal(line) for line in str(error).splitlines()]


def _refusal(text: str) -> Problem:
    text, _, fix = text.partition(" Fix: ")
    return Problem("refused", text.rstrip("."), fix)


def left_out(root: Path | None) -> list[Problem]:
    """The notes of readers on files below root that they left out."""
    mine = [
        text for text in refusals.notes if text.startswith((f"{root}:", f"{root}/"))
    ]
    return [Problem("left_out", text, "", fatal=False) for text in mine]


def overlap(one: Findings, other: Findings, where: str) -> list[Problem]:
    """A problem for each image that both contain with equal pixels."""
    shared = [digest for digest in one.digests if digest in other.digests]
    return [
        Problem(
            "leak",
            f"{where}: {one.digests[digest]} and {other.digests[digest]} are the same "
            "image",
            "remove one of them, or list the splits anew: a score on it is meaningless",
        )
        for digest in shared
    ]


def check_facts(facts: Dataset) -> list[Problem]:
    """Contradictions about keypoints within the fact sheet."""
    count, problems = len(facts.keypoints), []
    outside = [pair for pair in facts.flip_pairs if max(pair) >= count]
    if outside:
        text = f"flip pair {outside[0]} with {count} keypoints"
        problems.append(Problem("keypoints", text, "correct flip_pairs"))
    for task, options in facts.protocol.items():
        sigmas = options.get("sigmas")
        if sigmas is not None and len(sigmas) != count:
            text = f"{task}: {len(sigmas)} sigmas for {count} keypoints"
            problems.append(Problem("sigmas", text, "give one for each keypoint"))
    return problems


def judge(summary: Summary, facts: Dataset, split: str) -> list[Problem]:
    """Problems that only the counts over many examples show."""
    if not summary.examples:
        return []
    problems = list(_judge_classes(summary, facts, split))
    if len(summary.channels) > 1:
        text = f"{split}: images have {sorted(summary.channels)} channels"
        problems.append(Problem("channels", text, "store all alike"))
    if "boxes" in facts.fields and not summary.objects.sum():
        text = f"{split}: {summary.examples} examples without a single object"
        problems.append(Problem("empty", text, "point to the right label files"))
    if facts.keypoints and summary.objects.sum() and not summary.points.any():
        text = f"{split}: no keypoint is known in {summary.examples} examples"
        problems.append(Problem("empty", text, "look at the visibility column"))
    if facts.keypoints and summary.points.any():
        unseen = [facts.keypoints[i] for i in np.flatnonzero(summary.points == 0)]
        if unseen:
            text = f"{split}: keypoints never known: {_names(unseen)}"
            problems.append(Problem("keypoints", text, "leave them out", fatal=False))
    if summary.depth_pixels and not summary.depth_known:
        text = f"{split}: depth is unknown (0) at every pixel"
        problems.append(Problem("depth", text, "correct scale and invalid"))
    return problems


def _telling(summary: Summary, facts: Dataset) -> bool:
    """Whether it is no chance that all labels are one class: those of whole images may
    be, where there are few, while a mask has many pixels.
    """
    if "label" in facts.fields:
        return summary.examples >= FEW
    return "segmentation" in facts.fields


def _judge_classes(summary: Summary, facts: Dataset, split: str) -> Iterator[Problem]:
    """Problems of the histogram of ids against the class table."""
    seen, count = summary.images > 0, facts.num_classes
    masks = "segmentation" in facts.fields
    alone = facts.classes[int(np.argmax(seen))] if seen.any() else None
    if masks and not summary.pixels.any():
        text = f"{split}: every pixel of every mask is {facts.file_ignore} (ignore)"
        yield Problem("ignored", text, "map the ids of the files with ids={raw: class}")
    elif masks and count > 1 and seen.sum() == 1 and seen[0] and summary.ignored:
        void = facts.file_ignore
        text = f"{split}: masks hold only 0 and {void}, which is ignored"
        yield Problem("zero_and_255", text, f"binary=True, or ids={{{void}: 1}}")
    elif count > 1 and seen.sum() == 1 and _telling(summary, facts):
        text = (
            f"{split}: all {summary.examples} examples are {alone!r} and nothing else"
        )
        yield Problem("one_value", text, "point to the right labels, or map their ids")
    elif masks and count > 2 and not seen[0] and seen[1:].all():
        table = ", ".join(f"{i}: {i - 1}" for i in range(1, min(count, 4)))
        text = f"{split}: class 0 ({facts.classes[0]}) is never seen, all others are"
        fix = f"if ids start at 1: ids={{{table}, ...}}"
        yield Problem("off_by_one", text, fix, fatal=False)
    elif seen.any() and not seen.all():
        unseen = [facts.classes[i] for i in np.flatnonzero(~seen)]
        text = f"{split}: {len(unseen)} of {count} classes never seen: {_names(unseen)}"
        yield Problem("unseen", text, "correct the class table or ids, if wrong", False)


def _read(
    source: Source,
    facts: Dataset,
    indices: Sequence[int],
    problems: list[Problem],
    progress: bool,
) -> tuple[Summary, dict[bytes, str], dict[int, str]]:
    """Sums over the records, {digest of an image: first id} and {class: first id}.

    Appends the problems of the records to `problems`.
    """

    def look(example: Example) -> _Look:
        summary = statistics.summarize(example, facts)
        mine = problems_lib.examine(example, facts)
        return _Look(str(example["id"]), summary, mine, _digest(example["image"]))

    total, digests, classes = Summary.of(facts), {}, {}
    results = statistics.scan(source, look, indices=indices, progress=progress)
    for _, each in results:
        if isinstance(each, errors.UserError):
            problems.append(_refusal(str(each)))
            continue
        total.add(each.summary)
        for place in np.flatnonzero(each.summary.images).tolist():
            classes.setdefault(place, each.id)
        problems += each.problems
        first = digests.setdefault(each.digest, each.id)
        if first != each.id:
            text = f"{source.split}: {each.id} is the same image as {first}"
            fix = "remove one of them, if their labels say the same"
            problems.append(Problem("duplicate", text, fix, fatal=False))
    return total, digests, classes


def _check_scores(scores: Mapping[str, float], split: str) -> list[Problem]:
    return [
        Problem(
            "score",
            f"{split}: the truth used as prediction scores {name} {value}, not 1",
            "report it: reader and metric disagree on what the labels mean",
        )
        for name, value in scores.items()
        if not np.isclose(value, 1.0)
    ]


def _digest(image: np.ndarray) -> bytes:
    total = hashlib.blake2b(repr((image.shape, image.dtype.str)).encode())
    total.update(np.ascontiguousarray(image))
    return total.digest()[:16]


def _names(names: Sequence[Any]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(str, names[:NAMED])) + more
