"""Every odd kind of image file, through a folder of images and masks."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors
from jaxseg.data import source as source_lib
from tests.data import trees

SIZE = (12, 16)  # height, width
FORMATS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}


def pixels(channels=3, dtype=np.uint8):
    levels = 40 * (np.arange(np.prod(SIZE)) % 6).reshape(SIZE)
    planes = [levels // (k + 1) for k in range(channels)]
    return np.stack(planes, axis=-1).astype(dtype)


def folder(root, name="a.png", picture=None, mask_size=SIZE, **save):
    """Two pairs, of which the first image is `picture` under that name."""
    trees.write_folder(root, ["train/zz", "val/other"])
    path = root / "images/train" / name
    if picture is not None:
        picture.save(path, **save)
    stem = name.rsplit(".", 1)[0]
    trees.write_mask(root / f"masks/train/{stem}.png", size=mask_size)
    return path


def opened(root, **options):
    return source_lib.open(
        "folder/segmentation", split="train", root=root, options=options, cache="none"
    )


def read(root, **options):
    return opened(root, **options)[0]["image"]


def test_grey_images_get_three_equal_channels(tmp_path):
    folder(tmp_path, picture=Image.fromarray(pixels(1)[..., 0]))
    np.testing.assert_array_equal(read(tmp_path), np.repeat(pixels(1), 3, axis=2))


def test_palettes_are_looked_up(tmp_path):
    picture = Image.fromarray(pixels()).quantize(16)
    folder(tmp_path, picture=picture)
    np.testing.assert_array_equal(read(tmp_path), np.asarray(picture.convert("RGB")))


def test_palettes_with_a_transparent_entry_are_looked_up(tmp_path):
    picture = Image.fromarray(pixels()).quantize(16)
    folder(tmp_path, picture=picture, transparency=b"\0" * 4)
    assert read(tmp_path).shape == (*SIZE, 3)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_is_dropped(tmp_path, channels):
    folder(tmp_path, picture=Image.fromarray(pixels(channels)))
    colors = pixels(channels)[..., [0, 0, 0] if channels == 2 else [0, 1, 2]]
    np.testing.assert_array_equal(read(tmp_path), colors)


def test_cmyk_becomes_rgb(tmp_path):
    picture = Image.fromarray(np.full((*SIZE, 3), (200, 60, 20), np.uint8))
    folder(tmp_path, "a.jpg", picture.convert("CMYK"), quality=95)
    difference = read(tmp_path).astype(int) - np.array([200, 60, 20])
    assert np.abs(difference).max() < 8


def test_16_bits_become_8(tmp_path):
    levels = pixels(1, np.uint16)[..., 0] * 256 + 3
    folder(tmp_path, picture=Image.fromarray(levels))
    np.testing.assert_array_equal(read(tmp_path), np.repeat(pixels(1), 3, axis=2))


def test_16_bits_and_any_number_of_channels_stay_when_asked(tmp_path):
    planes = pixels(5, np.uint16) * 256 + 3
    pages = [Image.fromarray(planes[..., k]) for k in range(5)]
    folder(tmp_path, "a.tif", pages[0], save_all=True, append_images=pages[1:])
    image = read(tmp_path, channels=5)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, planes)
    with pytest.raises(
        errors.UserError, match=r"a\.tif: found 5 channels .*channels=4"
    ):
        read(tmp_path, channels=4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_are_measured_one_by_one(tmp_path, channels):
    for name in ("train/a", "val/b"):
        path = tmp_path / f"images/{name}.png"
        path.parent.mkdir(parents=True)
        stored = pixels(channels)
        Image.fromarray(stored if channels > 1 else stored[..., 0]).save(path)
        trees.write_mask(tmp_path / f"masks/{name}.png")
    source = opened(tmp_path, channels=channels)
    np.testing.assert_array_equal(source[0]["image"], pixels(channels))
    mean = pixels(channels).mean((0, 1))
    np.testing.assert_allclose(source.dataset.mean, mean, atol=1e-3)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_turns_the_image_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {3: 2, 6: -1, 8: 1}[orientation]
    upright = np.rot90(pixels(), turns)
    picture = Image.fromarray(pixels())
    folder(tmp_path, picture=picture, mask_size=upright.shape[:2], exif=exif)
    np.testing.assert_array_equal(read(tmp_path), upright)


def test_floating_point_pixels_are_refused(tmp_path):
    folder(tmp_path, "a.tif", Image.fromarray(np.zeros(SIZE, np.float32)))
    with pytest.raises(errors.UserError, match=r"a\.tif: found floating .*Fix"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["übung 漢字 é.png", "a" * 240 + ".png"])
def test_any_file_name_will_do(tmp_path, name):
    folder(tmp_path, name, Image.fromarray(pixels()))
    source = opened(tmp_path)
    by_id = {source[i]["id"]: source[i] for i in range(len(source))}
    np.testing.assert_array_equal(by_id[f"images/train/{name}"]["image"], pixels())


def test_links_in_a_circle_are_not_followed(tmp_path):
    folder(tmp_path, picture=Image.fromarray(pixels()))
    (tmp_path / "images/train/loop").symlink_to(tmp_path / "images")
    (tmp_path / "images/self").symlink_to(tmp_path / "images/self")
    listed = list(opened(tmp_path).listing())
    names = [line.split("(")[1].split(",")[0] for line in listed]
    assert names == ["images/train/a.png", "images/train/zz.jpg"]


@pytest.mark.parametrize("target", ["up.png", "gone.png"])
def test_links_that_lead_to_no_file_are_named(tmp_path, target):
    folder(tmp_path, "up.png")
    (tmp_path / "images/train/up.png").symlink_to(tmp_path / "images/train" / target)
    with pytest.raises(errors.UserError, match=r"up\.png: cannot be opened .*Fix"):
        opened(tmp_path)


@pytest.mark.parametrize("kept", [0, 20, 60])
@pytest.mark.parametrize("suffix", FORMATS)
def test_empty_and_truncated_files_are_named(tmp_path, kept, suffix):
    buffer = io.BytesIO()
    Image.fromarray(pixels()).save(buffer, FORMATS[suffix])
    path = folder(tmp_path, f"a.{suffix}")
    path.write_bytes(buffer.getvalue()[:kept])
    with pytest.raises(errors.UserError, match=rf"a\.{suffix}: not a readable .*Fix"):
        read(tmp_path)


def test_an_empty_mask_is_named(tmp_path):
    folder(tmp_path, picture=Image.fromarray(pixels()))
    (tmp_path / "masks/train/a.png").write_bytes(b"")
    with pytest.raises(errors.UserError, match=r"masks/train/a\.png: not a readable"):
        read(tmp_path)
