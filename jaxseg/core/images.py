"""Pixels of images [H, W, C] and of label maps [H, W]: resize, turn, normalize.

NumPy and Pillow; `images_jnp` has letterbox and normalization as programs on device.
"""

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image

Size = tuple[int, int]  # height, width
Window = tuple[int, int, int, int]  # top, left, height, width
TRIES = 64  # random images, before two orders of resizing count as equal


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
    down, across = image.shape[0] / size[0], image.shape[1] / size[1]
    rows = _span(top, height, down, image.shape[0])
    cols = _span(left, width, across, image.shape[1])
    seen = image[slice(*rows[:2]), slice(*cols[:2])]  # copied, so only what is needed
    seen = packed(seen) if image.ndim == 3 else seen.astype(np.float32)
    box = (cols[2], rows[2], cols[3], rows[3])
    picture = Image.fromarray(seen)
    resized = np.asarray(picture.resize((width, height), Image.BILINEAR, box=box))
    if image.ndim == 2 and np.issubdtype(image.dtype, np.integer):
        resized = np.rint(resized)
    return resized.astype(image.dtype, copy=False)


@functools.lru_cache(maxsize=64)
def rows_first(size: Size, target: Size) -> bool:
    """Whether `resize` changes the height before the width: this moves the rounding.

    Pillow decides by the sizes, since version 13. A random image on which the two
    orders differ shows what it did; few pixels may need several images.
    """
    if size[0] == target[0] or size[1] == target[1]:
        return False
    rng = np.random.default_rng(0)
    for _ in range(TRIES):
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        by_rows = resize(resize(image, (target[0], size[1])), target)
        by_cols = resize(resize(image, (size[0], target[1])), target)
        if not np.array_equal(by_rows, by_cols):
            return bool(np.array_equal(resize(image, target), by_rows))
    return False


def packed(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C] in C order; a mirrored image is copied pixel by pixel.

    NumPy would copy it byte by byte, which takes twice as long.
    """
    whole_pixels = image.dtype == np.uint8 and image.strides[2] == 1
    if image.flags.c_contiguous or not whole_pixels:
        return np.ascontiguousarray(image)
    channels = image.shape[2]
    pixels = np.ascontiguousarray(image.view(f"V{channels}"))
    return pixels.view(np.uint8).reshape(image.shape)


def resize_ids(ids: np.ndarray, size: Size, window: Window | None = None) -> np.ndarray:
    """[H, W] to (height, width) by nearest pixel centre: no value is invented."""
    top, left, height, width = window or (0, 0, *size)
    if ids.shape == tuple(size):
        return ids[top : top + height, left : left + width]
    rows, cols = (nearest(n, to) for n, to in zip(ids.shape, size))
    return ids[rows[top : top + height]][:, cols[left : left + width]]


def rotate(image: np.ndarray, degrees: float, fill: np.ndarray) -> np.ndarray:
    """[H, W, C] turned counter-clockwise around its centre; `fill` per channel."""
    planes = []
    for plane, nothing in zip(
        np.moveaxis(image, -1, 0), np.broadcast_to(fill, image.shape[2])
    ):
        picture = Image.fromarray(plane.astype(np.float32))
        turned = picture.rotate(degrees, Image.BILINEAR, fillcolor=float(nothing))
        planes.append(np.rint(np.asarray(turned)).astype(image.dtype))
    return np.stack(planes, axis=-1)


def rotate_ids(ids: np.ndarray, degrees: float, fill: int) -> np.ndarray:
    """[H, W] turned in the same way, by nearest pixel; int32 or float32 is kept."""
    turned = Image.fromarray(np.ascontiguousarray(ids)).rotate(degrees, fillcolor=fill)
    return np.asarray(turned)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """[H, W, C] smoothed by a Gaussian of `sigma` pixels, dtype kept."""
    from scipy import ndimage  # slow to import, and few recipes blur

    smooth = ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0))
    return np.rint(smooth).astype(image.dtype)


def jitter(
    image: np.ndarray,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float = 0.0,
) -> np.ndarray:
    """[H, W, C] with these multiplied, in this order, and cut at the dtype's range.

    Contrast is around the mean grey of the image, saturation around each pixel's own;
    grey is the mean of the channels. hue: a rotation of the colors of [H, W, 3] about
    grey, 1 is all the way; 1/3 turns red to green, green to blue and blue to red.
    """
    bright = image.astype(np.float32) * np.float32(brightness)
    centre = bright.mean()
    strong = centre + (bright - centre) * np.float32(contrast)
    grey = strong.mean(axis=-1, keepdims=True)
    color = (strong - grey) * np.float32(saturation)
    if hue:
        color = color @ _rotation(hue).T
    colored = grey + color
    top = np.iinfo(image.dtype).max
    return np.clip(np.rint(colored), 0, top).astype(image.dtype)


def _rotation(share: float) -> np.ndarray:
    """[3, 3] that rotates colors less their grey, by Rodrigues' formula."""
    angle = 2 * np.pi * share
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    return (np.cos(angle) * np.eye(3) + np.sin(angle) * cross).astype(np.float32)


