"""Letterbox and normalization on device against those of NumPy and Pillow."""

import jax
import numpy as np
import pytest

from jaxseg.core import images, images_jnp

GREY_LEVEL = 1 / 255
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CANVASES = ((32, 48), (40, 40))
SIZES = (
    *((1, 1), (32, 48), (33, 49), (31, 47), (16, 24), (64, 96), (90, 1)),
    *((7, 200), (200, 7), (97, 64), (150, 211), (216, 100)),
)


def picture(size, channels, dtype, seed=0):
    top = np.iinfo(dtype).max
    rng = np.random.default_rng([seed, *size, channels])
    return rng.integers(0, top, (*size, channels), dtype, endpoint=True)


def by_numpy(image, canvas, fill):
    """What `data.transforms.Letterbox` makes of an image."""
    size = images.letterbox_size(image.shape[:2], canvas)
    full = np.empty((*canvas, image.shape[2]), image.dtype)
    full[:] = np.rint(fill)
    full[: size[0], : size[1]] = images.resize(image, size)
    return full


def both(size, channels, dtype, canvas):
    """The normalized letterbox by NumPy and as a program."""
    image, mean, std = picture(size, channels, dtype), MEAN[:channels], STD[:channels]
    expected = images.normalize(by_numpy(image, canvas, mean), mean, std)

    @jax.jit
    def program(image):
        boxed = images_jnp.letterbox(image, canvas, mean)
        return images_jnp.normalize(boxed, mean, std)

    return expected * np.float32(std), np.asarray(program(image)) * np.float32(std)


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize(
    "channels, dtype", [(3, np.uint8), (1, np.uint8), (3, np.uint16)]
)
def test_letterbox_and_normalization_equal_those_of_numpy(canvas, channels, dtype):
    for size in SIZES:
        expected, found = both(size, channels, dtype, canvas)
        scale = 257 if dtype == np.uint16 else 1
        assert np.abs(found - expected).max() < GREY_LEVEL * scale, size


def test_another_rule_of_resizing_differs_by_more(monkeypatch):
    def other(image, size):
        shape = (*size, image.shape[2])
        sharp = jax.image.resize(image.astype(np.float32), shape, "linear", False)
        return sharp.round().astype(image.dtype)

    monkeypatch.setattr(images_jnp, "resize", other)
    expected, found = both((150, 211), 3, np.uint8, (32, 48))
    assert np.abs(found - expected).max() > 1


@pytest.mark.parametrize("size, target", [((23, 22), (2, 2)), ((8, 31), (1, 4))])
def test_a_few_pixels_are_resized_in_the_order_of_pillow(size, target):
    rng = np.random.default_rng(0)
    for image in rng.integers(0, 256, (10, *size, 3), np.uint8):
        on_device = images_jnp.resize(jax.numpy.asarray(image), target)
        np.testing.assert_array_equal(on_device, images.resize(image, target))
