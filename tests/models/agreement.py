"""Whether a rewritten operation is the plain one, in value and in gradient."""

import jax
import numpy as np


def check(rewritten, plain, *shapes, quantise=False, scale=1.0):
    """Same value and, for a random cotangent, same gradient in every argument: within
    1e-5 of the largest.
    """
    rng = np.random.default_rng(0)
    arguments = [scale * rng.normal(size=shape) for shape in shapes]
    arguments = [x.astype(np.float32) for x in arguments]
    if quantise:  # ties everywhere, as after a ReLU
        arguments = [np.round(x) for x in arguments]
    value, pull = jax.vjp(jax.jit(plain), *arguments)
    other, pull_other = jax.vjp(jax.jit(rewritten), *arguments)
    _close(other, value)
    cotangent = rng.normal(size=value.shape).astype(np.float32)
    for gradient, wanted in zip(pull_other(cotangent), pull(cotangent), strict=True):
        _close(gradient, wanted)


def _close(found, wanted):
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    bound = 1e-5 * float(np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=bound)
