"""Where things are kept that can be made again: pictures, decoded images, programs."""

import os
from pathlib import Path


def folder() -> Path:
    """$JAXSEG_CACHE, else ~/.cache/jaxseg."""
    return Path(os.environ.get("JAXSEG_CACHE") or Path.home() / ".cache" / "jaxseg")
