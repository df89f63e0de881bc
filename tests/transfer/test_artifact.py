import shutil

import jax
import numpy as np
import pytest
from PIL import Image

import jaxseg
from jaxseg.core import errors, image_files
from jaxseg.core import manifest as manifests
from jaxseg.data import source as source_lib
from jaxseg.data import transforms
from jaxseg.evals import predictor
from jaxseg.transfer import artifact
from tests import tiny


@pytest.fixture(scope="module")
def model():
    return jaxseg.load(tiny.artifact("source"))


def normalized(images, model):
    pre = model.manifest["preprocessing"]
    images = np.asarray(images, np.float32)
    return (images - np.float32(pre["mean"])) / np.float32(pre["std"])


def test_it_says_what_it_is(model):
    assert repr(model) == f"Artifact(source, {tiny.key('source')[:20]})"
    assert model.head == "segmentation"
    assert set(model.variables) == {"params", "batch_stats"}


def test_maps_and_logits_of_odd_sizes(model):
    image = np.zeros((1, 33, 50, 3), np.float32)
    sizes = [m.shape[1:3] for m in model.features(image)]
    strides = (4, 8, 16, 32)
    assert sizes == [(-(-33 // s), -(-50 // s)) for s in strides]
    logits = jax.eval_shape(model.logits, image)
    assert logits.shape == (1, 33, 50, 6) and logits.dtype == np.float32


def test_a_prediction_has_the_size_of_the_image(model):
    for size in ((64, 64), (37, 101)):
        image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
        found = model(image)
        assert found.shape == size and found.dtype == np.int32
        assert found.min() >= 0 and found.max() < 6
        np.testing.assert_array_equal(model(image[None])[0], found)


def test_a_prediction_is_the_best_logit_of_the_normalized_image(model):
    source = source_lib.open("worlds/driving_day", split="validation", count=3)
    images = source[1]["image"][None]
    assert images.shape[1:3] == tuple(model.manifest["preprocessing"]["size"])
    logits = model.logits(normalized(images, model))
    np.testing.assert_array_equal(model(images), np.argmax(logits, axis=-1))


def test_it_predicts_as_the_evaluation_does(model):
    """`samples/` hold what the evaluation predicted for the first image."""
    from jaxseg.core import draw

    folder = tiny.artifact("source") / "samples"
    source = source_lib.open("worlds/driving_day", split="validation", count=3)
    image = source[0]["image"]
    np.testing.assert_array_equal(Image.open(folder / "000_image.png"), image)
    palette = draw.full_palette(model.manifest["palette"], 6)
    expected = draw.overlay(image, model(image), palette)
    np.testing.assert_array_equal(Image.open(folder / "000_prediction.png"), expected)


@pytest.mark.slow  # a program of its own
def test_the_image_is_fitted_into_the_resolution_of_training(model):
    """Twice as large is the same canvas; the prediction is resized back."""
    source = source_lib.open("worlds/driving_day", split="validation", count=1)
    image = source[0]["image"]
    large = np.asarray(transforms.scale_to({"image": image}, (128, 128))["image"])
    agreement = np.mean(model(large)[::2, ::2] == model(image))
    assert agreement > 0.8


@pytest.mark.parametrize("shape", [(8,), (8, 8, 5), (0, 8, 3), (1, 1, 8, 8, 3)])
def test_other_shapes_are_refused(model, shape):
    with pytest.raises(
        errors.UserError, match=r"found shape .* allowed is \[H, W, C\]"
    ):
        model(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_other_values_are_refused(model, dtype):
    for shape in ((8, 8, 3), (1, 8, 8, 3)):
        with pytest.raises(
            errors.UserError, match=r"found .*, allowed are uint8 and uint"
        ):
            model(np.zeros(shape, dtype))
    with pytest.raises(errors.UserError, match="found a batch of none"):
        model(np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(errors.UserError, match="floating point pixels"):
        model(Image.fromarray(np.zeros((8, 8), np.float32)))


def test_pixels_are_no_normalized_batch(model):
    for look in (model.features, model.logits):
        with pytest.raises(errors.UserError, match="found uint8, allowed is float"):
            look(np.zeros((1, 32, 32, 3), np.uint8))


def files(folder):
    """{kind: a file of 40 x 56 pixels}, as cameras and programs write them."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (5, 7, 4), np.uint8).repeat(8, 0).repeat(8, 1)
    color, grey = Image.fromarray(rgb[..., :3]), Image.fromarray(rgb[..., 0])
    deep = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257 - 5)
    kinds = {"rgb": color, "grey": grey, "deep": deep, "rgba": Image.fromarray(rgb)}
    kinds |= {"palette": color.quantize(16), "turned": color}
    kinds["both"] = Image.merge("LA", [grey, grey])
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, picture in kinds.items():
        exif = {"exif": turned} if name == "turned" else {}
        picture.save(folder / f"{name}.png", **exif)
    return {name: folder / f"{name}.png" for name in kinds}


def opened(path):
    with Image.open(path) as picture:
        picture.load()
    return picture


def test_pictures_are_converted_as_in_training(model, tmp_path, monkeypatch):
    seen = []

    def run(self, variables, views, out):
        seen.append(views[0]["image"][0])
        return np.zeros((1, *out)), None

    monkeypatch.setattr(predictor.Predictor, "run", run)
    for name, path in files(tmp_path).items():
        wanted = image_files.read(path)
        given = [wanted, path, str(path), opened(path), wanted[None]]
        if name in ("grey", "deep", "rgba", "both"):
            stored = np.asarray(opened(path))
            given += [stored, np.atleast_3d(stored), np.atleast_3d(stored)[None]]
        for picture in given:
            model(picture)
        for found in seen:
            np.testing.assert_array_equal(found, seen[0])
        shape = (56, 40) if name == "turned" else (40, 56)
        assert wanted.shape == (*shape, 3) and seen[0].shape == (64, 64, 3)
        del seen[:]
    assert opened(tmp_path / "turned.png").size == (56, 40)


def test_images_of_other_bits_than_those_of_training(model):
    model = artifact.Artifact(model.folder)
    model.manifest["preprocessing"] |= {"mean": [9000.0] * 3}
    with pytest.raises(errors.UserError, match="found uint8, allowed is uint16"):
        model(np.zeros((8, 8, 3), np.uint8))


def test_a_selection_stands_for_its_winner_or_is_its_refit(tmp_path):
    chosen = artifact.load(tiny.artifact("target"))
    assert chosen.manifest["key"] == tiny.key("target")
    image = np.zeros((64, 64, 3), np.uint8)
    assert chosen(image).shape == (64, 64)
    folder = tiny.chosen(tmp_path)
    chosen, winner = artifact.load(folder), manifests.read(folder)["winner"]
    assert chosen.manifest["key"] == winner
    assert chosen.folder.name == winner[:20]


def test_what_holds_no_model_is_refused(tmp_path):
    with pytest.raises(
        errors.UserError, match=r"a measure artifact holds no model\. Fix: "
    ):
        artifact.load(tiny.artifact("distance"))
    with pytest.raises(errors.UserError, match="not an artifact"):
        artifact.load(tmp_path)
    with pytest.raises(
        errors.UserError, match=r"unknown head 'depth'\. Known: segmentation"
    ):
        artifact.load(tiny.artifact("source"), head="depth")


def test_changed_weights_are_not_loaded(tmp_path):
    folder = shutil.copytree(tiny.artifact("source"), tmp_path / "x")
    for path in (folder / "weights").rglob("*"):
        if not path.is_file() or not path.stat().st_size:
            continue
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(errors.Damaged, match=str(path)):
            _ = artifact.load(folder).variables
        path.write_bytes(whole)
    assert artifact.load(folder).variables
