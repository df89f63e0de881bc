"""Reading every kind of image file, refusing bad ones, resizing, on host and device."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxseg.core import errors, image_files, images, images_jnp

RGB = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3


def save(path, array, mode=None, **options):
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def test_read_keeps_rgb_exactly(tmp_path):
    path = save(tmp_path / "ä image.png", RGB)
    np.testing.assert_array_equal(image_files.read(path), RGB)
    assert image_files.size(path) == (4, 6)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_read_turns_other_modes_into_rgb(tmp_path, mode):
    image = image_files.read(save(tmp_path / "a.png", RGB, mode))
    assert image.shape == (4, 6, 3) and image.dtype == np.uint8


def test_read_transparent_palette_without_warning(tmp_path):
    picture = Image.fromarray(RGB).convert("P")
    picture.save(tmp_path / "a.png", transparency=bytes([0, 255] * 64))
    assert image_files.read(tmp_path / "a.png").shape == (4, 6, 3)


def test_read_cmyk_jpeg(tmp_path):
    path = save(tmp_path / "a.jpg", np.full((8, 8, 3), 200, np.uint8), "CMYK")
    np.testing.assert_allclose(image_files.read(path), 200, atol=4)


def test_read_16_bit_grey_keeps_the_high_byte(tmp_path):
    grey = np.array([[0, 256, 65535]], np.uint16)
    path = save(tmp_path / "a.png", grey)
    np.testing.assert_array_equal(image_files.read(path)[..., 1], [[0, 1, 255]])
    np.testing.assert_array_equal(image_files.read_ids(path), grey)


def test_read_turns_by_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    path = save(tmp_path / "a.png", RGB, exif=exif)
    np.testing.assert_array_equal(image_files.read(path), np.rot90(RGB, -1))
    assert image_files.size(path) == (6, 4)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_read_ids_of_grey_and_palette(tmp_path, mode):
    ids = np.array([[0, 1], [11, 255]], np.uint8)
    picture = Image.fromarray(ids)
    if mode == "P":
        picture = Image.fromarray(ids).convert("L")
        palette = Image.new("P", (2, 2))
        palette.putpalette([7, 8, 9] * 256)
        palette.putdata(ids.ravel().tolist())
        picture = palette
    picture.save(tmp_path / "a.png")
    read = image_files.read_ids(tmp_path / "a.png")
    np.testing.assert_array_equal(read, ids)
    assert read.dtype == np.int32


def test_bad_files_are_named(tmp_path):
    path = save(tmp_path / "whole.png", np.zeros((64, 64, 3), np.uint8) + RGB[0, 0])
    cut = tmp_path / "cut.png"
    cut.write_bytes(path.read_bytes()[:-40])
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.png", "empty.png"):
        with pytest.raises(errors.UserError, match=rf"{name}: not a readable image"):
            image_files.read(tmp_path / name)
    with pytest.raises(errors.UserError, match=r"gone\.png: file not found"):
        image_files.read(tmp_path / "gone.png")


def test_labels_must_be_ids(tmp_path):
    with pytest.raises(errors.UserError, match=r"a\.png: found RGB pixels.*Fix"):
        image_files.read_ids(save(tmp_path / "a.png", RGB))
    with pytest.raises(errors.UserError, match=r"a\.jpg: found a JPEG.*Fix"):
        image_files.read_ids(save(tmp_path / "a.jpg", RGB[..., 0].copy()))


def test_resize_of_a_ramp_and_of_other_types():
    ramp = np.repeat(np.arange(0, 240, 16, dtype=np.uint8)[None, :, None], 3, axis=2)
    wide = images.resize(np.repeat(ramp, 4, axis=0), (8, 30))
    assert wide.shape == (8, 30, 3) and wide.dtype == np.uint8
    assert (np.diff(wide[0, :, 0].astype(int)) >= 0).all()
    for dtype, channels in ((np.uint16, 3), (np.uint8, 1), (np.float32, 4)):
        image = np.full((4, 6, channels), 200, dtype)
        smaller = images.resize(image, (2, 3))
        assert smaller.dtype == dtype and smaller.shape == (2, 3, channels)
        np.testing.assert_allclose(smaller, 200)


def test_a_window_is_a_part_of_the_whole():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    whole = images.resize(image, (33, 47))
    part = images.resize(image, (33, 47), window=(5, 7, 11, 13))
    assert np.abs(part.astype(int) - whole[5:16, 7:20]).max() <= 1
    ids = image[..., 0].astype(np.int32)
    whole = images.resize_ids(ids, (33, 47))
    part = images.resize_ids(ids, (33, 47), window=(5, 7, 11, 13))
    np.testing.assert_array_equal(part, whole[5:16, 7:20])


def test_resize_ids_invents_nothing():
    ids = np.array([[0, 7], [255, 3]], np.int32)
    np.testing.assert_array_equal(images.resize_ids(ids, (4, 4))[::2, ::2], ids)
    np.testing.assert_array_equal(
        images.resize_ids(np.kron(ids, [[1, 1]]), (2, 2)), ids
    )


def test_png_round_trip(tmp_path):
    (tmp_path / "a.png").write_bytes(image_files.encode_png(RGB))
    np.testing.assert_array_equal(image_files.read(tmp_path / "a.png"), RGB)


def test_resize_to_gives_each_example_its_own_size():
    maps = np.random.default_rng(0).normal(size=(2, 6, 8, 2)).astype(np.float32)
    scaled, size = np.array([[6, 8], [3, 4]]), np.array([[12, 16], [7, 9]])
    out = images_jnp.resize_to(
        jnp.array(maps),
        jnp.array(scaled, jnp.int32),
        jnp.array(size, jnp.int32),
        (12, 16),
    )
    for index, ((h, w), (rows, cols)) in enumerate(zip(scaled.tolist(), size.tolist())):
        content = maps[index, :h, :w]
        expected = np.stack(  # Pillow enlarges by the same half-pixel rule
            [images.resize(content[..., k], (rows, cols)) for k in range(2)], axis=-1
        )
        np.testing.assert_allclose(out[index, :rows, :cols], expected, atol=1e-5)


def test_resize_to_gives_the_same_digits_in_any_company():
    maps = np.random.default_rng(0).normal(size=(3, 31, 47, 5)).astype(np.float32)
    scaled, size = np.array([[31, 29], [23, 47], [30, 47]]), np.array([[90, 77]] * 3)
    together = images_jnp.resize_to(
        *(jnp.array(x) for x in (maps, scaled, size)), (256, 128)
    )
    for n in range(3):
        own = (x[n : n + 1] for x in (maps, scaled, size))
        alone = images_jnp.resize_to(*(jnp.array(x) for x in own), (90, 77))
        np.testing.assert_array_equal(together[n, :90, :77], alone[0])


def test_resize_to_its_own_size_changes_nothing():
    maps = np.random.default_rng(0).normal(size=(1, 5, 7, 3)).astype(np.float32)
    size = jnp.array([[5, 7]], jnp.int32)
    out = images_jnp.resize_to(jnp.array(maps), size, size, (5, 7))
    np.testing.assert_array_equal(out, maps)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_of_a_png_with_exif(tmp_path, monkeypatch, orientation, late):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    if late:  # as exiftool writes it: behind the pixels
        data = path.read_bytes()
        start = data.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        path.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    expected = image_files.read(path).shape[:2]
    monkeypatch.setattr(Image.Image, "load", None)  # nothing is decoded
    assert (
        image_files.size(path)
        == expected
        == ((20, 30) if orientation == 1 else (30, 20))
    )


@pytest.mark.parametrize(
    "values, fix",
    [
        (np.arange(256).reshape(8, 32), "image.astype(np.uint8)"),
        (np.arange(256.0).reshape(8, 32), "image.astype(np.uint8)"),
        (np.arange(2).reshape(1, 2), "image.astype(np.uint8)"),
        (np.arange(300).reshape(3, 100), "image.astype(np.uint16)"),
        (np.arange(256).reshape(8, 32) / 255, "(255 * image).round().astype(np.uint8)"),
        (np.eye(4, dtype=np.float16), "(255 * image).round().astype(np.uint8)"),
        (np.eye(4) > 0, "255 * image.astype(np.uint8)"),
    ],
)
def test_the_fix_of_a_foreign_array_gives_its_picture(values, fix):
    with pytest.raises(errors.UserError, match=f"found {values.dtype}") as caught:
        image_files.given(values)
    assert str(caught.value).endswith(fix)
    mended = image_files.given(eval(fix, {"np": np, "image": values}), 1)[..., 0]
    white = 1 if values.dtype.kind in "bf" and values.max() <= 1 else 255
    np.testing.assert_array_equal(mended, np.rint(values * (255 / white)))


@pytest.mark.parametrize("values", [[-1, 3], [0.5, 7], [0, 1e6], [np.nan, 1], [1j, 2]])
def test_values_of_no_known_meaning_get_no_line_of_code(values):
    with pytest.raises(errors.UserError, match="give the values that") as caught:
        image_files.given(np.array([values]))
    assert "image" not in str(caught.value)[5:]
    assert ("NaN" in str(caught.value)) == (np.nan in values)


@pytest.mark.parametrize(
    "given, text",
    [
        (None, "found NoneType; allowed are a path"),
        (True, "found bool; allowed are a path"),
        (["a.png", "b.png"], "found list; .* one at a time"),
        (np.zeros((0, 0, 3)), r"found shape \(0, 0, 3\), which is empty"),
        ("no/such.png", "no/such.png: file not found. Fix: give the path of one image"),
        (".", "this is a folder, .* Fix: give the path of one image"),
        (__file__, "not a readable image .* Fix: give the path of one image"),
        (f"{__file__}/a.png", "file not found. Fix: give the path of one image"),
    ],
)
def test_what_is_no_picture_is_named_as_what_it_is(given, text):
    with pytest.raises(errors.UserError, match=text):
        image_files.given(given)
