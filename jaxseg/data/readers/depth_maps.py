"""Depth maps from 16-bit, NumPy and OpenEXR files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from jaxseg.core import arrays, errors, image_files

ARRAYS = (".npy", ".exr")  # endings of files that are not images
FARTHEST = 1e6  # metres: a larger value is in other units, or means unknown
MILLIMETRES, METRES = 0.001, 1.0  # per unit of integers and of floating point numbers


def read(
    path: Path,
    scale: float | None,
    *,
    invalid: float | int | Sequence[float | int] | None = None,
    maximum: float | None = None,
) -> np.ndarray:
    """float32 [H, W] metres of a file with `scale` metres per unit.

    scale: None is millimetres for integers, metres for floating point numbers.
    0 = unknown: where the file has 0, NaN, infinity or one of `invalid`, and beyond
    `maximum` metres.
    """
    raw = _read_raw(path)
    invalid = () if invalid is None else np.atleast_1d(invalid)
    unknown = np.isin(raw, [0, *invalid]) | ~np.isfinite(raw)
    if (raw[~unknown] < 0).any():
        raise errors.UserError(
            f"{path}: found the depth {raw[~unknown].min():g}; allowed are 0 and more. "
            "Fix: save it without a sign, or name the values that mean unknown with "
            "invalid=[...]."
        )
    if scale is None:
        scale = METRES if raw.dtype.kind == "f" else MILLIMETRES
    metres = np.where(unknown, 0, raw).astype(np.float32) * np.float32(scale)
    if maximum is not None:
        unknown |= metres > maximum
    if (far := metres[~unknown].max(initial=0)) > FARTHEST:
        raise errors.UserError(
            f"{path}: found a depth of {far:g} m; allowed are {FARTHEST:g} m and less. "
            "Fix: scale=METRES_PER_UNIT, maximum=METRES beyond which it is unknown, or "
            "invalid=[...]."
        )
    return np.where(unknown, np.float32(0), metres)


def _read_raw(path: Path) -> np.ndarray:
    """[H, W] of integers or floating point numbers, as stored in the file."""
    readers = {".npy": arrays.mapped, ".exr": _read_exr}
    raw = readers.get(path.suffix.lower(), _read_16_bit)(path)
    if raw.ndim == 3 and 1 in (raw.shape[0], raw.shape[2]):
        raw = raw[0] if raw.shape[0] == 1 else raw[..., 0]
    if raw.ndim != 2 or raw.dtype.kind not in "fiu" or not raw.size:
        raise errors.UserError(
            f"{path}: found {raw.dtype} {list(raw.shape)}; allowed for depth are "
            "numbers [height, width]. Fix: save one channel of distances."
        )
    return np.array(raw)  # no longer mapped: the file may change


def _read_16_bit(path: Path) -> np.ndarray:
    raw = image_files.read_ids(path)
    with Image.open(path) as image:
        mode = image.mode
    if not mode.startswith("I"):
        raise errors.UserError(
            f"{path}: found {mode} pixels of 8 bits or fewer; allowed for depth are 16 "
            "bits a pixel. Fix: save the distances as 16-bit PNG (pictures "
            "of depth made for viewing do not contain them)."
        )
    return raw


def _read_exr(path: Path) -> np.ndarray:
    """The one channel of an OpenEXR file, or the first of R, G, B that are the same."""
    try:
        import OpenEXR
    except ImportError:
        raise errors.UserError(
            f"{path}: reading OpenEXR files needs the package OpenEXR, which is not "
            "installed. Fix: pip install OpenEXR, or save the depth as NPY."
        ) from None
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            planes = {name: c.pixels.copy() for name, c in file.channels().items()}
    except Exception as error:  # the package raises RuntimeError and others
        raise errors.UserError(
            f"{path}: not a readable OpenEXR file ({error}). Fix: write it again."
        ) from None
    colours = [planes[name] for name in "RGB" if name in planes]
    same = all(np.array_equal(colours[0], c, equal_nan=True) for c in colours)
    wanted = {name: p for name, p in planes.items() if name in ("Z", "Y", "V", "depth")}
    if len(planes) == 1 or wanted:
        return next(iter((wanted or planes).values()))
    if colours and same:
        return colours[0]
    raise errors.UserError(
        f"{path}: found the channels {', '.join(sorted(planes))}; allowed for depth is "
        "one, or Z, or three that are the same. Fix: save one channel."
    )
