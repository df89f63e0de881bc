"""JSON and JSON lines on disk: whole lines, atomic replacement, checksums."""

import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxseg.core import errors, hashing

SCRATCH = ".*.tmp"  # the name of a file until it is whole


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one line. `read` drops a line that a kill has cut off."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of `path`, [] where it does not exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append(Path(folder) / "log.jsonl", {"step": 1, "loss": 0.5})
    ...     read(Path(folder) / "log.jsonl")
    [{'loss': 0.5, 'step': 1}]
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]  # what a kill left behind the last newline
    return [json.loads(line) for line in whole.splitlines()]


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replaces `path` by these lines, atomically."""
    write_text(path, "".join(json.dumps(r, sort_keys=True) + "\n" for r in rows))


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` by indented JSON, atomically."""
    write_text(path, _render(value))


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """`write_json` with a field `self`: the key of everything else in it."""
    write_json(path, dict(value) | {"self": hashing.key(value)})


def read_sealed(path: Path, fix: str = "") -> dict[str, Any]:
    """The value that `write_sealed` wrote; Damaged where a byte differs."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        rest = {key: item for key, item in value.items() if key != "self"}
        sound = value["self"] == hashing.key(rest) and text == _render(value)
    except OSError as error:
        text = f"{path}: cannot be read ({error.strerror}). {fix}"
        raise errors.Damaged(text.rstrip()) from error
    except (ValueError, KeyError, AttributeError, TypeError):
        sound = False
    if not sound:
        text = f"{path}: damaged, its own checksum disagrees. {fix}"
        raise errors.Damaged(text.rstrip())
    return value


def read_json(path: Path) -> Any:
    """The JSON value in `path`; UserError with the path where it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise errors.UserError(f"{path}: not valid JSON ({error})") from error


def rewind(path: Path, text: str) -> None:
    """Cuts `path` back to its beginning `text`; warns where that has changed."""
    before = path.read_bytes() if path.is_file() else b""
    if not before.startswith(text.encode()):
        logging.warning("%s: damaged or gone; taken from the checkpoint.", path)
    write_text(path, text)


def _render(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def write_text(path: Path, text: str) -> None:
    """Replaces `path` by `text`: a reader sees the old or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f"{os.getpid()}.{secrets.token_hex(4)}"  # workers on many hosts share pids
    scratch = path.with_name(SCRATCH.replace("*", f"{path.name}.{own}"))
    try:
        with open(scratch, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)  # where the disk refused it
