"""Arrays of `numpy.save`, read without trust in their headers.

A header of 80 bytes may ask for terabytes; only the bytes of the file are mapped.
"""

from pathlib import Path

import numpy as np

from jaxseg.core import errors, paths


def mapped(path: Path) -> np.ndarray:
    """The array of an .npy file, memory-mapped and read-only; UserError if damaged."""
    paths.check_kind(path)
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise errors.UserError(f"{path}: file not found. Fix: restore it.") from None
    except Exception as error:  # a damaged header raises one of a dozen types
        raise errors.UserError(
            f"{path}: not a readable array ({type(error).__name__}: {error}); allowed "
            "are whole files of numpy.save, without objects. Fix: write the file again."
        ) from None
