"""Weights that both sides of a parity test make for themselves, tensor by tensor.

Filled by NumPy from a seed of each tensor's published name, so that no weights are
stored. Zero-sum filters with a gain of 1.1 and small scales where a residual branch
ends keep every map of order one: with plain He-normal filters HRNet's activations
explode, and errors drown in them.
"""

import hashlib
import re

import numpy as np

# The norms that end a residual branch: of bottlenecks, and of HRNet's basic blocks.
BRANCH_ENDS = r".*\.bn3\.weight|.*branches\..*\.bn2\.weight"


def fill(name, shape, small_variance=False):
    """A float32 tensor of that name and shape.

    small_variance: running variances near 1e-4, which make a wrong eps gross.
    """
    seed = hashlib.sha256(name.encode()).digest()[:8]
    rng = np.random.Generator(np.random.Philox(int.from_bytes(seed)))
    normal = rng.standard_normal(shape, np.float32)
    if name.endswith("running_var"):
        spread = np.exp(0.2 * normal)
        return np.float32(1e-4) * spread if small_variance else spread
    if name.endswith(("running_mean", "bias")):
        return np.float32(0.001 if small_variance else 0.1) * normal
    if name in ("pos_embed", "cls_token", "encoder.pos_embedding", "class_token"):
        return np.float32(0.3) * normal
    if len(shape) == 1:  # scales of norms
        uniform = rng.uniform(size=shape).astype(np.float32)
        if re.fullmatch(BRANCH_ENDS, name):
            return (np.float32(0.2) + np.float32(0.2) * uniform) * np.float32(
                0.01 if small_variance else 1
            )
        return (np.float32(0.8) + np.float32(0.4) * uniform) * np.float32(
            0.01 if small_variance else 1
        )
    fan_in = int(np.prod(shape[1:]))
    if len(shape) == 4:
        normal = normal - normal.mean(axis=(1, 2, 3), keepdims=True)
        return np.float32(1.1 * (2 / fan_in) ** 0.5) * normal
    return np.float32(fan_in**-0.5) * normal


def image(height, width):
    """float32 [1, height, width, 3], the same everywhere."""
    rng = np.random.Generator(np.random.Philox(7))
    return rng.standard_normal((1, height, width, 3), np.float32)


def places(count, of=2000):
    """Which of `count` values are stored: all, or `of` evenly mixed ones."""
    if count <= of:
        return np.arange(count)
    rng = np.random.Generator(np.random.Philox(count))
    return np.sort(rng.choice(count, of, replace=False))
