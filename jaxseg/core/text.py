"""Text from data for people: what cannot be seen, or moves what can be, is escaped."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

LINES = "\n\t"
# Control characters, marks of direction, separators of lines, spaces without a width,
# halves of pairs. Joiners stay: scripts need them.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    "\ud800-\udfff]"
)


def visible(text: str, keep: str = LINES) -> str:
    r"""`text` with \x1b, \u202e and the like in place of characters that hide.

    keep: of these, those that stay; "" for text on one line.
    """
    return HIDDEN.sub(lambda found: _escape(found[0], keep), text)


@contextlib.contextmanager
def escaped(*streams: Any) -> Iterator[None]:
    """Within, what is written to these streams is `visible`."""

    def writer(stream: Any) -> None:
        write = stream.write
        stream.write = lambda text: write(visible(text))

    for stream in streams:
        writer(stream)
    try:
        yield
    finally:
        for stream in streams:
            del stream.write


def _escape(character: str, keep: str) -> str:
    return character if character in keep else ascii(character)[1:-1]