def grey(image: np.ndarray) -> np.ndarray:
    """[H, W, C] with the mean of its channels in each."""
    mean = np.rint(image.mean(axis=-1, keepdims=True, dtype=np.float32))
    return np.broadcast_to(mean.astype(image.dtype), image.shape)


def nearest(source: int, target: int) -> np.ndarray:
    """int [target]: for each of `target` pixels, which of `source` pixels it shows."""
    return ((np.arange(target) + 0.5) * (source / target)).astype(np.intp)


def moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square per channel of [H, W, C], from counts of each value."""
    values = np.arange(np.iinfo(image.dtype).max + 1, dtype=np.float64)
    channels = image.reshape(-1, image.shape[-1]).T
    counts = [np.bincount(channel, minlength=len(values)) for channel in channels]
    share = np.stack(counts) / channels.shape[1]
    return share @ values, share @ values**2


def letterbox_size(size: Sequence[int], canvas: Size) -> Size:
    """(height, width) of an image of `size`, scaled to just fit into the canvas."""
    factor = min(canvas[0] / size[0], canvas[1] / size[1])
    height, width = scaled_size(size, factor)
    return min(height, canvas[0]), min(width, canvas[1])


def scaled_size(size: Sequence[int], factor: float) -> Size:
    """(height, width) times `factor`, at least one pixel each."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def normalize(
    image: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    out: np.ndarray | None = None,
) -> np.ndarray:
    """float32 [H, W, C], (image - mean) / std.

    mean, std: one for each channel, or one for all. out: where the result is written,
    float32 of the same shape and in C order.
    """
    height, width, channels = image.shape
    if out is None:
        out = np.empty(image.shape, np.float32)
    # Rows of pixels instead of pixels of channels: NumPy is slow on short axes.
    repeats = width * channels // len(mean)
    row_mean, factor = _normalizing_row(tuple(mean), tuple(std), repeats)
    shape = (height, width * channels)
    rows, normalized = packed(image).reshape(shape), out.reshape(shape)
    np.subtract(rows, row_mean, out=normalized, dtype=np.float32, casting="same_kind")
    normalized *= factor
    return out


@functools.lru_cache(maxsize=64)
def _normalizing_row(
    mean: tuple[float, ...], std: tuple[float, ...], repeats: int
) -> tuple[np.ndarray, np.ndarray]:
    """float32 mean and 1 / std of a row of pixels, channels innermost."""
    factor = 1 / np.array(std, np.float32)
    return np.tile(np.array(mean, np.float32), repeats), np.tile(factor, repeats)


def _span(
    start: int, length: int, step: float, limit: int
) -> tuple[int, int, float, float]:
    """First and last + 1 of the `limit` source pixels that a window of the result
    looks at, and where the window begins and ends among these.

    start, length: of the window. step: source pixels to a pixel of the result.
    """
    low, high = start * step, min((start + length) * step, float(limit))
    reach = int(max(step, 1)) + 2  # of the triangle around each centre, and a spare
    first, last = max(int(low) - reach, 0), min(int(high) + reach, limit)
    return first, last, low - first, high - first
