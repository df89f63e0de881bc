"""Arrays of `numpy.save`, read without trust in their headers, and of `numpy.savez`.

A header of 80 bytes may ask for terabytes; only the bytes of the file are mapped.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxseg.core import errors, paths

FILE = "arrays.npz"  # in an artifact: what an analysis returned beside its rows


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


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An .npz file of named arrays; TypeError for one of objects, which only pickle
    could hold. Equal arrays give equal bytes.
    """
    objects = [name for name, x in arrays.items() if np.asarray(x).dtype.hasobject]
    if objects:
        raise TypeError(f"arrays {', '.join(objects)} hold objects, not numbers")
    np.savez(path, **arrays)


def read(path: Path) -> dict[str, np.ndarray]:
    """{name: array} that `write` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
