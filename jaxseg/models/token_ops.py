"""What transformers compute, in the forms that XLA runs fast on CPUs too.

Each equals the plain operation named in its docstring in value and in gradient
(tests/models/test_token_ops.py), see `ops.py`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxseg.models import platforms


def dense(x: Float[Array, "*b c"], kernel: Float[Array, "c d"]) -> Float[Array, "*b d"]:
    """`x @ kernel`, on all platforms but TPU of two axes: with more of them the weight
    gradient transposes x first.
    """

    def flat(x, kernel):
        rows = x.reshape(-1, x.shape[-1]) @ kernel
        return rows.reshape(*x.shape[:-1], kernel.shape[-1])

    return platforms.dependent(x, kernel, tpu=jnp.matmul, default=flat)


@jax.custom_vjp
def gelu(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """`jax.nn.gelu(approximate=False)`; on CPU by `erf` in float32, equal to 1e-6
    absolutely, and the derivative is kept.

    Elsewhere the plain operation, whose backward pass computes it again from x.
    """
    return _gelu_forward(x)[0]


def _gelu_forward(x):
    return platforms.dependent(
        x, cpu=_gelu_and_slope, default=lambda x: (_plain_gelu(x), x)
    )


def _gelu_backward(kept, gradient):
    def plain(x, gradient):
        return jax.vjp(_plain_gelu, x)[1](gradient)[0]

    slope = lambda slope, gradient: slope * gradient
    return (platforms.dependent(kept, gradient, cpu=slope, default=plain),)


def _plain_gelu(x):
    return jax.nn.gelu(x, approximate=False)


def _gelu_and_slope(x):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # 0.5 + erf cancels
    share = 0.5 + 0.5 * jax.lax.erf(wide * np.sqrt(0.5).astype(wide.dtype))
    density = jnp.exp(-0.5 * wide * wide) * np.sqrt(0.5 / np.pi).astype(wide.dtype)
    return (wide * share).astype(x.dtype), (share + wide * density).astype(x.dtype)


gelu.defvjp(_gelu_forward, _gelu_backward)


@jax.custom_vjp
def attention(
    query: Float[Array, "b h n d"],
    key: Float[Array, "b h m d"],
    value: Float[Array, "b h m d"],
) -> Float[Array, "b h n d"]:
    """softmax(query key^T) value, the softmax in float32; the caller scales the query.

    Its gradient reads the weights once. In float32 it takes the sum that the softmax's
    needs from the output, which is smaller (Dao et al. 2022, arXiv:2205.14135, appendix
    B.2); weights of fewer bits do not add up to 1, and the sum is divided by theirs.
    """
    return _attention_forward(query, key, value)[0]


def _attention_forward(query, key, value):
    scores = jnp.einsum("bhnd,bhmd->bhnm", query, key)
    weights = jax.nn.softmax(scores.astype(jnp.float32), axis=-1).astype(value.dtype)
    mixed = jnp.einsum("bhnm,bhmd->bhnd", weights, value)
    return mixed, (query, key, value, weights, mixed)


def _attention_backward(kept, gradient):
    query, key, value, weights, mixed = kept
    of_value = jnp.einsum("bhnm,bhnd->bhmd", weights, gradient)
    of_weights = jnp.einsum("bhnd,bhmd->bhnm", gradient, value)
    wide = lambda x: x.astype(jnp.float32)
    over = functools.partial(jnp.sum, axis=-1, keepdims=True)
    if jnp.finfo(weights.dtype).bits >= 32:
        total = over(gradient * mixed)
    else:
        total = over(wide(weights) * wide(of_weights)) / over(wide(weights))
    of_scores = (wide(weights) * (wide(of_weights) - total)).astype(query.dtype)
    of_query = jnp.einsum("bhnm,bhmd->bhnd", of_scores, key)
    return of_query, jnp.einsum("bhnm,bhnd->bhmd", of_scores, query), of_value


attention.defvjp(_attention_forward, _attention_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def layer_norm(
    x: Float[Array, "*b c"],
    scale: Float[Array, " c"],
    bias: Float[Array, " c"],
    epsilon: float,
) -> Float[Array, "*b c"]:
    """`nn.LayerNorm` in float32; its gradient reads x and the gradient twice."""
    return _layer_norm_forward(x, scale, bias, epsilon)[0]


def _layer_norm_forward(x, scale, bias, epsilon):
    mean = jnp.mean(x, axis=-1, keepdims=True)
    var = jnp.mean(x * x, axis=-1, keepdims=True) - mean * mean
    factor = jax.lax.rsqrt(jnp.maximum(var, 0) + epsilon)  # rounding may leave less
    normal = (x - mean) * factor
    channels = (1,) * (x.ndim - 1) + (-1,)
    y = normal * scale.reshape(channels) + bias.reshape(channels)
    return y, (x, mean, factor, scale)


def _layer_norm_backward(epsilon, kept, gradient):
    x, mean, factor, scale = kept
    normal, others = (x - mean) * factor, tuple(range(x.ndim - 1))
    scaled = gradient * scale.reshape((1,) * (x.ndim - 1) + (-1,))
    level = jnp.mean(scaled, axis=-1, keepdims=True)
    slope = jnp.mean(scaled * normal, axis=-1, keepdims=True)
    of_x = (scaled - level - normal * slope) * factor
    return of_x, jnp.sum(gradient * normal, axis=others), jnp.sum(gradient, axis=others)


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)
