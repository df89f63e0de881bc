"""HRNet at full size, without compute: parameter counts and paths."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxseg.core import errors, trees
from jaxseg.models import model
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


def test_unknown_override_is_not_swallowed():
    with pytest.raises((TypeError, errors.UserError)):
        hrnet.build("tiny", widht=8)
