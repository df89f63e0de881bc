"""CSV tables of files: a line per image, a header with the names of the columns.

The columns are `image` and, by variant, `mask`, `depth` or `label`; others are skipped.
Paths are relative to the table. Splits are train.csv, validation.csv (or val.csv) and
test.csv in the root, or the tables that an option names; of a single table a fifth is
for validation, drawn with seed 0. A label is the name of a class or its number from 0.
Names of classes come from an option or from classes.txt, one per line; labels that are
names need neither.
"""

import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data import subsets
from jaxseg.data.dataset import IGNORE, Dataset
from jaxseg.data.readers import (
    class_names,
    csv_tables,
    depth_maps,
    file_cache,
    mask_files,
    text_files,
)

COMMON = dict(
    domain="own",
    splits={},
    version=1,
    size=(256, 256),
    obtain="Your own CSV tables of files; root is the folder that holds train.csv.",
)
DATASETS = {
    "segmentation": Dataset(fields=("image", "segmentation"), **COMMON),
    "depth": Dataset(fields=("image", "depth"), **COMMON),
    "classification": Dataset(fields=("image", "label"), **COMMON),
}
CLASSES_FROM = {"classification": "names"}
PLACES = ("tables",)
COLUMNS = {"segmentation": "mask", "depth": "depth", "classification": "label"}
NAMES = {"train": ("train.csv",), "validation": ("validation.csv", "val.csv")}
NAMES |= {"test": ("test.csv",)}
CLASSES = "classes.txt"
FEWEST_CLASSES = 2
FEW = 10  # so many classes without an image are no mistake
SHOWN = 3  # labels in a message
NUMBER = re.compile(r"[-+]?[0-9]*[.,]?[0-9]+(e[-+]?[0-9]+)?", re.IGNORECASE)


class Row(NamedTuple):
    """One line: files below the root, or the class, and how to read a depth map."""

    image: str
    target: str | int
    where: str  # table:line
    scale: float | None
    invalid: tuple[float, ...]
    maximum: float | None


class Lines(NamedTuple):
    """Lines of a table, which lies at `name` below the root."""

    name: str
    table: csv_tables.Table
    chosen: np.ndarray  # int [N]


class Rows(Sequence):
    """The records of some lines, each split on access."""

    def __init__(
        self, lines: Lines, column: str, labels: np.ndarray | None, depth: tuple
    ):
        """labels: the class of each line of the table if `column` holds labels."""
        self._lines, self._labels, self._depth = lines, labels, depth
        self._places = [lines.table.columns.index(c) for c in ("image", column)]

    def __len__(self) -> int:
        return len(self._lines.chosen)

    def __getitem__(self, index: int) -> Row:
        name, table, chosen = self._lines
        line = int(chosen[index])
        values = table.row(line)
        image, target = (_below_root(name, values[place]) for place in self._places)
        if self._labels is not None:
            target = int(self._labels[line])
        return Row(image, target, table.where(line), *self._depth)


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    tables: Mapping[str, str] | None = None,
    classes: Sequence[str] = (),
    ids: Mapping[Any, int] | None = None,
    scale: float | None = None,
    invalid: Sequence[float] = (),
    maximum: float | None = None,
) -> "Rows":
    """The lines of a split, in the order of its table.

    tables: {split: CSV file below root}. classes: names in the order of their ids.
    ids: {raw id: class} of masks. scale, invalid, maximum: as of depth/folder.
    """
    lines = _splits(root, tables, COLUMNS[variant])[split]
    labels = None
    if variant == "classification":
        labels = _classes_of(root, lines, _label_names(root, tables, classes))
    depth = (scale, tuple(invalid), maximum)
    return Rows(lines, COLUMNS[variant], labels, depth)


