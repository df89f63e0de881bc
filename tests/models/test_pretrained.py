"""Published weights give PyTorch's numbers: stored references, filled weights."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxseg.core import errors, trees
from jaxseg.models import model as models
from jaxseg.models.pretrained import convert
from tests.models import filling

GOLDEN = Path(__file__).parents[1] / "golden" / "torch"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
# PyTorch's own distance from float64 is a tenth of these.
TOLERANCE = 3e-4
NOISY = 1e-3  # HRNet, ResNet-101: float32 alone moves them that far
BILINEAR = "_bilinear"  # HRNet as the authors' segmentation code fuses
FAST = {"hrnet_w18_small", "resnet50", "vit_tiny_patch16_224", "vgg16_bn"}
LARGE = {"hrnet_w18", "hrnet_w32", "hrnet_w48"}  # two minutes each


@functools.cache
def reference(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def published(name, small=False):
    """{tensor: array} as a file of these weights would hold them."""
    shapes = json.loads(str(reference(name)["tensors"]))
    return {key: filling.fill(key, tuple(s), small) for key, s in shapes.items()}


def run(name, size, small):
    """{map: array} of our network with those weights."""
    found = convert.convert(published(name, small), name.removesuffix(BILINEAR))
    section = dict(found.model)
    if name.endswith(BILINEAR):
        section["backbone"] = section["backbone"] | {"fusion": "bilinear"}
    network = models.build_model(section, head_outputs=found.outputs)

    @jax.jit
    def forward(variables, image):
        maps = network.apply(variables, image, method="features")
        return maps, network.apply(variables, image, train=False)

    maps, logits = forward(found.variables, filling.image(*size))
    return {f"map{i}": m for i, m in enumerate(maps)} | {"logits": logits}


def cases():
    for name in NAMES:
        places = sorted({k.rsplit("/", 2)[0] for k in reference(name) if "/" in k})
        first = min(places, key=lambda p: (p not in ("96x128", "224x224"), "/" in p))
        for place in places:
            if place == first and name in FAST:
                marks = ()
            else:
                slow = place == first and name not in LARGE
                marks = pytest.mark.slow if slow else pytest.mark.release
            yield pytest.param(name, place, id=f"{name}-{place}", marks=marks)


@pytest.mark.parametrize("name, place", list(cases()))
def test_outputs_are_torchs(name, place):
    size, _, small = place.partition("/")
    ours = run(name, tuple(map(int, size.split("x"))), bool(small))
    noisy = name.startswith("hrnet") or "101" in name
    compared = {}
    for key, values in reference(name).items():
        if not key.startswith(f"{place}/") or not key.endswith("/values"):
            continue
        what = key.split("/")[-2]
        if f"{place}/{what}/values" != key or what not in ours:
            continue
        array = np.asarray(ours[what], np.float32)
        stem = key.removesuffix("/values")
        assert array.shape == tuple(reference(name)[f"{stem}/shape"]), what
        mean, deviation = reference(name)[f"{stem}/moments"]
        assert array.mean(dtype=np.float64) == pytest.approx(mean, abs=0.01 * deviation)
        found = array.reshape(-1)[filling.places(array.size)]
        compared[what] = np.abs(found - values).max() / deviation
    expected = {k.split("/")[-2] for k in reference(name) if k.startswith(f"{place}/")}
    assert compared.keys() == (expected & ours.keys()) and "logits" in compared
    print(name, place, {k: f"{v:.1e}" for k, v in compared.items()})
    assert max(compared.values()) <= (NOISY if noisy else TOLERANCE), compared


def test_every_architecture_has_a_reference():
    dilated = {f"{n}_os{s}" for n in ("resnet50", "resnest50d") for s in (8, 16)}
    assert set(convert.architectures()) <= set(NAMES)
    bilinear = {"hrnet_w18_small_bilinear"}
    assert set(NAMES) - set(convert.architectures()) <= dilated | bilinear


# What does not fit


@functools.cache
def small_file():
    return published("resnet50")


def refused(tensors, name="resnet50", **options):
    with pytest.raises(errors.UserError) as caught:
        convert.convert(tensors, name, **options)
    return str(caught.value)


def test_missing_extra_and_reshaped_tensors_are_all_listed():
    tensors = dict(small_file())
    del tensors["layer1.0.bn1.running_var"]
    tensors["layer9.weight"] = np.zeros(3, np.float32)
    tensors["layer2.0.conv1.weight"] = np.zeros((128, 200, 1, 1), np.float32)
    text = refused(tensors)
    assert "this is not resnet50: 3 tensors differ" in text
    assert "- missing layer1.0.bn1.running_var (64,)" in text
    assert "- extra layer9.weight (3,)" in text
    assert "- reshaped layer2.0.conv1.weight: found (1, 1, 200, 128), needed" in text
    assert "It looks like resnet50." in text


def test_weights_of_another_architecture_are_recognised():
    assert "It looks like resnet50." in refused(small_file(), "resnet101")
    assert "It looks like resnet50." in refused(small_file(), "hrnet_w18_small")
    text = refused({"a.weight": np.zeros((3, 3), np.float32)})
    assert "looks like" not in text and "... and" in text


@pytest.mark.slow
def test_weights_of_another_width():
    assert "It looks like hrnet_w18_small" in refused(
        published("hrnet_w18_small"), "hrnet_w18"
    )


def test_the_head_comes_along_at_its_own_size():
    tensors = dict(small_file())
    assert convert.convert(tensors, "resnet50").outputs == {"classification": 1000}
    tensors["fc.weight"], tensors["fc.bias"] = np.ones((7, 2048)), np.ones(7)
    found = convert.convert(tensors, "resnet50")
    assert found.outputs == {"classification": 7}
    kernel = found.variables["params"]["heads_classification"]["classifier"]["kernel"]
    assert kernel.shape == (2048, 7) and kernel.dtype == np.float32
    del tensors["fc.weight"], tensors["fc.bias"]
    found = convert.convert(tensors, "resnet50")
    assert found.outputs == {} and set(found.variables["params"]) == {"backbone"}


def test_a_stem_for_other_channels():
    """What an RGB copy of a grey image gives, and of five channels the mean's share."""
    rgb = convert.convert(small_file(), "resnet50").variables["params"]
    grey = convert.convert(small_file(), "resnet50", channels=1).variables["params"]
    kernel = rgb["backbone"]["stem"]["conv"]["kernel"]
    adapted = grey["backbone"]["stem"]["conv"]["kernel"]
    assert adapted.shape == (7, 7, 1, 64)
    np.testing.assert_allclose(adapted[:, :, 0], kernel.sum(axis=2), rtol=1e-5)
    five = convert.adapted(kernel, 5)
    np.testing.assert_allclose(five[:, :, 3], kernel[:, :, 0] * 0.6, rtol=1e-6)
    same = {k: v for k, v in trees.flatten(rgb).items() if "stem" not in k}
    assert same.keys() == {k for k in trees.flatten(grey) if "stem" not in k}
    assert "reshaped conv1.weight" in refused(
        small_file() | {"conv1.weight": np.zeros((64, 4, 7, 7), np.float32)}
    )


def test_the_authors_segmentation_code_fuses_bilinearly():
    tensors = {
        key: x
        for key, x in published("hrnet_w18_small").items()
        if not key.startswith(("incre", "downsamp", "final", "classifier"))
    }
    tensors["last_layer.0.weight"] = np.zeros((240, 240, 1, 1), np.float32)
    found = convert.convert(tensors, "hrnet_w18_small")
    assert found.naming == "authors' segmentation"
    assert found.model["backbone"]["fusion"] == "bilinear"
    assert found.left == ("last_layer.0.weight",) and found.outputs == {}
    plain = convert.convert(published("hrnet_w18_small"), "hrnet_w18_small")
    assert plain.naming == "timm" and "fusion" not in plain.model["backbone"]


def test_names_that_do_not_exist():
    with pytest.raises(errors.UserError, match="Did you mean 'resnet50'"):
        convert.find("resnet5")
    with pytest.raises(errors.UserError, match="only ResNet and ResNeSt"):
        convert.find("vgg16_os8")
    assert convert.find("resnet50_os8").model["backbone"]["output_stride"] == 8
