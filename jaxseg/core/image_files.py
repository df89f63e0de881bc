"""Image files and label files as arrays, and arrays as PNG files (Pillow)."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from jaxseg.core import errors, paths
from jaxseg.core.images import Size

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MOST_EXIF = 1 << 16  # bytes, as JPEG allows
ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


def read(path: Path, channels: int | None = None) -> np.ndarray:
    """uint8 [H, W, 3] of any image file, upright: grey, palette, CMYK and 16-bit
    files are converted, transparency is dropped.

    channels: nothing is converted, the file must hold so many of 8 or 16 bits.
    """
    with _opened(path) as image:
        return _converted(image, channels, path)


def given(picture: Any, channels: int | None = None) -> np.ndarray:
    """What `read` gives of a path, of an image of Pillow's, or of the same as an array
    of integers [H, W] or [H, W, C].

    UserError for other values: nobody knows what 1.0 stands for.
    """
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        with _opened(path, "give the path of one image") as image:
            return _converted(image, channels, path)
    if isinstance(picture, Image.Image):
        own = picture.copy() if channels is None else picture  # a copy has one page
        return _converted(own, channels, Path("image"))
    if not hasattr(picture, "__array__"):
        several = isinstance(picture, list | tuple)
        raise errors.UserError(
            f"image: found {type(picture).__name__}; allowed are a path, an image of "
            "Pillow's and an array. Fix: give "
            + ("one at a time." if several else "one of these.")
        )
    array = np.asarray(picture)
    _check_given(array, channels)
    array = np.atleast_3d(array)
    if channels is not None:
        return array
    rgb = array[..., :3] if array.shape[2] > 2 else array[..., :1].repeat(3, axis=2)
    return rgb if rgb.dtype == np.uint8 else (rgb >> 8).astype(np.uint8)


def _check_given(array: np.ndarray, channels: int | None) -> None:
    """UserError unless it has the type and shape of a picture."""
    if array.size and array.dtype not in (np.uint8, np.uint16):
        values, fix = _mended(array)
        raise errors.UserError(
            f"image: found {array.dtype}{values}, allowed are uint8 and uint16, as in "
            f"the files. Fix: {fix}"
        )
    known = (1, 2, 3, 4) if channels is None else (channels,)
    deep = array.shape[2:] or (1,)
    if array.ndim not in (2, 3) or not array.size or deep[0] not in known:
        allowed = "1 to 4 (grey or RGB, with or without alpha)"
        empty = "" if array.size else ", which is empty"
        raise errors.UserError(
            f"image: found shape {array.shape}{empty}, allowed is [H, W, C] with C "
            f"{allowed if channels is None else channels}, or a batch of them"
        )


def _mended(array: np.ndarray) -> tuple[str, str]:
    """(its values in words, the fix) of an array of another type than files have.

    Only where the values leave no doubt is the fix a line of code.
    """
    asked = "give the values that the files have, from 0 to 255 (uint8) or to 65535"
    if array.dtype == bool:
        return "", "for a mask of black and white 255 * image.astype(np.uint8)"
    if array.dtype.kind not in "iuf":
        return "", asked
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():
        return " with NaN or infinity", f"look at where they come from; {asked}"
    values = f" from {low:g} to {high:g}"
    if array.dtype.kind == "f" and 0 <= low <= high <= 1:
        return values, "(255 * image).round().astype(np.uint8)"
    if low >= 0 and high <= 0xFFFF and (array == np.rint(array)).all():
        return values, f"image.astype(np.uint{8 if high <= 0xFF else 16})"
    return values, asked


def _converted(image: Image.Image, channels: int | None, path: Path) -> np.ndarray:
    """`read` of an opened image, which may be turned in place."""
    if channels is not None:
        return _as_stored(image, channels, path)
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
                "of class ids (grey or palette PNG). Fix: convert colours to ids; "
                "folder/segmentation does so itself with colors=..., and `init` finds "
                "a file class_dict.csv of lines `name,red,green,blue`."
            )
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image).astype(np.int32)


def size(path: Path) -> Size:
    """(height, width) from the header alone, as `read` would return it."""
    with _opened(path) as image:
        late = image.format == "PNG" and "exif" not in image.info
        exif = _late_exif(path) if late else image.getexif()  # which decodes such PNGs
        quarter_turn = exif.get(0x0112, 1) >= 5  # orientations 5 to 8
        return (image.width, image.height) if quarter_turn else image.size[::-1]


def num_bytes(path: Path) -> int:
    """Size of the file; UserError for a link that leads nowhere or to itself."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise errors.UserError(
            f"{path}: cannot be opened ({error.strerror}). Fix: restore the file that "
            "the link points to, or remove the link and its label."
        ) from None


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of uint8 [H, W, 3] or [H, W], or of int ids [H, W] up to 255."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def _opened(path: Path, fix: str = "") -> Iterator[Image.Image]:
    """The opened image; whatever Pillow raises becomes a UserError with the path.

    fix: of one that is none; else that of a file of a data set.
    """
    try:
        paths.check_kind(path)
        with Image.open(path) as image:
            yield image
    except errors.UserError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise errors.UserError(
            f"{path}: file not found. Fix: {fix or 'restore it'}."
        ) from None
    except IsADirectoryError:
        raise errors.UserError(
            f"{path}: this is a folder, allowed are files. Fix: "
            f"{fix or 'put the image in its place'}."
        ) from None
    except Exception as error:  # a damaged file raises one of a dozen types
        raise errors.UserError(
            f"{path}: not a readable image ({type(error).__name__}: {error}); allowed "
            f"are whole {', '.join(s[1:] for s in SUFFIXES)} files. Fix: "
            f"{fix or 'replace the file or remove it together with its label'}."
        ) from error


def _late_exif(path: Path) -> Image.Exif:
    """The EXIF data that lie behind the pixels of a PNG, none of which is decoded."""
    exif = Image.Exif()
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf":
                exif.load(b"Exif\0\0" + file.read(min(length, MOST_EXIF)))
                break
            file.seek(length + 4, 1)
    return exif


def _as_stored(image: Image.Image, channels: int, path: Path) -> np.ndarray:
    """uint8 or uint16 [H, W, C] of all bands of all pages, upright."""
    pages = getattr(image, "n_frames", 1)
    if pages > channels:  # before they fill the memory
        raise errors.UserError(
            f"{path}: found {pages * len(image.getbands())} channels in {pages} pages; "
            f"allowed are channels={channels}. Fix: correct channels, or save a TIFF "
            "with a page for each channel."
        )
    pages = [
        np.asarray(ImageOps.exif_transpose(p)) for p in ImageSequence.Iterator(image)
    ]
    stacked = np.concatenate([np.atleast_3d(page) for page in pages], axis=2)
    if stacked.shape[2] != channels or stacked.dtype not in (np.uint8, np.uint16):
        raise errors.UserError(
            f"{path}: found {stacked.shape[2]} channels of {stacked.dtype}; allowed "
            f"are channels={channels} of 8 or 16 bits. Fix: correct channels, or save "
            "it as a grey, RGB or RGBA image or a TIFF with a page for each channel."
        )
    return stacked


def _from_16_bit(grey: np.ndarray, path: Path) -> np.ndarray:
    """uint8 [H, W, 3] from 16-bit grey [H, W]."""
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise errors.UserError(
            f"{path}: found grey levels {grey.min()} to {grey.max()}; allowed are 0 "
            "to 65535. Fix: save it with 8 or 16 bits a channel."
        )
    return np.repeat((grey.astype(np.int32) >> 8).astype(np.uint8)[..., None], 3, 2)
