"""MATLAB files of all versions: up to 7 by SciPy, 7.3, which is HDF5, by h5py."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jaxseg.core import errors, isolated, paths

HEADER = 128  # bytes of text that MATLAB writes first
HDF5 = b"\x89HDF\r\n\x1a\n"


def read(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    """{variable: value} of a .mat file: arrays, strings, dicts for structures, lists
    for cells; axes in MATLAB's order, without those of length 1.

    names: only these variables, all of which must be there; None: all.
    """
    values = _read_73(path, names) if is_73(path) else _read_old(path, names)
    missing = [name for name in names or () if name not in values]
    if missing:
        raise errors.UserError(
            f"{path}: found the variables {', '.join(_names(path)) or 'none'}; "
            f"{', '.join(missing)} are missing. Fix: get the official file again."
        )
    return values


def is_73(path: Path) -> bool:
    """Whether a .mat file is HDF5."""
    paths.check_kind(path)
    try:
        with path.open("rb") as file:
            head = file.read(4 * HEADER + len(HDF5))
    except FileNotFoundError:
        raise errors.UserError(f"{path}: file not found. Fix: restore it.") from None
    return head.startswith((b"MATLAB 7.3", HDF5)) or head.endswith(HDF5)


def h5py_for(path: Path) -> ModuleType:
    """The package h5py; UserError with how to get it."""
    try:
        import h5py
    except ImportError:
        raise errors.UserError(
            f"{path}: MATLAB files of version 7.3 are HDF5 and need the package h5py, "
            "which is not installed. Fix: pip install jaxseg[mat]."
        ) from None
    return h5py


def open_73(path: Path) -> Any:
    """An open file of version 7.3, for reading single rows; axes come reversed."""
    h5py = h5py_for(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from None


def load(path: Path, **options: Any) -> dict[str, Any]:
    """`scipy.io.loadmat(path, **options)` in a process that a bad file may crash."""
    return isolated.call("scipy.io:loadmat", str(path), **options)


def _names(path: Path) -> list[str]:
    if not is_73(path):
        return [name for name, *_ in isolated.call("scipy.io:whosmat", str(path))]
    with open_73(path) as file:
        return sorted(name for name in file if name[0] != "#")


def _read_old(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    try:
        variables = load(path, simplify_cells=True, variable_names=names)
    except isolated.Failed as error:
        raise _damaged(path, error) from None
    return {name: value for name, value in variables.items() if name[:2] != "__"}


def _read_73(path: Path, names: tuple[str, ...] | None) -> dict[str, Any]:
    with open_73(path) as file:
        wanted = [n for n in file if n[0] != "#" and (names is None or n in names)]
        return {name: _plain(file[name], file, path) for name in wanted}


def _plain(item: Any, file: Any, path: Path) -> Any:
    """The content of an HDF5 dataset or group, in SciPy's form for older files."""
    h5py = h5py_for(path)
    if isinstance(item, h5py.Group):
        return {name: _plain(item[name], file, path) for name in item}
    values, kind = item[()], item.attrs.get("MATLAB_class", b"")
    if item.attrs.get("MATLAB_empty"):
        return "" if kind == b"char" else np.empty(0)
    if isinstance(values, h5py.Reference):
        return _plain(file[values], file, path)
    if values.dtype == object:  # a cell array of references
        return [_plain(file[each], file, path) for each in values.T.ravel()]
    values = values.T.squeeze()
    if kind == b"char":
        return "".join(map(chr, np.atleast_1d(values)))
    return values.item() if values.ndim == 0 else values


def _damaged(path: Path, error: Exception) -> errors.UserError:
    return errors.UserError(
        f"{path}: not a readable MATLAB file ({type(error).__name__}: {error}). Fix: "
        "get the file again."
    )
