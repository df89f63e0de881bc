"""The folder for what can be made again: pictures, decoded images, programs."""

import logging
import os
import tempfile
from pathlib import Path

from jaxseg.core import errors

ROOM = 2**20  # bytes that must fit, else the folder is of no use


def folder() -> Path:
    """$JAXSEG_CACHE, else ~/.cache/jaxseg."""
    given = os.environ.get("JAXSEG_CACHE")
    try:
        return Path(given) if given else Path.home() / ".cache" / "jaxseg"
    except RuntimeError as error:  # as in a container whose user has no name
        raise errors.UserError(f"{error} Fix: set JAXSEG_CACHE=DIR") from None


def check() -> None:
    """Warns where the folder cannot be written: runs work without it, but slower."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder()) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        logging.warning(
            "%s: cannot be written (%s): images and compiled programs are made "
            "again in every run. Fix: free space, or set JAXSEG_CACHE to a folder that "
            "can be written.",
            folder(),
            error.strerror,
        )
