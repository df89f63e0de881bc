"""All problems of a data set for `check`: of each split, and of all together."""

import collections
import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from jaxseg.core import errors, lookup
from jaxseg.data import catalogue, refusals
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import Dataset
from jaxseg.data.source import Source
from jaxseg.data.tools import checks
from jaxseg.data.tools.checks import Findings
from jaxseg.data.tools.problems import Problem

UNION = "trainval"  # VOC's name for a split that holds others
ALIKE = 0.8  # how similar two names are if one may be misspelt
RARER = 10  # how many times rarer a misspelt class is
FILES = ("refused", "unpaired")  # kinds of problems whose text begins with the file
Score = Callable[[Source, Dataset], Mapping[str, float]]


class NoSplit(errors.UserError):
    """The data do not have the split that was asked for."""


def audit(
    name: str,
    root: str | None,
    options: Mapping[str, Any],
    split: str | None,
    score: Score,
    known: Sequence[errors.UserError] = (),
) -> list[Findings]:
    """Findings of the whole data set, whose split is "", then of each split.

    split: only this one. score: metrics of the truth used as prediction. known: errors
    from guessing the format. UserError only if nothing can be read.
    """
    with refusals.setting_aside() as aside:
        facts = catalogue.describe(name, root=root, options=options)
        if split and split not in facts.splits:
            where = name if root is None else f"{name} in {root}"
            wrong = lookup.unknown(split, facts.splits, kind="split", where=where)
            raise NoSplit(str(wrong))
        aside |= {str(error): error for error in known}
        whole = Findings("", 0, _problems(aside, {}))
        # If a reader counts its records, the number in the fact sheet may be rounded.
        official = facts.splits if facts == catalogue.find(name) else {}
        findings = [whole]
        for each in [split] if split else facts.splits:
            before = dict(aside)
            checked = _check(name, each, root, options, facts, official, score)
            checked.problems[:0] = _problems(aside, before, each)
            findings.append(checked)
    if facts.own and split is None:
        whole.problems.extend(_missing_splits(facts))
        whole.problems.extend(_odd_classes(findings, facts, name, options))
    whole.problems.extend(leaks(findings[1:], findings[1:]))
    return _each_once(findings)


def leaks(
    ours: Sequence[Findings], theirs: Sequence[Findings], names: Sequence[str] = ()
) -> list[Problem]:
    """A problem for each image that two splits share; names: of two data sets."""
    shared = []
    for place, one in enumerate(ours):
        for other in theirs if names else theirs[place + 1 :]:
            where = f"{one.split} and {other.split}"
            if names:
                where = f"{names[0]} {one.split} and {names[1]} {other.split}"
            if names or UNION not in (one.split, other.split):
                shared += checks.overlap(one, other, where)
    return shared


def _check(
    name: str,
    split: str,
    root: str | None,
    options: Mapping[str, Any],
    facts: Dataset,
    official: Mapping[str, int],
    score: Score,
) -> Findings:
    try:
        source = source_lib.open(
            name, split=split, root=root, options=options, cache="none"
        )
    except errors.UserError as error:  # of this split alone; the others are read
        return Findings(split, 0, checks.refused(error, split))
    return checks.check(
        source,
        facts=facts,
        official=official.get(split),
        score=lambda each: score(each, facts),
        progress=True,
    )


def _problems(
    aside: Mapping[str, errors.UserError],
    before: Mapping[str, errors.UserError],
    split: str = "",
) -> list[Problem]:
    """Problems of the errors collected since `before`."""
    fresh = [error for text, error in aside.items() if text not in before]
    return [problem for error in fresh for problem in checks.refused(error, split)]


def _each_once(findings: Sequence[Findings]) -> list[Findings]:
    """Removes repeated problems: a file is refused wherever it is read."""
    whole, *splits = findings
    whole.problems[:] = {p.text: p for p in whole.problems}.values()
    files = {_file(p) for p in whole.problems if p.kind in FILES}
    for each in splits:
        once = {p.text: p for p in each.problems}.values()
        each.problems[:] = [p for p in once if not _among(p, each.split, files)]
    return list(findings)


def _among(problem: Problem, split: str, files: Collection[str]) -> bool:
    """Whether the file of a problem, or one of its record, is in `files`."""
    names = re.search(r", record \d+ \((.*?)\): ", problem.text)
    mine = names[1].split(", ") if names and problem.kind in FILES else ()
    same = any(file.endswith(f"/{name}") for file in files for name in mine)
    return same or _file(problem, split) in files


def _file(problem: Problem, split: str = "") -> str:
    """The file or place with which the text of a problem begins."""
    return problem.text.removeprefix(f"{split}: ").partition(": ")[0]


def _missing_splits(facts: Dataset) -> Iterator[Problem]:
    if "validation" not in facts.splits:
        text = f"there is no validation split, only {', '.join(facts.splits)}"
        fix = (
            "list images in val.txt or move some to a folder val/, as the format asks; "
            "`init` holds out a fifth of the training images in its place"
        )
        yield Problem("splits", text, fix, fatal=False)


def _odd_classes(
    findings: Sequence[Findings], facts: Dataset, name: str, options: Mapping[str, Any]
) -> Iterator[Problem]:
    """Classes that may be mistakes: misspelt, or in one example alone.

    Classes listed by the options are right.
    """
    where = "{}"
    if name == "voc/boxes":  # its examples have no file names
        where = catalogue.bind_options(name, options)["annotations"] + "/{}.xml"
    named = bool(options.get("classes"))
    counts: collections.Counter[int] = collections.Counter()
    first: dict[int, str] = {}
    for each in findings:
        if each.split != UNION:
            counts.update(each.classes)
            first = each.first | first
    slips = set()
    for rare, often in _misspelt(counts, facts.classes):
        slips.add(rare)
        place = where.replace("{}", first[rare])
        text = (
            f"{place}: its class {facts.classes[rare]!r} is that "
            f"of {_examples(counts[rare])}, {facts.classes[often]!r} of {counts[often]}"
        )
        fix = "correct the name, or list both in a file classes.txt, one a line"
        fatal = catalogue.classes_from(name) == "names" and not named
        yield Problem("spelling", text, fix, fatal)
    alone = [i for i, count in counts.items() if count == 1 and i not in slips]
    if alone and sum(each.records for each in findings) >= 2 * checks.FEW:
        shown = ", ".join(
            f"{facts.classes[i]} ({first[i]})" for i in alone[: checks.NAMED]
        )
        more = len(alone) - checks.NAMED
        text = f"classes in one example alone: {shown}"
        text += f" and {more} more" if more > 0 else ""
        yield Problem("rare", text, "correct that label if it is a slip", fatal=False)


def _examples(count: int) -> str:
    return "this example alone" if count == 1 else f"{count} examples"


def _misspelt(
    counts: Mapping[int, int], classes: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """(rare class, frequent class of a similar name), as indices."""
    for rare, few in counts.items():
        for often, many in counts.items():
            if few * RARER <= many and _alike(classes[rare], classes[often]):
                yield rare, often
                break


def _alike(one: str, other: str) -> bool:
    """Whether two names are equal up to case, signs and a small misspelling."""
    one, other = (re.sub(r"[\W_]+", "", name.casefold()) for name in (one, other))
    if re.search(r"\d", one + other):  # class_1 and class_10
        return one == other
    if one == other or sorted(one) == sorted(other):
        return True
    return difflib.SequenceMatcher(None, one, other).ratio() >= ALIKE
