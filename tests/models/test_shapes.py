"""Shapes of models in parts are those of whole models."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxseg.core import lookup, trees
from jaxseg.models import initial, model, shapes

BACKBONES = [
    *({"name": name, "variant": "tiny"} for name in lookup.names(model.BACKBONES)),
    {"name": "hrnet", "variant": "tiny", "fusion": "bilinear"},
]
HEADS = [{"name": "linear"}, {"name": "centernet", "neck": 4, "width": 4}]


@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda one: "-".join(one.values()))
def test_a_model_in_parts_has_the_shapes_of_the_whole(backbone, size):
    section = {"backbone": backbone, "heads": dict(zip("ab", HEADS))}
    built = model.build_model(section, head_outputs={"a": 5, "b": 3})
    image = (*size, 3)
    found, whole = shapes.variables(built, image), initial.shapes(built, image)
    assert trees.flatten(found) == trees.flatten(whole)
    output = shapes.outputs(built, image)
    call = functools.partial(built.apply, train=False, head=("a", "b"))
    assert output == jax.eval_shape(
        call, whole, jax.ShapeDtypeStruct((1, *image), "f4")
    )
    assert output["a"].shape[1:3] == size


class Sized(nn.Module):
    """Its variable is as large as its images."""

    multiple = 1

    @nn.compact
    def __call__(self, image, *, train):
        own = self.param("own", nn.initializers.ones, image.shape[1:])
        return (image * own[None],)


def test_variables_that_depend_on_the_size():
    head = lookup.load(model.HEADS, "linear").build(2)
    built = model.Model(Sized(), {"x": head})
    for side in (64, 8):
        found = shapes.variables(built, (side, side, 3))
        own = found["params"]["backbone"]["own"]
        assert own == jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
