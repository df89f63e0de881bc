"""Shapes of the variables and outputs of models, and FLOPs, for plans: nothing is
computed.

A study has dozens of models with one backbone, for images of a dozen sizes. Tracing a
large backbone with the laws of its variables takes a second or two, so that is done
once; at each size it is traced with these variables, and each head on its maps alone.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxseg.core import flops, types
from jaxseg.models import initial, ops, outlined, platforms, stacking
from jaxseg.models import model as models

SIDE = 64  # pixels, of the images that variables are made for
Shape = jax.ShapeDtypeStruct


def variables(model: models.Model, image_shape: tuple[int, ...]) -> types.Variables:
    """Shapes and dtypes of all variables: `initial.shapes` of a whole model."""
    padded = _padded(model.backbone, image_shape)
    made = {"backbone": _traced(model.backbone, padded)[0]}
    for name in model.heads:
        made[f"heads_{name}"] = _output(model, name, padded)[0]
    found: dict[str, dict[str, Any]] = {}
    for name, own in made.items():
        for collection, tree in own.items():
            found.setdefault(collection, {})[name] = tree
    return found


def outputs(model: models.Model, image_shape: tuple[int, ...]) -> dict[str, Any]:
    """{head: shapes and dtypes of its output for one image}."""
    padded = _padded(model.backbone, image_shape)

    def cut(output: Any) -> Any:
        return models.crop(output, (1, *padded), (1, *image_shape))

    every = {name: _output(model, name, padded)[1] for name in model.heads}
    return {name: jax.eval_shape(cut, output) for name, output in every.items()}


def forward_flops(
    model: models.Model, heads: Sequence[str], image_shape: tuple[int, ...]
) -> int:
    """Of the backbone and of these heads on one image, by `flops.count`."""
    padded = _padded(model.backbone, image_shape)
    every = [_output(model, name, padded) for name in heads]
    return _traced(model.backbone, padded)[2] + sum(one[2] for one in every)


def maps(backbone: nn.Module, image_shape: tuple[int, ...]) -> tuple[Shape, ...]:
    """Those of a backbone for one image, padded."""
    return tuple(_traced(backbone, _padded(backbone, image_shape))[1])


def _padded(backbone: nn.Module, image_shape: tuple[int, ...]) -> tuple[int, ...]:
    pad = functools.partial(ops.pad_to_multiple, multiple=backbone.multiple)
    return jax.eval_shape(pad, Shape((1, *image_shape), jnp.float32)).shape[1:]


@functools.lru_cache(maxsize=256)
def _traced(backbone: nn.Module, shape: tuple[int, ...]) -> tuple[Any, Any, int]:
    """(variables, maps, FLOPs) of a backbone for an image of this shape."""
    known, stacked = _made(backbone, _padded(backbone, (SIDE, SIDE, shape[-1])))
    image = Shape((1, *shape), jnp.float32)
    apply = functools.partial(backbone.apply, train=False)
    try:
        return known, *with_flops(apply, stacked, image)
    except flax.errors.ScopeParamShapeError:  # variables for another size
        return _initialized(backbone, image)


@functools.lru_cache(maxsize=64)
def _made(backbone: nn.Module, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Variables made for an image of this shape, as they are and stacked."""
    with outlined.noting() as loops:  # which calls one of equal modules: no FLOPs
        known, *_ = _initialized(backbone, Shape((1, *shape), jnp.float32))
    return known, stacking.stack(known, loops, _stacked)


def _stacked(leaves: Sequence[Shape]) -> Shape:
    return Shape((len(leaves), *leaves[0].shape), leaves[0].dtype)


def _output(
    model: models.Model, name: str, padded: tuple[int, ...]
) -> tuple[Any, Any, int]:
    """(variables, output, FLOPs) of a head before it is cropped."""
    return _on_maps(model.heads[name], maps(model.backbone, padded), padded[:2])


@functools.lru_cache(maxsize=256)
def _on_maps(
    head: nn.Module, maps: tuple[Shape, ...], size: tuple[int, int]
) -> tuple[Any, Any, int]:
    return _initialized(head, maps, size)


def _initialized(module: nn.Module, inputs: Any, *sizes: Any) -> tuple[Any, Any, int]:
    """(variables, output, FLOPs) of a module that is initialized on inputs of these
    shapes.
    """

    def init(inputs: Any) -> tuple[Any, Mapping[str, Any]]:
        key = jax.random.key(0)
        return module.init_with_output(key, inputs, *sizes, train=False)

    (output, tree), count = with_flops(init, inputs)
    return initial.unboxed(tree), output, count


def with_flops(call: Callable[..., Any], *inputs: Any) -> tuple[Any, int]:
    """(shapes of what a function returns, its FLOPs by `flops.count`), where operations
    have several forms in that of TPUs.
    """
    with platforms.planning():
        jaxpr, found = jax.make_jaxpr(call, return_shape=True)(*inputs)
    return found, flops.count(jaxpr.jaxpr)
