"""HRNet at full size, without compute: parameter counts and paths."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.core import errors, trees
from jaxseg.models import layers, model
from jaxseg.models.backbones import hrnet


def shapes(variant, head, outputs):
    built = model.build_model(
        {"backbone": {"name": "hrnet", "variant": variant}, "head": {"name": head}},
        head_outputs={"task": outputs},
    )
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    key = jax.random.key(0)
    tree = jax.eval_shape(lambda x: built.init(key, x, train=False), image)
    return nn.meta.unbox(tree)


@pytest.mark.parametrize(
    "variant, total",
    [  # timm's counts with its classifier of 1000 classes
        ("w18_small", 13_187_464),
        pytest.param("w18", 21_299_004, marks=pytest.mark.slow),
        pytest.param("w32", 41_232_680, marks=pytest.mark.slow),
        ("w48", 77_469_864),
    ],
)
def test_parameters_equal_timm(variant, total):
    params = shapes(variant, "classifier", 1000)["params"]
    assert trees.num_parameters(params) == total
    if variant == "w48":  # the paper says 69 M
        assert trees.num_parameters(params["backbone"]) == 65_325_120


def test_linear_head_has_the_papers_count():
    params = shapes("tiny", "linear", 20)["params"]
    assert trees.num_parameters(params["heads_task"]) == (15 * 8 + 1) * 20
    assert (15 * 48 + 1) * 20 == 14_420


def test_branches():
    backbone = hrnet.build("tiny", fusion="bilinear")
    image = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    run = lambda x: backbone.init_with_output(jax.random.key(0), x, train=False)[0]
    maps = [x.shape for x in jax.eval_shape(run, image)]
    assert maps == [(2, 16, 24, 8), (2, 8, 12, 16), (2, 4, 6, 32), (2, 2, 3, 64)]


def test_any_size_with_bilinear_fusion():
    """torch's ceil division on every branch, and nothing is padded."""
    seen = []

    def record(call, args, options, context):
        if isinstance(context.module, hrnet.Stem):
            seen.append(args[0].shape[1:3])
        return call(*args, **options)

    image = jax.ShapeDtypeStruct((2, 65, 97, 3), jnp.float32)
    for fusion in ("nearest", "bilinear"):
        built = model.build_model(
            {
                "backbone": {"name": "hrnet", "variant": "tiny", "fusion": fusion},
                "head": {"name": "linear"},
            },
            head_outputs={"x": 2},
        )
        init = functools.partial(built.init, jax.random.key(0), train=True)
        with nn.intercept_methods(record):
            jax.eval_shape(init, image)
    assert set(seen[:1]) == {(96, 128)} and set(seen[1:]) == {(65, 97)}
    backbone = hrnet.build("tiny", fusion="bilinear")
    run = lambda x: backbone.init_with_output(jax.random.key(0), x, train=False)[0]
    maps = [x.shape[1:3] for x in jax.eval_shape(run, image)]
    assert maps == [(17, 25), (9, 13), (5, 7), (3, 4)]


def test_bilinear_fusion_is_half_pixel_at_the_size_of_the_sum():
    """As the authors' segmentation code, `F.interpolate(size=..., mode="bilinear")`."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
    fine, coarse = draw(2, 9, 13, 4), draw(2, 5, 7, 8)
    fuse = hrnet.Fuse("bilinear", "float32")
    fused, variables = fuse.init_with_output(
        jax.random.key(0), (fine, coarse), train=False
    )
    conv = layers.ConvNorm(4, 1, relu=False)
    own = {k: v["from1_to0"] for k, v in nn.meta.unbox(variables).items()}
    small = np.asarray(conv.apply(own, coarse, train=False))
    up = np.zeros(fine.shape, np.float32)
    for i in range(9):
        for j in range(13):
            y, x = (i + 0.5) * 5 / 9 - 0.5, (j + 0.5) * 7 / 13 - 0.5
            y, x = min(max(y, 0), 4), min(max(x, 0), 6)
            a, b = int(y), int(x)
            c, d = min(a + 1, 4), min(b + 1, 6)
            v, u = y - a, x - b
            up[:, i, j] = (1 - v) * ((1 - u) * small[:, a, b] + u * small[:, a, d])
            up[:, i, j] += v * ((1 - u) * small[:, c, b] + u * small[:, c, d])
    np.testing.assert_allclose(fused[0], np.maximum(fine + up, 0), rtol=1e-4, atol=1e-5)


def test_unknown_override_is_not_swallowed():
    with pytest.raises((TypeError, errors.UserError)):
        hrnet.build("tiny", widht=8)
