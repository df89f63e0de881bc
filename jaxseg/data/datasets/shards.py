"""Encoded images and labels in a few large files: ArrayRecord or Parquet.

train-00000-of-00010.array_record and so on, or one train.array_record; the same with
.parquet. A record is a dict of `image`, the bytes of an image file, and `mask`, those
of a PNG of ids, or `label`, the number of a class; in ArrayRecord as MessagePack, in
Parquet as columns (an image may be a struct with the field `bytes`). Names of classes
come from an option or from classes.txt, one per line. Opening reads only the ends of
the files, so a million records cost no more than ten; but since labels lie anywhere in
them, the files are read whole for the digest, once after each change. `write` makes
such files.
"""

import bisect
import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgpack
import numpy as np
from PIL import Image, ImageOps

from jaxseg.core import errors, image_files
from jaxseg.core.types import Example
from jaxseg.data.dataset import Dataset
from jaxseg.data.datasets import table
from jaxseg.data.readers import class_names, file_cache

COMMON = dict(
    domain="own",
    splits={},
    version=1,
    size=(256, 256),
    obtain="Your own shards of encoded images; root is the folder that holds them.",
)
DATASETS = {
    "segmentation": Dataset(fields=("image", "segmentation"), **COMMON),
    "classification": Dataset(fields=("image", "label"), **COMMON),
}
ARRAY_RECORD, PARQUET = "array_record", "parquet"
FILE = re.compile(r"(\w+?)(?:-(\d{5})-of-(\d{5}))?\.(array_record|parquet)")
SPLITS = {"val": "validation", "valid": "validation"}
GROUP_BYTES = 1 << 28  # of a row group of Parquet, which is read at once
GROUPS_KEPT = 4


class Record(NamedTuple):
    """One record: its values, and its name for messages."""

    id: str
    values: Mapping[str, Any]


