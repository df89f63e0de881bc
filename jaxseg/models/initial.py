"""Fresh variables, drawn leaf by leaf in NumPy by the distribution of its initialiser.

Compiling JAX's generators for the hundred shapes of a small HRNet takes longer than
training it. So Linen is asked, without compute, only for shapes and laws; the numbers
come from one NumPy generator per leaf, seeded by the seed and the leaf's path. A leaf
therefore has the same start in every model, on every device and every jax version.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.core import trees, types
from jaxseg.models import outlined, stacking


class Drawn(flax.struct.PyTreeNode, nn.meta.AxisMetadata):
    """A parameter boxed with its law: normal, mean zero."""

    value: Any
    shape: tuple[int, ...] = flax.struct.field(pytree_node=False)
    deviation: float = flax.struct.field(pytree_node=False)

    def unbox(self) -> Any:
        return self.value

    def replace_boxed(self, value: Any) -> "Drawn":
        return self.replace(value=value)

    def add_axis(self, index: int, params: dict[Any, Any]) -> "Drawn":
        raise NotImplementedError("laws do not pass through nn.scan and nn.vmap")

    remove_axis = add_axis


def normal(deviation: float) -> Callable[..., Drawn]:
    """Initialiser: N(0, deviation**2)."""

    def law(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Drawn:
        value = deviation * jax.random.normal(key, shape, dtype)
        return Drawn(value, tuple(shape), deviation)

    return law


def he_fan_out(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Drawn:
    """Initialiser: N(0, 2 / (k * k * outputs)) for a kernel [k, k, inputs, outputs].

    torch's kaiming_normal_(mode="fan_out"), with which ResNet and HRNet start every
    convolution; not truncated, unlike nn.initializers.he_normal.
    """
    fan_out = math.prod(shape[:-2]) * shape[-1]
    return normal(math.sqrt(2 / fan_out))(key, shape, dtype)


def torch_default(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Drawn:
    """Initialiser: N(0, 1 / (3 * k * k * inputs)), the variance of torch's default for
    convolutions, for a kernel [k, k, inputs, outputs].
    """
    return normal(1 / math.sqrt(3 * math.prod(shape[:-1])))(key, shape, dtype)


def variables(
    module: nn.Module, image_shape: tuple[int, ...], seed: int
) -> types.Variables:
    """Fresh variables of a backbone or model for images of shape [..., H, W, C]."""
    return trees.unflatten(
        {
            path: jnp.array(_draw(leaf, f"{seed}/{path}"))
            for path, leaf in _laws(module, tuple(image_shape[-3:])).items()
        }
    )


def shapes(module: nn.Module, image_shape: tuple[int, ...]) -> types.Variables:
    """Shapes and dtypes of all variables, without drawing any."""
    return unboxed(_traced(module, tuple(image_shape[-3:]))[0].out_info)


def loops(module: nn.Module, image_shape: tuple[int, ...]) -> list[stacking.Loop]:
    """Of the modules that `outlined.sequence` runs in a loop."""
    return _traced(module, tuple(image_shape[-3:]))[1]


def unboxed(tree: Any) -> types.Variables:
    """Shapes and dtypes of variables with or without their laws."""
    return trees.unflatten(
        {
            path: jax.ShapeDtypeStruct(leaf.shape, jnp.float32)
            for path, leaf in trees.flatten(tree).items()
        }
    )


def _draw(leaf: Drawn | np.ndarray, name: str) -> np.ndarray:
    if not isinstance(leaf, Drawn):
        return leaf
    digest = hashlib.sha256(name.encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16])))
    values = generator.standard_normal(leaf.shape, np.float32)
    return values * np.float32(leaf.deviation)


@functools.lru_cache(maxsize=64)
def _laws(
    module: nn.Module, image_shape: tuple[int, int, int]
) -> dict[str, Drawn | np.ndarray]:
    """Law or constant of every leaf; XLA drops the image, the draws and the outputs,
    unused.
    """
    flat = trees.flatten(_traced(module, image_shape)[0].lower().compile()())
    return {k: v if _is_drawn(v) else np.asarray(v) for k, v in flat.items()}


@functools.lru_cache(maxsize=64)
def _traced(
    module: nn.Module, image_shape: tuple[int, int, int]
) -> tuple[jax.stages.Traced, list[stacking.Loop]]:
    """A program of laws and constants, traced but not compiled, since a plan needs
    shapes alone; and the loops that the module has.
    """

    @jax.jit
    def constants():
        image = jnp.zeros((1, *image_shape))
        tree = module.init(jax.random.key(0), image, train=False)
        return jax.tree.map(_without_value, tree, is_leaf=_is_drawn)

    with outlined.noting() as found:
        return constants.trace(), found


def _is_drawn(leaf: Any) -> bool:
    return isinstance(leaf, Drawn)


def _without_value(leaf: Any) -> Any:
    return leaf.replace(value=None) if _is_drawn(leaf) else leaf
