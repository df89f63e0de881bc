"""Effects of air, water, lens and sensor on a picture."""

import functools

import numpy as np

from jaxseg.data.render import textures


@functools.lru_cache(maxsize=256)
def _kernel(size: int, sigma) -> np.ndarray:
    """Blurring along one axis as a matrix [S, S]; sigma in pixels."""
    apart = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-0.5 * (apart / sigma) ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def blur(image: np.ndarray, radius) -> np.ndarray:
    """Gaussian blur of [..., S, S]; radius as a share of the picture."""
    size = image.shape[-1]
    kernel = _kernel(size, round(max(radius * size, 0.05), 2))
    return textures.product(textures.product(kernel, image), kernel.T)


def haze(canvas, air, density) -> None:
    """Fades distant pixels into the colour `air`; density per metre, number or [3]."""
    density = np.asarray(density, np.float32).reshape(-1, 1, 1)
    through, air = np.exp(-canvas.depth * density), textures.planes(air)
    canvas.image = air + through * (canvas.image - air)


def light(canvas, gain) -> None:
    """Multiplies the light: a number, a colour [3] or a field [S, S]."""
    gain = np.asarray(gain, np.float32)
    canvas.image *= textures.planes(gain) if gain.ndim == 1 else gain


def vignette(canvas, amount) -> None:
    """Darkens the corners."""
    light(canvas, 1 - amount * ((canvas.x - 0.5) ** 2 + (canvas.y - 0.5) ** 2) * 2)


def grain(canvas, rng, amount) -> None:
    """Sensor noise, independent per pixel and channel."""
    noise = rng.standard_normal(canvas.image.shape, dtype=np.float32)
    canvas.image += np.float32(amount) * noise
