"""Examples of a data set by index: read, ids mapped to classes, checked, cached."""

import copy
import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.core import errors, hashing, lookup
from jaxseg.core.types import Example
from jaxseg.data import (
    caching,
    catalogue,
    contents,
    dataset,
    normalization,
    single,
    subsets,
)
from jaxseg.data.dataset import Dataset

CACHES = ("auto", "memory", "disk", "none")
STATISTICS_IMAGES = 200  # enough for a mean; a data set may have millions of images


class Source:
    """Examples of one split by index: parsed, ids mapped to classes, checked.

    >>> source = open("worlds/driving_day", split="validation", count=2)
    >>> source[0]["image"].shape
    (64, 64, 3)
    """

    def __init__(
        self,
        name: str,
        split: str,
        facts: Dataset,
        records: Sequence[Any],
        *,
        root: Path | None,
        options: Mapping[str, Any],
        indices: np.ndarray,
        fingerprint: str,
        in_memory: bool,
        disk: caching.DiskCache | None = None,
        full_digest: bool = False,
        only: str | None = None,
        showing: int = 0,
    ):
        """only: the class that is not background; showing: how many images of the split
        show it. facts: of the whole set.
        """
        self.name, self.split, self.fingerprint = name, split, fingerprint
        self.root, self.options = root, options
        self.indices = indices  # int [N], places of the records in the split
        self.whole, self._records = facts, records
        self._only, self._showing = only, {split: showing}
        self._in_memory = in_memory
        self._cache: dict[int, Example] = {}
        self._disk, self._full_digest = disk, full_digest
        self._keys: dict[int, str] = {}  # {record: key of its entry on disk}

    @functools.cached_property
    def _facts(self) -> Dataset:
        """`whole`, or those of its one class."""
        if self._only is None:
            return self.whole
        return single.facts(self.whole, self._only, self.name, self._showing)

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The facts; mean and std are measured if the fact sheet has none."""
        if self._facts.mean is not None and self._facts.std is not None:
            return self._facts
        options = hashing.canonical(self.options)
        statistics = _statistics(self.name, self.root, options, self.fingerprint)
        return dataclasses.replace(self._facts, **statistics)

    @property
    def facts(self) -> Dataset:
        """As the reader gives them: mean and std may be None."""
        return self._facts

    def known_as(self, facts: Dataset) -> "Source":
        """The same examples under other facts of the whole set."""
        other = copy.copy(self)
        other.whole, other._cache = facts, {}
        for name in ("dataset", "_facts"):
            other.__dict__.pop(name, None)
        return other

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Source({self.name} {self.split}, {len(self)} examples)"

    def __getitem__(self, index: int) -> Example:
        """Example `index`; its arrays are shared when cached: do not write to them."""
        if index in self._cache:
            return dict(self._cache[index])
        record = int(self.indices[index])
        example = self._disk.get(self._key(record)) if self._disk else None
        if example is None:
            example = self._read(record)
            if self._disk:
                self._disk.put(self._key(record), example)
        if self._in_memory:  # two threads may both store it: with equal values
            self._cache[index] = example
        return dict(example)

    def select(self, positions: Sequence[int]) -> "Source":
        """The examples at these positions, in this order."""
        part = copy.copy(self)
        part.indices, part._cache = self.indices[np.asarray(positions)], {}
        return part

    def digest(self) -> str:
        """The fingerprint; for a catalogue data set also the SHA-256 of the records and
        of the content of their files.
        """
        if self.root is None or self._facts.own:
            return self.fingerprint
        return f"{self.fingerprint}:{hashing.key(self.contents(self.indices))}"

    def contents(self, records: Sequence[int] | np.ndarray) -> list[str]:
        """A digest of each record, its values and its files, 64 hex digits."""
        every = [self._records[int(index)] for index in records]
        files = [self._files(record) for record in every]
        names = list(dict.fromkeys(file for each in files for file in each))
        sums = dict(zip(names, contents.sums(self.root, names)))
        return [
            contents.of_value(record, [sums[file] for file in each])
            for record, each in zip(every, files)
        ]

    def listing(self) -> Iterator[str]:
        """A line for each example: the number of its record, and its files if any."""
        for index in self.indices.tolist():
            yield f"{index} {contents.describe(self._records[index])}".rstrip()

    def prepare(self) -> None:
        """Reads all examples of a source that keeps them in memory, so that training
        does not wait for them; embedded data are rendered here when first used.
        """
        if self._in_memory:
            for index in range(len(self)):
                self[index]

    def _key(self, record: int) -> str:
        if record not in self._keys:  # a digest does not read the middle of an image
            files = [name for name, _ in self._files(self._records[record])]
            stamps = contents.stamps(self.root, files)
            self._keys[record] = hashing.key([*self.contents([record]), stamps])
        return self._keys[record]

    def _files(self, record: Any) -> list[tuple[str, bool]]:
        """(file below root, whether its digest covers all bytes) that parse opens."""
        if self.root is None:
            return []
        file, variant = self.name.split("/")
        module = catalogue.module(file)
        if hasattr(module, "reads"):
            images, labels = module.reads(record, self.root, variant)
        else:
            image, *labels = contents.files_in(record) or [None]
            images = [image] if image else []
        both = [(name, self._full_digest) for name in images]
        return both + [(name, True) for name in labels]

    def _read(self, index: int) -> Example:
        where = f"{self.name} {self.split}, record {index}"
        with errors.reading(f"{where} of {self.root}"):
            record = self._records[index]
        where = f"{where} {contents.describe(record)}"
        with errors.reading(f"{where} of {self.root}"):
            return self._parse(record, where)

    def _parse(self, record: Any, where: str) -> Example:
        file, variant = self.name.split("/")
        example = dict(catalogue.module(file).parse(record, self.root, variant))
        if self._only is not None:
            kept = {*single.FIELDS, "id"}
            example = {name: own for name, own in example.items() if name in kept}
        for name in dataset.CLASS_FIELDS:
            if name in example:
                table = self._facts.ids if name == "segmentation" else None
                ignored = self._facts.file_ignore
                example[name] = dataset.map_ids(example[name], table or {}, ignored)
        return dataset.check(example, self._facts, where=where)


def open(
    name: str,
    *,
    split: str,
    root: str | os.PathLike | None = None,
    count: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
    part: str = "all",
    only: str | None = None,
    options: Mapping[str, Any] | None = None,
    cache: str = "auto",
    full_digest: bool = False,
    fingerprint: str | None = None,
) -> Source:
    """Random access to `split`, or to a part of its records drawn by `seed`.

    only: a class of a set with segmentation: the split is the images with a pixel of
    it, and other classes are background. mean and std stay those of the whole set.
    count: the number of them; fraction: their share, 0.05 for 5 %. With one seed, a
    smaller subset lies within every larger one.
    part: "holdout" is a seeded fifth of those records, "train" the others of them;
    "rest" are the records of the split that were not drawn.
    cache: "memory" decodes each example once; "auto" does so for rendered data sets of
    up to a gigabyte; "disk" keeps decoded examples in $JAXSEG_CACHE from run to run.
    full_digest: digests are of whole images, not of their first and last 64 KiB.
    fingerprint: what stands for the content of files that somebody else answers for.

    >>> open("worlds/driving_day", split="train", count=5, part="holdout")
    Source(worlds/driving_day train, 1 examples)
    """
    for value, known, kind in ((part, subsets.PARTS, "part"), (cache, CACHES, "cache")):
        lookup.pick(dict.fromkeys(known), value, kind=kind)
    options = catalogue.bind_options(name, options)
    folder = catalogue.find_root(name, root, options)
    print_ = fingerprint or catalogue.fingerprint(
        name, root=folder, options=options, full_digest=full_digest
    )
    facts = catalogue.described(name, folder, hashing.canonical(options), print_)
    records = catalogue.records(name, facts, split, folder, options)
    what = f"{name} {split}"
    places = np.arange(len(records))
    known: dict[str, Any] = dict(
        root=folder, options=options, fingerprint=print_, full_digest=full_digest
    )
    if only is not None:
        every = Source(
            name, split, facts, records, indices=places, in_memory=False, **known
        )
        places = single.showing(every, only)
        known |= {"only": only, "showing": len(places)}
    count = subsets.share(len(places), count, fraction, what=what)
    drawn = subsets.subset(len(places), count, seed, what=what)
    small = not facts.on_disk and caching.fits(facts.size, len(drawn))
    reader = [f"{name}@{facts.version}", options, facts.ids, facts.file_ignore]
    reader += [] if only is None else [only]
    return Source(
        name,
        split,
        facts,
        records,
        indices=places[subsets.take_part(drawn, part, seed, len(places))],
        disk=caching.of(reader) if cache == "disk" else None,
        in_memory=cache == "memory" or (cache == "auto" and small),
        **known,
    )


def measure(
    source: Source, limit: int = STATISTICS_IMAGES
) -> dict[str, tuple[float, ...]]:
    """`normalization.measure` of up to `limit` images, drawn with seed 0."""
    chosen = subsets.subset(len(source), min(limit, len(source)), 0, what=repr(source))
    return normalization.measure(source[int(index)]["image"] for index in chosen)


@functools.lru_cache(maxsize=256)
def _statistics(
    name: str, root: Path | None, options: str, _print: str
) -> dict[str, tuple[float, ...]]:
    """mean and std of the training images, measured once per content."""
    given = json.loads(options)
    splits = catalogue.describe(name, root=root, options=given).splits
    split = "train" if "train" in splits else next(iter(splits))
    return measure(open(name, split=split, root=root, options=given, cache="none"))