class Shards(Sequence):
    """The records of some files by index; keeps none in memory, and is picklable."""

    def __init__(self, root: Path, names: Sequence[str]):
        self._files = [file_cache.stamp(root / name) for name in names]
        counts = [_count(file) for file in self._files]
        self._ends = list(itertools.accumulate(counts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Record:
        shard = bisect.bisect_right(self._ends, index)
        row = index - (self._ends[shard - 1] if shard else 0)
        file = self._files[shard]
        where = f"{Path(file[0]).name}:{row}"
        with errors.reading(f"{file[0]}: record {row}"):
            read = _read_record if file[0].endswith(ARRAY_RECORD) else _read_row
            values = read(file, row)
        return Record(str(values.get("id") or where), values)


def records(
    variant: str,
    split: str,
    root: Path,
    *,
    classes: Sequence[str] = (),
    ids: Mapping[Any, int] | None = None,
) -> Shards:
    """The records of a split, in the order of the files.

    classes: names in the order of their ids. ids: {raw id: class} of masks.
    """
    return Shards(root, find_shards(root)[split])


def parse(record: Record, root: Path, variant: str) -> Example:
    example = {"image": image_of(record), "id": record.id}
    if variant == "segmentation":
        return example | {"segmentation": ids_of(record, "mask")}
    return example | {"label": np.asarray(label_of(record), np.int32)}


def image_of(record: Record) -> np.ndarray:
    """uint8 [H, W, 3]."""
    return _decode(record, "image", _read_image)


def ids_of(record: Record, name: str) -> np.ndarray:
    """int32 [H, W] of a PNG."""
    return _decode(record, name, _read_ids)


def label_of(record: Record) -> int:
    """The number of the class."""
    label = _value(record, "label")
    if not isinstance(label, int | np.integer):
        raise errors.UserError(
            f"{record.id}: label is {label!r}; allowed is the number of a class. Fix: "
            "write numbers, and the names in classes.txt."
        )
    return int(label)


def describe(variant: str, root: Path, **options: Any) -> Dataset:
    """The variant's facts with the splits of these files and the names of classes."""
    facts = DATASETS[variant]
    return dataclasses.replace(
        facts,
        splits={s: len(Shards(root, names)) for s, names in find_shards(root).items()},
        classes=table.named_classes(root, options["classes"]),
        ids=class_names.raw_ids(options["ids"]),
    )


def files(root: Path, **_: Any) -> tuple[list[str], list[str]]:
    """No images; the shards and the names of the classes, as labels."""
    shards = [name for names in find_shards(root).values() for name in names]
    return [], [*shards, table.CLASSES]


def found_in(root: Path) -> bool:
    """Whether the folder holds files whose names are those of shards."""
    return any(FILE.fullmatch(path.name) for path in root.iterdir())


def find_shards(root: Path) -> dict[str, list[str]]:
    """{split: files below root}, in order; UserError if one is missing."""
    shards: dict[str, list[re.Match]] = {}
    for path in sorted(root.iterdir()):
        match = FILE.fullmatch(path.name)
        if match:
            shards.setdefault(SPLITS.get(match[1], match[1]), []).append(match)
    if not shards:
        raise errors.UserError(
            f"{root}: found no shards; allowed are files such as train.{PARQUET} or "
            f"train-00000-of-00010.{ARRAY_RECORD}. Fix: correct root=DIR or the names."
        )
    for split, matches in shards.items():
        _check_whole(root, split, matches)
    return {split: [match[0] for match in matches] for split, matches in shards.items()}


def write(
    root: Path,
    split: str,
    values: Sequence[Mapping[str, Any]],
    *,
    shards: int = 1,
    kind: str = ARRAY_RECORD,
) -> None:
    """Writes dicts of `image` (bytes of a file), `mask` (bytes) or `label` (int), and
    optionally `id` (str) and more, evenly to `shards` files."""
    borders = np.linspace(0, len(values), shards + 1).astype(int)
    for number, (start, end) in enumerate(itertools.pairwise(borders)):
        path = root / f"{split}-{number:05d}-of-{shards:05d}.{kind}"
        rows = [values[index] for index in range(start, end)]
        write_file(path, rows)


def write_file(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes one file; Parquet where its name ends so, else ArrayRecord."""
    if path.suffix == f".{PARQUET}":
        arrow, parquet = _pyarrow(path)
        table_ = arrow.Table.from_pylist([dict(row) for row in rows])
        parquet.write_table(table_, path, row_group_size=100)
        return
    writer = _array_record().ArrayRecordWriter(str(path), "group_size:1")
    for row in rows:
        writer.write(msgpack.packb(dict(row)))
    writer.close()


def _check_whole(root: Path, split: str, matches: Sequence[re.Match]) -> None:
    numbers = [match[2] and int(match[2]) for match in matches]
    kinds = {(match[1], match[3], match[4]) for match in matches}
    total = matches[0][3]
    if len(kinds) > 1 or (total and numbers != list(range(int(total)))):
        raise errors.UserError(
            f"{root}: split {split} lies in {len(matches)} files, {matches[0][0]} to "
            f"{matches[-1][0]}; allowed is one kind of file, numbered from 00000, each "
            "there. Fix: add the missing ones or remove those of another set."
        )


def _count(file: tuple[str, int, int]) -> int:
    path = file[0]
    with errors.reading(path):
        if path.endswith(ARRAY_RECORD):
            return _reader(file).num_records()
        return _parquet(file).metadata.num_rows


def _array_record() -> ModuleType:
    from array_record.python import array_record_module  # opens shared libraries

    return array_record_module


@functools.lru_cache(maxsize=1024)
def _reader(file: tuple[str, int, int]) -> Any:
    options = "readahead_buffer_size:0,max_parallelism:0"  # best for single records
    reader = _array_record().ArrayRecordReader(file[0], options)
    if not reader.ok():  # it counts no records then; reading one raises the error
        reader.read([0])
    return reader


def _read_record(file: tuple[str, int, int], row: int) -> dict[str, Any]:
    values = msgpack.unpackb(_reader(file).read([row])[0])
    if not isinstance(values, dict):
        raise ValueError(f"found {type(values).__name__}, allowed is a dict")
    return values


def _pyarrow(path: Path) -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise errors.UserError(
            f"{path}: Parquet files need the package pyarrow, which is not installed. "
            "Fix: pip install pyarrow."
        ) from None
    return pyarrow, pyarrow.parquet


@functools.lru_cache(maxsize=1024)
def _parquet(file: tuple[str, int, int]) -> Any:
    opened = _pyarrow(Path(file[0]))[1].ParquetFile(file[0])
    meta = opened.metadata
    largest = max(
        (meta.row_group(n).total_byte_size for n in range(meta.num_row_groups)),
        default=0,
    )
    if largest > GROUP_BYTES:
        raise errors.UserError(
            f"{file[0]}: found a row group of {largest >> 20} MiB; allowed are "
            f"{GROUP_BYTES >> 20}, as reading one record reads all of its group. Fix: "
            "write the file with row_group_size=100."
        )
    return opened


@functools.lru_cache(maxsize=1024)
def _group_ends(file: tuple[str, int, int]) -> list[int]:
    meta = _parquet(file).metadata
    counts = (meta.row_group(n).num_rows for n in range(meta.num_row_groups))
    return list(itertools.accumulate(counts))


@functools.lru_cache(maxsize=GROUPS_KEPT)
def _group(file: tuple[str, int, int], number: int) -> Any:
    # A reader of its own: threads that share one would mix up their positions.
    with _pyarrow(Path(file[0]))[1].ParquetFile(file[0]) as opened:
        return opened.read_row_group(number)


def _read_row(file: tuple[str, int, int], row: int) -> dict[str, Any]:
    ends = _group_ends(file)
    number = bisect.bisect_right(ends, row)
    start = ends[number - 1] if number else 0
    return _group(file, number).slice(row - start, 1).to_pylist()[0]


def _value(record: Record, name: str) -> Any:
    if record.values.get(name) is None:
        raise errors.UserError(
            f"{record.id}: {name} is missing; found {', '.join(record.values)}. Fix: "
            "write the record again with it."
        )
    return record.values[name]


def _decode(record: Record, name: str, read: Any) -> np.ndarray:
    value = _value(record, name)
    value = value.get("bytes") if isinstance(value, Mapping) else value
    if not isinstance(value, bytes):
        raise errors.UserError(
            f"{record.id}: {name} is {type(value).__name__}; allowed are the bytes of "
            "an image file. Fix: write the file's bytes."
        )
    try:
        with Image.open(io.BytesIO(value)) as image:
            return read(image)
    except Exception as error:  # a damaged image raises one of a dozen types
        raise errors.UserError(
            f"{record.id}: {name} is not a readable image ({error}). Fix: write the "
            "record again."
        ) from None


def _read_image(image: Image.Image) -> np.ndarray:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F" or image.mode.startswith("I"):
        raise ValueError(f"found {image.mode} pixels, allowed are 8 bits a channel")
    if image.mode == "P":  # direct conversion of a palette with transparency warns
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _read_ids(image: Image.Image) -> np.ndarray:
    if image.format == "JPEG" or image.mode not in image_files.ID_MODES:
        raise ValueError(
            f"found {image.format} with {image.mode} pixels, allowed is one channel of "
            "class ids stored without loss"
        )
    ImageOps.exif_transpose(image, in_place=True)
    return np.asarray(image).astype(np.int32)
