"""Reads whole text and JSON files, and numbers in text; each error names the file."""

import json
import re
from pathlib import Path
from typing import Any

from jaxseg.core import errors, paths


def read_lines(path: Path) -> list[str]:
    """The first word of each line that has one."""
    lines = read_text(path).splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; UserError with the path if missing or not UTF-8."""
    return read_bytes(path).decode().replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path) -> bytes:
    """The bytes of a UTF-8 file; errors as in `read_text`."""
    try:
        paths.check_kind(path)
        data = path.read_bytes()
        data.decode()  # or UnicodeDecodeError
        return data
    except FileNotFoundError:
        raise errors.UserError(
            f"{path}: file not found. Fix: restore it, or correct root=DIR or the "
            "options that name it."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.UserError(
            f"{path}: cannot be read as UTF-8 text ({error}). Fix: replace the file."
        ) from None


def read_json(path: Path) -> Any:
    """The content of a JSON file; UserError with the position of the error."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # or a number of 4300 digits
        raise errors.UserError(
            f"{path}: not whole JSON ({error}). Fix: get or write the file again."
        ) from None


def whole(text: str) -> int | None:
    """The number that up to 18 digits 0 to 9 form; None for other text.

    Python's `isdigit` takes a superscript two for a digit, and `int` does not.
    """
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None
