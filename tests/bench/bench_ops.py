"""Plain against rewritten operations, forward and forward + backward, in one run.

  python -m tests.bench.bench_ops [--repeats=20]

Both forms take turns, so that whatever else the machine does hits both; medians are
printed in milliseconds with the ratio plain / rewritten.
"""

import argparse
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.models import layers, ops

NHWC = ("NHWC", "HWIO", "NHWC")


def plain_conv(x, kernel, stride=1):
    """The textbook form of a 1x1 convolution."""
    kernel, strides = kernel.reshape(1, 1, *kernel.shape), (stride, stride)
    return jax.lax.conv_general_dilated(
        x, kernel, strides, "VALID", dimension_numbers=NHWC
    )


def plain_resize(x, size):
    shape = (x.shape[0], *size, x.shape[-1])
    return jax.image.resize(x, shape, "bilinear", antialias=False)


def plain_nearest(x):
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "nearest")


def norm(module):
    shape = (1, 2, 2, 32)
    variables = module.init(jax.random.key(0), jnp.ones(shape))
    return lambda x: module.apply(variables, x, mutable=["batch_stats"])[0]


class Rewritten(nn.Module):
    @nn.compact
    def __call__(self, x):
        return layers.BatchNorm()(x, train=True)


MAPS, LOGITS = (16, 64, 64, 32), (16, 16, 16, 7)
CASES = {
    "max pool 2x2": (
        lambda x: nn.max_pool(x, (2, 2), (2, 2)),
        ops.max_pool,
        [MAPS],
    ),
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
    "average pool 3x3, stride 2": (
        lambda x: nn.avg_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
        lambda x: ops.avg_pool(x, 3, 2, 1),
        [MAPS],
    ),
    "bilinear x4, 16x16x7": (
        lambda x: plain_resize(x, (64, 64)),
        lambda x: ops.resize_bilinear(x, (64, 64)),
        [LOGITS],
    ),
    "bilinear x2, 64x64x32": (
        lambda x: plain_resize(x, (128, 128)),
        lambda x: ops.resize_bilinear(x, (128, 128)),
        [MAPS],
    ),
    "bilinear 64x64 -> 90x120": (
        lambda x: plain_resize(x, (90, 120)),
        lambda x: ops.resize_bilinear(x, (90, 120)),
        [MAPS],
    ),
    "nearest x2": (
        plain_nearest,
        lambda x: ops.upsample_nearest(x, 2),
        [MAPS],
    ),
    "transposed 2x2, 64 -> 32": (
        lambda x, k: jax.lax.conv_transpose(x, k[::-1, ::-1], (2, 2), "VALID"),
        ops.conv_transpose2x2,
        [(16, 32, 32, 64), (2, 2, 64, 32)],
    ),
    "1x1, 32 -> 64": (plain_conv, ops.conv1x1, [MAPS, (32, 64)]),
    "1x1 stride 2, 32 -> 64": (
        lambda x, k: plain_conv(x, k, 2),
        lambda x, k: ops.conv1x1(x, k, 2),
        [MAPS, (32, 64)],
    ),
    "BatchNorm": (norm(nn.BatchNorm(False)), norm(Rewritten()), [MAPS]),
}


def compiled(function, arguments):
    """(forward, forward + backward), compiled for these arguments."""

    def both(*arguments):
        value, pull = jax.vjp(function, *arguments)
        return value, pull(value)

    return [jax.jit(f).lower(*arguments).compile() for f in (function, both)]


def measure(plain, rewritten, shapes, repeats):
    """Median milliseconds [[plain forward, both], [rewritten forward, both]]."""
    rng = np.random.default_rng(0)
    arguments = [jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes]
    programs = [compiled(f, arguments) for f in (plain, rewritten)]
    times = np.zeros((repeats, 2, 2))
    for repeat in range(repeats):
        for form in (0, 1):
            for direction in (0, 1):
                start = time.perf_counter()
                jax.block_until_ready(programs[form][direction](*arguments))
                times[repeat, form, direction] = time.perf_counter() - start
    return 1000 * np.median(times, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    print(f"{'ms: plain / rewritten = ratio':32}{'forward':>26}{'and backward':>28}")
    for name, (plain, rewritten, shapes) in CASES.items():
        before, after = measure(plain, rewritten, shapes, repeats)
        columns = (f"{a:9.2f} /{b:7.2f} = {a / b:6.1f}" for a, b in zip(before, after))
        print(f"{name:32}{'  '.join(columns)}", flush=True)


if __name__ == "__main__":
    main()
