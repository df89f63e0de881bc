"""FLOPs and bytes of plain and rewritten operations, as a platform's compiler counts
them: `python -m tests.bench.platforms cpu`, or `tpu` without one.

For TPU it needs `libtpu` from the package index and a jax of its time (0.12, Python
3.12): the compiler runs for a described v5e, no device is there. Rewritten: what the
networks call, lowered for that platform. The table goes to tests/bench/README.md.
"""

import os
import sys

if __name__ == "__main__" and sys.argv[1] == "tpu":  # before libtpu is loaded
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-8",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_WORKER_ID": "0",
    }

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental import topologies

from jaxseg.models import layers, ops, token_ops
from tests.bench.steps import table

MAPS, TOKENS, HEADS = (16, 64, 64, 32), (16, 197, 192), (16, 3, 197, 64)
NHWC = ("NHWC", "HWIO", "NHWC")


def plain_conv(x, kernel, stride=1, padding="VALID"):
    strides = (stride, stride)
    return jax.lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=NHWC
    )


def plain_1x1(x, kernel):
    return plain_conv(x, kernel.reshape(1, 1, *kernel.shape))


def plain_resize(x):
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear", antialias=False)


def plain_nearest(x):
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "nearest")


def plain_norm(x, scale, bias):
    params = {"params": {"scale": scale, "bias": bias}}
    return nn.LayerNorm(epsilon=1e-6).apply(params, x)


def plain_attention(query, key, value):
    scores = jnp.einsum("bhnd,bhmd->bhnm", query, key).astype(jnp.float32)
    weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
    return jnp.einsum("bhnm,bhmd->bhnd", weights, value)


def batch_norm(module):
    def apply(x):
        variables = module.init(jax.random.key(0), x[:1, :1, :1])
        return module.apply(variables, x, mutable=["batch_stats"])[0]

    return apply


class Norm(nn.Module):
    @nn.compact
    def __call__(self, x):
        return layers.BatchNorm()(x, train=True)


CASES = {  # plain, rewritten, shapes
    "max pool 2x2": (lambda x: nn.max_pool(x, (2, 2), (2, 2)), ops.max_pool, [MAPS]),
    "max pool 3x3, stride 2": (
        lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
        lambda x: ops.max_pool(x, 3, 2, 1),
        [MAPS],
    ),
    "average pool 2x2": (
        lambda x: nn.avg_pool(x, (2, 2), (2, 2)),
        ops.avg_pool,
        [MAPS],
    ),
    "bilinear x2": (
        plain_resize,
        lambda x: ops.resize_bilinear(x, (128, 128)),
        [MAPS],
    ),
    "nearest x2": (plain_nearest, lambda x: ops.upsample_nearest(x, 2), [MAPS]),
    "transposed 2x2, 64 -> 32": (
        lambda x, k: jax.lax.conv_transpose(x, k[::-1, ::-1], (2, 2), "VALID"),
        ops.conv_transpose2x2,
        [(16, 32, 32, 64), (2, 2, 64, 32)],
    ),
    "1x1, 32 -> 64": (plain_1x1, ops.conv1x1, [MAPS, (32, 64)]),
    "1x1, 32 -> 64, width 50": (plain_1x1, ops.conv1x1, [(16, 50, 50, 32), (32, 64)]),
    "3x3, 32 -> 32": (
        lambda x, k: plain_conv(x, k, 1, "SAME"),
        ops.conv,
        [MAPS, (3, 3, 32, 32)],
    ),
    "BatchNorm": (batch_norm(nn.BatchNorm(False)), batch_norm(Norm()), [MAPS]),
    "dense, 192 -> 768": (jnp.matmul, token_ops.dense, [TOKENS, (192, 768)]),
    "GELU": (
        lambda x: jax.nn.gelu(x, approximate=False),
        token_ops.gelu,
        [(16, 197, 768)],
    ),
    "attention": (plain_attention, token_ops.attention, [HEADS] * 3),
    "LayerNorm": (
        plain_norm,
        lambda *arguments: token_ops.layer_norm(*arguments, 1e-6),
        [TOKENS, (192,), (192,)],
    ),
}
ALWAYS_FLOAT32 = ("LayerNorm", "BatchNorm")


def cost(function, arguments):
    """(GFLOPs, megabytes, microseconds the compiler expects) of value and gradient."""

    def both(*arguments):
        value, pull = jax.vjp(function, *arguments)
        return value, pull(value)

    found = jax.jit(both).lower(*arguments).compile().cost_analysis()
    seconds = found.get("optimal_seconds", 0)
    return found["flops"] / 1e9, found["bytes accessed"] / 1e6, 1e6 * seconds


def device(platform):
    """One of a described TPU, or of this machine."""
    if platform != "tpu":
        return jax.devices(platform)[0]
    described = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x4")
    return described.devices[0]


def row(name, chosen, dtype):
    """The line of an operation: plain and rewritten of each number."""
    *forms, shapes = CASES[name]
    kind = jnp.float32 if name in ALWAYS_FLOAT32 else dtype
    sharding = jax.sharding.SingleDeviceSharding(chosen)
    arguments = [jax.ShapeDtypeStruct(s, kind, sharding=sharding) for s in shapes]
    pairs = zip(*(cost(form, arguments) for form in forms))
    numbers = [f"{x:.3g}" if x > 0 else "" for pair in pairs for x in pair]
    return table.cells([name, *numbers])


def main(platform):
    """Fills the platform's table."""
    chosen = device(platform)
    dtype = jnp.float32 if platform == "cpu" else jnp.bfloat16
    heads = ["GFLOP: plain", "rewritten", "MB: plain", "rewritten"]
    heads += ["expected us: plain", "rewritten"]
    lines = [f"{chosen.device_kind}, {jnp.dtype(dtype).name}, jax {jax.__version__}:"]
    lines += ["", table.cells(["", *heads]), table.cells(["---"] * 7)]
    for name in CASES:
        lines.append(row(name, chosen, dtype))
        print(lines[-1], flush=True)
    table.fill(f"platforms {platform}", "\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
