"""Reading, resizing and writing images and integer label maps (NumPy, Pillow)."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jaxseg.core import errors

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
Size = tuple[int, int]  # height, width
Window = tuple[int, int, int, int]  # top, left, height, width
ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


def read(path: Path) -> np.ndarray:
    """uint8 [H, W, 3] of any image file, upright: grey, palette, CMYK and 16-bit
    files are converted, transparency is dropped."""
    with _opened(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "RGB":
            return np.asarray(image)
        if image.mode.startswith("I"):
            return _from_16_bit(np.asarray(image), path)
        if image.mode == "F":
            raise errors.UserError(
                f"{path}: found floating point pixels; allowed are 8 and 16 bits a "
                "channel. Fix: save it as a PNG of 8 or 16 bits."
            )
        if image.mode == "P":  # a palette with transparency warns on the direct way
            image = image.convert("RGBA")
        return np.asarray(image.convert("RGB"))


def read_ids(path: Path) -> np.ndarray:
    """int32 [H, W] of a label file: grey levels as they are, or palette indices."""
    with _opened(path) as image:
        if image.format == "JPEG":
            raise errors.UserError(
                f"{path}: found a JPEG; labels must be stored without loss. Fix: save "
                "the label map as PNG from its source (not from this JPEG)."
            )
        if image.mode not in ID_MODES:
            raise errors.UserError(
                f"{path}: found {image.mode} pixels; allowed for labels is one channel "
                "of class ids (grey or palette PNG). Fix: convert colours to ids first."
            )
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image).astype(np.int32)


def size(path: Path) -> Size:
    """(height, width) from the header alone, as `read` would return it."""
    with _opened(path) as image:
        quarter_turn = image.getexif().get(0x0112, 1) >= 5  # orientations 5 to 8
        return (image.width, image.height) if quarter_turn else image.size[::-1]


def resize(image: np.ndarray, size: Size, window: Window | None = None) -> np.ndarray:
    """[H, W, C] or [H, W] to (height, width), antialiased bilinear, dtype kept.

    window: only these rows and columns of the result, at the cost of only these.
    """
    top, left, height, width = window or (0, 0, *size)
    if image.shape[:2] == tuple(size):
        return image[top : top + height, left : left + width]
    if image.ndim == 3 and not (image.dtype == np.uint8 and image.shape[2] == 3):
        planes = [resize(image[..., c], size, window) for c in range(image.shape[2])]
        return np.stack(planes, axis=-1)
    picture = Image.fromarray(image if image.ndim == 3 else image.astype(np.float32))
    down, across = picture.height / size[0], picture.width / size[1]
    right = min((left + width) * across, picture.width)
    bottom = min((top + height) * down, picture.height)
    box = (left * across, top * down, right, bottom)
    resized = np.asarray(picture.resize((width, height), Image.BILINEAR, box=box))
    if image.ndim == 2 and np.issubdtype(image.dtype, np.integer):
        resized = np.rint(resized)
    return resized.astype(image.dtype, copy=False)


def resize_ids(ids: np.ndarray, size: Size, window: Window | None = None) -> np.ndarray:
    """[H, W] to (height, width) by nearest pixel centre: no value is invented."""
    top, left, height, width = window or (0, 0, *size)
    if ids.shape == tuple(size):
        return ids[top : top + height, left : left + width]
    rows, cols = (nearest(n, to) for n, to in zip(ids.shape, size))
    return ids[rows[top : top + height]][:, cols[left : left + width]]


def nearest(source: int, target: int) -> np.ndarray:
    """int [target]: for each of `target` pixels, which of `source` pixels it shows."""
    return ((np.arange(target) + 0.5) * (source / target)).astype(np.intp)


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of uint8 [H, W, 3] or [H, W], or of int ids [H, W] up to 255."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The opened image; whatever Pillow raises becomes a UserError with the path."""
    try:
        with Image.open(path) as image:
            yield image
    except errors.UserError:
        raise
    except FileNotFoundError:
        raise errors.UserError(f"{path}: file not found. Fix: restore it.") from None
    except Exception as error:  # a damaged file raises one of a dozen types
        raise errors.UserError(
            f"{path}: not a readable image ({type(error).__name__}: {error}); allowed "
            f"are whole {', '.join(s[1:] for s in SUFFIXES)} files. Fix: replace the "
            "file or remove it together with its label."
        ) from error


def _from_16_bit(grey: np.ndarray, path: Path) -> np.ndarray:
    """uint8 [H, W, 3] from 16-bit grey [H, W]."""
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise errors.UserError(
            f"{path}: found grey levels {grey.min()} to {grey.max()}; allowed are 0 "
            "to 65535. Fix: save it with 8 or 16 bits a channel."
        )
    return np.repeat((grey.astype(np.int32) >> 8).astype(np.uint8)[..., None], 3, 2)
