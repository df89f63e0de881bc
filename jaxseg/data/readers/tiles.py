"""Overlapping tiles of big images, by the rule of iSAID's devkit (Zamir et al., 2019).

Tiles are 800 x 800 and begin every 600 pixels; the last of a row or column is moved
back until it ends at the border. An image with a side of 800 or less stays whole.

One window of a PNG or TIFF costs as much as all of it, so a big file is decoded once
and its tiles are kept as PNG files in <cache>/tiles, 1.8 times its pixels. That takes a
second for 4 million pixels, when one of them is first read: 10 s and about 70 MB for an
image of Potsdam. A file whose content changes is cut again.
"""

import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxseg.core import errors, hashing, image_files, user_cache
from jaxseg.core.images import Size, Window
from jaxseg.data import contents

TILE, OVERLAP = 800, 200
RULE = 1  # goes up when the tiles of the same file change
_cutting = threading.Lock()  # one image at a time: each takes hundreds of megabytes


class Tile(NamedTuple):
    """One record: a window of an image and of its label file, below the root."""

    image: str
    mask: str
    window: Window | None  # None: the whole image

    @property
    def id(self) -> str:
        """As the devkit names its tiles: NAME_top_bottom_left_right."""
        name = Path(self.image).stem
        if self.window is None:
            return name
        top, left, height, width = self.window
        return f"{name}_{top}_{top + height}_{left}_{left + width}"


def windows(size: Size) -> list[Window | None]:
    """The tiles of an image of (height, width); [None] for one that stays whole."""
    if min(size) <= TILE:
        return [None]
    rows, columns = (_starts(length) for length in size)
    return [(top, left, TILE, TILE) for left in columns for top in rows]


def records(pairs: Iterable[tuple[str, str]], root: Path) -> Sequence[Tile]:
    """The tiles of (image, mask) pairs; only the headers of the images are read."""
    return [
        Tile(image, mask, window)
        for image, mask in pairs
        for window in windows(image_files.size(root / image))
    ]


def read_image(path: Path, window: Window | None) -> np.ndarray:
    """uint8 [H, W, 3], a window of an image file."""
    if window is None:
        return image_files.read(path)
    return image_files.read(_tile(path, window, image_files.read, "image"))


def read_ids(
    path: Path, window: Window | None, decode: Callable[[Path], np.ndarray], rule: str
) -> np.ndarray:
    """int32 [H, W], a window of a label file.

    decode: ids of the whole file, up to 255; rule: names it, and changes when it does.
    """
    if window is None:
        return decode(path)
    return image_files.read_ids(_tile(path, window, decode, rule))


def _starts(length: int) -> list[int]:
    starts = (min(n, length - TILE) for n in range(0, length, TILE - OVERLAP))
    return sorted(set(starts))


def _tile(
    path: Path, window: Window, decode: Callable[[Path], np.ndarray], rule: str
) -> Path:
    """The file of a tile; at first use all tiles of the image are cut."""
    (digest,) = contents.sums(path.parent, [(path.name, True)])
    key = hashing.key([digest.hex(), rule, RULE, TILE, OVERLAP])
    folder = user_cache.folder() / "tiles" / key
    with _cutting:
        if not folder.is_dir():
            _cut(decode(path), path, folder)
    tile = folder / _name(window)
    if not tile.is_file():
        raise errors.UserError(
            f"{path}: found no tile at row {window[0]}, column {window[1]}; allowed is "
            "a label file of the size of its image. Fix: get the official file again."
        )
    return tile


def _cut(pixels: np.ndarray, path: Path, folder: Path) -> None:
    """Writes all tiles of an image into `folder`, which appears with all of them."""
    drafts = {"prefix": "draft-", "dir": folder.parent, "ignore_cleanup_errors": True}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(**drafts) as draft:
            tiles = Path(draft) / "tiles"
            tiles.mkdir()
            for top, left, height, width in filter(None, windows(pixels.shape[:2])):
                tile = pixels[top : top + height, left : left + width]
                name = _name((top, left, height, width))
                picture = Image.fromarray(tile.astype(np.uint8, copy=False))
                picture.save(tiles / name, compress_level=1)
            tiles.replace(folder)
    except OSError as error:
        if not folder.is_dir():  # else another process has cut it in the meantime
            raise errors.UserError(
                f"{path}: its tiles cannot be kept in {folder.parent} ({error}). Fix: "
                "make room there, or set JAXSEG_CACHE to a folder with room."
            ) from None


def _name(window: Window) -> str:
    return f"{window[0]}_{window[1]}.png"
