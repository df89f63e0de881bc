"""What holds of every backbone and every head: shapes, gradients, statistics, paths."""

import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, lookup, trees
from jaxseg.models import initial, model

GOLDEN = Path(__file__).parent.parent / "golden"
BACKBONES, HEADS = lookup.names(model.BACKBONES), lookup.names(model.HEADS)
FULL = {  # backbone variants whose paths and shapes are an interface
    "hrnet": ["tiny", "w18_small", "w18", "w32", "w48"],
    "resnest": ["50d"],
    "resnet": ["50", "101"],
    "unet": ["base", "classic"],
    "vgg": ["16", "16_bn"],
    "vit": ["ti16", "s16", "b16", "l16", "simmim"],
}
LONG = ("hrnet", "resnest")  # more than a minute to compile
# A head and the backbone it is tried on.
PAIRS = dict.fromkeys(HEADS, "unet") | {"simmim": "vit"}


def build(backbone, head="linear", outputs=5, head_fields=(), **fields):
    dtype = fields.pop("dtype", "float32")
    section = {"backbone": {"name": backbone, "variant": "tiny"} | fields}
    section["dtype"] = dtype
    section["head"] = {"name": head} | dict(head_fields)
    return model.build_model(section, head_outputs={"task": outputs})


def shapes(network, image=(64, 64, 3)):
    return {
        k: v.shape for k, v in trees.flatten(initial.shapes(network, image)).items()
    }


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
@pytest.mark.parametrize("name", BACKBONES)
def test_maps_of_a_backbone(name, size):
    network = build(name)
    variables = initial.shapes(network, (64, 64, 3))
    maps = jax.eval_shape(
        functools.partial(network.apply, method="features"),
        variables,
        jax.ShapeDtypeStruct((2, *size, 3), jnp.float32),
    )
    assert maps and all(m.ndim == 4 and m.shape[0] == 2 for m in maps)
    heights = [m.shape[1] for m in maps]
    assert heights == sorted(heights, reverse=True)
    for m in maps:
        if name != "vgg":  # whose poolings drop an odd row
            known = [2**i for i in range(6)]
            stride = next(s for s in known if -(-size[0] // s) == m.shape[1])
            assert m.shape[1:3] == tuple(-(-n // stride) for n in size)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_every_leaf_of_a_head_and_its_backbone_learns(name):
    """In training statistics move, and a gradient reaches all leaves."""
    small = {"cells": 2, "width": 64} if name == "vgg" else {}
    network = build(PAIRS[name], name, head_fields=small)
    variables = initial.variables(network, (64, 64, 3), seed=0)
    rng = np.random.default_rng(0)
    image = jnp.asarray(rng.normal(size=(2, 64, 64, 3)), jnp.float32)

    @jax.jit
    def run(params, rest):
        outputs, updates = network.apply(
            {"params": params, **rest},
            image,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        )
        leaves = jax.tree.leaves(outputs)
        weights = [np.random.default_rng(1).normal(size=x.shape) for x in leaves]
        loss = sum(jnp.sum(jnp.tanh(x) * w) for x, w in zip(leaves, weights))
        return loss, (outputs, updates)

    rest = {k: v for k, v in variables.items() if k != "params"}
    grads, (outputs, updates) = jax.grad(run, has_aux=True)(variables["params"], rest)
    for leaf in jax.tree.leaves(outputs):
        assert leaf.dtype == jnp.float32 and bool(jnp.isfinite(leaf).all())
    still = [
        path
        for path, g in trees.flatten(grads).items()
        # A bias in front of a BatchNorm in training does nothing, nor does a ViT's
        # mask token without a mask.
        if not bool(jnp.any(g != 0)) and not path.endswith("conv/bias")
    ]
    assert not still
    before = trees.flatten(rest.get("batch_stats", {}))
    after = trees.flatten(updates.get("batch_stats", {}))
    assert all(bool(jnp.any(after[k] != before[k])) for k in before)


@pytest.mark.parametrize("name", HEADS)
def test_what_a_head_gives(name):
    small = {"cells": 2, "width": 64} if name == "vgg" else {}
    network = build(PAIRS[name], name, outputs=3, head_fields=small)
    variables = initial.shapes(network, (64, 64, 3))
    image = jax.ShapeDtypeStruct((2, 65, 97, 3), jnp.float32)
    out = jax.eval_shape(
        functools.partial(network.apply, train=False), variables, image
    )
    size = image.shape[1:3]
    expected = {
        "classifier": (2, 3),
        "pooled": (2, 3),
        "vgg": (2, 3),
        "projection": (2, 3),
        "reconstruction": (2, *size, 12),
        "centernet": {"heat": 3, "offset": 2, "size": 2},
        "keypoints": {
            "heat": 1,
            "offset": 2,
            "size": 2,
            "points": 3,
            "point_offset": 2,
            "allocation": 6,
        },
    }.get(name, (2, *size, 3))
    if isinstance(expected, dict):
        assert {k: v.shape for k, v in out.items()} == {
            k: (2, *size, n)
            for k, n in expected.items()  # the finest map's
        }
    else:
        assert out.shape == expected


@pytest.mark.parametrize("name", BACKBONES)
def test_bfloat16_computes_narrow_and_keeps_wide(name):
    network = build(name, dtype="bfloat16")
    variables = initial.shapes(network, (64, 64, 3))
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))
    image = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
    maps = jax.eval_shape(
        functools.partial(network.apply, method="features"), variables, image
    )
    assert {x.dtype for x in maps} == {jnp.dtype("bfloat16")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.release) if name in LONG else name
        for name in BACKBONES
    ],
)
def test_every_leaf_of_a_backbone_learns_with_and_without_rematerialisation(name):
    plain, again = build(name), build(name, remat=True)
    variables = initial.variables(plain, (64, 64, 3), seed=0)
    image = jnp.asarray(np.random.default_rng(0).normal(size=(2, 64, 64, 3)), "float32")

    def loss(params, network):
        rest = {k: v for k, v in variables.items() if k != "params"}
        out = network.apply(
            {"params": params, **rest}, image, train=True, mutable=["batch_stats"]
        )[0]
        return jnp.sum(out**2)

    assert initial.shapes(again, (64, 64, 3)) == initial.shapes(plain, (64, 64, 3))
    one, other = (
        jax.jit(jax.grad(loss), static_argnums=1)(variables["params"], network)
        for network in (plain, again)
    )
    flat = trees.flatten(one)
    assert not [k for k, g in flat.items() if "conv/bias" not in k and not jnp.any(g)]
    # A bias in front of a BatchNorm has no gradient, only the rounding of others'.
    noise = 1e-5 * max(float(jnp.linalg.norm(a)) for a in jax.tree.leaves(one))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other)):
        # Rounding grows where a BatchNorm sees few values.
        limit = max(0.03 * float(jnp.linalg.norm(b)), noise)
        assert float(jnp.linalg.norm(a - b)) <= limit


