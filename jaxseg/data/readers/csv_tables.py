"""CSV tables as one block of bytes, so that a million lines are not a million objects.

Opening counts the commas of all lines with NumPy and keeps where each line begins; a
line is split on access. Only lines with a quote go through Python's csv, one
by one, so a value may not span lines.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxseg.core import errors
from jaxseg.data.readers import file_cache, text_files

BLOCK = 1 << 16  # lines examined together, in a few megabytes of memory
NEWLINE, RETURN, COMMA, QUOTE, SPACE = b'\n\r," '


class Table:
    """The lines below the header; values have no spaces around them."""

    def __init__(self, path: str, data: bytes, starts: np.ndarray, numbers: np.ndarray):
        self.path = path
        self.columns: list[str] = []
        self._data, self._starts, self._numbers = data, starts, numbers
        if len(starts):
            self.columns = self._split(0)
            self._starts, self._numbers = starts[1:], numbers[1:]

    def __len__(self) -> int:
        return len(self._starts)

    def where(self, line: int) -> str:
        """file:number, as editors count."""
        return f"{self.path}:{self._numbers[line]}"

    def row(self, line: int) -> list[str]:
        """One value for each column; UserError for more or fewer."""
        values = self._split(line)
        if len(values) != len(self.columns):
            raise errors.UserError(
                f"{self.where(line)}: found {len(values)} values {values}; allowed are "
                f"{len(self.columns)}, {', '.join(self.columns)}. Fix: correct the "
                "line; quote values with commas."
            )
        return values

    def check(self, columns: Sequence[str]) -> None:
        """UserError for the first line with a value missing or, in `columns`, empty."""
        places = [self.columns.index(column) for column in columns]
        for lines, edges in self._blocks():
            if edges is not None and self._filled(edges, places):
                continue
            for line in lines:
                values = self.row(line)
                if not all(values[place] for place in places):
                    raise errors.UserError(
                        f"{self.where(line)}: found {len(values)} values {values}; "
                        f"allowed are {' and '.join(columns)} not empty. Fix: correct "
                        "the line."
                    )

    def values(self, column: str) -> Iterator[bytes]:
        """The values of a column, as UTF-8."""
        place = self.columns.index(column)
        for lines, edges in self._blocks():
            if edges is None:
                yield from (self.row(line)[place].encode() for line in lines)
                continue
            begins, ends = edges[:, place] + 1, edges[:, place + 1]
            data, both = self._data, zip(begins.tolist(), ends.tolist())
            yield from [data[begin:end].strip() for begin, end in both]

    def codes(self, column: str) -> tuple[np.ndarray, list[str]]:
        """int32 [lines], which value each line has, and the values in order."""
        known: defaultdict[bytes, int] = defaultdict()
        known.default_factory = known.__len__
        numbers = map(known.__getitem__, self.values(column))
        codes = np.fromiter(numbers, np.int32, len(self))
        return codes, [value.decode() for value in known]

    def _split(self, line: int) -> list[str]:
        start = int(self._starts[line])
        end = self._data.find(b"\n", start)
        text = self._data[start : end if end >= 0 else None].decode().rstrip("\r")
        if '"' not in text:
            return [value.strip() for value in text.split(",")]
        try:
            (values,) = csv.reader([text], strict=True, skipinitialspace=True)
        except csv.Error as error:
            raise errors.UserError(
                f"{self.where(line)}: not CSV ({error}). Fix: correct the line; a "
                "quote ends on the line where it begins."
            ) from None
        return [value.strip() for value in values]

    def _blocks(self) -> Iterator[tuple[range, np.ndarray | None]]:
        """Lines, and int [lines, columns + 1] positions of the byte before each value
        and after the last; None if a line has a quote or a wrong number of values.
        """
        view = np.frombuffer(self._data, np.uint8)
        for first in range(0, len(self), BLOCK):
            lines = range(first, min(first + BLOCK, len(self)))
            starts = self._starts[first : lines.stop]
            after = lines.stop < len(self)
            stop = int(self._starts[lines.stop]) if after else len(view)
            seen = view[starts[0] : stop]
            yield lines, self._edges(seen, starts) if len(self.columns) else None

    def _edges(self, seen: np.ndarray, starts: np.ndarray) -> np.ndarray | None:
        """As `_blocks`; seen: the bytes from the first line to the end of the last."""
        offset, wanted = starts[0], len(self.columns) - 1
        commas = np.flatnonzero(seen == COMMA) + offset
        ends = np.append(np.flatnonzero(seen == NEWLINE), len(seen)) + offset
        ends = ends[np.searchsorted(ends, starts)]  # empty lines lie in between
        counts = np.searchsorted(commas, ends) - np.searchsorted(commas, starts)
        if (counts != wanted).any() or (seen == QUOTE).any():
            return None
        inner = commas.reshape(len(starts), wanted)
        return np.column_stack([starts - 1, inner, ends])

    def _filled(self, edges: np.ndarray, places: Sequence[int]) -> bool:
        """Whether the values at `places` hold more than spaces."""
        offset = edges[0, 0] + 1
        view = np.frombuffer(self._data, np.uint8)[offset : edges[-1, -1]]
        own = (view > SPACE) & (view != COMMA)
        dark = np.concatenate([[0], np.cumsum(own, dtype=np.int32)])
        within = np.diff(dark[np.maximum(edges - offset, 0)], axis=1)
        return bool((within[:, places] > 0).all())


@file_cache.of_file(maxsize=16)
def read(file: tuple[str, int, int]) -> Table:
    """The table in the file with this stamp; empty lines are skipped."""
    path = Path(file[0])
    data = text_files.read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    view = np.frombuffer(data, np.uint8)
    ends = np.append(np.flatnonzero(view == NEWLINE), len(view))
    starts = np.append(0, ends[:-1] + 1)
    last = view[np.maximum(ends - 1, 0)] if len(view) else np.zeros(1, np.uint8)
    kept = ends - starts > (last == RETURN)
    numbers = np.flatnonzero(kept).astype(np.int32) + 1
    return Table(file[0], data, starts[kept], numbers)
