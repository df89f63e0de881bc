"""The typed data section: which examples of which data set, at what resolution."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from jaxseg.core import binding, errors, lookup, nested, rules
from jaxseg.data import catalogue, dataset, published, single, subsets
from jaxseg.data import source as source_lib
from jaxseg.data.published import Published
from jaxseg.data.source import Source

# Arguments of `data.source.open`.
OPENED = ("split", "root", "options", "part", *subsets.DRAW, "cache", "full_digest")
SHARE = rules.Rule("above 0, up to 1", lambda x: 0 < x <= 1)
SET = ("name", "of", "root", "options", "copy")  # keys that identify the images


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSpec(binding.Spec):
    """Which examples of which data set.

    name: of the catalogue; or instead of it, of: the role of a parent that publishes a
    data set. only: the one class that is not background, of a set with segmentation;
    images that do not show it are not in the split. count: the number of examples, or
    `fraction`: their share of the split, drawn by `seed`. part: of those, a held-out
    fifth ("holdout") or the others ("train"), or the "rest" of the split, which was not
    drawn. options: of the reader. copy: a name for this copy of a catalogue data set,
    if several copies differ in content. cache: see `data.source.open`. full_digest:
    digests cover all bytes of the images, not only both ends.
    """

    name: str = ""
    split: str = "train"
    root: str | None = binding.local(None)
    count: Annotated[int, rules.at_least(1)] | None = None
    fraction: Annotated[float, SHARE] | None = None
    seed: rules.Seed = 0
    part: Annotated[str, rules.one_of(*subsets.PARTS)] = "all"
    options: Mapping[str, Any] | None = None
    cache: Annotated[str, rules.one_of(*source_lib.CACHES)] = binding.local("auto")
    copy: str | None = None
    full_digest: bool = binding.local(False)
    of: str | None = binding.added()
    only: str | None = binding.added()
    fingerprint: str | None = binding.resolved()
    published: Published | None = binding.unwritten()  # noqa: RUF009

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.name and self.of is None:
            raise errors.UserError(
                "name: missing. Fix: name='FILE/VARIANT' of the catalogue, or "
                "of='ROLE' of a parent that publishes a data set"
            )

    @property
    def called(self) -> str:
        """The name for tables and messages."""
        name = self.name if self.of is None else f"of {self._stage}"
        return name if self.only is None else f"{name} ({self.only})"

    @property
    def _stage(self) -> str:
        return self.published.stage if self.published else f"parent {self.of}"

    def facts(self) -> dataset.Dataset:
        """The fact sheet: from the catalogue, from the user's folder, or as the parent
        plans it.
        """
        known = self.published
        facts = known.facts if known else catalogue.find(self.name)
        if facts.own and not known:
            return self.open().dataset
        if self.only is None:
            return facts
        return single.facts(facts, self.only, self.called)

    def open(self) -> Source:
        """The examples; UserError if a user's own data have changed since planning."""
        given = {name: getattr(self, name) for name in OPENED}
        if self.published is not None:
            root = Path(given.pop("root"))  # from `placed`
            return published.opened(self.published, root, **given)
        source = source_lib.open(self.name, **given)
        if self.fingerprint not in (None, source.fingerprint):
            raise errors.UserError(
                f"{source.name}: the files in {source.root} have changed since this "
                f"was planned: {source.fingerprint}, then {self.fingerprint}. Fix: run "
                "again, to plan anew."
            )
        return source

    def described(self, source: Source) -> dict[str, Any]:
        """The entry of a manifest on the examples that were read."""
        known = self.published  # its artifact answers for the bytes
        return {
            "name": self.name,
            "split": self.split,
            "count": len(source),
            "root": None if source.root is None else str(source.root.resolve()),
            "fingerprint": source.fingerprint,
            "digest": source.fingerprint if known else source.digest(),
            "full_digest": self.full_digest,
            **({"of": known.stage, "artifact": known.key} if known else {}),
            **({} if self.only is None else {"only": self.only}),
        }

    def identified(self, facts: dataset.Dataset, where: str, **more: Any) -> "DataSpec":
        """The spec with the reader's options, the fingerprint and `more` fields;
        UserError for images that the data set does not have.
        """
        self._check_there(facts, where)
        options = catalogue.bind_options(self.name, self.options)
        fingerprint = self.published and self.published.fingerprint
        fingerprint = fingerprint or catalogue.fingerprint(
            self.name, root=self.root, options=options, full_digest=self.full_digest
        )
        more |= {"options": options, "fingerprint": fingerprint}
        return dataclasses.replace(self, **more)

    def images(self, facts: dataset.Dataset) -> tuple[int, int]:
        """(number of images used, number in the split); 0 if only the folder has it."""
        total = facts.splits.get(self.split, 0)
        count = subsets.share(total, self.count, self.fraction, what=self.called)
        if not total and (self.count is None or self.part == "rest"):
            return 0, 0
        drawn = total if count is None else count
        return subsets.part_size(drawn, self.part, total), total

    def same_split(self, other: "DataSpec") -> bool:
        """Whether both draw from the same split, where `only` may leave images out."""
        return all(getattr(self, n) == getattr(other, n) for n in (*SET, "split"))

    def overlaps(self, other: "DataSpec") -> bool:
        """Whether both may share images: true for one split, except for parts of one
        draw that are apart.
        """
        apart = subsets.apart(self.part, other.part)
        draws = [[getattr(one, n) for n in subsets.DRAW] for one in (self, other)]
        return self.same_split(other) and not (apart and draws[0] == draws[1])

    def _check_there(self, facts: dataset.Dataset, where: str) -> None:
        """UserError for a split or count that the facts exclude; how many images of a
        set are on disk is only known when they are opened.
        """
        known = facts.own or not facts.on_disk or self.published is not None
        if self.root is not None and not facts.on_disk:
            raise errors.UserError(
                f"{where}/root: found {self.root!r}; the images of {self.name} are "
                "drawn and in no folder. Fix: drop root, or name a data set on disk."
            )
        if (known or facts.splits) and self.split not in facts.splits:
            kind = f"split of {self.called}"
            raise lookup.unknown(self.split, facts.splits, kind=kind, where=where)
        total = facts.splits.get(self.split, 0)
        known = known and total > 0  # a parent may not know it yet
        subsets.share(total, self.count, self.fraction, what=where)
        if self.count is not None and known and self.count > total:
            raise errors.UserError(
                f"{where}: count={self.count}; allowed are 1 to {total}, the number of "
                "records."
            )
        whole = self.count is None and self.fraction in (None, 1)
        if self.part == "rest" and (whole or (known and self.count == total)):
            raise errors.UserError(
                f"{where}: found part='rest' with count={self.count} and fraction="
                f"{self.fraction}, which leave nothing out. Fix: the count or fraction "
                "whose rest this is, with its seed."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SizedData(DataSpec):
    """Examples at a resolution.

    size: (height, width) of training crops, of the canvas in evaluation; None: the
    data set's own, in an evaluation that of training.
    """

    size: Sequence[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise errors.UserError(f"size: found {self.size}, allowed: [height, width]")

    def identified(
        self, facts: dataset.Dataset, where: str, size: Any = None, **more: Any
    ) -> "SizedData":
        """With a size as well: its own, else `size`, else that of the data set."""
        size = self.size or size or facts.size
        if size is None:
            raise errors.UserError(
                f"{where}: {self.called} has no size of its own. Fix: set size=[h, w]"
            )
        more["size"] = [int(n) for n in size]
        return super().identified(facts, where, **more)


def placed(spec: Any, parents: Mapping[str, Path]) -> Any:
    """A bound section whose data of parents are read from their artifact folders."""

    def place(data: DataSpec, where: str) -> DataSpec:
        if data.of is None:
            return data
        root = str(published.folder(parents[data.of]))
        return dataclasses.replace(data, root=root)

    return nested.mapped(spec, DataSpec, place, "")


def roles(reads: Mapping[str, DataSpec]) -> set[str]:
    """The parents that data sections are of."""
    return {data.of for data in reads.values()} - {None}


def stored(section: Mapping[str, Any]) -> DataSpec:
    """The data section that a manifest holds as plain data."""
    known = [field.name for field in dataclasses.fields(DataSpec)]
    return DataSpec(**{name: section[name] for name in known if name in section})
