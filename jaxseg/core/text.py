"""Escapes characters in text from data that are invisible or move other text."""

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

LINES = "\n\t"
# Control characters, marks of direction, separators of lines, spaces without a width,
# halves of pairs. Joiners stay: scripts need them.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)


def visible(text: str, keep: str = LINES) -> str:
    r"""`text` with escapes such as \x1b and \u202e in place of hidden characters.

    keep: the hidden characters that stay; "" for text on one line.

    >>> print(visible("a\x1b[2Jb"))
    a\x1b[2Jb
    >>> print(visible("two\nlines", keep=""))
    two\nlines
    """
    return HIDDEN.sub(lambda match: _escape(match[0], keep), text)


class Visible:
    """A text stream that writes `visible` text to the stream `raw`."""

    def __init__(self, stream: Any):
        self.raw = raw(stream)

    def write(self, text: str) -> int:
        """Writes the text escaped; returns the number of characters given."""
        self.raw.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def raw(stream: Any) -> Any:
    """The stream behind a `Visible`, for colours and bars, which escape their texts."""
    return stream.raw if isinstance(stream, Visible) else stream


@contextlib.contextmanager
def escaped() -> Iterator[None]:
    """Inside it, text that is printed or logged is `visible`."""
    out, err = Visible(sys.stdout), Visible(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def _escape(character: str, keep: str) -> str:
    return character if character in keep else ascii(character)[1:-1]
