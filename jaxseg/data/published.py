"""Data sets that a stage publishes in its artifact, for the stages that follow it.

An artifact with one has `dataset/`, files as a reader of the catalogue reads them, and
in it facts.json, the whole fact sheet. A plan has a fact sheet before there are files:
with a count of 0 for a split that only these tell, and without mean and std.
"""

import dataclasses
from pathlib import Path
from typing import Any

from jaxseg.core import errors, jsonl
from jaxseg.core import manifest as manifests
from jaxseg.data import catalogue
from jaxseg.data import source as source_lib
from jaxseg.data.dataset import Dataset

FACTS = "facts.json"
AGREE = ("fields", "classes", "keypoints")  # of plan, reader and facts.json


@dataclasses.dataclass(frozen=True)
class Published:
    """What a plan knows: the reader by its name in the catalogue, and the facts.

    stage, key: of the stage that publishes it.
    """

    reader: str
    facts: Dataset
    stage: str = ""
    key: str = ""

    @property
    def fingerprint(self) -> str:
        """What stands in keys for its content."""
        version = catalogue.find(self.reader).version
        return f"{self.reader}@{version} of {self.key}"


def folder(artifact: Path) -> Path:
    """Where the files are."""
    return Path(artifact) / manifests.DATASET


def finish(artifact: Path, planned: Published) -> Dataset:
    """Writes facts.json: what was planned, with counts, mean and std of the files.

    UserError where the reader finds other facts in the files than were planned.
    """
    root = folder(artifact)
    found = catalogue.describe(planned.reader, root=root)
    _check(planned.facts, found, root)
    split = next(iter(found.splits))
    measured = source_lib.open(planned.reader, split=split, root=root).dataset
    facts = dataclasses.replace(
        planned.facts,
        splits=found.splits,
        mean=planned.facts.mean or measured.mean,
        std=planned.facts.std or measured.std,
    )
    jsonl.write_json(root / FACTS, dataclasses.asdict(facts))
    return facts


def opened(planned: Published, root: Path, **options: Any) -> source_lib.Source:
    """The examples in `dataset/` of an artifact, with the facts that it wrote.

    options: those of `data.source.open`.
    """
    if not (root / FACTS).is_file():
        raise errors.UserError(
            f"{root}: found no {FACTS}, so {planned.stage} has published nothing. Fix: "
            "its kind calls `data.published.finish` when it runs"
        )
    facts = _read(root / FACTS)
    source = source_lib.open(
        planned.reader, root=root, fingerprint=planned.fingerprint, **options
    )
    _check(planned.facts, facts, root)
    _check(facts, source.whole, root)
    return source.known_as(dataclasses.replace(facts, ids=source.whole.ids))


def _check(planned: Dataset, found: Dataset, where: Path) -> None:
    """UserError unless `found` is as planned, as far as that was known."""
    counts = {split: count for split, count in planned.splits.items() if count}
    pairs = {name: (getattr(planned, name), getattr(found, name)) for name in AGREE}
    pairs["splits"] = (set(planned.splits), set(found.splits))
    there = {split: found.splits.get(split) for split in counts}
    for name, (one, other) in (pairs | {"counts": (counts, there)}).items():
        if one != other:
            raise errors.UserError(
                f"{where}: {name} are {other}, planned were {one}. Fix: options that "
                "leave them as they are, or a kind that publishes what it says"
            )


def _read(path: Path) -> Dataset:
    values = jsonl.read_json(path)
    ids = values["ids"]
    values["ids"] = None if ids is None else {int(k): v for k, v in ids.items()}
    return Dataset(**{name: _tuples(value) for name, value in values.items()})


def _tuples(value: Any) -> Any:
    """Lists as tuples, as a fact sheet has them."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