@pytest.mark.parametrize(
    "name, variant", [(n, v) for n, vs in FULL.items() for v in vs]
)
def test_paths_and_shapes_are_an_interface(name, variant):
    """JAXSEG_GOLDEN=write rewrites the files when a change is wanted."""
    network = build(name, "linear", variant=variant)
    backbone = {k: s for k, s in shapes(network).items() if "/backbone/" in k}
    text = "".join(f"{path} {shape}\n" for path, shape in backbone.items())
    path = GOLDEN / f"{name}_{variant}.txt"
    if os.environ.get("JAXSEG_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), f"parameter paths are API; compare {path.name}"


def count(network, part=""):
    flat = shapes(network)
    return sum(
        int(np.prod(s)) for k, s in flat.items() if k.startswith(f"params/{part}")
    )


@pytest.mark.slow
def test_parameters_of_the_papers():
    w48 = {"variant": "w48"}
    head = "heads_task/"
    # factors paper, Table 2: 721, 14K, 2.4M, 10M
    assert count(build("hrnet", "depth", 1, **w48), head) == 721
    assert count(build("hrnet", "linear", 20, **w48), head) == 14_420
    assert count(build("hrnet", "centernet", 20, **w48), head) == 2_406_888
    assert count(build("hrnet", "keypoints", 17, **w48), head) == 10_088_506
    # timm's vit_large_patch16_224 with its classifier
    assert count(build("vit", "linear", 1000, variant="l16")) == 304_326_632
    # decoder paper, section 2.3: 8.65M (7.94M for the network alone)
    base = {"variant": "base"}
    alone = count(build("unet", "unet", 1, **base))
    assert round(alone / 1e6, 2) == 7.94
    reconstruction = count(build("unet", "reconstruction", 3, **base), head)
    projection = count(build("unet", "projection", 128, **base), head)
    encoder = count(build("unet", "unet", 1, **base), "backbone/")
    assert round((encoder + reconstruction + projection) / 1e6, 2) == 8.64
    # SimMIM study, Table 1: 4M; heads of 64 give 4.8, of width / heads 2.5
    assert round(count(build("vit", variant="simmim"), "backbone/") / 1e6, 1) == 4.8
    narrow = build("vit", variant="simmim", head_width=16)
    assert round(count(narrow, "backbone/") / 1e6, 1) == 2.5


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("hrnet", 514_104),
        ("resnest", 955_472),
        ("resnet", 879_184),
        ("unet", 295_544),
        ("vgg", 922_896),
        ("vit", 316_608),
    ],
)
def test_small_lies_between_tiny_and_full(name, parameters):
    found = [count(build(name, variant=v), "backbone/") for v in ("tiny", "small")]
    least = min(count(build(name, variant=v), "backbone/") for v in FULL[name][-2:])
    assert found[1] == parameters and 2 * found[0] < parameters < least / 2


def test_the_classic_unet():
    """31.04 M: 64 to 1024 channels, learned upsampling, plain skips, BatchNorm."""
    fields = {"up": "transpose", "project_skip": False}
    network = build("unet", "unet", 2, head_fields=fields, variant="classic")
    assert count(network) == 31_037_698


def test_output_stride_only_dilates():
    """The same parameters; every other pixel of a dilated map is the strided map's.

    True of the first dilated stage with zero padding, where no 3x3 straddles a border
    differently: compared in the interior.
    """
    strided, dilated = build("resnet"), build("resnet", output_stride=16)
    variables = initial.variables(strided, (64, 64, 3), seed=0)
    assert shapes(strided) == shapes(dilated)
    image = jnp.asarray(
        np.random.default_rng(0).normal(size=(1, 128, 128, 3)), "float32"
    )
    deep, wide = (
        n.apply(variables, image, method="features") for n in (strided, dilated)
    )
    assert [m.shape[1] for m in wide] == [32, 16, 8, 8]
    np.testing.assert_allclose(wide[3][:, ::2, ::2], deep[3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "section, message",
    [
        ({"name": "resnet", "variant": "18"}, "unknown resnet variant '18'"),
        ({"name": "resnet", "variant": "50", "output_stride": 4}, "found 4, allowed"),
        ({"name": "resnest", "variant": "50"}, "Did you mean '50d'"),
        ({"name": "vit", "variant": "simmim", "class_map": True}, "class_token=True"),
    ],
)
def test_backbones_that_do_not_exist(section, message):
    with pytest.raises(errors.UserError, match=message):
        model.build_model(
            {"backbone": section, "head": {"name": "linear"}}, head_outputs={"task": 2}
        )