def parse(record: Row, root: Path, variant: str) -> Example:
    try:
        if variant != "classification":
            mask_files.check_size(
                root, record.image, str(record.target), COLUMNS[variant]
            )
        example = {"image": image_files.read(root / record.image), "id": record.image}
        return example | _read_target(record, root, variant)
    except errors.UserError as error:
        raise errors.UserError(f"{record.where}: {error}") from None


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits and classes of these tables."""
    facts = DATASETS[variant]
    tables, given = options["tables"], options["classes"]
    column = COLUMNS[variant]
    splits = _splits(root, tables, column)
    facts = dataclasses.replace(
        facts, splits={s: len(n.chosen) for s, n in splits.items()}
    )
    if column == "depth":
        return facts
    if column == "label":
        return dataclasses.replace(facts, classes=_label_names(root, tables, given))
    ids = class_names.raw_ids(options["ids"])
    return dataclasses.replace(facts, classes=named_classes(root, given), ids=ids)


def files(
    root: Path, *, tables: Mapping[str, str] | None, **_: Any
) -> tuple[list[str], list[str]]:
    """The images, and the tables, masks, depth maps and names of the classes."""
    names = list(find_tables(root, tables).values())
    images, labels = [], [*names, CLASSES]
    for name in names:
        table = csv_tables.read(file_cache.stamp(root / name))
        for column in {"image", "mask", "depth"} & {*table.columns}:
            values = (value.decode() for value in table.values(column))
            below = [_below_root(name, file) for file in values if file]
            (images if column == "image" else labels).extend(below)
    return images, labels


def named_classes(root: Path, given: Sequence[str]) -> tuple[str, ...]:
    """The given names, or those in classes.txt; UserError without both."""
    names = list(given)
    if not names and (root / CLASSES).is_file():
        lines = text_files.read_text(root / CLASSES).splitlines()
        names = [line.strip() for line in lines if line.strip()]
    if len(names) < FEWEST_CLASSES:
        raise errors.UserError(
            f"{root}: found {len(names)} names of classes; allowed are two or more. "
            f"Fix: give classes=[...] in the order of the ids, or a file {CLASSES} "
            "with one a line."
        )
    return class_names.check_names(dict(enumerate(names)), f"{root}: classes")


def find_tables(root: Path, tables: Mapping[str, str] | None) -> dict[str, str]:
    """{split: CSV file below root}; the split is "" for a table to divide."""
    if tables is not None:
        return dict(tables)
    present = {
        split: name
        for split, names in NAMES.items()
        for name in names
        if (root / name).is_file()
    }
    alone = sorted(path.name for path in root.glob("*.csv"))
    if not present and len(alone) == 1:
        return {"": alone[0]}
    if not present:
        raise errors.UserError(
            f"{root}: found the tables {alone or 'none'}; allowed are train.csv, "
            "val.csv and test.csv, or one CSV file. Fix: rename them, or name them "
            "with tables={'train': 'FILE.csv'}."
        )
    return present


def _splits(
    root: Path, tables: Mapping[str, str] | None, column: str
) -> dict[str, Lines]:
    """{split: the checked lines of its table}."""
    splits = {
        split: Lines(name, table, np.arange(len(table)))
        for split, name in find_tables(root, tables).items()
        for table in [_checked(file_cache.stamp(root / name), column)]
    }
    if "" not in splits:
        return splits
    name, table, every = splits[""]
    rows = subsets.drawn_rows(len(every), root)
    return {split: Lines(name, table, chosen) for split, chosen in rows.items()}


@file_cache.of_file(maxsize=16)
def _checked(file: tuple[str, int, int], column: str) -> csv_tables.Table:
    table = csv_tables.read(file)
    for wanted in ("image", column):
        if table.columns.count(wanted) != 1:
            raise errors.UserError(
                f"{file[0]}:1: found the columns {', '.join(table.columns) or 'none'}; "
                f"allowed is a header with image and {column}, each once. Fix: write "
                f"`image,{column}` as the first line."
            )
    table.check(("image", column))
    return table


@file_cache.of_file(maxsize=16)
def _codes(file: tuple[str, int, int]) -> tuple[np.ndarray, list[str]]:
    """int32 [lines], the index of the label of each, and the labels."""
    return _checked(file, "label").codes("label")


def _below_root(table: str, file: str) -> str:
    return posixpath.join(posixpath.dirname(table), file)


def _label_names(
    root: Path, tables: Mapping[str, str] | None, given: Sequence[str]
) -> tuple[str, ...]:
    """Names of the classes: given, from classes.txt, or the sorted labels."""
    if given or (root / CLASSES).is_file():
        return named_classes(root, given)
    first: dict[str, str] = {}  # {label: table:line where it is first}
    for name in find_tables(root, tables).values():
        file = file_cache.stamp(root / name)
        codes, labels = _codes(file)
        lines = np.unique(codes, return_index=True)[1]
        places = [_checked(file, "label").where(int(line)) for line in lines]
        first = dict(zip(labels, places)) | first
    numbers = {x: n for x in first if (n := text_files.whole(x)) is not None}
    if not numbers and not any(map(NUMBER.fullmatch, first)):
        return named_classes(root, sorted(first))
    _check_numbers(first, numbers)
    top = max(numbers.values())
    return named_classes(root, [f"class_{i}" for i in range(top + 1)])


def _check_numbers(labels: Mapping[str, str], numbers: Mapping[str, int]) -> None:
    """UserError for a label that is no number among numbers, or far above the others.

    labels: {label: table:line}; numbers: {label: its number}.
    """
    fix = f"Fix: correct it, or name all classes in {CLASSES}, one a line."
    for label in sorted(labels.keys() - numbers.keys()):
        shown = ", ".join(sorted(numbers, key=numbers.get)[:SHOWN]) or "such numbers"
        raise errors.UserError(
            f"{labels[label]}: found the label {label!r} beside {shown}; allowed are "
            f"whole numbers from 0 to {IGNORE - 1}, or names alone. {fix}"
        )
    top = max(numbers, key=numbers.get)
    different = len(set(numbers.values()))
    unused = numbers[top] + 1 - different
    if numbers[top] >= IGNORE or unused > max(different, FEW):
        raise errors.UserError(
            f"{labels[top]}: found the label {top} among {different} different ones; "
            f"allowed are numbers of classes from 0 to {IGNORE - 1} of which at most "
            f"half, or {FEW}, have no image. {fix}"
        )


def _classes_of(root: Path, lines: Lines, names: Sequence[str]) -> np.ndarray:
    """int32, the class of each line; UserError for a label without class."""
    codes, labels = _codes(file_cache.stamp(root / lines.name))
    numbers = {name: number for number, name in enumerate(names)}
    classes = []
    for code, label in enumerate(labels):
        number = numbers.get(label, text_files.whole(label))
        if number is None or number >= len(names):
            raise errors.UserError(
                f"{lines.table.where(int(np.argmax(codes == code)))}: label is "
                f"{label!r}; allowed are {', '.join(names)} or 0 to {len(names) - 1}. "
                "Fix: correct the label or the names of the classes."
            )
        classes.append(number)
    return np.array(classes, np.int32)[codes]


def _read_target(record: Row, root: Path, variant: str) -> Example:
    if variant == "classification":
        return {"label": np.asarray(record.target, np.int32)}
    path = root / str(record.target)
    if variant == "segmentation":
        return {"segmentation": image_files.read_ids(path)}
    how = dict(invalid=record.invalid, maximum=record.maximum)
    return {"depth": depth_maps.read(path, record.scale, **how)}
